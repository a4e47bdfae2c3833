"""Clocks and calendars, at a moment that the test names."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from llmcompiler import Tool
from llmcompiler.errors import ToolError
from llmcompiler_tools import places
from llmcompiler_tools.places import zone_of
from llmcompiler_tools.time import (
    add_days,
    clock,
    clocks_apart,
    days_between,
    hours_between,
    now,
    time_in,
    weekday,
)

WINTER = datetime(2026, 11, 21, 16, 3, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def call(tool: Tool[..., Any], **args: Any) -> Any:
    return anyio.run(tool.invoke, args)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("Oslo", "2026-11-21 17:03"),
        ("São Paulo", "2026-11-21 13:03"),
        ("bogota", "2026-11-21 11:03"),
        ("Perth", "2026-11-22 00:03"),
        ("Kathmandu", "2026-11-21 21:48"),
        ("Washington, D.C.", "2026-11-21 11:03"),
        ("Oslo, Norway", "2026-11-21 17:03"),
        ("the Netherlands", "2026-11-21 17:03"),
        ("Japan", "2026-11-22 01:03"),
        ("UTC", "2026-11-21 16:03"),
        ("Europe/Oslo", "2026-11-21 17:03"),
        ("US/Eastern", "2026-11-21 11:03"),
    ],
)
def test_a_place_shows_its_own_time(place: str, shown: str) -> None:
    assert clock(place, WINTER) == shown


def test_summer_time_is_kept_where_it_is() -> None:
    assert clock("Oslo", SUMMER) == "2026-07-01 14:00"
    assert clock("Lima", SUMMER) == "2026-07-01 07:00"
    assert clocks_apart("Lima", "Oslo", SUMMER) == 7
    assert clocks_apart("Lima", "Oslo", WINTER) == 6


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("Lima", "Helsinki", "7"),
        ("Tokyo", "London", "-9"),
        ("London", "Kathmandu", "5.75"),
        ("Oslo", "Oslo", "0"),
        ("Oslo", "Delhi", "4.5"),
    ],
)
def test_hours_between_count_from_the_first_to_the_second(
    first: str, second: str, shown: str
) -> None:
    assert repr(clocks_apart(first, second, WINTER)) == shown


def test_the_tools_read_the_clock_of_now() -> None:
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    shown = datetime.fromisoformat(call(now)).replace(tzinfo=UTC)
    assert before <= shown <= datetime.now(UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", call(time_in, place="Nairobi"))
    assert call(hours_between, first="Nairobi", second="Tokyo") == 6
    assert not any(tool.pure for tool in (now, time_in, hours_between))


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("Olso", "there is no place 'Olso' with a known time zone; did you mean 'Oslo'?"),
        ("Beijng", "there is no place 'Beijng' with a known time zone; did you mean 'Beijing'?"),
        ("Xqzwv", "there is no place 'Xqzwv' with a known time zone"),
        ("", "there is no place '' with a known time zone"),
        ("USA", "'USA' has several time zones; name a city in it"),
        ("Russia", "'Russia' has several time zones; name a city in it"),
    ],
)
def test_a_place_without_one_time_is_refused(place: str, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        call(time_in, place=place)
    assert str(caught.value) == problem


def test_every_zone_of_the_tables_exists() -> None:
    zones = zoneinfo.available_timezones()
    assert not {zone for zone in {**places._CITIES, **places._COUNTRIES} if zone not in zones}


def test_every_city_of_the_tables_is_found_in_its_own_zone() -> None:
    for table in (places._CITIES, places._COUNTRIES):
        for zone, names in table.items():
            for name in names.split(", "):
                assert zone_of(name).key == zone, name


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-05-03", "2026-07-19", 77),
        ("2024-02-01", "2024-12-24", 327),
        ("2024-02-28", "2024-03-01", 2),
        ("2026-01-02", "2026-01-01", -1),
        ("2026-11-21 17:03", "2026-11-22", 1),
        (" 2026-11-21 ", "2026-11-21T09:00:00Z", 0),
    ],
)
def test_days_between_dates(start: str, end: str, days: int) -> None:
    assert call(days_between, start=start, end=end) == days


@pytest.mark.parametrize(
    "text", ["2026-02-30", "20261121", "21.11.2026", "soon", "", "2026-11-21x", "2026-W01-1", "٢٠٢٦-١١-٢١"]
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ToolError) as caught:
        call(days_between, start="2026-01-01", end=text)
    assert str(caught.value) == f"{text!r} is not a date like 2026-11-21"


def test_dates_are_moved_and_named() -> None:
    assert call(add_days, start="2026-11-21", days=40) == "2026-12-31"
    assert call(add_days, start="2024-03-01", days=-1) == "2024-02-29"
    assert call(weekday, day="2026-11-21") == "Saturday"
    with pytest.raises(ToolError, match="not in the years 1 to 9999"):
        call(add_days, start="2026-11-21", days=10**7)
