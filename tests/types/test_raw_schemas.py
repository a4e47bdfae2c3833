"""Schemas that no pydantic wrote: what is said of a type holds for all values of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.types import PathProblem, Type, at_path, converted, may_fit, plain_types, problem
from llmcompiler.types.schema import all_plain
from tests.types.raw import JSON, SCHEMAS, holds_empty

ONE = settings(max_examples=500, deadline=None)


@ONE
@given(SCHEMAS, JSON)
def test_what_fits_is_converted_to_what_is_equal_and_fits(schema: Any, value: Any) -> None:
    expected = Type.of(schema)
    if problem(value, expected) is None:
        made, told = converted(value, expected)
        assert made == value
        assert problem(made, expected) is None
        assert (made is value) == (told == ())
        assert converted(made, expected) == (made, ())


@ONE
@given(SCHEMAS, SCHEMAS, JSON)
def test_a_value_of_both_types_shows_that_one_may_fit_the_other(
    source: Any, target: Any, value: Any
) -> None:
    have, want = Type.of(source), Type.of(target)
    if problem(value, have) is None and problem(value, want) is None and not holds_empty(value):
        assert may_fit(have, want)


@ONE
@given(SCHEMAS, JSON)
def test_a_value_that_fits_is_of_a_kind_that_is_allowed(schema: Any, value: Any) -> None:
    expected = Type.of(schema)
    if type(value) in plain_types(expected):
        assert problem(value, expected) is None


@ONE
@given(SCHEMAS, JSON, st.data())
def test_every_path_into_a_value_that_fits_is_in_its_type(
    schema: Any, value: Any, data: st.DataObject
) -> None:
    expected = Type.of(schema)
    if problem(value, expected) is not None:
        return
    here, path = value, []
    while isinstance(here, list | dict) and here and data.draw(st.booleans()):
        step = data.draw(
            st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here)))
        )
        here = here[step]
        path.append(step)
    found = at_path(expected, path)
    assert not isinstance(found, PathProblem), path
    if found is not None:
        assert problem(here, found) is None


@ONE
@given(SCHEMAS, st.lists(JSON, min_size=17, max_size=20))
def test_looking_at_many_values_at_once_is_looking_at_each(schema: Any, values: list[Any]) -> None:
    expected = Type.of(schema)
    each = any(problem(value, expected) is not None for value in values)
    together = problem(values, Type({"type": "array", "items": schema}, expected.defs))
    assert (together is not None) == each
    if all_plain(values, expected):
        assert not each
