"""What do operators make of values, with bounded work, and what is at a path inside one?

It does not know where values come from, nor how an expression is written. No message quotes a
value: it might be secret.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from jinja2 import StrictUndefined, Undefined

from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Json, PathStep, Ref, Star, TaskId, render_text

__all__ = [
    "LARGEST",
    "Meter",
    "Wrong",
    "a",
    "binary",
    "compare",
    "concat",
    "finite",
    "fits",
    "follow",
    "joined",
    "missing",
    "number",
    "part",
    "there",
    "unary",
    "weight",
]

LARGEST: Final = 1_000_000
_WORK: Final = 20_000_000
_BITS: Final = 4096
_FEW: Final = 8


class Wrong(Exception):
    """What an expression asked for and cannot have, as one sentence."""


def missing(problem: str) -> StrictUndefined:
    """Return what stands for a value that is not there; any use but `default` raises `Wrong`."""
    return StrictUndefined(hint=problem, exc=Wrong)  # type: ignore[arg-type]


class Meter:
    """Counts what one evaluation touches: characters, elements and values. There is an end to it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _WORK

    def spend(self, work: int) -> None:
        """Count work before it is done; raise `Wrong` when there was too much of it."""
        self._left -= work + 1
        if self._left < 0:
            raise Wrong(f"it takes more than {_WORK:,} steps of work")


def weight(value: object) -> int:
    """Return about how many characters a value has as JSON; counting ends above `LARGEST`.

    Raises `Wrong` where something in it is missing.
    """
    total, waiting = 0, [value]
    while waiting and total <= LARGEST:
        here = waiting.pop()
        if isinstance(here, str):
            total += len(here)
        elif isinstance(here, Mapping):
            total += sum(len(str(key)) + 4 for key in here)
            waiting.extend(here.values())
        elif isinstance(here, list):
            total += 2 * len(here)
            waiting.extend(here)
        elif isinstance(here, Undefined):
            there(here)
        total += 1
    return total


def a(value: object) -> str:
    """Return what a value is, in words: ``a text``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case Undefined():
            return "nothing"
        case _:
            return "an object"


def part(value: object, step: object, name: str, *, computed: bool = False) -> Any:
    """Take one step into a value that messages call `name`; what is not there is `missing`.

    A step that was `computed` is a value itself, and is not quoted.
    """
    if isinstance(value, Undefined):
        return value
    if isinstance(step, bool) or not isinstance(step, str | int):
        return missing(f"{name} has nothing at {a(step)}")
    if isinstance(value, Mapping):
        if step in value:
            return value[step]
        known = [key for key in value if isinstance(key, str)]
        return missing(f"{name} has no {_quoted(step, known, computed=computed)}")
    if isinstance(step, str):
        return missing(f"{name} is {a(value)} and has no {_quoted(step, (), computed=computed)}")
    if not isinstance(value, list | str):
        return missing(f"{name} is {a(value)}, not a list")
    if -len(value) <= step < len(value):
        return value[step]
    kind = "characters" if isinstance(value, str) else "elements"
    place = "none at that place" if computed else f"no [{step}]"
    return missing(f"{name} has {len(value)} {kind} and {place}")


def _quoted(step: str | int, known: Sequence[str], *, computed: bool) -> str:
    if computed:
        return "such name"
    close = did_you_mean(str(step), known)
    if not close and 0 < len(known) <= _FEW:
        close = f"; it has {', '.join(map(repr, known))}"
    return f"{step!r}{close}"


def follow(value: object, path: Sequence[PathStep], name: str, *, computed: bool = False) -> Any:
    """Follow a path into a value that messages call `name`; what is not there is `missing`.

    Of a path that was `computed`, messages say nothing.
    """
    for index, step in enumerate(path):
        here = name if computed else name + Ref(TaskId(""), tuple(path[:index])).path_text
        if isinstance(step, Star):
            if not isinstance(value, list):
                return missing(f"{here} is {a(value)}, not a list")
            rest = path[index + 1 :]
            inner = f"an element of {here}"
            found = [follow(element, rest, inner, computed=computed) for element in value]
            return next((one for one in found if isinstance(one, Undefined)), found)
        value = part(value, step, here, computed=computed)
    return value


# -- operators ---------------------------------------------------------------------------------


def binary(meter: Meter, operator: str, left: object, right: object) -> Json:
    """Compute ``left operator right`` for + - * / // % **."""
    left, right = there(left), there(right)
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        fits(len(left) + len(right))
        meter.spend(len(left) + len(right))
        return left + right
    if operator == "+" and isinstance(left, list) and isinstance(right, list):
        fits(len(left) + len(right))
        meter.spend(len(left) + len(right))
        return cast("list[Json]", left + right)
    meter.spend(1)
    if not (number(left) and number(right)):
        texts = isinstance(left, str) or isinstance(right, str)
        hint = "; '~' joins them as text" if operator == "+" and texts else ""
        raise Wrong(f"'{operator}' cannot take {a(left)} and {a(right)}{hint}")
    return _arithmetic(operator, cast("float", left), cast("float", right))


def _arithmetic(operator: str, left: float, right: float) -> float:
    if operator in ("/", "//", "%") and right == 0:
        raise Wrong(f"'{operator}' divides by zero")
    try:
        match operator:
            case "+":
                return finite(left + right)
            case "-":
                return finite(left - right)
            case "*":
                return finite(left * right)
            case "/":
                return finite(left / right)
            case "//":
                return finite(left // right)
            case "%":
                return finite(left % right)
            case _:
                return _power(left, right)
    except OverflowError:
        raise Wrong("a number becomes too large") from None


def _power(left: float, right: float) -> float:
    if left == 0 and right < 0:
        raise Wrong("'**' divides by zero")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _BITS:
        raise Wrong("a number becomes too large")
    result: object = left**right
    if isinstance(result, complex):
        raise Wrong("'**' has no real result")
    return finite(cast("float", result))


def unary(meter: Meter, operator: str, value: object) -> Json:
    """Compute ``-value`` or ``+value``."""
    meter.spend(1)
    value = there(value)
    if not number(value):
        raise Wrong(f"'{operator}' cannot take {a(value)}")
    given = cast("float", value)
    return -given if operator == "-" else given


def concat(meter: Meter, values: Sequence[object]) -> str:
    """Write values one after the other, as they read inside a text."""
    return joined(meter, values, "")


_WORDS: Final = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}


def compare(meter: Meter, operator: str, left: object, right: object) -> bool:
    """Compute a comparison; `operator` is one of eq, ne, lt, lteq, gt, gteq, in, notin."""
    left, right = there(left), there(right)
    meter.spend(weight(left) + weight(right))
    try:
        match operator:
            case "eq":
                return left == right
            case "ne":
                return left != right
            case "in" | "notin":
                return (left in cast("Any", right)) == (operator == "in")
            case _:
                return _ordered(operator, left, right)
    except TypeError:
        words = f"'{_WORDS[operator]}' cannot compare {a(left)} with {a(right)}"
        raise Wrong(words) from None


def _ordered(operator: str, left: Any, right: Any) -> bool:
    match operator:
        case "lt":
            return bool(left < right)
        case "lteq":
            return bool(left <= right)
        case "gt":
            return bool(left > right)
        case _:
            return bool(left >= right)


def there(value: Any) -> Any:
    """Return a value that is there; raise `Wrong`, saying what is missing, if it is not."""
    if isinstance(value, Undefined):
        bool(value)  # raises, with what is missing
    return value


def number(value: object) -> bool:
    """Say whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: float) -> float:
    """Return a number; raise `Wrong` if it is too large to work with, or no number at all."""
    large = value.bit_length() > _BITS if isinstance(value, int) else not math.isfinite(value)
    if large:
        raise Wrong("a number becomes too large")
    return value


def fits(size: int) -> None:
    """Raise `Wrong` for a text of more than `LARGEST` characters, or a list of so many elements."""
    if size > LARGEST:
        raise Wrong(f"it makes something larger than {LARGEST:,} characters")


def joined(meter: Meter, values: Sequence[object], separator: str) -> str:
    """Write values one after the other, as they read inside a text, with a text between them."""
    size = len(separator) * max(len(values) - 1, 0)
    fits(size)
    texts: list[str] = []
    for value in values:
        weighed = weight(there(value))
        meter.spend(weighed)
        fits(size + weighed)
        texts.append(_text_of(value))
        size += len(texts[-1])
        fits(size)
    return separator.join(texts)


def _text_of(value: object) -> str:
    return render_text(cast("Json", value))
