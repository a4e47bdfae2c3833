"""What may be said of a tool when it is made, and what contradicts itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from llmcompiler import RunContext, tool
from llmcompiler.errors import ConfigurationError, ToolDefinitionError
from llmcompiler.retry import Retry


def forecast(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature."""
    return 0.0


def forecasts(place: list[str], hours: list[int], exact: list[bool]) -> list[float | Exception]:
    """Forecast several temperatures."""
    return []


def is_far(args: Mapping[str, Any]) -> bool:
    return args["place"] != "Oslo"


async def is_near(args: Mapping[str, Any]) -> bool:
    return args["place"] == "Oslo"


def test_settings_are_kept() -> None:
    made = tool(
        name="other",
        description="Does it.",
        timeout=1.5,
        retries=2,
        limit=3,
        effects="write",
        idempotent=True,
        resource="sky",
        approve=is_far,
        fallback="almanac",
        bulk=forecasts,
        untrusted=True,
        private=True,
        sends=True,
        version="2",
    )(forecast)
    assert (made.name, made.description) == ("other", "Does it.")
    assert (made.timeout, made.limit, made.effects, made.idempotent) == (1.5, 3, "write", True)
    assert made.retries == Retry(2)
    assert (made.resource, made.approve, made.fallback) == ("sky", is_far, "almanac")
    assert (made.bulk, made.bulk_wants_context) == (forecasts, False)
    assert (made.untrusted, made.private, made.sends, made.version) == (True, True, True, "2")
    assert tool(pure=True)(forecast).pure


def test_a_plain_tool_reads_and_has_no_marks() -> None:
    plain = tool(forecast)
    assert (plain.timeout, plain.limit, plain.effects, plain.pure) == (60.0, None, "read", False)
    assert (plain.idempotent, plain.resource, plain.cpu, plain.approve) == (
        False,
        None,
        False,
        None,
    )
    assert (plain.fallback, plain.bulk, plain.version) == (None, None, "1")
    assert (plain.untrusted, plain.private, plain.sends) == (False, False, False)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"timeout": 0}, "timeout of 'forecast' must be above 0"),
        ({"limit": 0}, "limit of 'forecast' must be 1 or more"),
        ({"effects": "delete"}, "effects of 'forecast' must be 'read' or 'write', not 'delete'"),
        ({"name": "two words"}, "its name must be letters, digits and underscores"),
        ({"effects": "write", "pure": True}, "'forecast' writes, so it is not pure"),
        ({"effects": "write", "retries": 1}, "say idempotent=True .*, or leave out retries"),
        ({"effects": "write", "retries": Retry(1)}, "'forecast' writes, and a retry could write"),
        ({"resource": ""}, "resource of 'forecast' must be a name or None, not ''"),
        ({"resource": " "}, "resource of 'forecast' must be a name or None, not ' '"),
        ({"version": ""}, "version of 'forecast' must be a text, not ''"),
        ({"version": 2}, "version of 'forecast' must be a text, not 2"),
        ({"approve": "never"}, "approve of 'forecast' must be 'always' or .*, not 'never'"),
        ({"approve": True}, "approve of 'forecast' must be 'always' or .*, not True"),
        ({"approve": is_near}, "must be 'always' or a plain function of the arguments"),
        ({"fallback": "forecast"}, "fallback of 'forecast' must be another tool"),
        ({"fallback": 3}, "fallback of 'forecast' must be a tool or the name of one, not 3"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        tool(**settings)(forecast)


def test_what_is_refused_of_a_write_is_fine_where_it_is_idempotent() -> None:
    assert tool(effects="write", retries=1, idempotent=True)(forecast).retries == Retry(1)
    assert tool(effects="write", retries=0)(forecast).effects == "write"
    assert tool(retries=1)(forecast).retries == Retry(1)


@pytest.mark.parametrize(
    ("settings", "repeatable"),
    [
        ({}, True),
        ({"effects": "write"}, False),
        ({"effects": "write", "idempotent": True}, True),
    ],
)
def test_reads_and_idempotent_writes_may_be_repeated(
    settings: dict[str, Any], repeatable: bool
) -> None:
    assert tool(**settings)(forecast).repeatable is repeatable


def test_a_fallback_is_kept_by_name() -> None:
    for fallback in ("almanac", tool(name="almanac")(forecast)):
        assert tool(fallback=fallback)(forecast).fallback == "almanac"
    assert tool(fallback=forecasts)(forecast).fallback == "forecasts"


def test_a_tool_is_still_the_function_that_it_was() -> None:
    assert tool(forecast)("Oslo", exact=True) == 0.0
    assert tool(forecast).source == f"{__name__}.forecast"
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


# -- bulk forms --------------------------------------------------------------------------------


def price(product: str) -> float:
    return 0.0


def no_parameters() -> int:
    return 0


async def prices(product: list[str]) -> list[float]:
    return []


def of_anything(product: list[Any]) -> Any:
    return []


def with_context(context: RunContext[Any], product: list[str]) -> list[float]:
    return []


def of_numbers(product: list[int]) -> list[float]:
    return []


def of_one(product: str) -> list[float]:
    return []


def of_products(products: list[str]) -> list[float]:
    return []


def with_more(product: list[str], shop: list[str] | None = None) -> list[float]:
    return []


def of_nothing() -> list[float]:
    return []


def yielding(product: list[str]) -> Any:
    yield 1.0


def test_a_bulk_form_takes_lists_of_what_the_tool_takes() -> None:
    assert tool(bulk=prices)(price).bulk is prices
    assert tool(bulk=of_anything)(price).bulk is of_anything
    assert tool(bulk=tool(prices))(price).bulk is prices
    assert tool(bulk=with_context)(price).bulk_wants_context


@pytest.mark.parametrize(
    ("function", "bulk", "problem"),
    [
        (price, of_numbers, "its bulk form must take 'product' as a list of what the tool takes"),
        (price, of_one, "its bulk form must take 'product' as a list .*, not as a text"),
        (price, of_products, "takes 'products', which is none of .*; did you mean 'product'"),
        (price, with_more, "takes 'shop', which is none of its own parameters"),
        (price, of_nothing, "its bulk form must take 'product' too, as a list"),
        (forecast, prices, "its bulk form takes 'product', which is none of its own parameters"),
        (no_parameters, of_nothing, "it has no parameters, so it needs no bulk form"),
        (price, yielding, "it must return its result, not yield it"),
    ],
)
def test_a_bulk_form_that_does_not_fit_is_refused(function: Any, bulk: Any, problem: str) -> None:
    with pytest.raises(ToolDefinitionError, match=problem):
        tool(bulk=bulk)(function)
