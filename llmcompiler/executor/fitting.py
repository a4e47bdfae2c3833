"""Do a step's arguments fit its tool, now that its references have values?

It does not know what becomes of a step whose arguments do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmcompiler.check import bound
from llmcompiler.errors import ToolArgumentError
from llmcompiler.frontier import Start
from llmcompiler.plan import Failed, Json, Ref
from llmcompiler.toolbox import Tool

__all__ = ["Fitted", "fitted"]


_PLAIN = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True)
class Fitted:
    """A step with its arguments as the tool takes them, and what was converted in them.

    `unfit` says of the elements of a fan-out which do not fit, and why.
    """

    start: Start
    conversions: tuple[str, ...] = ()
    unfit: tuple[tuple[int, Failed], ...] = ()


def fitted(start: Start, tool: Tool[..., Any], lookup: Callable[[Ref], Json]) -> Fitted | Failed:
    """Check and convert what references brought; `lookup` gives what one stands for."""
    if _PLAIN.issuperset(map(type, start.task.args.values())):
        return Fitted(start)  # all of it was checked when the task was
    if start.elements is None:
        try:
            found = bound(start.task, start.args, tool, lookup)
        except ToolArgumentError as error:
            return _failed(error)
        if found.args is start.args:
            return Fitted(start, found.conversions)
        return Fitted(Start(start.task, found.args), found.conversions)
    sets = list(start.elements)
    told: list[str] = []
    unfit: list[tuple[int, Failed]] = []
    for index, args in enumerate(start.elements):
        try:
            found = bound(start.task, args, tool, lookup)
        except ToolArgumentError as error:
            unfit.append((index, _failed(error)))
            continue
        sets[index] = found.args
        told.extend(f"[{index}] {note}" for note in found.conversions)
    return Fitted(Start(start.task, start.args, tuple(sets)), tuple(told), tuple(unfit))


def _failed(error: ToolArgumentError) -> Failed:
    return Failed(type(error).__name__, str(error), attempts=0)
