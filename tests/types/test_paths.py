"""What is at a path?"""

from __future__ import annotations

from typing import Any

import pytest

from llmcompiler.types import (
    PathProblem,
    Type,
    array_of,
    at_path,
    describe,
    element_of,
    may_fit,
)
from tests.types.annotations import Node, Shop, given_back, typed


@pytest.mark.parametrize(
    ("annotation", "path", "shown"),
    [
        (Shop, ("price",), "a number"),
        (Shop, ("links", 0), "a text"),
        (Shop, ("links", None), "a list"),
        (list[Shop], (None, "price"), "a list"),
        (list[Shop], (-1, "name"), "a text"),
        (dict[str, int], ("anything",), "a whole number"),
        (Shop | None, ("name",), "a text"),
        (Node, ("below", 0, "parent", "value"), "a whole number"),
        (tuple[int, str], (1,), "a text"),
        (Shop | dict[str, int], ("name",), "a whole number or a text"),
    ],
)
def test_a_path_leads_to_its_type(annotation: Any, path: tuple[Any, ...], shown: str) -> None:
    found = at_path(given_back(annotation), path)
    assert isinstance(found, Type)
    assert describe(found) == shown


@pytest.mark.parametrize(
    ("annotation", "path", "at", "text"),
    [
        (Shop, ("pirce",), 0, "has no 'pirce'; did you mean 'price'?"),
        (Shop, (0,), 0, "is an object, not a list"),
        (Shop, ("name", "first"), 1, "is a text and has no 'first'"),
        (list[Shop], ("name",), 0, "is a list and has no 'name'"),
        (list[Shop], (None, "naem"), 1, "has no 'naem'; did you mean 'name'?"),
        (int | str, ("name",), 0, "is a whole number or a text and has no 'name'"),
        (Shop | None, ("naem",), 0, "has no 'naem'; did you mean 'name'?"),
        (tuple[int, str], (2,), 0, "has at most 2 elements and no [2]"),
        (None, (None,), 0, "is null, not a list"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_how_far_it_goes(
    annotation: Any, path: tuple[Any, ...], at: int, text: str
) -> None:
    assert at_path(given_back(annotation), path) == PathProblem(at, text)


@pytest.mark.parametrize("annotation", [Any, dict[str, Any], list[Any], dict, Any | None])
def test_what_is_not_described_is_unknown_and_no_problem(annotation: Any) -> None:
    path = (0,) if annotation == list[Any] else ("a",)
    assert at_path(given_back(annotation), path) is None
    assert at_path(Type({"type": "object"}), ("a", "b")) is None


def test_every_element_of_what_is_unknown_is_a_list_of_anything() -> None:
    found = at_path(Type({}), (None, "a"))
    assert isinstance(found, Type)
    assert describe(found) == "a list"


def test_elements_and_lists_undo_each_other() -> None:
    element = element_of(array_of(given_back(Shop)))
    assert isinstance(element, Type)
    assert isinstance(at_path(element, ("price",)), Type)
    assert isinstance(element_of(given_back(int)), PathProblem)
    assert may_fit(array_of(typed(int)), typed(list[int]))


def test_elements_after_the_first_ones_have_their_own_type() -> None:
    schema = Type({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "null"}})
    shown = {step: at_path(schema, (step,)) for step in (0, 1, 2)}
    assert [describe(one) for one in shown.values() if isinstance(one, Type)] == [
        "a text",
        "null",
        "null",
    ]
    assert at_path(schema, (-1,)) is None
