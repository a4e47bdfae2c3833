"""Reading: plain data with positions, and one sentence for whatever is no workflow at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from llmcompiler.errors import ConfigurationError
from llmcompiler.workflow.problems import Problem, WorkflowError
from llmcompiler.workflow.reading import Source, read, read_file


def refused(text: str) -> str:
    with pytest.raises(WorkflowError) as raised:
        read(text, "w.yaml")
    return str(raised.value)


def reported(text: str) -> list[str]:
    return [str(one) for one in read(text, "w.yaml").problems]


# Data and positions


def test_values_are_those_of_yaml_1_2() -> None:
    source = read(
        "a: [no, on, yes, off, 2026-01-02, 12:30:00, 1_000, 0b1, '1', !!str 1]\n"
        "b: [true, False, ~, null, , 7, -7, +7, 007, 0x1f, 0o17, 1.5, .5, 1., 1e3, !!float 2]\n".replace(
            "null, ,", "null,"
        ),
        "w.yaml",
    )
    assert source.data == {
        "a": ["no", "on", "yes", "off", "2026-01-02", "12:30:00", "1_000", "0b1", "1", "1"],
        "b": [True, False, None, None, 7, -7, 7, 7, 31, 15, 1.5, 0.5, 1.0, 1000.0, 2.0],
    }
    assert [type(one) for one in source.data["b"][-4:]] == [float] * 4
    assert source.problems == ()


def test_positions_are_those_of_values_and_of_keys() -> None:
    source = read(
        "version: 1\nsteps:\n  geo:\n    uses: find\n    with: {place: [a, b]}\n", "w.yaml"
    )
    assert source.at(()) == (1, 1)
    assert source.at(("steps", "geo", "uses")) == (4, 11)
    assert source.at(("steps", "geo", "uses"), key=True) == (4, 5)
    assert source.at(("steps", "geo"), key=True) == (3, 3)
    assert source.at(("steps", "geo", "with", "place", 1)) == (5, 23)
    assert source.at(("steps", "geo", "with", "place", 1), key=True) == (5, 23)


def test_where_there_is_nothing_the_position_is_that_of_what_is_around_it() -> None:
    source = read("steps:\n  geo:\n    with: [a]\n", "w.yaml")
    assert source.at(("steps", "geo", "uses")) == (3, 5)
    assert source.at(("steps", "geo", "uses", "more"), key=True) == (2, 3)
    assert source.at(("steps", "geo", "with", 7)) == (3, 11)
    assert source.at(("steps", "geo", "with", "x")) == (3, 11)
    assert source.at(("steps", "other"), key=True) == (1, 1)
    assert source.problem(("steps", "geo"), "is wrong", key=True) == Problem(
        "w.yaml", 2, 3, "is wrong"
    )


def test_an_alias_stands_where_it_is_written_and_what_is_inside_where_that_is() -> None:
    source = read("x-a: &a\n  b: 1\nc: *a\n", "w.yaml")
    assert source.data == {"x-a": {"b": 1}, "c": {"b": 1}}
    assert source.at(("c",)) == (3, 4)
    assert source.at(("c", "b")) == (2, 6)


def test_merge_keys_add_what_is_not_there() -> None:
    source = read(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
        "one: {<<: *a, y: 9}\nlater: {y: 9, <<: *a}\nboth: {<<: [*a, *b]}\nhere: {<<: {q: 1}}\n",
        "w.yaml",
    )
    assert source.data["one"] == {"x": 1, "y": 9}
    assert source.data["later"] == {"x": 1, "y": 9}
    assert source.data["both"] == {"x": 1, "y": 1, "z": 2}
    assert source.data["here"] == {"q": 1}
    assert source.at(("one", "y")) == (3, 18)
    assert source.at(("both", "z"), key=True) == (2, 14)
    assert source.data["a"] == {"x": 1, "y": 1}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("a: {'<<': 1}", "w.yaml").data == {"a": {"<<": 1}}


def test_line_ends_and_marks_of_other_editors_move_nothing() -> None:
    text = "\ufeffname: x\r\nsteps:\r\n  a: {uses: y}\r\n"
    source = read(text, "w.yaml")
    assert source.data == {"name": "x", "steps": {"a": {"uses": "y"}}}
    assert source.at(("name",), key=True) == (1, 1)
    assert source.at(("steps", "a", "uses")) == (3, 13)
    assert refused(text + "bad: b: c\r\n") == (
        "w.yaml:4:7: a ':' cannot stand here: put a text that holds ': ' in quotes, "
        "or check the indentation"
    )


_KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    _KEYS,
    st.sampled_from(
        ["no", "null", "~", "1e5", "0x1", "1_0", "<<", "=", "a: b", "a #b", "*a", "12:30"]
    ),
)
_DATA = st.dictionaries(
    _KEYS,
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    found = [(at, value)]
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for step, one in inner:
            found += paths(one, (*at, step))
    return found


@settings(deadline=None)
@given(_DATA, st.booleans())
def test_what_was_written_is_read_and_every_position_points_at_its_value(
    data: dict[str, Any], flow: bool
) -> None:
    writer = YAML(typ="rt", pure=True)
    writer.default_flow_style = flow
    writer.width = 10_000
    text = io.StringIO()
    writer.dump(data, text)
    assume(reads_itself(text.getvalue(), data))
    source = read(text.getvalue(), "w.yaml")
    assert source.data == data
    assert source.problems == ()
    lines = text.getvalue().split("\n")
    for path, value in paths(data):
        line, column = source.at(path)
        assert begins_with(lines[line - 1][column - 1 :], value, flow), (path, text.getvalue())


def reads_itself(text: str, data: dict[str, Any]) -> bool:
    """Whether the library reads what it wrote, as it does not where a text begins with ':'."""
    try:
        return bool(YAML(typ="safe", pure=True).load(text) == data)
    except YAMLError:
        return False


def begins_with(written: str, value: Any, flow: bool) -> bool:
    match value:
        case dict() if value and not flow:
            return begins_with(written, next(iter(value)), flow)
        case dict():
            # Inside a list a mapping of one key may stand without braces: [a: 1].
            single = len(value) == 1 and begins_with(written, next(iter(value)), flow)
            return single or written.startswith("{")
        case list() if value and not flow:
            return written.startswith("-")
        case list():
            return written.startswith("[")
        case None:
            return not flow or written[:4] in ("null", "", "}", "]") or written[:1] in ",}]~ "
        case bool():
            return written.startswith(str(value).lower())
        case int() | float():
            return written[:1] in tuple("+-.0123456789")
        case _:
            return written.startswith(value) or written[:1] in ("'", '"')


# What is said of mistakes from which reading goes on


def test_a_key_that_is_there_twice_is_reported_with_both_positions() -> None:
    source = read("a: 1\nsteps: {b: 1}\na: 2\n", "w.yaml")
    assert source.data == {"a": 1, "steps": {"b": 1}}
    assert list(map(str, source.problems)) == [
        "w.yaml:3:1: the key 'a' is there twice, first at line 1, column 1"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: x", "w.yaml:1:1: a key must be a text: write 1 in quotes"),
        ("true: x", "w.yaml:1:1: a key must be a text: write true in quotes"),
        ("null: x", "w.yaml:1:1: a key must be a text: write null in quotes"),
        (": x", "w.yaml:1:1: a key must be a text, not nothing"),
        ("? [a]\n: x", "w.yaml:1:3: a key must be a text, not a list"),
        (
            "x: {{ item }}",
            "w.yaml:1:5: a key must be a text, not a mapping: "
            'put an expression in quotes, as "${{ … }}"',
        ),
        ("a: .inf", "w.yaml:1:4: .inf is no number in JSON: put it in quotes if it is a text"),
        ("a: .NaN", "w.yaml:1:4: .NaN is no number in JSON: put it in quotes if it is a text"),
        ("a: -9e999", "w.yaml:1:4: the number -9e999 is too large"),
        (
            f"a: {'7' * 5000}",
            "w.yaml:1:4: a number of 5,000 digits is too long: put it in quotes",
        ),
        ("a: !env X", "w.yaml:1:4: there are no tags as '!env' in a workflow: leave it out"),
        ("a: !!set {b}", "w.yaml:1:4: there are no tags as '!!set' in a workflow: leave it out"),
        ("a: !!int x", "w.yaml:1:4: 'x' is none of the values that '!!int' stands for"),
        ("a: {<<: 5}", "w.yaml:1:9: '<<' takes a mapping or a list of mappings, not a number"),
        (
            "a: {<<: [{b: 1}, x]}",
            "w.yaml:1:18: '<<' takes a mapping or a list of mappings, not a text",
        ),
        (
            "a: {<<: {b: 1}, <<: {c: 1}}",
            "w.yaml:1:17: the key '<<' is there twice: give it a list of mappings",
        ),
    ],
)
def test_a_mistake_that_does_not_stop_reading_is_reported(text: str, said: str) -> None:
    assert reported(text) == [said]


def test_what_was_found_before_reading_stopped_is_said_as_well() -> None:
    assert refused("a: 1\na: 2\nb: [") == (
        "w.yaml:2:1: the key 'a' is there twice, first at line 1, column 1\n"
        "w.yaml:3:4: this '[' is never closed"
    )


# Files


def test_a_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: caf\xc3\xa9\r\n")
    source = read_file(path)
    assert isinstance(source, Source)
    assert (source.data, source.file) == ({"name": "café"}, str(path))


def test_a_file_that_is_not_utf_8_is_refused_with_the_position_of_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9 caf\xe9\n")
    with pytest.raises(WorkflowError) as raised:
        read_file(path)
    assert str(raised.value) == f"{path}:2:9: the byte 0xe9 is not UTF-8: save the file as UTF-8"


def test_a_large_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(WorkflowError) as raised:
        read_file(path)
    assert str(raised.value) == (
        f"{path}:1:1: the file has 50,000,000 bytes, and a workflow may have 1,000,000: split it"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_file(tmp_path / "none.yaml")
    path = str(tmp_path / "none.yaml")
    assert str(raised.value) == f"cannot read the workflow {path!r}: no such file or directory"


def test_problems_are_said_in_the_order_of_their_positions_and_once() -> None:
    error = WorkflowError(
        [Problem("w", 2, 1, "b"), Problem("w", 1, 9, "a"), Problem("w", 2, 1, "b")]
    )
    assert str(error) == "w:1:9: a\nw:2:1: b"
    assert len(error.problems) == 2
