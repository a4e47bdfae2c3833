"""What counts as the same call, what may be taken over from it, and what is not tried again."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.passes import Failures, Known, call_key
from llmcompiler.plan import Cancelled, Failed, Json, Ok

json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1])
    | st.sampled_from([0.0, -0.0, 1.0, math.inf])
    | st.floats(allow_nan=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(max_size=3), json_values, max_size=3)


def _shape(value: Json) -> object:
    """Return a value that equals that of another exactly where a tool could not tell them apart."""
    match value:
        case Mapping():
            return ["object", *([name, _shape(each)] for name, each in value.items())]
        case list():
            return ["list", *map(_shape, value)]
        case float():
            return ["float", value.hex()]
        case _:
            return [type(value).__name__, value]


@settings(max_examples=300, deadline=None)
@given(arguments, arguments)
def test_calls_share_a_key_exactly_if_their_arguments_are_equal(
    one: dict[str, Json], other: dict[str, Json]
) -> None:
    assert call_key("tool", one) == call_key("tool", dict(reversed(one.items())))
    same = {name: _shape(value) for name, value in one.items()} == {
        name: _shape(value) for name, value in other.items()
    }
    assert (call_key("tool", one) == call_key("tool", other)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ("1", 1),
        ("None", None),
        ([], {}),
        ([1, 2], [2, 1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ("\ud83d\ude00", "\U0001f600"),
        ("x" * 1000, "x" * 999 + "y"),
        pytest.param(10**5000, 10**5000 + 1, id="too long to be written"),
        ("a', 'b", ["a", "b"]),
    ],
)
def test_values_that_a_tool_can_tell_apart_make_two_calls(one: Json, other: Json) -> None:
    assert call_key("tool", {"a": one}) != call_key("tool", {"a": other})
    assert call_key("tool", {"a": one}) == call_key("tool", {"a": one})


def test_two_tools_never_share_a_key() -> None:
    assert call_key("a", {"x": 1}) != call_key("b", {"x": 1})


def test_the_key_of_a_large_call_is_short() -> None:
    assert len(call_key("tool", {"text": "x" * 100_000})) < 500


class Owner:
    """Stands for a call that runs; all owners are equal, and each is its own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owner)

    __hash__ = None  # type: ignore[assignment]  # nothing may hash an owner


def _known(outcome: Ok | None = None, writes: str | None = "none") -> Known[Owner]:
    known: Known[Owner] = Known()
    owner = Owner()
    known.began("k", owner)
    if outcome is not None:
        known.ended("k", owner, outcome)
    if writes != "none":
        known.wrote(writes)
    return known


def test_a_call_that_was_not_made_is_not_known() -> None:
    assert Known[Owner]().find("k", pure=True, resource=None) is None


def test_a_call_that_runs_is_followed() -> None:
    known: Known[Owner] = Known()
    owner = Owner()
    known.began("k", owner)
    assert known.find("k", pure=False, resource=None) is owner


def test_a_call_that_ended_well_gives_its_value() -> None:
    assert _known(Ok(1)).find("k", pure=False, resource=None) == Ok(1)


@pytest.mark.parametrize("outcome", [Failed("E", "no"), Cancelled("stopped")])
def test_a_call_that_failed_is_made_again(outcome: Failed | Cancelled) -> None:
    known: Known[Owner] = Known()
    owner = Owner()
    known.began("k", owner)
    known.ended("k", owner, outcome)
    assert known.find("k", pure=True, resource=None) is None


@pytest.mark.parametrize(
    ("read", "written", "kept"),
    [
        ("disk", "disk", False),
        ("disk", "mail", True),
        ("disk", None, False),
        (None, "disk", False),
        (None, None, False),
    ],
)
@pytest.mark.parametrize("outcome", [None, Ok(1)])
def test_a_write_that_may_touch_what_was_read_makes_it_old(
    read: str | None, written: str | None, kept: bool, outcome: Ok | None
) -> None:
    known = _known(outcome, written)
    assert (known.find("k", pure=False, resource=read) is not None) == kept


@pytest.mark.parametrize("written", ["disk", None])
def test_no_write_makes_a_pure_call_old(written: str | None) -> None:
    assert _known(Ok(1), written).find("k", pure=True, resource=None) == Ok(1)


def test_a_read_that_began_after_the_write_is_not_old() -> None:
    known: Known[Owner] = Known()
    known.wrote("disk")
    known.wrote(None)
    owner = Owner()
    known.began("k", owner)
    known.wrote("mail")
    assert known.find("k", pure=False, resource="disk") is owner


def test_the_end_of_a_call_that_became_old_says_nothing_of_the_newer_one() -> None:
    known: Known[Owner] = Known()
    old, new = Owner(), Owner()
    known.began("k", old)
    known.wrote(None)
    assert known.find("k", pure=False, resource=None) is None
    known.began("k", new)
    known.ended("k", old, Ok("old"))
    assert known.find("k", pure=False, resource=None) is new
    known.ended("k", new, Ok("new"))
    assert known.find("k", pure=False, resource=None) == Ok("new")


def test_a_call_that_ends_after_a_write_is_old_all_the_same() -> None:
    known: Known[Owner] = Known()
    owner = Owner()
    known.began("k", owner)
    known.wrote("disk")
    known.ended("k", owner, Ok(1))
    assert known.find("k", pure=False, resource="disk") is None


def test_the_second_failure_of_a_kind_is_the_last() -> None:
    failures = Failures()
    failures.failed("k", "HTTPError", "404")
    assert failures.hopeless("k") is None
    failures.failed("k", "HTTPError", "404")
    assert failures.hopeless("k") == Failed(
        "HTTPError", "not tried again, it failed twice in the same way before: 404", attempts=0
    )
    assert failures.hopeless("other") is None


def test_failures_that_differ_leave_hope() -> None:
    failures = Failures()
    failures.failed("k", "HTTPError", "404")
    failures.failed("k", "HTTPError", "503")
    failures.failed("k", "TimeoutError", "404")
    assert failures.hopeless("k") is None


@pytest.mark.parametrize("kind", ["Cancelled", "ApprovalDenied", "LimitReached"])
def test_what_the_run_itself_refused_does_not_count(kind: str) -> None:
    failures = Failures()
    failures.failed("k", kind, "no")
    failures.failed("k", kind, "no")
    assert failures.hopeless("k") is None


def test_a_write_that_went_through_gives_new_hope() -> None:
    failures = Failures()
    failures.failed("k", "OSError", "no such folder")
    failures.failed("k", "OSError", "no such folder")
    failures.renew()
    assert failures.hopeless("k") is None
    failures.failed("k", "OSError", "no such folder")
    assert failures.hopeless("k") is None
