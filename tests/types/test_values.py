"""Does a value fit, and what is told where it does not?"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from llmcompiler.types import (
    Type,
    at_path,
    describe,
    may_fit,
    problem,
)
from tests.types.annotations import Node, Shop, typed


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, "7", 'x must be a whole number, not "7"'),
        (int, 7.5, "x must be a whole number, not 7.5"),
        (int, True, "x must be a whole number, not true"),
        (float, None, "x must be a number, not null"),
        (float, math.inf, "x must be a number, not inf"),
        (str, 7, "x must be a text, not 7"),
        (bool, 1, "x must be true or false, not 1"),
        (list[int], [1, "a"], 'x[1] must be a whole number, not "a"'),
        (list[int], 1, "x must be a list, not 1"),
        (dict[str, list[float]], {"a": [1, None]}, "x.a[1] must be a number, not null"),
        (int | None, "a", 'x must be null or a whole number, not "a"'),
        (Literal["red", "green"], "gren", "not \"gren\"; did you mean 'green'?"),
        (Literal[1, 2], 3, "x must be one of 1, 2, not 3"),
        (Literal[1, 2], True, "x must be one of 1, 2, not true"),
        (Shop, {"name": "a", "price": 1}, "x needs 'links'"),
        (Shop, {"name": 3, "price": 1, "links": []}, "x.name must be a text, not 3"),
        (Annotated[int, Field(ge=3)], 2, "x must be at least 3, not 2"),
        (Annotated[int, Field(le=3)], 4, "x must be at most 3, not 4"),
        (Annotated[float, Field(gt=0)], 0, "x must be above 0, not 0"),
        (Annotated[float, Field(lt=0)], 0, "x must be below 0, not 0"),
        (Annotated[int, Field(multiple_of=5)], 7, "x must be a multiple of 5, not 7"),
        (Annotated[str, Field(min_length=2)], "a", "x must have at least 2 characters, not 1"),
        (Annotated[str, Field(max_length=2)], "abc", "x must have at most 2 characters, not 3"),
        (Annotated[list[int], Field(min_length=1)], [], "x must have at least 1 elements, not 0"),
        (tuple[int, str], [1, 2], "x[1] must be a text, not 2"),
        (tuple[int, str], [1], "x must have at least 2 elements, not 1"),
        (list[int] | list[str], [None], "x must be a list, not [null]"),
        (Shop | int, {"name": "a", "price": "b", "links": []}, 'x.price must be a number, not "b"'),
        (
            Node,
            {"value": 1, "below": [{"value": "x"}]},
            'x.below[0].value must be a whole number, not "x"',
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_where_and_why(
    annotation: Any, value: object, text: str
) -> None:
    told = problem(value, typed(annotation), "x")
    assert told is not None
    assert text in told


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 3.0),  # JSON knows one kind of number: 3.0 is a whole one
        (float, 3),
        (Any, {"a": [1, None]}),
        (object, "x"),
        (int | str, "x"),
        (Shop, {"name": "a", "price": 1, "links": [], "more": 1}),
        (Node, {"value": 1, "below": [{"value": 2, "below": []}], "parent": None}),
        (tuple[int, ...], [1, 2, 3]),
        (None, None),
    ],
)
def test_a_value_that_fits_is_no_problem(annotation: Any, value: object) -> None:
    assert problem(value, typed(annotation)) is None


def test_an_unknown_property_of_a_closed_object_is_told_with_a_suggestion() -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        price: int = 0

    assert problem({"pirce": 1}, typed(Closed), "x") == "x has no 'pirce'; did you mean 'price'?"


def test_what_is_no_json_is_handed_to_its_reader_with_the_type_expected_there() -> None:
    asked: list[tuple[str, str]] = []

    class Hole:
        pass

    def foreign(value: object, expected: Type, at: str) -> str | None:
        assert isinstance(value, Hole)
        asked.append((at, describe(expected)))
        return None

    value = {"name": Hole(), "price": 1, "links": ["a", Hole()], "more": [Hole()]}
    assert problem(value, typed(Shop), "x", foreign) is None
    assert asked == [("x.name", "a text"), ("x.links[1]", "a text"), ("x.more[0]", "anything")]
    assert problem(Hole(), typed(int), "x") is not None


def test_a_value_without_end_is_refused_and_not_followed() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    told = problem(value, Type({}), "x")
    assert told is not None
    assert told.endswith("is nested too deeply")


def test_schemas_that_refer_to_themselves_or_to_nothing_end() -> None:
    loop = Type.of({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}})
    assert problem(1, loop) is not None
    assert at_path(loop, ("a",)) is None
    assert may_fit(loop, loop)
    assert problem(1, Type({"$ref": "#/$defs/Missing"})) is None
    assert (
        problem(
            "x",
            Type.of(
                {
                    "$ref": "#/$defs/A",
                    "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "string"}]}},
                }
            ),
        )
        is None
    )


def test_handwritten_schemas_are_understood() -> None:
    assert problem(1, Type(False), "x") == "x must not be given"
    assert problem(1, Type(True)) is None
    assert problem(None, Type({"type": ["string", "null"]})) is None
    assert problem(1, Type({"type": ["string", "null"]}), "x") == "x must be null or a text, not 1"
    assert problem("a", Type({"enum": ["a", 1]})) is None
    assert problem("a", Type({"allOf": [{"type": "string"}, {"minLength": 2}]})) is not None
    assert problem({1: 2}, Type({}), "x") == "x must have texts as names, not 1"


def test_what_is_said_beside_a_reference_holds_too() -> None:
    expected = Type.of({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {"type": "integer"}}})
    assert problem(3, expected) is None
    assert problem(2, expected, "x") == "x must be at least 3, not 2"
    assert problem("a", expected, "x") == 'x must be a whole number, not "a"'
