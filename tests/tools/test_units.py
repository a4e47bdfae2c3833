"""Conversions: exact factors, the names that people use, and clear refusals."""

from __future__ import annotations

import math
from typing import cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import ToolError
from llmcompiler_tools.units import _UNITS, convert

ALL = [unit for units in _UNITS.values() for unit in units]


def converted(value: float, source: str, target: str) -> float:
    args = {"value": value, "from_unit": source, "to_unit": target}
    return cast("float", anyio.run(convert.invoke, args))


@pytest.mark.parametrize(
    ("value", "source", "target", "shown"),
    [
        (26.2, "mile", "kilometer", "42.1648"),
        (12, "mile", "kilometer", "19.3121"),
        (3, "mile", "foot", "15840"),
        (1, "inch", "centimeter", "2.54"),
        (1, "yard", "meter", "0.9144"),
        (72, "kilogram", "pound", "158.733"),
        (1, "stone", "pound", "14"),
        (1, "tonne", "kilogram", "1000"),
        (16, "ounce", "pound", "1"),
        (350, "fahrenheit", "celsius", "176.667"),
        (0, "celsius", "fahrenheit", "32"),
        (-40, "fahrenheit", "celsius", "-40"),
        (0, "kelvin", "celsius", "-273.15"),
        (5, "gallon", "liter", "18.9271"),
        (1, "gallon", "quart", "4"),
        (1, "quart", "pint", "2"),
        (1, "pint", "cup", "2"),
        (1, "cup", "tablespoon", "16"),
        (1, "tablespoon", "teaspoon", "3"),
        (1, "cubic_meter", "liter", "1000"),
        (3.5, "hour", "minute", "210"),
        (2, "week", "day", "14"),
        (100, "kilometer_per_hour", "mile_per_hour", "62.1371"),
        (1, "knot", "kilometer_per_hour", "1.852"),
        (36, "kilometer_per_hour", "meter_per_second", "10"),
        (1, "square_mile", "acre", "640"),
        (1, "hectare", "square_meter", "10000"),
        (9, "square_foot", "square_meter", "0.836127"),
        (3, "gigabyte", "megabyte", "3000"),
        (1, "gibibyte", "byte", "1073741824"),
        (1, "kilocalorie", "joule", "4184"),
        (1, "kilowatt_hour", "kilojoule", "3600"),
    ],
)
def test_measures_are_converted(value: float, source: str, target: str, shown: str) -> None:
    assert repr(converted(value, source, target)) == shown


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Miles", "mile"), ("km", "kilometer"), ("metres", "meter"), ("feet", "foot"), ("inches", "inch"),
        ("kgs", "kilogram"), ("lbs", "pound"), ("degrees Celsius", "celsius"), ("°F", "fahrenheit"), ("K", "kelvin"),
        ("ml", "milliliter"), ("cubic meters", "cubic_meter"), ("cups", "cup"), ("mins", "minute"), ("hrs", "hour"),
        ("km/h", "kilometer_per_hour"), ("miles per hour", "mile_per_hour"), ("m/s", "meter_per_second"),
        ("sq ft", "square_foot"), ("square kilometers", "square_kilometer"), ("km²", "square_kilometer"),
        ("GB", "gigabyte"), ("kilowatt-hours", "kilowatt_hour"), ("kcal", "kilocalorie"), (" knots ", "knot"),
    ],
)  # fmt: skip
def test_plurals_and_abbreviations_are_understood(name: str, unit: str) -> None:
    assert converted(7, name, unit) == 7


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("metr", "foot", "there is no unit 'metr'; did you mean 'meter'?"),
        ("meter", "parsec", "there is no unit 'parsec'"),
        ("sq parsec", "meter", "there is no unit 'sq parsec'"),
        ("meter", "gram", "'meter' and 'gram' measure different things"),
        ("miles", "kg", "'miles' and 'kg' measure different things"),
        ("", "gram", "there is no unit ''"),
    ],
)
def test_what_cannot_be_converted_is_refused(source: str, target: str, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        converted(1, source, target)
    assert str(caught.value) == problem


def test_there_is_nothing_below_absolute_zero_or_beyond_all_numbers() -> None:
    with pytest.raises(ToolError, match=r"^-500 celsius is below absolute zero$"):
        converted(-500, "celsius", "kelvin")
    with pytest.raises(ToolError, match="too large"):
        converted(1e308, "kilometer", "millimeter")
    with pytest.raises(ToolError, match="not a finite number"):
        converted(math.inf, "kilometer", "millimeter")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALL), st.sampled_from(ALL), st.floats(0.001, 1e6))
def test_there_and_back_is_where_it_began(one: str, other: str, value: float) -> None:
    try:
        there = converted(value, one, other)
    except ToolError as error:
        assert "different things" in str(error)  # noqa: PT017 - most pairs cannot be converted
        return
    back = converted(there, other, one)
    assert math.isclose(back, value, rel_tol=1e-4, abs_tol=0.01)
