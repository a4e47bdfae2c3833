"""Tools together: their order and names, and which may stand in for which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from llmcompiler import Tool, Toolbox, tool
from llmcompiler.errors import ConfigurationError, DuplicateToolError
from llmcompiler.toolbox import ToolLike


def forecast(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature."""
    return 0.0


def forecasts(place: str) -> list[float]:
    """Forecast several temperatures."""
    return []


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


# -- fallbacks ---------------------------------------------------------------------------------


class Place(TypedDict):
    name: str


def look(place: str, hours: int = 24) -> float:
    return 0.0


def guess(place: str, hours: float = 1.0, style: str = "") -> int:
    return 0


def dream(place: Any, hours: Any = None) -> Any:
    return None


def named(place: Place, hours: int = 24) -> float:
    return 0.0


def narrow(place: str) -> float:
    return 0.0


def eager(place: str, hours: int) -> float:
    return 0.0


def picky(place: str, style: str, hours: int = 24) -> float:
    return 0.0


def tell(place: str, hours: int = 24) -> str:
    return ""


def problem(*tools: ToolLike) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Toolbox(tools)
    return str(caught.value)


def test_a_fallback_takes_the_same_arguments_and_may_take_more() -> None:
    for other in (guess, dream):
        box = Toolbox([tool(fallback=other)(look), other])
        assert box["look"].fallback == other.__name__


def test_a_fallback_that_is_not_there_is_refused() -> None:
    first = tool(fallback="gues")(look)
    assert problem(first, guess) == (
        "the fallback 'gues' of 'look' is not among the tools; did you mean 'guess'?"
    )
    assert problem(tool(fallback=tool(guess))(look)) == (
        "the fallback 'guess' of 'look' is not among the tools"
    )


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (narrow, "that takes no 'hours'"),
        (named, "its 'place' is a text, and that takes an object"),
        (eager, "that needs 'hours', which a call of 'look' does not always hold"),
        (picky, "that needs 'style', which a call of 'look' does not always hold"),
        (tell, "it returns a number, and that returns a text"),
    ],
)
def test_a_fallback_that_cannot_be_called_or_read_in_its_place_is_refused(
    other: Callable[..., Any], why: str
) -> None:
    assert problem(tool(fallback=other)(look), other) == (
        f"'look' cannot fall back on {other.__name__!r}: {why}"
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"effects": "write"}, "that writes, and it only reads"),
        ({"untrusted": True}, "that is untrusted=True; say so of 'look' as well"),
        ({"private": True}, "that is private=True; say so of 'look' as well"),
        ({"sends": True}, "that is sends=True; say so of 'look' as well"),
        ({"resource": "sky"}, "that works on 'sky'; say resource='sky' of both"),
        ({"approve": "always"}, "that needs approval; say so of 'look' as well"),
    ],
)
def test_a_fallback_may_do_nothing_that_its_tool_does_not_say(
    settings: dict[str, Any], why: str
) -> None:
    other = tool(**settings)(guess)
    assert problem(tool(fallback=other)(look), other) == (
        f"'look' cannot fall back on 'guess': {why}"
    )
    assert len(Toolbox([tool(fallback=other, **settings)(look), other])) == 2
    assert len(Toolbox([tool(fallback=guess, **settings)(look), guess])) == 2


def test_approval_of_every_call_covers_a_fallback_with_a_rule_but_not_the_reverse() -> None:
    def is_far(args: Any) -> bool:
        return True

    strict, lax = tool(approve="always")(guess), tool(approve=is_far)(guess)
    assert len(Toolbox([tool(fallback=lax, approve="always")(look), lax])) == 2
    assert "needs approval" in problem(tool(fallback=strict, approve=is_far)(look), strict)


def test_fallbacks_in_a_circle_are_refused_with_the_way_round() -> None:
    names = ("one", "two", "three")
    ring = [
        tool(name=name, fallback=after)(look)
        for name, after in zip(names, (*names[1:], names[0]), strict=True)
    ]
    assert problem(*ring) == "the fallbacks go round in a circle: one -> two -> three -> one"


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"), max_size=6))
def test_any_fallbacks_are_accepted_just_where_each_chain_ends(after: dict[str, str]) -> None:
    after = {name: other for name, other in after.items() if name != other}
    tools = [tool(name=name, fallback=after.get(name))(look) for name in "abcdef"]
    ends = True
    for name in after:
        seen = {name}
        while (name := after.get(name, "")) and name not in seen:
            seen.add(name)
        ends = ends and not name
    if ends:
        assert len(Toolbox(tools)) == 6
    else:
        assert "circle" in problem(*tools)
