"""Many calls in one: what the bulk form is given, and what becomes of each call."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llmcompiler import RunContext, Tool, tool
from llmcompiler.errors import ToolArgumentError, ToolError
from llmcompiler.plan import Json
from llmcompiler.testing import ScriptedLLM


class Item(BaseModel):
    name: str
    count: int = 1


def many(made: Tool[..., Any], calls: list[dict[str, Any]], *others: Any) -> list[Any]:
    asked: list[Mapping[str, Json]] = list(calls)
    return anyio.run(made.invoke_many, asked, *others)


def test_the_bulk_form_is_called_once_with_columns_and_defaults_filled_in() -> None:
    asked: list[Any] = []

    async def prices(item: list[Item], shop: list[str]) -> list[float]:
        asked.append((item, shop))
        return [one.count * 2.0 for one in item]

    @tool(bulk=prices)
    async def price(item: Item, shop: str = "corner") -> float:
        raise AssertionError("never called")

    calls = [{"item": {"name": "pen"}}, {"item": {"name": "ink", "count": 3}, "shop": "mall"}]
    assert many(price, calls) == [2.0, 6.0]
    assert asked == [([Item(name="pen"), Item(name="ink", count=3)], ["corner", "mall"])]


def test_a_plain_bulk_form_runs_in_a_thread() -> None:
    def squares(x: list[int]) -> list[int]:
        assert threading.current_thread() is not threading.main_thread()
        return [one * one for one in x]

    @tool(bulk=squares)
    def square(x: int) -> int:
        raise AssertionError("never called")

    assert many(square, [{"x": 2}, {"x": 3}]) == [4, 9]


def test_a_call_that_does_not_fit_is_left_out_and_fails_alone() -> None:
    asked: list[list[int]] = []

    async def squares(x: list[int]) -> list[int]:
        asked.append(x)
        return [one * one for one in x]

    @tool(bulk=squares)
    async def square(x: int) -> int:
        raise AssertionError("never called")

    first, bad, last = many(square, [{"x": 2}, {"x": "two"}, {"x": 3}])
    assert (first, last) == (4, 9)
    assert isinstance(bad, ToolArgumentError)
    assert "argument 'x'" in str(bad)
    assert asked == [[2, 3]]
    (nothing,) = many(square, [{}])
    assert isinstance(nothing, ToolArgumentError)
    assert many(square, []) == []
    assert len(asked) == 1


def test_an_exception_or_a_bad_result_fails_its_own_call() -> None:
    async def halves(x: list[int]) -> list[Any]:
        return [x[0] / 2, ToolError("odd"), math.nan, Item(name="half")]

    @tool(bulk=halves)
    async def half(x: int) -> Any:
        raise AssertionError("never called")

    good, refused, unwritable, model = many(half, [{"x": x} for x in range(4)])
    assert good == 0.0
    assert isinstance(refused, ToolError)
    assert str(refused) == "odd"
    assert isinstance(unwritable, ToolError)
    assert "infinite or not a number" in str(unwritable)
    assert model == {"name": "half", "count": 1}


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ([1], "the bulk form of 'half' was asked for 2 results and returned 1"),
        ([1, 2, 3], "the bulk form of 'half' was asked for 2 results and returned 3"),
        ({"a": 1, "b": 2}, "the bulk form of 'half' returned a 'dict', which is no list"),
        ("ab", "the bulk form of 'half' returned a 'str', which is no list of results"),
        (None, "the bulk form of 'half' returned a 'NoneType', which is no list of results"),
    ],
)
def test_what_is_not_one_result_for_each_call_fails_them_all(returned: Any, problem: str) -> None:
    async def halves(x: list[int]) -> Any:
        return returned

    @tool(bulk=halves)
    async def half(x: int) -> Any:
        raise AssertionError("never called")

    with pytest.raises(ToolError, match=problem):
        many(half, [{"x": 1}, {"x": 2}])


def test_what_the_bulk_form_raises_goes_through() -> None:
    async def halves(x: list[int]) -> Any:
        raise ZeroDivisionError

    @tool(bulk=halves)
    async def half(x: int) -> Any:
        raise AssertionError("never called")

    with pytest.raises(ZeroDivisionError):
        many(half, [{"x": 1}])


def test_without_a_bulk_form_nothing_is_called() -> None:
    @tool
    async def half(x: int) -> float:
        raise AssertionError("never called")

    with pytest.raises(ToolError, match="'half' has no bulk form"):
        many(half, [{"x": 1}])


def shop_prices(context: RunContext[Any], product: list[str]) -> list[float]:
    return [context.deps[one] for one in product]


def test_a_bulk_form_may_ask_its_run() -> None:
    @tool(bulk=shop_prices)
    async def price(product: str) -> float:
        raise AssertionError("never called")

    context: RunContext[Any] = RunContext(
        {"pen": 1.0, "ink": 2.0}, "run", "1", ScriptedLLM([]), lambda *_, **__: None
    )
    assert many(price, [{"product": "ink"}, {"product": "pen"}], context) == [2.0, 1.0]


@given(st.lists(st.one_of(st.integers(-100, 100), st.just("none"), st.just("odd")), max_size=12))
def test_each_call_gets_what_it_would_have_got_alone(xs: list[Any]) -> None:
    def one(x: int) -> int:
        if x % 7 == 0:
            raise ToolError(f"{x} is of seven")
        return x + 1

    def answer(x: int) -> Any:
        try:
            return one(x)
        except ToolError as error:
            return error

    async def nexts(x: list[int]) -> list[Any]:
        return [answer(each) for each in x]

    @tool(bulk=nexts)
    async def after(x: int) -> int:
        return one(x)

    async def alone(x: Any) -> Any:
        try:
            return await after.invoke({"x": x})
        except ToolError as error:
            return error

    async def go() -> None:
        together = await after.invoke_many([{"x": x} for x in xs])
        apart = [await alone(x) for x in xs]
        assert [(type(each), str(each)) for each in together] == [
            (type(each), str(each)) for each in apart
        ]

    anyio.run(go)
