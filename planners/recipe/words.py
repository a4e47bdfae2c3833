"""Which units are there, how do people write them, and which words fill sentences without meaning anything here?

It does not know any request: it is vocabulary only.
"""

# fmt: off
from __future__ import annotations

Unit = tuple[str, str, tuple[str, ...]]
"""Words for one, words for many, and other ways to write it (used after a number and as a target)."""

UNITS: dict[str, dict[str, Unit]] = {
    "length": {
        "millimeter": ("millimeter", "millimeters", ("mm", "millimetres", "millimetre")),
        "centimeter": ("centimeter", "centimeters", ("cm", "centimetres", "centimetre", "cms")),
        "meter": ("meter", "meters", ("m", "metres", "metre")),
        "kilometer": ("kilometer", "kilometers", ("km", "kilometres", "kms", "kilometre")),
        "inch": ("inch", "inches", ("in", "inches")),
        "foot": ("foot", "feet", ("ft", "feet")),
        "yard": ("yard", "yards", ("yd", "yds")),
        "mile": ("mile", "miles", ("mi", "miles")),
    },
    "mass": {
        "milligram": ("milligram", "milligrams", ("mg", "milligrammes")),
        "gram": ("gram", "grams", ("g", "grammes")),
        "kilogram": ("kilogram", "kilograms", ("kg", "kilos", "kilo", "kgs", "kilogrammes")),
        "tonne": ("tonne", "tonnes", ("t", "metric tons", "metric tonnes")),
        "ounce": ("ounce", "ounces", ("oz", "ounces")),
        "pound": ("pound", "pounds", ("lb", "lbs", "pounds")),
        "stone": ("stone", "stones", ("stone", "st")),
    },
    "temperature": {
        "celsius": ("degree celsius", "degrees celsius", ("celsius", "Celsius", "°C", "degrees C", "C", "centigrade")),
        "fahrenheit": (
            "degree fahrenheit", "degrees fahrenheit",
            ("fahrenheit", "Fahrenheit", "°F", "degrees F", "F"),
        ),
        "kelvin": ("kelvin", "kelvin", ("K", "Kelvin", "kelvins", "degrees kelvin")),
    },
    "volume": {
        "milliliter": ("milliliter", "milliliters", ("ml", "millilitres", "mL")),
        "liter": ("liter", "liters", ("l", "litres", "litre", "L")),
        "cubic_meter": ("cubic meter", "cubic meters", ("m3", "cubic metres", "m³")),
        "teaspoon": ("teaspoon", "teaspoons", ("tsp", "tsps")),
        "tablespoon": ("tablespoon", "tablespoons", ("tbsp", "tbsps")),
        "cup": ("cup", "cups", ("cups",)),
        "pint": ("pint", "pints", ("pt", "pints")),
        "quart": ("quart", "quarts", ("qt", "quarts")),
        "gallon": ("gallon", "gallons", ("gal", "gallons")),
    },
    "time": {
        "second": ("second", "seconds", ("s", "sec", "secs")),
        "minute": ("minute", "minutes", ("min", "mins")),
        "hour": ("hour", "hours", ("h", "hrs", "hr")),
        "day": ("day", "days", ("d", "days")),
        "week": ("week", "weeks", ("wk", "wks")),
    },
    "speed": {
        "kilometer_per_hour": (
            "kilometer per hour", "kilometers per hour",
            ("km/h", "kph", "kmh", "kilometers an hour", "kilometres per hour"),
        ),
        "mile_per_hour": ("mile per hour", "miles per hour", ("mph", "mi/h", "miles an hour")),
        "meter_per_second": ("meter per second", "meters per second", ("m/s", "metres per second", "meters a second")),
        "knot": ("knot", "knots", ("kn", "kt", "kts")),
    },
    "area": {
        "square_meter": ("square meter", "square meters", ("m2", "m²", "square metres", "sq m", "sqm")),
        "square_kilometer": (
            "square kilometer", "square kilometers", ("km2", "km²", "square kilometres", "sq km"),
        ),
        "hectare": ("hectare", "hectares", ("ha",)),
        "acre": ("acre", "acres", ("ac", "acres")),
        "square_foot": ("square foot", "square feet", ("sq ft", "ft2", "sqft", "ft²")),
        "square_mile": ("square mile", "square miles", ("sq mi", "mi2", "sq miles")),
    },
    "data": {
        "byte": ("byte", "bytes", ("B", "bytes")),
        "kilobyte": ("kilobyte", "kilobytes", ("kB", "KB", "kb", "kilobytes")),
        "megabyte": ("megabyte", "megabytes", ("MB", "mb", "megs")),
        "gigabyte": ("gigabyte", "gigabytes", ("GB", "gb", "gigs")),
        "terabyte": ("terabyte", "terabytes", ("TB", "tb")),
    },
    "energy": {
        "joule": ("joule", "joules", ("J",)),
        "kilojoule": ("kilojoule", "kilojoules", ("kJ", "kj")),
        "calorie": ("calorie", "calories", ("cal",)),
        "kilocalorie": ("kilocalorie", "kilocalories", ("kcal", "kcals")),
        "watt_hour": ("watt hour", "watt hours", ("Wh", "watt-hours")),
        "kilowatt_hour": ("kilowatt hour", "kilowatt hours", ("kWh", "kwh", "kilowatt-hours")),
    },
}

MEASURES: dict[str, str] = {unit: kind for kind, units in UNITS.items() for unit in units}


def plural(unit: str, amount: str) -> str:
    """Write a unit in words as it follows an amount."""
    one, many, _ = UNITS[MEASURES[unit]][unit]
    return one if amount in ("1", "-1") else many


_NOUNS_TEXT = """talk book story chapter blog essay letter project homework class exam game recipe garden house trip holiday
flight meeting call report thesis team boss friend sister brother colleague client customer school course lecture
magazine paper article website server invoice budget budgeting spreadsheet table slide presentation speech script
poster quiz puzzle bet kitchen workshop boat car bike run race marathon training diet cake party wedding birthday
calendar schedule deadline release backup archive migration folder disk laptop phone office newsletter translation
contract application form survey experiment lab paper draft manuscript editor publisher review summary journal diary
list shopping delivery parcel luggage suitcase hike tour visit conference interview stream podcast video concert show
film band choir club match tournament season farm field barn fence wall floor roof room window carpet paint curtain"""
NOUNS = _NOUNS_TEXT.split()

_FILLERS_TEXT = """just quickly really actually now today maybe simply also basically again once briefly exactly roughly
kindly then still"""
FILLERS = _FILLERS_TEXT.split()

_PEOPLE_TEXT = """Anna Ben Carla David Elena Farid Grace Hugo Ines Jonas Kofi Lena Marta Nadia Omar Paula Quentin Rosa Sami
Tara Uma Victor Wanda Ximena Yusuf Zoe Max Leo Mia Noah Emma Liam Olga Ivan Chen Yuki Amir Sofia Igor Greta"""
PEOPLE = _PEOPLE_TEXT.split()
