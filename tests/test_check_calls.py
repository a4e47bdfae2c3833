"""What is said, and converted, when references have brought their values?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmcompiler import Tool, tool
from llmcompiler.check import bound
from llmcompiler.errors import ToolArgumentError
from llmcompiler.plan import Argument, Each, Json, Ref, Star, Task, TaskId, Template
from tests.checking import Shop, ref


@tool
def forecast(
    lat: float,
    days: int = 1,
    note: str = "",
    values: list[float] | None = None,
    entry: Shop | None = None,
    anyhow: Any = None,
) -> float:
    return lat


RAW: Tool[..., Any] = Tool(
    fn=lambda **given: given,
    name="raw",
    description="",
    parameters={
        "type": "object",
        "properties": {
            "lat": {"type": "number", "maximum": 90},
            "place": {"$ref": "#/$defs/place"},
        },
        "$defs": {"place": {"type": "object", "properties": {"zip": {"type": "string"}}}},
    },
    returns=None,
)


class Twice:
    refs = (ref("1"), ref("2", "x"))

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        return 1


def task(args: Mapping[str, Argument]) -> Task:
    return Task(TaskId("3"), "forecast", args)


def complaint(
    argument: Argument, value: Json, name: str = "lat", to: Tool[..., Any] = forecast
) -> str:
    with pytest.raises(ToolArgumentError) as caught:
        bound(task({name: argument}), {name: value}, to)
    return str(caught.value)


def test_arguments_without_references_are_handed_on_as_they_are() -> None:
    args = {"lat": 3, "values": [1, 2], "note": "$1"}
    found = bound(task(args), args, forecast)
    assert found.args is args
    assert found.conversions == ()


def test_a_literal_was_checked_before_and_is_not_looked_at_again() -> None:
    args: dict[str, Json] = {"lat": "wrong", "values": ["wrong"]}
    assert bound(task(args), args, forecast).args is args


def test_what_fits_is_handed_on_as_it_is() -> None:
    args: dict[str, Json] = {"lat": 1.5, "days": 2, "values": [1.5], "anyhow": [1, {"a": 2.0}]}
    found = bound(task({name: ref("1", name) for name in args}), args, forecast)
    assert found.args is args
    assert found.conversions == ()


def test_the_kind_of_a_number_is_converted_and_told() -> None:
    given: dict[str, Json] = {"lat": 3, "days": 2.0, "values": [1, 2.5], "note": "x"}
    found = bound(
        task({"lat": ref("1"), "days": ref("2"), "values": [ref("1"), 2.5], "note": "x"}),
        given,
        forecast,
    )
    assert repr(found.args) == "{'lat': 3.0, 'days': 2, 'values': [1.0, 2.5], 'note': 'x'}"
    assert found.conversions == ("lat: 3 -> 3.0", "days: 2.0 -> 2", "values[0]: 1 -> 1.0")
    assert given == {"lat": 3, "days": 2.0, "values": [1, 2.5], "note": "x"}
    assert type(given["lat"]) is int


@pytest.mark.parametrize(
    ("argument", "value", "name", "text"),
    [
        (ref("1", "lat"), "north", "lat", "lat must be a number, and $1.lat is a text"),
        (ref("1", "lat"), None, "lat", "lat must be a number, and $1.lat is null"),
        (ref("1"), {"lat": 1}, "lat", "lat must be a number, and $1 is an object"),
        (ref("1"), True, "lat", "lat must be a number, and $1 is true"),
        (ref("1"), 1.5, "days", "days must be a whole number, not 1.5 (from $1)"),
        (
            Each(ref("1", "all")),
            "x",
            "lat",
            "lat must be a number, and an element of $1.all is a text",
        ),
        (
            ref("1", "price"),
            3,
            "note",
            'note must be a text, and $1.price is a whole number; as a text it is "${1.price}"',
        ),
        (
            [1.0, ref("2", "x")],
            [1.0, "y"],
            "values",
            "values[1] must be a number, and $2.x is a text",
        ),
        (
            ref("1", Star(), "lat"),
            [1.0, "y"],
            "values",
            'values[1] must be a number, not "y" (from $1[*].lat)',
        ),
        (
            {"name": ref("1"), "price": 1.0, "links": ref("2")},
            {"name": "a", "price": 1.0, "links": ["a", 2]},
            "entry",
            "entry.links[1] must be a text, not 2 (from $2)",
        ),
        (ref("1"), {"name": "a", "links": []}, "entry", "entry needs 'price' (from $1)"),
        (
            Twice(),
            "x",
            "lat",
            "lat must be a number, and what is computed from $1 and $2.x is a text",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_reference_it_came_from(
    argument: Argument, value: Json, name: str, text: str
) -> None:
    assert complaint(argument, value, name) == f"forecast: {text}"


def test_a_tool_with_a_schema_alone_is_never_called_with_what_does_not_fit() -> None:
    assert complaint(ref("1"), 91.5, to=RAW) == "raw: lat must be at most 90, not 91.5 (from $1)"
    assert complaint(ref("1"), {"zip": 1}, "place", RAW) == (
        "raw: place.zip must be a text, not 1 (from $1)"
    )
    assert bound(task({"lat": ref("1")}), {"lat": 3}, RAW).conversions == ("lat: 3 -> 3.0",)


def test_a_text_that_breaks_a_rule_is_told_with_the_references_in_it() -> None:
    short: Tool[..., Any] = Tool(
        fn=print,
        name="paint",
        description="",
        parameters={"properties": {"color": {"type": "string", "maxLength": 3}}},
        returns=None,
    )
    text = Template(("a ", ref("1", "name"), ref("2")))
    assert complaint(text, "a long one", "color", short) == (
        "paint: color must have at most 3 characters, not 10 "
        "(from the text with ${1.name} and ${2} in it)"
    )


def test_values_that_are_no_text_and_stand_in_one_are_told() -> None:
    values: dict[Ref, Json] = {ref("1", "price"): 1.5, ref("2"): "pen", ref("3"): [1]}
    args: dict[str, Argument] = {
        "lat": ref("1", "price"),
        "note": Template((ref("2"), " costs ", ref("1", "price"), "; ", ref("1", "price"))),
        "anyhow": ["a", {"b": Template(("x", ref("3")))}],
    }
    filled: dict[str, Json] = {
        "lat": 1.5,
        "note": "pen costs 1.5; 1.5",
        "anyhow": ["a", {"b": "x"}],
    }
    found = bound(task(args), filled, forecast, values.__getitem__)
    assert found.conversions == ("note: ${1.price} as text", "anyhow[1].b: ${3} as text")
    assert found.args is filled
    assert bound(task(args), filled, forecast).conversions == ()
