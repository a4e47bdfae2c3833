"""How much is a measure in another unit? Exact factors, and what people call the units.

It does not know numbers in words or measures in prose. (A table of forty lines serves better here
than a unit library, which would be a further dependency.)
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError, did_you_mean
from llmcompiler_tools.number import tidy

__all__ = ["TOOLS", "convert"]

# what is measured: {unit: (how many of the first unit it is, other names)}
_UNITS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "length": {
        "meter": ("1", "m metre"),
        "millimeter": ("1/1000", "mm millimetre"),
        "centimeter": ("1/100", "cm centimetre"),
        "kilometer": ("1000", "km kilometre"),
        "inch": ("0.0254", "in inches"),
        "foot": ("0.3048", "ft feet"),
        "yard": ("0.9144", "yd yds"),
        "mile": ("1609.344", "mi"),
        "nautical_mile": ("1852", "nmi"),
    },
    "mass": {
        "gram": ("1", "g gramme"),
        "milligram": ("1/1000", "mg"),
        "kilogram": ("1000", "kg kilo"),
        "tonne": ("1000000", "t metric_ton"),
        "ounce": ("28.349523125", "oz"),
        "pound": ("453.59237", "lb lbs"),
        "stone": ("6350.29318", "st"),
    },
    "volume": {
        "liter": ("1", "l litre"),
        "milliliter": ("1/1000", "ml millilitre"),
        "cubic_meter": ("1000", "m3 m³ cubic_metre"),
        "teaspoon": ("0.00492892159375", "tsp"),
        "tablespoon": ("0.01478676478125", "tbsp"),
        "fluid_ounce": ("0.0295735295625", "fl_oz floz"),
        "cup": ("0.2365882365", ""),
        "pint": ("0.473176473", "pt"),
        "quart": ("0.946352946", "qt"),
        "gallon": ("3.785411784", "gal"),
    },
    "time": {
        "second": ("1", "s sec"),
        "minute": ("60", "min"),
        "hour": ("3600", "h hr"),
        "day": ("86400", "d"),
        "week": ("604800", "wk"),
    },
    "speed": {
        "meter_per_second": ("1", "m/s mps metre_per_second meters_per_second metres_per_second"),
        "kilometer_per_hour": (
            "5/18",
            "km/h kmh kph kilometre_per_hour kilometers_per_hour kilometres_per_hour",
        ),
        "mile_per_hour": ("0.44704", "mph mi/h miles_per_hour"),
        "knot": ("463/900", "kn kt"),
    },
    "area": {
        "square_meter": ("1", "m2 m² sqm square_metre"),
        "square_kilometer": ("1000000", "km2 km² sqkm square_kilometre"),
        "hectare": ("10000", "ha"),
        "acre": ("4046.8564224", "ac"),
        "square_foot": ("0.09290304", "ft2 ft² sqft square_feet"),
        "square_mile": ("2589988.110336", "mi2 mi² sqmi"),
    },
    "data": {
        "byte": ("1", "b"),
        "kilobyte": ("1000", "kb"),
        "megabyte": ("1000000", "mb"),
        "gigabyte": ("1000000000", "gb"),
        "terabyte": ("1000000000000", "tb"),
        "kibibyte": ("1024", "kib"),
        "mebibyte": ("1048576", "mib"),
        "gibibyte": ("1073741824", "gib"),
    },
    "energy": {
        "joule": ("1", "j"),
        "kilojoule": ("1000", "kj"),
        "calorie": ("4.184", "cal"),
        "kilocalorie": ("4184", "kcal"),
        "watt_hour": ("3600", "wh"),
        "kilowatt_hour": ("3600000", "kwh"),
    },
    "temperature": {
        "kelvin": ("1", "k"),
        "celsius": ("1", "c °c degree_celsius degrees_celsius centigrade"),
        "fahrenheit": ("5/9", "f °f degree_fahrenheit degrees_fahrenheit"),
    },
}
_ABSOLUTE_ZERO: Final = {"celsius": Fraction("273.15"), "fahrenheit": Fraction("459.67")}
_FACTORS: Final = {
    unit: (measure, Fraction(factor))
    for measure, units in _UNITS.items()
    for unit, (factor, _) in units.items()
}
_NAMES: Final = {
    name: unit
    for units in _UNITS.values()
    for unit, (_, others) in units.items()
    for name in (unit, *others.split())
}


@tool(pure=True)
async def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Convert a measure to another unit: length, mass, volume, time, speed, area, data, energy or temperature.

    Args:
        value: how much it is
        from_unit: the unit of `value`, as "mile" or "kilometer_per_hour"
        to_unit: the unit wanted
    """
    source, target = _unit(from_unit), _unit(to_unit)
    measure, factor = _FACTORS[source]
    other, divisor = _FACTORS[target]
    if measure != other:
        raise ToolError(f"{from_unit!r} and {to_unit!r} measure different things")
    if not math.isfinite(value):
        raise ToolError("the value is not a finite number")
    amount = (Fraction(str(value)) + _ABSOLUTE_ZERO.get(source, 0)) * factor
    if measure == "temperature" and amount < 0:
        raise ToolError(f"{tidy(value)} {from_unit} is below absolute zero")
    try:
        return tidy(float(amount / divisor - _ABSOLUTE_ZERO.get(target, 0)))
    except OverflowError:
        raise ToolError(f"{value:g} {from_unit} in {to_unit} is too large") from None


def _unit(name: str) -> str:
    """Return the unit that people call `name`; raise `ToolError` where there is none."""
    plain = "_".join(name.casefold().replace("-", " ").replace("_", " ").split())
    found = _known(plain)
    if found is None and plain.startswith(("square_", "sq_")):
        side = _known(plain.split("_", 1)[1])
        found = _known(f"square_{side}")
    if found is None:
        raise ToolError(f"there is no unit {name!r}{did_you_mean(plain, _FACTORS)}")
    return found


def _known(name: str) -> str | None:
    for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
        if candidate in _NAMES:
            return _NAMES[candidate]
    return None


TOOLS: tuple[Tool[..., Any], ...] = (convert,)
