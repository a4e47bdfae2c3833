"""Arithmetic: what an expression comes to, and what a list of numbers comes to.

It does not know Python: an expression is read by its own small grammar (`expression`), never run.
"""

from __future__ import annotations

import math
from typing import Any

from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.expression import evaluate
from llmcompiler_tools.number import tidy

__all__ = ["TOOLS", "Named", "average", "calculate", "least", "most", "total"]


class Named(TypedDict):
    """A number and whose it is."""

    name: str
    value: int | float


@tool(pure=True)
async def calculate(expression: str) -> int | float | bool:
    """Work out an arithmetic expression, or whether a comparison is true.

    Args:
        expression: for example "(2 + 3) * 4", "sqrt(2) ^ 3" or "${1} > ${2}"
    """
    return evaluate(expression)


@tool(pure=True)
async def total(values: list[float]) -> float:
    """Add up numbers.

    Args:
        values: the numbers
    """
    return tidy(_sum(values))


@tool(pure=True)
async def average(values: list[float]) -> float:
    """Find the arithmetic mean of numbers.

    Args:
        values: the numbers
    """
    if not values:
        raise ToolError("there are no values to average")
    return tidy(_sum(values) / len(values))


@tool(pure=True)
async def most(names: list[str], values: list[float]) -> Named:
    """Find which of several has the largest number.

    Args:
        names: what the numbers belong to
        values: one number for each name
    """
    _check_pairs(names, values)
    at = max(range(len(values)), key=values.__getitem__)
    return {"name": names[at], "value": tidy(values[at])}


@tool(pure=True)
async def least(names: list[str], values: list[float]) -> Named:
    """Find which of several has the smallest number.

    Args:
        names: what the numbers belong to
        values: one number for each name
    """
    _check_pairs(names, values)
    at = min(range(len(values)), key=values.__getitem__)
    return {"name": names[at], "value": tidy(values[at])}


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        raise ToolError("the sum is not a finite number") from None


def _check_pairs(names: list[str], values: list[float]) -> None:
    if not values:
        raise ToolError("there are no values to compare")
    if len(names) != len(values):
        raise ToolError(f"there are {len(names)} names for {len(values)} values")


TOOLS: tuple[Tool[..., Any], ...] = (average, calculate, least, most, total)
