"""What is a question made of, and how do values, lists and units look in requests and answers?

It does not know any kind of question: those are in the modules beside it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from values import Values
from words import MEASURES, UNITS

Result = Any


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose arguments mark references within the part as ``§0§``; `names` index what may be misspelt."""

    tool: str
    args: str
    names: tuple[int, ...] = ()


@dataclass(slots=True)
class Part:
    """One question: `slots` for its wording; calls, sentences and results follow from `names`."""

    key: str
    slots: dict[str, str]
    names: list[str]
    calls: Callable[[], list[Call]]
    results: list[Result]
    final: Callable[[], str]
    single: Callable[[int], str | None] = field(default=lambda index: None)
    fan: bool = False


def show(value: Result) -> str:
    """Write a result as it is copied into a sentence."""
    return value if isinstance(value, str) else json.dumps(value)


def listing(items: list[str], last: str = "and") -> str:
    """Write a list the way answers do."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def quote(text: str) -> str:
    """Write a string argument."""
    return json.dumps(text, ensure_ascii=False)


def tidy(value: float) -> float | int:
    """Round a number as the tools do."""
    if value == int(value) and abs(value) < 1e15:
        return int(value)
    if abs(value) < 1:
        return float(f"{value:.6g}")
    return round(value, max(2, 6 - len(str(int(abs(value))))))


@dataclass(frozen=True, slots=True)
class Measure:
    """What of a file is counted, and how answers say it."""

    word: str
    tool: str
    one: str
    many: str

    def amount(self, value: Result) -> str:
        return f"{show(value)} {self.one if value == 1 else self.many}"


WORDS = Measure("words", "count_words", "word", "words")
LINES = Measure("lines", "count_lines", "line", "lines")
SIZE = Measure("size", "file_size", "byte", "bytes")


class Base:
    """Draws values and writes them the way people do."""

    def __init__(self, rng: random.Random, held: bool = False) -> None:
        self.rng = rng
        self.values = Values(rng, held)

    def _count(self) -> int:
        top = self.rng.choice([3, 20, 200, 1000, 5000, 100000])
        return self.rng.randint(0, top)

    def _real(self) -> float | int:
        rng = self.rng
        return tidy(
            rng.choice(
                [
                    rng.uniform(0, 1),
                    rng.uniform(0, 10),
                    rng.uniform(0, 1000),
                    rng.uniform(0, 99999),
                    float(rng.randint(1, 9999)),
                    -rng.uniform(0, 50),
                ]
            )
        )

    def written(self, name: str) -> str:
        """Write a path as it stands in a request: sometimes quoted, sometimes introduced."""
        kind = self.rng.random()
        if kind < 0.05:
            return f"'{name}'"
        if kind < 0.09:
            return f'"{name}"'
        if kind < 0.11:
            return f"`{name}`"
        if kind < 0.17:
            return f"the file {name}"
        return f"file {name}" if kind < 0.19 else name

    def listed(self, items: list[str], choice: bool = False) -> str:
        """Write a list as people do."""
        rng = self.rng
        kind = rng.random()
        if len(items) == 2:
            if kind < 0.07:
                return ", ".join(items)
            if kind < 0.12:
                return (
                    f"both {items[0]} and {items[1]}" if not choice else f"{items[0]} vs {items[1]}"
                )
            if kind < 0.17:
                return (
                    rng.choice(
                        [
                            f"{items[0]} & {items[1]}",
                            f"{items[0]} / {items[1]}",
                            f"{items[0]}; {items[1]}",
                            f"{items[0]} plus {items[1]}",
                        ]
                    )
                    if not choice
                    else f"{items[0]} versus {items[1]}"
                )
        if kind < 0.1:
            return ", ".join(items)
        if kind < 0.13:
            return rng.choice(
                [" / ", "; ", ", " if any(" " in item for item in items) else " "]
            ).join(items)
        word = (
            rng.choice(["and", "and", "or"])
            if choice
            else rng.choice(["and", "and", "and", "and", "&", "and also", "as well as"])
        )
        comma = "," if len(items) > 2 and rng.random() < 0.3 else ""
        if len(items) > 2 and rng.random() < 0.08:
            return f" {word} ".join(items)
        return f"{', '.join(items[:-1])}{comma} {word} {items[-1]}"

    def _fan_size(self) -> int:
        return self.rng.choice([2, 2, 2, 3, 3, 3, 4, 4])

    def unit(self, unit: str, amount: str = "2", bare: bool = False) -> str:
        """Write a unit as people do; `bare` where no number stands before it."""
        rng = self.rng
        one, many, other = UNITS[MEASURES[unit]][unit]
        kind = rng.random()
        if kind < 0.55:
            return one if amount == "1" else many
        if bare and kind < 0.8:
            other = tuple(word for word in other if len(word) > 1) or (many,)
        return rng.choice(other) if kind < 0.93 else one
