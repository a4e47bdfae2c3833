"""What a run gives back: the answer, the plan, what became of every step, and what it cost.

It does not know how any of it came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from llmcompiler.approval import ApprovalRequest
from llmcompiler.errors import LLMCompilerError
from llmcompiler.graph import CriticalPath, critical_path
from llmcompiler.messages import Figures, Usage
from llmcompiler.plan import Failed, Json, Observation, Ok, Outcome, Plan, TaskId, plan_to_json
from llmcompiler.transcript import Transcript

__all__ = ["Bar", "ModelCall", "Paused", "Result", "Status"]

Status: TypeAlias = Literal["finished", "failed", "cancelled", "pending"]
Out = TypeVar("Out", default=str)


@dataclass(frozen=True, slots=True)
class Bar:
    """One step on the timeline; `start` and `end` are in seconds from the start of the run."""

    step: TaskId
    tool: str
    start: float
    end: float
    status: str


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model: what it used, what it cost and when its reply came."""

    model: str
    usage: Usage
    figures: Figures


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Paused:
    """What a run that waits for approvals needs to go on, beside what is in its result.

    `plans` are the plans as they stand, `told` the steps of which the model has read, of `weighed`
    observations; the rest are counts of what the run has used, and of its events.
    """

    plans: tuple[Plan, ...]
    told: frozenset[TaskId]
    weighed: int
    turns: int
    replans: int
    mends: int
    tool_calls: int
    events: int


@dataclass(frozen=True, slots=True)
class Result(Generic[Out]):
    """What a run came to.

    `answer` is the text the model answered with, `output` the same as the type asked for; it is
    only there where `status` is "finished", as it is for every result that `run` returns. `plans`
    holds the first plan and every replan; `steps` what became of each task, in order of
    completion. `seconds` is the whole run's time. `transcript` can be handed to the next run as
    its history. `calls` are the model calls in the order in which they ended; `usage` is their
    sum, and `cost` what they cost where the agent knows prices. A run of status "pending" waits for
    the approval of the steps in `pending`; `Agent.resume` goes on with it.
    """

    run_id: str
    request: str | None
    status: Status
    answer: str | None
    output: Out
    error: LLMCompilerError | None
    plans: tuple[Plan, ...]
    steps: tuple[Observation, ...]
    usage: Usage
    seconds: float
    transcript: Transcript
    calls: tuple[ModelCall, ...] = ()
    cost: float | None = None
    pending: tuple[ApprovalRequest, ...] = ()
    paused: Paused | None = None

    @property
    def plan(self) -> Plan:
        """Every task of the run as one plan, replans included."""
        tasks = tuple(task for plan in self.plans for task in plan)
        return Plan(tasks, None, self.request)

    @property
    def critical_path(self) -> CriticalPath:
        """The chain of steps that bounded the time spent in tools."""
        return critical_path(self.plan, {s.task.id: s.timing.seconds for s in self.steps})

    @property
    def sum_of_steps(self) -> float:
        """What the steps would have taken one after the other, in seconds."""
        return sum(step.timing.seconds for step in self.steps)

    @property
    def tool_seconds(self) -> float:
        """The time in which at least one step was running, in seconds."""
        total, reached = 0.0, 0.0
        for bar in sorted(self.timeline, key=lambda bar: bar.start):
            total += max(0.0, bar.end - max(bar.start, reached))
            reached = max(reached, bar.end)
        return total

    @property
    def speedup(self) -> float:
        """How many times faster the steps were together than one after the other."""
        return self.sum_of_steps / self.tool_seconds if self.tool_seconds > 0 else 1.0

    @property
    def timeline(self) -> tuple[Bar, ...]:
        """Every step that ran, by start."""
        bars = (
            Bar(s.task.id, s.task.tool, s.timing.start, s.timing.end, s.outcome.status)
            for s in self.steps
        )
        return tuple(sorted(bars, key=lambda bar: (bar.start, bar.end)))

    def __getitem__(self, step: str) -> Outcome:
        """Return what became of a step; raise KeyError if there was no such step."""
        for observation in self.steps:
            if observation.task.id == step:
                return observation.outcome
        raise KeyError(step)

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``llmcompiler run --json`` prints."""
        error = self.error
        return {
            "answer": self.answer,
            "status": self.status,
            "error": None
            if error is None
            else {"type": type(error).__name__, "message": str(error)},
            "plans": [plan_to_json(plan) for plan in self.plans],
            "steps": [_step_to_json(step) for step in self.steps],
            "pending": [_pending_to_json(request) for request in self.pending],
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "reused_tokens": self.usage.reused_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "model_calls": self.usage.model_calls,
                "cost": self.cost,
            },
            "timing": {
                "total": self.seconds,
                "critical_path": self.critical_path.seconds,
                "sum_of_steps": self.sum_of_steps,
            },
        }


def _pending_to_json(request: ApprovalRequest) -> dict[str, Any]:
    return {
        "step": request.step,
        "tool": request.tool,
        "args": dict(request.args),
        "digest": request.digest,
        "reason": request.reason,
    }


def _step_to_json(step: Observation) -> dict[str, Any]:
    outcome = step.outcome
    shown: dict[str, Any] = {
        "id": step.task.id,
        "tool": step.task.tool,
        "args": None if step.args is None else dict(step.args),
        "status": outcome.status,
    }
    if isinstance(outcome, Ok):
        shown["output"] = outcome.value
    elif isinstance(outcome, Failed):
        shown["error"] = {"type": outcome.kind, "message": outcome.message}
        if outcome.elements is not None:
            shown["elements"] = [_element(each) for each in outcome.elements]
    else:
        shown["error"] = {"type": type(outcome).__name__, "message": outcome.reason}
    if step.conversions:
        shown["conversions"] = list(step.conversions)
    shown["start"] = step.timing.start
    shown["end"] = step.timing.end
    return shown


def _element(outcome: Outcome) -> Json:
    if isinstance(outcome, Ok):
        return {"status": "ok", "output": outcome.value}
    message = outcome.message if isinstance(outcome, Failed) else outcome.reason
    return {"status": outcome.status, "error": message}
