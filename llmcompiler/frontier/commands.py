"""What a frontier may say is to be done.

It does not know why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.plan import Failed, Json, Outcome, Task

__all__ = ["Break", "Command", "Settle", "Start"]


@dataclass(frozen=True, slots=True)
class Start:
    """Call the task's tool now. For a fan-out, `elements` holds one set of arguments per call."""

    task: Task
    args: Mapping[str, Json]
    elements: tuple[Mapping[str, Json], ...] | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """The task will not be called: its outcome is known already."""

    task: Task
    outcome: Outcome
    args: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The task cannot be called as it is written. It is not settled by that: `finish` does it."""

    task: Task
    outcome: Failed


Command: TypeAlias = "Start | Settle | Break"
