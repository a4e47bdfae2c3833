"""Where did the time of a run go: which step or turn bounded it, and what would have been possible?

It reads what was measured and does not know how a run is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmcompiler.events import (
    AnswerDelta,
    Event,
    PlanDelta,
    PlanFinished,
    PlanIgnored,
    PlanStarted,
    StepPlanned,
    StepRejected,
    UsageUpdated,
)
from llmcompiler.plan import Observation, TaskId
from llmcompiler.result import Result
from llmcompiler.trace.words import counted, seconds_text

__all__ = ["Bottleneck", "ModelTurn", "bottleneck", "model_turns"]

# What is told of a turn while the model writes it.
_WRITTEN = (PlanDelta, AnswerDelta, StepPlanned, StepRejected, PlanIgnored, PlanFinished)
_WORTH_TELLING = 0.02  # of the whole run


@dataclass(frozen=True, slots=True)
class ModelTurn:
    """A turn of the model: which, what for, and from when to when, in seconds of the run."""

    number: int
    purpose: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took, in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What bounded a run; all times are in seconds.

    `kind` says whether the longest part was a step, a turn of the model, or waiting for limits;
    `name` is the step's id or the turn's number, and `seconds` its time. `total` is the whole run,
    `tools` the time in which a step was running, `model` that in which the model wrote.
    `best_tools` is the critical path of the steps, `best_total` the run as it would have been with
    no step waiting for anything but what it reads. `waited` adds up the time from ready to start
    over the `waiting` steps for which there was any, `longest` is the one that waited most.
    """

    kind: Literal["step", "turn", "limits", "nothing"]
    name: str
    tool: str
    seconds: float
    total: float
    tools: float
    model: float
    best_tools: float
    best_total: float
    waited: float
    waiting: int
    longest: TaskId | None

    @property
    def text(self) -> str:
        """All of it in one sentence, without a full stop."""
        whole = seconds_text(self.total)
        waits = (
            f"{counted(self.waiting, 'step')} stood ready for {seconds_text(self.waited)} in all"
        )
        if self.waiting == 1:
            waits = f"step {self.longest} stood ready for {seconds_text(self.waited)}"
        else:
            waits += f", step {self.longest} longest"
        match self.kind:
            case "nothing":
                return f"nothing took time in the {whole} of the run"
            case "step":
                said = f"step {self.name} ({self.tool}) took {seconds_text(self.seconds)} of the {whole}"
            case "turn":
                said = f"turn {self.name} of the model took {seconds_text(self.seconds)} of the {whole}"
            case "limits":
                said = f"waiting took {seconds_text(self.seconds)} of the {whole}: {waits}"
        if self.best_tools > 0:
            best = seconds_text(self.best_tools)
            said += f"; with unlimited parallelism the tools would have taken {best}"
            if self.total - self.best_total > _WORTH_TELLING * self.total:
                said += f", the whole run {seconds_text(self.best_total)}"
        if self.kind != "limits" and self.waiting and self.waited > _WORTH_TELLING * self.total:
            said += f"; {waits}"
        return said


def model_turns(events: Iterable[Event]) -> tuple[ModelTurn, ...]:
    """Read from a run's events when the model was at work for it, turn by turn.

    A turn ends with the last thing that the model wrote in it. Calls that tools make are no turns.
    """
    turns: list[ModelTurn] = []
    begun: PlanStarted | None = None
    end: float | None = None
    for event in events:
        if isinstance(event, PlanStarted):
            if begun is not None:
                turns.append(_turn(begun, end))
            begun, end = event, None
        elif isinstance(event, _WRITTEN):
            end = event.ts
        elif isinstance(event, UsageUpdated) and end is None:
            end = event.ts  # where nothing was written, the first call to end was the turn's
    if begun is not None:
        turns.append(_turn(begun, end))
    return tuple(turns)


def _turn(begun: PlanStarted, end: float | None) -> ModelTurn:
    return ModelTurn(begun.turn, begun.purpose, begun.ts, begun.ts if end is None else end)


def bottleneck(result: Result[Any], events: Iterable[Event] = ()) -> Bottleneck:
    """Find what bounded a run. Without its events, turns of the model are not known."""
    events = tuple(events)
    turns = model_turns(events)
    path = result.critical_path
    ran = {step.task.id: step for step in result.steps}
    waits = {
        task: step.timing.start - step.timing.ready
        for task, step in ran.items()
        if step.timing.start > step.timing.ready and step.timing.end > step.timing.start
    }
    step = max(path.steps, key=lambda task: _seconds(ran, task), default=None)
    turn = max(turns, key=lambda turn: turn.seconds, default=None)
    best = _best_total(result, events, turns)
    kind: Literal["step", "turn", "limits", "nothing"] = "nothing"
    name, tool, seconds = "", "", 0.0
    if step is not None and _seconds(ran, step) > seconds:
        kind, name, tool, seconds = "step", step, ran[step].task.tool, _seconds(ran, step)
    if turn is not None and turn.seconds > seconds:
        kind, name, tool, seconds = "turn", str(turn.number), "", turn.seconds
    if waits and result.seconds - best > seconds:
        kind, name, tool, seconds = "limits", "", "", result.seconds - best
    return Bottleneck(
        kind=kind,
        name=name,
        tool=tool,
        seconds=seconds,
        total=result.seconds,
        tools=result.tool_seconds,
        model=sum(turn.seconds for turn in turns),
        best_tools=path.seconds,
        best_total=best,
        waited=sum(waits.values()),
        waiting=len(waits),
        longest=max(waits, key=lambda task: waits[task], default=None),
    )


def _seconds(ran: Mapping[TaskId, Observation], task: TaskId) -> float:
    return ran[task].timing.seconds if task in ran else 0.0


def _best_total(
    result: Result[Any], events: tuple[Event, ...], turns: tuple[ModelTurn, ...]
) -> float:
    """Replay the run with the same turns and durations, each step starting as early as it can.

    A turn that reads results begins when all steps before it have ended, any other as long after
    the turn before it as it did; writes wait for the plan's end, and for each other on a resource.
    """
    if not result.steps:
        return result.seconds
    written = {event.step: event.ts for event in events if isinstance(event, StepPlanned)}
    turns = turns or (ModelTurn(1, "plan", 0.0, 0.0),)
    ran = {step.task.id: step for step in result.steps}
    order = [task for task in result.plan if task.id in ran]
    ends: dict[TaskId, float] = {}
    resources: dict[str | None, float] = {}
    start = turns[0].start
    lasts = [*(after.start for after in turns[1:]), float("inf")]
    for number, (turn, last) in enumerate(zip(turns, lasts, strict=True)):
        if number:
            before = turns[number - 1]
            start += turn.start - before.start
            if turn.purpose == "join":
                start = max(start - (turn.start - before.end), *ends.values(), 0.0)
        for task in order:
            at = written.get(task.id, turns[0].start)
            if task.id in ends or at >= last:
                continue
            begin = max([start + at - turn.start, *(ends.get(need, 0.0) for need in task.needs)])
            if task.policy.effects == "write":
                resource = task.policy.resource
                begin = max(begin, start + turn.seconds, resources.get(resource, 0.0))
                resources[resource] = begin + ran[task.id].timing.seconds
            ends[task.id] = begin + ran[task.id].timing.seconds
    done = max([start + turns[-1].seconds, *ends.values()])
    real = max([turns[-1].end, *(step.timing.end for step in result.steps)])
    return min(result.seconds, done + max(0.0, result.seconds - real))
