"""What a tool is: its settings, how it is called, and what may come out of it."""

from __future__ import annotations

import functools
import inspect
import math
import threading
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from llmcompiler import Tool, Toolbox, tool
from llmcompiler.errors import (
    ConfigurationError,
    DuplicateToolError,
    ToolArgumentError,
    ToolDefinitionError,
    ToolError,
)
from llmcompiler.retry import Retry


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


def forecast(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature."""
    return 0.0


def forecasts(place: str) -> list[float]:
    """Forecast several temperatures."""
    return []


# -- settings ----------------------------------------------------------------------------------


def test_settings_are_kept() -> None:
    made = tool(
        name="other",
        description="Does it.",
        timeout=1.5,
        retries=2,
        limit=3,
        effects="write",
        pure=True,
    )(forecast)
    assert (made.name, made.description) == ("other", "Does it.")
    assert (made.timeout, made.limit, made.effects, made.pure) == (1.5, 3, "write", True)
    assert made.retries == Retry(2)
    plain = tool(forecast)
    assert (plain.timeout, plain.limit, plain.effects, plain.pure) == (60.0, None, "read", False)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"timeout": 0}, "timeout of 'forecast' must be above 0"),
        ({"limit": 0}, "limit of 'forecast' must be 1 or more"),
        ({"effects": "delete"}, "effects of 'forecast' must be 'read' or 'write', not 'delete'"),
        ({"name": "two words"}, "its name must be letters, digits and underscores"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        tool(**settings)(forecast)


def test_a_tool_is_still_the_function_that_it_was() -> None:
    assert tool(forecast)("Oslo", exact=True) == 0.0
    assert tool(forecast).source == f"{__name__}.forecast"


# -- toolboxes ---------------------------------------------------------------------------------


def test_a_toolbox_sorts_its_tools_and_makes_tools_of_functions() -> None:
    box = Toolbox([forecasts, tool(forecast)])
    assert list(box) == ["forecast", "forecasts"]
    assert all(isinstance(made, Tool) for made in box.values())
    assert repr(box) == "Toolbox(forecast, forecasts)"
    assert list(Toolbox([forecast, forecasts])) == list(box)


def test_two_tools_of_one_name_are_refused_but_one_tool_may_come_twice() -> None:
    made = tool(forecast)
    assert len(Toolbox([made, made])) == 1
    with pytest.raises(DuplicateToolError) as caught:
        Toolbox([made, tool(name="forecast")(forecasts)])
    assert str(caught.value) == (
        f"two tools are named 'forecast' ({__name__}.forecast and {__name__}.forecasts): "
        f"rename one with @tool(name=...)"
    )


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


def test_a_call_has_the_signature_that_was_written() -> None:
    assert list(inspect.signature(forecast).parameters) == ["place", "hours", "exact"]


@pytest.mark.parametrize("name", ["join", "Join"])
def test_join_is_no_name_for_a_tool(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match="closes a plan"):

        @tool(name=name)
        def put_together(x: int) -> int:
            """Join."""
            return x


def test_a_function_without_a_name_is_refused_in_words_as_well() -> None:
    with pytest.raises(ConfigurationError, match="timeout of 'partial'"):
        tool(timeout=-1)(functools.partial(lambda x, y: x, 1))
