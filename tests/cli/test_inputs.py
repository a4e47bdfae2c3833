"""Inputs of a workflow at the command line: read by their declared types, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.cli.inputs import given_inputs, read_value
from llmcompiler.errors import ConfigurationError
from llmcompiler.workflow import InputError, Workflow, WorkflowError
from tests.cli.workflows import call, shop

TAKES = """\
inputs:
  text: {type: string, default: ""}
  whole: {type: integer, default: 1}
  loud: {type: boolean, default: false}
  towns: {type: array, items: {type: string}, default: []}
  town: {type: string}
steps:
  a: {uses: total, with: {values: ["${{ inputs.whole }}"]}}
"""


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": "string"}, "no", "no"),
        ({"type": "string"}, '"quoted"', '"quoted"'),
        ({"type": "string"}, "", ""),
        ({"type": "string"}, "a=b", "a=b"),
        ({"type": "boolean"}, "no", False),
        ({"type": "boolean"}, "Off", False),
        ({"type": "boolean"}, "0", False),
        ({"type": "boolean"}, "false", False),
        ({"type": "boolean"}, "YES", True),
        ({"type": "boolean"}, "on", True),
        ({"type": "integer"}, "-5", -5),
        ({"type": "integer"}, "007", 7),
        ({"type": "number"}, "5", 5),
        ({"type": "number"}, "5e-1", 0.5),
        ({"type": "array"}, '["a", 1]', ["a", 1]),
        ({"type": "object"}, '{"a": null}', {"a": None}),
        ({"type": "null"}, "null", None),
        ({}, "5", 5),
        ({}, "five", "five"),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, "5", "5"),
        ({"type": ["string", "integer"]}, "5", 5),
        ({"type": ["boolean", "null"]}, "no", False),
        ({"type": ["boolean", "null"]}, "null", None),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, "[1]", [1]),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, "[1", "[1"),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({"enum": [1, 2]}, "1", 1),
    ],
)
def test_a_value_is_read_by_its_declared_type(
    schema: dict[str, Any], text: str, value: object
) -> None:
    found = read_value("x", text, schema)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        (
            {"type": "boolean"},
            "maybe",
            "the input 'x' must be true or false (yes, no, on and off will do), not 'maybe'",
        ),
        ({"type": "integer"}, "1.5", "the input 'x' must be a whole number, not '1.5'"),
        ({"type": "integer"}, "", "the input 'x' must be a whole number, not ''"),
        ({"type": "integer"}, "1_000", "the input 'x' must be a whole number, not '1_000'"),
        ({"type": "number"}, "NaN", "the input 'x' must be a number, not 'NaN'"),
        ({"type": "number"}, "true", "the input 'x' must be a number, not 'true'"),
        ({"type": "number"}, "five", "the input 'x' must be a number, not 'five'"),
        (
            {"type": "array"},
            "Oslo",
            "the input 'x' must be a list, written as JSON, not 'Oslo': --input 'x=[\"a\", \"b\"]'",
        ),
        (
            {"type": "object"},
            "a" * 99,
            f"the input 'x' must be an object, written as JSON, not {'a' * 60 + '…'!r}: "
            '--input \'x={"name": "value"}\'',
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence(schema: dict[str, Any], text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_value("x", text, schema)
    assert str(raised.value) == said


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_where_anything_is_allowed_every_value_can_be_given_as_json(value: object) -> None:
    assert read_value("x", json.dumps(value), {}) == value


@given(st.text())
def test_a_string_is_any_text_as_it_stands(text: str) -> None:
    assert read_value("x", text, {"type": "string"}) == text.encode(
        "utf-8", "surrogateescape"
    ).decode("utf-8", "replace")


@given(st.text(), st.sampled_from(["boolean", "integer", "number", "array", "object", "null"]))
def test_a_text_is_a_value_of_the_type_or_a_sentence(text: str, kind: str) -> None:
    said, value = "", None
    try:
        value = read_value("x", text, {"type": kind})
    except InputError as error:
        said = str(error)
    assert said.startswith("the input 'x' must be ") or json.loads(json.dumps(value)) == value


def test_everything_that_is_wrong_is_told_at_once() -> None:
    workflow = Workflow.loads(TAKES)
    with pytest.raises(InputError) as raised:
        given_inputs(workflow, ["whole=x", "lod=1", "loud", "towns=[1]", "whole=2"], None)
    assert raised.value.problems[:3] == (
        "the input 'whole' must be a whole number, not 'x'",
        "--input 'loud' is not NAME=VALUE",
        "the input 'whole' is given twice: a list is one value, as JSON",
    )
    others = " ".join(raised.value.problems[3:])
    assert "there is no input 'lod'; did you mean 'loud'?" in others
    assert "the input 'town' is missing" in others
    assert "towns" in others


def test_an_input_that_cannot_be_read_is_not_said_to_be_missing() -> None:
    workflow = Workflow.loads(TAKES.replace("integer, default: 1", "integer"))
    with pytest.raises(InputError) as raised:
        given_inputs(workflow, ["whole=x", "town=Oslo"], None)
    assert raised.value.problems == ("the input 'whole' must be a whole number, not 'x'",)


# ---------------------------------------------------------------------- files of inputs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in.json", '{"towns": ["Oslo"], "town": "5"}'),
        ("in.json", '\ufeff{"towns": ["Oslo"], "town": "5"}'),
        ("in.yaml", 'towns: [Oslo]\ntown: "5"\n'),
    ],
)
def test_inputs_come_from_a_file_and_options_count_more(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    workflow = Workflow.loads(TAKES)
    found = given_inputs(workflow, ["town=Lima", "loud=yes"], tmp_path / name)
    assert found == {"text": "", "whole": 1, "loud": True, "towns": ["Oslo"], "town": "Lima"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("in.json", "{", "the inputs in 'in.json' are not JSON: "),
        ("in.json", "[1]", "in.json: inputs must be an object of names and values"),
        ("in.json", '{"a": NaN}', "the inputs in 'in.json' are not JSON: NaN is not JSON"),
        ("in.yaml", "- a\n", "in.yaml: inputs must be an object of names and values"),
        ("in.yaml", "", "in.yaml: inputs must be an object of names and values"),
    ],
)
def test_a_file_of_inputs_that_is_none_is_one_sentence(
    name: str, text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        given_inputs(Workflow.loads(TAKES), None, Path(name))
    assert str(raised.value).startswith(said)


def test_a_file_of_inputs_that_is_no_yaml_has_a_position(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_text("a: 1\na: 2\nb: [\n", "utf-8")
    with pytest.raises(WorkflowError) as raised:
        given_inputs(Workflow.loads(TAKES), None, path)
    assert str(raised.value).startswith(f"{path}:")


def test_a_file_that_is_not_there_or_not_text_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.json").write_bytes(b"\xff")
    no_text = call(tmp_path, monkeypatch, "run", "shop.yaml", "--input-file", "in.json")
    missing = call(tmp_path, monkeypatch, "run", "shop.yaml", "--input-file", "no.json")
    assert (no_text.exit_code, missing.exit_code) == (2, 2)
    assert no_text.stderr == "llmcompiler: the inputs in 'in.json' are not UTF-8\n"
    assert missing.stderr == (
        "llmcompiler: cannot read the inputs in 'no.json': no such file or directory\n"
    )


def test_no_on_the_command_line_is_false(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--input", "loud=no", "--json", "--quiet")
    steps = {step["id"]: step["status"] for step in json.loads(ended.out)["steps"]}
    assert (ended.status, steps["told"]) == (0, "skipped")
