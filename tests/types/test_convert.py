"""What does a number become where a type asks for the other kind, and what is told of it?"""

from __future__ import annotations

from typing import Any, Literal

import pytest

from llmcompiler.types import Type, converted
from tests.types.annotations import Node, Shop, typed

TOO_FINE = 2**53 + 1  # no float is this number


@pytest.mark.parametrize(
    ("annotation", "value", "made", "told"),
    [
        (float, 3, 3.0, ("x: 3 -> 3.0",)),
        (float | None, 3, 3.0, ("x: 3 -> 3.0",)),
        (float | str, 3, 3.0, ("x: 3 -> 3.0",)),
        (int, 3.0, 3, ("x: 3.0 -> 3",)),
        (int | None, -2.0, -2, ("x: -2.0 -> -2",)),
        (list[float], [1, 2.5], [1.0, 2.5], ("x[0]: 1 -> 1.0",)),
        (list[int], [1, 2.0], [1, 2], ("x[1]: 2.0 -> 2",)),
        (dict[str, float], {"a": 1}, {"a": 1.0}, ("x.a: 1 -> 1.0",)),
        (tuple[int, float], [1.0, 1], [1, 1.0], ("x[0]: 1.0 -> 1", "x[1]: 1 -> 1.0")),
        (
            list[Shop] | None,
            [{"name": "a", "price": 2, "links": [], "more": 1}],
            [{"name": "a", "price": 2.0, "links": [], "more": 1}],
            ("x[0].price: 2 -> 2.0",),
        ),
        (
            Node,
            {"value": 1, "below": [{"value": 2.0}]},
            {"value": 1, "below": [{"value": 2}]},
            ("x.below[0].value: 2.0 -> 2",),
        ),
        (list[int] | list[float], [1.0, 2], [1, 2], ("x[0]: 1.0 -> 1",)),
        (list[int] | list[float], [1.5, 2], [1.5, 2.0], ("x[1]: 2 -> 2.0",)),
    ],
)
def test_a_number_becomes_the_kind_that_is_asked_for(
    annotation: Any, value: Any, made: Any, told: tuple[str, ...]
) -> None:
    found, conversions = converted(value, typed(annotation), "x")
    assert repr(found) == repr(made)
    assert conversions == told


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 3),
        (float, 3.5),
        (float, 3.0),
        (int | float, 3),
        (int | float, 3.0),
        (list[int] | list[float], [1, 2]),
        (list[float] | list[int], [1, 2]),  # one option takes it as it is
        (Any, [1, 2.0]),
        (str, "3"),
        (float, True),
        (float, "3"),  # does not fit, and is not made to
        (Literal[1, 2.5], 1),
        (float, TOO_FINE),
        (float, 10**400),
        (list[str], ["a", "b"]),
    ],
)
def test_nothing_else_is_changed(annotation: Any, value: Any) -> None:
    found, conversions = converted(value, typed(annotation))
    assert found is value
    assert conversions == ()


def test_what_is_converted_is_a_copy() -> None:
    value = {"a": [1, {"b": 1}]}
    whole = {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": ["number", "object"]}},
    }
    found, _ = converted(value, Type.of(whole))
    assert found == {"a": [1.0, {"b": 1}]}
    assert value == {"a": [1, {"b": 1}]}
    assert found["a"][1] is value["a"][1]


def test_of_many_conversions_the_first_are_told_and_the_others_counted() -> None:
    found, told = converted(list(range(1000)), typed(list[float]), "x")
    assert all(type(one) is float for one in found)
    assert told[0] == "x[0]: 0 -> 0.0"
    assert len(told) == 9
    assert told[-1] == "x: and 992 more numbers"


def test_every_part_of_an_all_of_is_asked() -> None:
    both = {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "number"}}}]}
    assert converted({"a": 1}, Type.of(both), "x") == ({"a": 1.0}, ("x.a: 1 -> 1.0",))
