"""May a value of one type be of another?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from typing_extensions import TypedDict

from llmcompiler.types import (
    Type,
    accepts_text,
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
