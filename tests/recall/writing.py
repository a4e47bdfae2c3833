"""Tools and a clock for the tests of the cache, and a program that writes until it is stopped."""

from __future__ import annotations

from typing import Any

from llmcompiler import Tool, tool
from llmcompiler.recall import Recall


@tool(pure=True)
def double(n: int) -> int:
    """Give twice the number.

    Args:
        n: any number
    """
    return 2 * n


@tool(pure=True)
def anything(x: Any) -> Any:
    """Give back what was given.

    Args:
        x: anything
    """
    return x


def adder(amount: int, version: str = "1") -> Tool[..., int]:
    """Return a tool that adds an amount it holds."""

    @tool(pure=True, version=version)
    def add(n: int) -> int:
        """Add to a number.

        Args:
            n: any number
        """
        return n + amount

    return add


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def write_until_stopped(path: str, first: int, batches: int | None) -> None:
    """Write batches of ten results from number `first` on, and say so after each."""
    with Recall(path) as recall:
        batch = 0
        while batches is None or batch < batches:
            for number in range(first + 10 * batch, first + 10 * batch + 10):
                recall.put(double, {"n": number}, {"twice": 2 * number, "filler": "x" * 3000})
            while not recall.flush():
                pass
            batch += 1
            print(batch, flush=True)
