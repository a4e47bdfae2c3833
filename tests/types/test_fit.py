"""May a value of one type be of another?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from typing_extensions import TypedDict

from llmcompiler.types import (
    PathProblem,
    Type,
    accepts_text,
    at_path,
    describe,
    may_fit,
)
from tests.types.annotations import Node, Shop, given_back, typed


@pytest.mark.parametrize(
    ("source", "target", "may"),
    [
        (str, int, False),
        (int, float, True),
        (float, int, True),
        (int, str, False),
        (bool, int, False),
        (int | str, float, True),
        (str | None, int | None, True),
        (str, Any, True),
        (Any, int, True),
        (list[str], list[float], False),
        (list[int], list[float], True),
        (list[int], int, False),
        (list[Any], list[int], True),
        (str, Literal["a", "b"], True),
        (Literal["a"], Literal["b"], False),
        (Literal["a", "b"], Literal["b", "c"], True),
        (Literal["abc"], Annotated[str, Field(max_length=2)], False),
        (Shop, dict[str, Any], True),
        (Shop, dict[str, int], False),
        (dict[str, int], Shop, False),
        (Shop, Shop, True),
        (Node, Shop, False),
        (Node, Node, True),
        (None, int | None, True),
        (None, int, False),
    ],
)
def test_only_a_sure_mismatch_does_not_fit(source: Any, target: Any, may: bool) -> None:
    assert may_fit(given_back(source), typed(target)) is may


def test_an_object_without_a_required_property_does_not_fit() -> None:
    class Point(TypedDict):
        x: float

    class Place(TypedDict):
        x: float
        y: float

    assert may_fit(given_back(Place), typed(Point))
    assert not may_fit(given_back(Point), typed(Place))


@pytest.mark.parametrize(
    ("annotation", "shown", "text"),
    [
        (int | None, "null or a whole number", False),
        (int | float | bool, "true or false or a number", False),
        (Literal["a", 1], '1 or "a"', True),
        (str, "a text", True),
        (Any, "anything", True),
        (list[int] | dict[str, int] | str, "a text, a list or an object", True),
    ],
)
def test_a_type_is_described_in_words(annotation: Any, shown: str, text: bool) -> None:
    assert describe(typed(annotation)) == shown
    assert accepts_text(typed(annotation)) is text


def test_nothing_fits_what_allows_nothing() -> None:
    assert describe(Type(False)) == "nothing"
    assert not may_fit(Type({}), Type(False))


def test_a_type_that_holds_itself_twice_is_not_followed_for_ever() -> None:
    tree = {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "left": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                    "right": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                    "name": {"type": "string"},
                },
                "required": ["left", "right", "name"],
            }
        },
    }
    other = {"$ref": tree["$ref"], "$defs": {"tree": {**tree["$defs"]["tree"]}}}  # type: ignore[dict-item,index]  # a schema
    assert may_fit(Type.of(tree), Type.of(other))
    assert not may_fit(Type.of(tree), given_back(list[str]))


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, "a whole number"),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "object"]}]}, "null"),
        ({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "an object"),
        ({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, "2"),
        ({"allOf": [{"enum": [1]}, {"enum": [3]}]}, "nothing"),
        ({"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {"enum": ["x", 1]}}}, '"x"'),
    ],
)
def test_what_several_schemas_say_of_one_value_holds_together(schema: Any, shown: str) -> None:
    assert describe(Type.of(schema)) == shown


def test_an_object_put_together_of_parts_has_the_properties_of_all() -> None:
    def part(name: str) -> dict[str, Any]:
        return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}

    whole = Type.of({"allOf": [part("a"), part("b")], "properties": {"c": {"type": "null"}}})
    assert isinstance(at_path(whole, ("a",)), Type)
    assert isinstance(at_path(whole, ("b",)), Type)
    assert isinstance(at_path(whole, ("c",)), Type)
    assert isinstance(at_path(whole, ("d",)), PathProblem)
    assert may_fit(whole, Type.of(part("b")))
    assert not may_fit(whole, typed(dict[str, int]))
