"""What does an arithmetic expression come to? A grammar of its own, exact where numbers allow it.

It does not know tools or Python's own expressions; sizes are bounded, so that every text is
worked out or refused at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, TypeAlias, cast

from llmcompiler.errors import ToolError, did_you_mean
from llmcompiler_tools.number import tidy

__all__ = ["evaluate"]

Number: TypeAlias = "int | Fraction | float"
Value: TypeAlias = "Number | bool"

_LONGEST: Final = 1000  # characters of an expression
_DEEPEST: Final = 50  # parentheses and signs within each other
_EXACT_BITS: Final = 4096  # beyond it a fraction becomes a float
_RESULT_BITS: Final = 1023  # a whole number beyond it is no float any more

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%()<>,]))",
    re.ASCII,
)
_TYPOGRAPHIC = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "÷": "/",
        "−": "-",
        "–": "-",
        "^": "**",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "π": "pi",
    }
)
_SEPARATED = re.compile(r"\d,\d{3}(?!\d)")
_CONSTANTS: dict[str, Value] = {"pi": math.pi, "e": math.e, "true": True, "false": False}


class _Unreadable(Exception):
    """The text is no expression; the message is a hint or empty."""


class _NoValue(Exception):
    """The expression has no value; the message, which follows it, says why."""


def evaluate(expression: str) -> int | float | bool:
    """Work out an expression of numbers, or a comparison of two or more.

    Knows ``+ - * / // % **`` (``^`` too), parentheses, comparisons, pi, e and a few functions.
    Raises `ToolError` for a text that is none, and where there is no value.
    """
    shown = repr(expression if len(expression) <= 100 else expression[:100] + "…")
    try:
        return _tidied(_Reader(expression).whole())
    except _Unreadable as problem:
        hint = f"; {problem}" if str(problem) else ""
        if not hint and _SEPARATED.search(expression):
            hint = "; write numbers without thousands separators"
        raise ToolError(f"cannot read the expression {shown}{hint}") from None
    except _NoValue as problem:
        raise ToolError(f"{shown} {problem}") from None
    except ZeroDivisionError:
        raise ToolError(f"division by zero in {shown}") from None
    except OverflowError:
        raise ToolError(f"the result of {shown} is too large") from None


def _tidied(value: Value) -> int | float | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Fraction):
        value = int(value) if value.denominator == 1 else float(value)
    if isinstance(value, int):
        if value.bit_length() > _RESULT_BITS:
            raise OverflowError
        return value
    if not math.isfinite(value):
        raise OverflowError
    return tidy(value)


# -- reading -----------------------------------------------------------------------------------


class _Reader:
    """Works out an expression while reading it, from the loosest binding to the tightest."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise _Unreadable(f"it is longer than {_LONGEST} characters")
        self._tokens = list(_split(text.translate(_TYPOGRAPHIC)))
        self._at = 0
        self._depth = 0

    def whole(self) -> Value:
        value = self._comparison()
        if self._at < len(self._tokens):
            raise _Unreadable
        return value

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *signs: str) -> str:
        """Take the next token if it is one of `signs`; an empty text if not."""
        if self._at < len(self._tokens) and self._tokens[self._at] in (("sign", s) for s in signs):
            self._at += 1
            return self._tokens[self._at - 1][1]
        return ""

    def _comparison(self) -> Value:
        left = self._sum()
        truth: bool | None = None
        while sign := self._take(*_COMPARISONS):
            right = self._sum()
            if sign not in ("==", "!="):
                left, right = _number(left), _number(right)
            truth = truth is not False and _COMPARISONS[sign](left, right)
            left = right
        return left if truth is None else truth

    def _sum(self) -> Value:
        left = self._product()
        while sign := self._take("+", "-"):
            right = _number(self._product())
            left = _exact(_number(left) + right if sign == "+" else _number(left) - right)
        return left

    def _product(self) -> Value:
        left = self._signed()
        while sign := self._take("*", "/", "//", "%"):
            left = _exact(_times(sign, _number(left), _number(self._signed())))
        return left

    def _signed(self) -> Value:
        sign = self._take("+", "-")
        if not sign:
            return self._power()
        with _Deeper(self):
            value = _number(self._signed())
        return -value if sign == "-" else value

    def _power(self) -> Value:
        base = self._atom()
        if not self._take("**"):
            return base
        with _Deeper(self):
            exponent = _number(self._signed())
        return _exact(_raised(_number(base), exponent))

    def _atom(self) -> Value:
        if self._at >= len(self._tokens):
            raise _Unreadable
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return _literal(text)
        if kind == "name":
            return self._call(text) if self._take("(") else _constant(text)
        if text != "(":
            raise _Unreadable
        with _Deeper(self):
            value = self._comparison()
        if not self._take(")"):
            raise _Unreadable
        return value

    def _call(self, name: str) -> Value:
        known = _FUNCTIONS.get(name.lower())
        if known is None:
            raise _Unreadable(f"there is no function {name!r}{did_you_mean(name, _FUNCTIONS)}")
        arguments: list[Number] = []
        with _Deeper(self):
            while not self._take(")"):
                arguments.append(_number(self._comparison()))
                if not self._take(",") and self._peek() != ")":
                    raise _Unreadable
        fewest, most, function = known
        if not fewest <= len(arguments) <= most:
            needs = f"{fewest}" if fewest == most else f"{fewest} or more"
            raise _Unreadable(f"{name} takes {needs} numbers, not {len(arguments)}")
        try:
            return _exact(function(arguments))
        except ValueError:
            raise _NoValue(f"has no value: {name} is not defined there") from None


class _Deeper:
    """Counts how deep a reader is, and refuses to go on without end."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        self._reader._depth += 1
        if self._reader._depth > _DEEPEST:
            raise _Unreadable("it is nested too deeply")

    def __exit__(self, *problem: object) -> None:
        self._reader._depth -= 1


def _split(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Unreadable
        kind = found.lastgroup or ""
        tokens.append((kind, found[kind]))
        at = found.end()
    return tokens


def _literal(text: str) -> Number:
    if len(text) > 1 and text[0] == "0" and text[1].isdigit():
        raise _Unreadable
    approximate = float(text)
    if not math.isfinite(approximate):
        raise OverflowError
    if approximate == 0 or abs(math.log10(approximate)) > 300 or len(text) > 400:
        return approximate
    exact = Fraction(text)
    return int(exact) if exact.denominator == 1 else exact


def _constant(name: str) -> Value:
    value = _CONSTANTS.get(name.lower())
    if value is None:
        raise _Unreadable(f"there is no number {name!r}")
    return value


# -- working out -------------------------------------------------------------------------------


def _number(value: Value) -> Number:
    if isinstance(value, bool):
        raise _Unreadable("true and false are not numbers")
    return value


def _exact(value: Number) -> Number:
    """Keep a value exact while it is small enough for that."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OverflowError
        return value
    if isinstance(value, int):
        if value.bit_length() > _EXACT_BITS:
            raise OverflowError
        return value
    if value.denominator == 1:
        return _exact(int(value))
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _EXACT_BITS:
        return float(value)
    return value


def _times(sign: str, left: Number, right: Number) -> Number:
    match sign:
        case "*":
            return left * right
        case "//":
            return left // right
        case "%":
            return left % right
        case _:
            if isinstance(left, float) or isinstance(right, float):
                return left / right
            return Fraction(left) / Fraction(right)


def _raised(base: Number, exponent: Number) -> Number:
    if isinstance(base, float) or isinstance(exponent, float | Fraction):
        return _rooted(float(base), float(exponent))
    exact = Fraction(base)
    if abs(exact) == 1:
        return exact ** (exponent % 2)
    bits = max(exact.numerator.bit_length(), exact.denominator.bit_length())
    if exact == 0 or bits * abs(exponent) <= _EXACT_BITS:
        return cast("Number", exact**exponent)
    return _rooted(float(base), float(exponent))


def _rooted(base: float, exponent: float) -> float:
    power: float | complex = base**exponent
    if isinstance(power, complex):
        raise _NoValue("has no value: a root of a negative number")
    return power


def _round(of: Sequence[Number]) -> Number:
    digits = of[1] if len(of) == 2 else 0
    if not isinstance(digits, int) or abs(digits) > 300:
        raise ValueError
    return cast("Number", round(of[0], digits))


def _root(of: Sequence[Number]) -> Number:
    value = of[0]
    if isinstance(value, int) and value >= 0:
        whole = math.isqrt(value)
        if whole * whole == value:
            return whole
    return math.sqrt(value)


def _plain(
    function: Callable[[float], float],
) -> tuple[int, int, Callable[[Sequence[Number]], Number]]:
    return 1, 1, lambda of: function(float(of[0]))


_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}

_FUNCTIONS: dict[str, tuple[int, int, Callable[[Sequence[Number]], Number]]] = {
    "abs": (1, 1, lambda of: cast("Number", abs(of[0]))),
    "round": (1, 2, _round),
    "min": (1, 100, min),
    "max": (1, 100, max),
    "floor": (1, 1, lambda of: math.floor(of[0])),
    "ceil": (1, 1, lambda of: math.ceil(of[0])),
    "sqrt": (1, 1, _root),
    "log": (1, 2, lambda of: math.log(*(float(one) for one in of))),
    "ln": _plain(math.log),
    "log2": _plain(math.log2),
    "log10": _plain(math.log10),
    "exp": _plain(math.exp),
    "sin": _plain(math.sin),
    "cos": _plain(math.cos),
    "tan": _plain(math.tan),
    "asin": _plain(math.asin),
    "acos": _plain(math.acos),
    "atan": _plain(math.atan),
    "degrees": _plain(math.degrees),
    "radians": _plain(math.radians),
}
