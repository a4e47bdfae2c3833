"""Clocks and calendars: what time it is somewhere, how far apart clocks and dates are.

It does not know which place keeps which zone (`places`), nor the time: `clock` is given it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.number import tidy
from llmcompiler_tools.places import zone_of

__all__ = [
    "TOOLS",
    "add_days",
    "clock",
    "clocks_apart",
    "days_between",
    "hours_between",
    "now",
    "time_in",
    "weekday",
]

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d.*)?", re.ASCII)


def clock(place: str, at: datetime) -> str:
    """Return what the clock of `place` shows at a moment, as ``2026-11-21 17:03``."""
    return f"{at.astimezone(zone_of(place)):%Y-%m-%d %H:%M}"


def clocks_apart(first: str, second: str, at: datetime) -> float:
    """Return by how many hours the clock of `second` is ahead of that of `first` at a moment."""
    ahead = at.astimezone(zone_of(second)).utcoffset() or timedelta()
    behind = at.astimezone(zone_of(first)).utcoffset() or timedelta()
    return tidy((ahead - behind) / timedelta(hours=1))


@tool
async def now() -> str:
    """Tell the date and time in UTC, as "2026-11-21 17:03"."""
    return clock("UTC", datetime.now(UTC))


@tool
async def time_in(place: str) -> str:
    """Tell the date and time in a place, as "2026-11-21 17:03".

    Args:
        place: a city, a country with one time zone, or a zone as "Europe/Oslo"
    """
    return clock(place, datetime.now(UTC))


@tool
async def hours_between(first: str, second: str) -> float:
    """Tell by how many hours the clock in one place is ahead of that in another; negative if behind.

    Args:
        first: the place to start from
        second: the place whose clock is ahead by the result
    """
    return clocks_apart(first, second, datetime.now(UTC))


@tool(pure=True)
async def days_between(start: str, end: str) -> int:
    """Count the days from one date to another; negative if the end is earlier.

    Args:
        start: a date as 2026-11-21
        end: a date as 2026-11-21
    """
    return (_date(end) - _date(start)).days


@tool(pure=True)
async def add_days(start: str, days: int) -> str:
    """Find the date some days after another, as 2026-11-21.

    Args:
        start: a date as 2026-11-21
        days: how many days later; negative for earlier
    """
    try:
        return (_date(start) + timedelta(days=days)).isoformat()
    except OverflowError:
        raise ToolError(f"{days} days from {start} is not in the years 1 to 9999") from None


@tool(pure=True)
async def weekday(day: str) -> str:
    """Tell the day of the week of a date, as "Saturday".

    Args:
        day: a date as 2026-11-21
    """
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return names[_date(day).weekday()]


def _date(text: str) -> date:
    """Read a date; of a date with a time, as `time_in` gives it, the date."""
    found = _DATE.fullmatch(text.strip())
    try:
        if found:
            return date.fromisoformat(found[1])
    except ValueError:
        pass
    raise ToolError(f"{text!r} is not a date like 2026-11-21")


TOOLS: tuple[Tool[..., Any], ...] = (
    add_days,
    days_between,
    hours_between,
    now,
    time_in,
    weekday,
)
