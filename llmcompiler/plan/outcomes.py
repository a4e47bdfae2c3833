"""What became of a task.

It does not know how, nor what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmcompiler.plan.references import Json, TaskId
from llmcompiler.plan.tasks import Task

__all__ = ["Cancelled", "Failed", "Observation", "Ok", "Outcome", "Skipped", "Timing"]


@dataclass(frozen=True, slots=True)
class Ok:
    """The step finished; `value` is its result as JSON."""

    value: Json
    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True)
class Failed:
    """The step failed: `kind` is the error's type name, `message` what the model reads.

    `attempts` counts calls made. For a fan-out, `elements` keeps what every element came to.
    """

    kind: str
    message: str
    attempts: int = 1
    elements: tuple[Outcome, ...] | None = None
    status: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step was not run; `because` is the task whose outcome stood in the way, if it was one."""

    reason: str
    because: TaskId | None = None
    status: Literal["skipped"] = "skipped"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The step was stopped, or never started, because its run was stopped."""

    reason: str
    status: Literal["cancelled"] = "cancelled"


Outcome: TypeAlias = "Ok | Failed | Skipped | Cancelled"


@dataclass(frozen=True, slots=True)
class Timing:
    """When a step was ready, started and ended, in seconds from the start of the run."""

    ready: float
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long the step ran, in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a task. `args` are its arguments with references filled in, or None if never bound.

    `conversions` say what was converted of them: ``lat: 1 -> 1.0``.
    """

    task: Task
    outcome: Outcome
    timing: Timing
    args: Mapping[str, Json] | None = None
    conversions: tuple[str, ...] = ()
