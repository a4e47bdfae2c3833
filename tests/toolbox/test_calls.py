"""A tool that is called: what goes in, where it runs, and what may come out of it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import (
    ToolArgumentError,
    ToolError,
)


class Place(BaseModel):
    name: str
    height: float = 0.0


class Found(TypedDict):
    places: list[Place]


@dataclass
class Point:
    x: int
    y: int = 0


def invoke(made: Tool[..., Any], /, **args: Any) -> Any:
    return anyio.run(made.invoke, args)


# -- calling -----------------------------------------------------------------------------------


def test_arguments_are_made_what_the_function_asks_for() -> None:
    @tool
    async def go(at: Place, point: Point, times: list[float], how: Literal["a"] = "a") -> list[str]:
        assert isinstance(at, Place)
        assert isinstance(point, Point)
        return [at.name, str(at.height), str(point.y), str(times), how]

    result = invoke(go, at={"name": "Oslo"}, point={"x": 1}, times=[1, 2.5])
    assert result == ["Oslo", "0.0", "0", "[1.0, 2.5]", "a"]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({}, "argument 'a': field required"),
        ({"a": "x"}, "argument 'a': input should be a valid integer"),
        ({"a": 1, "b": [1, "y"]}, "argument 'b.1': input should be a valid integer"),
        ({"a": 1, "c": 2}, "argument 'c': extra inputs are not permitted"),
        ({"a": 1, "b": [None] * 100}, "argument 'b.0'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(args: dict[str, Any], problem: str) -> None:
    @tool
    async def go(a: int, b: list[int] | None = None) -> None:
        raise AssertionError("never called")

    with pytest.raises(ToolArgumentError) as caught:
        invoke(go, **args)
    assert str(caught.value).startswith(problem)
    assert len(str(caught.value)) < 200


def test_a_plain_function_runs_in_a_thread_and_an_async_one_does_not() -> None:
    @tool
    def there() -> int:
        return threading.get_ident()

    @tool
    async def here() -> int:
        return threading.get_ident()

    assert invoke(there) != threading.get_ident()
    assert invoke(here) == threading.get_ident()


def test_a_plain_function_that_returns_an_awaitable_is_awaited() -> None:
    async def later() -> int:
        return 3

    made = tool(name="now")(lambda: later())
    assert not made.is_async
    assert invoke(made) == 3


def test_what_a_function_raises_goes_through() -> None:
    @tool
    async def fails() -> None:
        raise ToolError("there is no city 'Osol'; did you mean 'Oslo'?")

    with pytest.raises(ToolError, match="did you mean 'Oslo'"):
        invoke(fails)


# -- results -----------------------------------------------------------------------------------


@tool
async def give(value: Any) -> Any:
    return VALUES[value]


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(10_000):
    DEEP = [DEEP]
VALUES: dict[str, Any] = {
    "model": Place(name="Oslo"),
    "point": [Point(1)],
    "tuple": ((1, 2), {3}),
    "bytes": b"abc",
    "keys": {1: 2},
    "long": 2**100,
    "text": "é\n",
    "float": 1.5,
    "nan": math.nan,
    "inf": -math.inf,
    "nested": {"a": [1, math.nan]},
    "huge": 10**5000,
    "nested huge": [10**5000],
    "object": object(),
    "nested object": [object()],
    "circle": CIRCLE,
    "deep": DEEP,
    "surrogate": "\ud800",
    "nested surrogate": ["\ud800"],
    "binary": b"\xff",
    "code": print,
}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("model", {"name": "Oslo", "height": 0.0}),
        ("point", [{"x": 1, "y": 0}]),
        ("tuple", [[1, 2], [3]]),
        ("bytes", "abc"),
        ("keys", {"1": 2}),
        ("long", 2**100),
        ("text", "é\n"),
        ("float", 1.5),
    ],
)
def test_a_result_is_json(name: str, shown: Any) -> None:
    assert invoke(give, value=name) == shown


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "nan",
            "'give' returned what cannot be written as JSON: a number in it is infinite or not",
        ),
        (
            "inf",
            "'give' returned what cannot be written as JSON: a number in it is infinite or not",
        ),
        ("nested", "'give' returned what cannot be written as JSON: a number in it is infinite or"),
        (
            "huge",
            "'give' returned what cannot be written as JSON: a whole number in it is too long",
        ),
        ("nested huge", "'give' returned what cannot be written as JSON: a whole number in it is"),
        ("object", "'give' returned a 'object', which cannot be written as JSON"),
        ("nested object", "'give' returned a 'list', which cannot be written as JSON"),
        ("circle", "'give' returned what cannot be written as JSON: Circular reference"),
        ("deep", "'give' returned what cannot be written as JSON: "),
        ("surrogate", "'give' returned what cannot be written as JSON: a text in it is not valid"),
        ("nested surrogate", "'give' returned what cannot be written as JSON: a text in it is not"),
        ("binary", "'give' returned what cannot be written as JSON: a text in it is not valid"),
        ("code", "'give' returned a 'builtin_function_or_method', which cannot be written as JSON"),
    ],
)
def test_a_result_that_is_no_json_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        invoke(give, value=name)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("kind", [float, list[float], dict[str, float], float | None, Any])
def test_what_is_no_number_is_refused_whatever_the_annotation(kind: Any) -> None:
    async def measure() -> Any:
        return {list[float]: [math.nan], dict[str, float]: {"a": math.nan}}.get(kind, math.nan)

    measure.__annotations__["return"] = kind
    with pytest.raises(ToolError, match="infinite or not a number"):
        invoke(tool(measure))


def test_what_is_no_number_inside_a_model_is_refused_or_null() -> None:
    @tool
    async def measure() -> Place:
        return Place(name="a", height=math.nan)

    with pytest.raises(ToolError, match="infinite or not a number"):
        invoke(measure)
