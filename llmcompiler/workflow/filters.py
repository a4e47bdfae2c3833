"""What filters and tests are there, and what does each make of a value?

It does not know how an expression is written. No message quotes a value: it might be secret.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

from jinja2 import Undefined

from llmcompiler.plan import Star
from llmcompiler.workflow.operations import (
    Meter,
    Wrong,
    a,
    binary,
    compare,
    finite,
    fits,
    follow,
    joined,
    missing,
    number,
    part,
    there,
    weight,
)

__all__ = ["FILTERS", "TESTS", "filtered", "misuse", "tested"]

_PLACES: Final = 100

# -- filters: the value is the first argument after the meter ----------------------------------


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Wrong(f"'{name}' needs a list, not {a(value)}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise Wrong(f"'{name}' needs a text, not {a(value)}")
    return value


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Wrong(f"'{name}' needs an object, not {a(value)}")
    return cast("Mapping[str, Any]", value)


def _attribute(value: object, attribute: object, name: str) -> Any:
    """Return what `attribute` names inside an element: ``place.lat``, ``days.*.rain``, ``["a.b"]``."""
    match attribute:
        case None:
            return value
        case str():
            steps: list[Any] = attribute.split(".")
            steps = [int(step) if step.isdecimal() else step for step in steps]
        case list():
            steps = attribute
        case _:
            steps = [_whole(attribute, name)]
    path = [Star() if step == "*" else step for step in steps]
    return follow(value, path, f"what {name!r} reads", computed=True)


def _key(attribute: object, name: str, *, case_sensitive: object) -> Callable[[Any], Any]:
    def key(element: Any) -> Any:
        found = there(_attribute(element, attribute, name))
        return found.lower() if isinstance(found, str) and not case_sensitive else found

    return key


def _join(meter: Meter, value: Any, d: Any = "", attribute: Any = None) -> str:
    found = [_attribute(element, attribute, "join") for element in _list(value, "join")]
    return joined(meter, found, _text(d, "join"))


def _length(meter: Meter, value: Any) -> int:
    if not isinstance(value, str | list | Mapping):
        raise Wrong(f"'length' needs a text, a list or an object, not {a(value)}")
    return len(cast("Any", value))


def _tojson(meter: Meter, value: Any, indent: Any = None) -> str:
    fits(weight(value))
    meter.spend(weight(value))
    spaces = None if indent is None else max(0, min(_whole(indent, "tojson"), 8))
    return json.dumps(value, ensure_ascii=False, indent=spaces)


def _trim(meter: Meter, value: Any, chars: Any = None) -> str:
    return _text(value, "trim").strip(None if chars is None else _text(chars, "trim"))


def _default(meter: Meter, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    absent = isinstance(value, Undefined) or value is None or (boolean and not value)
    return default_value if absent else value


def _first(meter: Meter, value: Any) -> Any:
    return part(_sequence(value, "first"), 0, "the value before 'first'")


def _last(meter: Meter, value: Any) -> Any:
    return part(_sequence(value, "last"), -1, "the value before 'last'")


def _sequence(value: Any, name: str) -> Any:
    return value if isinstance(value, str) else _list(value, name)


def _sort(
    meter: Meter,
    value: Any,
    reverse: Any = False,
    case_sensitive: Any = False,
    attribute: Any = None,
) -> list[Any]:
    elements = _list(value, "sort")
    meter.spend(weight(elements) * max(len(elements).bit_length(), 1))
    key = _key(attribute, "sort", case_sensitive=case_sensitive)
    try:
        return sorted(elements, key=key, reverse=bool(reverse))
    except TypeError:
        raise Wrong("'sort' needs elements that can be compared with each other") from None


def _extreme(
    name: str, take: Callable[..., Any], value: Any, case_sensitive: Any, attribute: Any
) -> Any:
    elements = _list(value, name)
    if not elements:
        return missing(f"the list before '{name}' is empty")
    try:
        return take(elements, key=_key(attribute, name, case_sensitive=case_sensitive))
    except TypeError:
        raise Wrong(f"'{name}' needs elements that can be compared with each other") from None


def _min(meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme("min", min, value, case_sensitive, attribute)


def _max(meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme("max", max, value, case_sensitive, attribute)


def _unique(
    meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None
) -> list[Any]:
    elements = _list(value, "unique")
    meter.spend(weight(elements))
    key = _key(attribute, "unique", case_sensitive=case_sensitive)
    found: dict[str, Any] = {}
    for element in elements:
        found.setdefault(json.dumps(key(element), sort_keys=True), element)
    return list(found.values())


def _sum(meter: Meter, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = start
    for element in _list(value, "sum"):
        found = there(_attribute(element, attribute, "sum"))
        if not (number(total) and number(found)):
            raise Wrong(f"'sum' needs numbers, not {a(found if number(total) else total)}")
        total = binary(meter, "+", total, found)
    return total


def _map(meter: Meter, value: Any, *args: Any, attribute: Any = None, default: Any = None) -> Any:
    elements = _list(value, "map")
    meter.spend(len(elements))
    if not args:
        found = [_attribute(element, attribute, "map") for element in elements]
        return [there(one) if default is None else _default(meter, one, default) for one in found]
    return [there(filtered(meter, args[0], element, *args[1:])) for element in elements]


def _select(meter: Meter, value: Any, *args: Any, attribute: Any = None) -> list[Any]:
    elements = _list(value, "select")
    meter.spend(len(elements))

    def holds(element: Any) -> bool:
        found = _attribute(element, attribute, "select")
        return tested(meter, args[0], found, *args[1:]) if args else bool(found)

    return [element for element in elements if holds(element)]


def _zip(meter: Meter, value: Any, *others: Any) -> list[Any]:
    lists = [_list(one, "zip") for one in (value, *others)]
    counts = [len(one) for one in lists]
    if len(set(counts)) > 1:
        raise Wrong(f"'zip' needs lists of one length, not {' and '.join(map(str, counts))}")
    meter.spend(sum(counts))
    return [list(one) for one in zip(*lists, strict=True)]


def _replace(meter: Meter, value: Any, old: Any, new: Any, count: Any = None) -> str:
    text, old, new = _text(value, "replace"), _text(old, "replace"), _text(new, "replace")
    times = text.count(old)
    if count is not None:
        times = min(times, max(_whole(count, "replace"), 0))
    fits(len(text) + times * (len(new) - len(old)))
    meter.spend(len(text) + times * len(new))
    return text.replace(old, new, times)


def _round(meter: Meter, value: Any, precision: Any = 0, method: Any = "common") -> float:
    places = _whole(precision, "round")
    if not number(value):
        raise Wrong(f"'round' needs a number, not {a(value)}")
    if not -_PLACES <= places <= _PLACES:
        raise Wrong(f"'round' takes at most {_PLACES} places")
    if method not in ("common", "ceil", "floor"):
        raise Wrong("'round' takes the method 'common', 'ceil' or 'floor'")
    try:
        if method == "common":
            return finite(float(round(value, places)))
        turn: Callable[[Any], int] = math.ceil if method == "ceil" else math.floor
        return finite(turn(value * 10**places) / 10**places)
    except OverflowError:
        raise Wrong("a number becomes too large") from None


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"'{name}' takes a whole number here, not {a(value)}")
    return value


_NO_DEFAULT: Final = object()


def _int(meter: Meter, value: Any, default: Any = _NO_DEFAULT) -> Any:
    try:
        return finite(int(value))
    except (TypeError, ValueError, OverflowError):
        if isinstance(value, str) and (found := _number_in(value)) is not None:
            return int(found)
        return _otherwise(value, default, "int", "a whole number")


def _float(meter: Meter, value: Any, default: Any = _NO_DEFAULT) -> Any:
    found = _number_in(value)
    return _otherwise(value, default, "float", "a number") if found is None else found


def _number_in(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _otherwise(value: Any, default: Any, name: str, wanted: str) -> Any:
    if default is _NO_DEFAULT:
        what = "this text" if isinstance(value, str) else a(value)
        raise Wrong(f"'{name}' cannot make {wanted} of {what}")
    return default


def _string(meter: Meter, value: Any) -> str:
    return joined(meter, [value], "")


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "default": _default,
    "first": _first,
    "float": _float,
    "int": _int,
    "join": _join,
    "keys": lambda meter, value: list(_object(value, "keys")),
    "last": _last,
    "length": _length,
    "lower": lambda meter, value: _text(value, "lower").lower(),
    "map": _map,
    "max": _max,
    "min": _min,
    "replace": _replace,
    "round": _round,
    "select": _select,
    "sort": _sort,
    "string": _string,
    "sum": _sum,
    "tojson": _tojson,
    "trim": _trim,
    "unique": _unique,
    "upper": lambda meter, value: _text(value, "upper").upper(),
    "values": lambda meter, value: list(_object(value, "values").values()),
    "zip": _zip,
}


def filtered(meter: Meter, name: str, value: Any, *args: Any, **options: Any) -> Any:
    """Apply a filter of `FILTERS`, as often as the work allows."""
    if name != "default":
        there(value)
    for given in (*args, *options.values()):
        there(given)
    meter.spend(len(value) if isinstance(value, str | list | Mapping) else 1)
    result = FILTERS[name](meter, value, *args, **options)
    if isinstance(result, str | list):
        fits(len(result) if name not in ("default", "first", "last", "map", "select") else 0)
    return result


# -- tests -------------------------------------------------------------------------------------


def _divisible(meter: Meter, value: Any, num: Any) -> bool:
    return binary(meter, "%", value, num) == 0


TESTS: Final[Mapping[str, Callable[..., bool]]] = {
    "boolean": lambda meter, value: isinstance(value, bool),
    "defined": lambda meter, value: not isinstance(value, Undefined),
    "divisibleby": _divisible,
    "eq": lambda meter, value, other: compare(meter, "eq", value, other),
    "even": lambda meter, value: _divisible(meter, value, 2),
    "false": lambda meter, value: value is False,
    "float": lambda meter, value: isinstance(value, float),
    "ge": lambda meter, value, other: compare(meter, "gteq", value, other),
    "gt": lambda meter, value, other: compare(meter, "gt", value, other),
    "in": lambda meter, value, other: compare(meter, "in", value, other),
    "integer": lambda meter, value: isinstance(value, int) and not isinstance(value, bool),
    "le": lambda meter, value, other: compare(meter, "lteq", value, other),
    "lt": lambda meter, value, other: compare(meter, "lt", value, other),
    "mapping": lambda meter, value: isinstance(value, Mapping),
    "ne": lambda meter, value, other: compare(meter, "ne", value, other),
    "none": lambda meter, value: value is None,
    "number": lambda meter, value: number(value),
    "odd": lambda meter, value: not _divisible(meter, value, 2),
    "sequence": lambda meter, value: isinstance(value, list),
    "string": lambda meter, value: isinstance(value, str),
    "true": lambda meter, value: value is True,
    "undefined": lambda meter, value: isinstance(value, Undefined),
}


def tested(meter: Meter, name: str, value: Any, *args: Any) -> bool:
    """Apply a test of `TESTS`, as often as the work allows."""
    if name not in ("defined", "undefined"):
        there(value)
    meter.spend(1)
    return TESTS[name](meter, value, *args)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def misuse(function: Callable[..., Any], count: int, options: Sequence[str]) -> str | None:
    """Say why a filter or test of these tables cannot take so many arguments and these options."""
    try:
        _signature(function).bind(*range(count + 2), **dict.fromkeys(options))
    except TypeError as error:
        return str(error)
    return None
