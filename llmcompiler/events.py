"""What can happen in a run: a closed union, each event with run id, sequence number and time.

It does not know who reads: progress, journal, metrics and traces only look at these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args

from llmcompiler.messages import Figures, Usage
from llmcompiler.plan import TaskId

if TYPE_CHECKING:
    from llmcompiler.plan import Json
else:
    # The same type, as pydantic can read it at run time: ours is recursive and written as text.
    from pydantic import JsonValue as Json

__all__ = [
    "EVENT_TYPES",
    "AnswerDelta",
    "Emitter",
    "Event",
    "PlanDelta",
    "PlanFinished",
    "PlanIgnored",
    "PlanStarted",
    "Purpose",
    "ReplanStarted",
    "RunCancelled",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "Sink",
    "StepCancelled",
    "StepFailed",
    "StepFinished",
    "StepPlanned",
    "StepProgress",
    "StepRejected",
    "StepRetrying",
    "StepSkipped",
    "StepStarted",
    "UsageUpdated",
    "event_from_json",
    "event_json_schema",
    "event_to_json",
]


Purpose: TypeAlias = Literal["plan", "repair", "continue", "retry", "join"]


@dataclass(slots=True)
class RunStarted:
    """A run began. `ts` of every event is in seconds of a monotonic clock, from the run's start."""

    run_id: str
    seq: int
    ts: float
    request: str
    model: str
    tools: tuple[str, ...]
    type: Literal["run_started"] = "run_started"


@dataclass(slots=True)
class PlanStarted:
    """The model was asked for a turn. `turn` counts from 1; `purpose` is why."""

    run_id: str
    seq: int
    ts: float
    turn: int
    purpose: Purpose
    type: Literal["plan_started"] = "plan_started"


@dataclass(slots=True)
class PlanDelta:
    """A piece of plan text, thought or reason, as the model wrote it."""

    run_id: str
    seq: int
    ts: float
    text: str
    type: Literal["plan_delta"] = "plan_delta"


@dataclass(slots=True)
class StepPlanned:
    """A plan line was sealed and found legal. `args` shows references as ``{"ref": "$1"}``."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    tool: str
    args: Mapping[str, Json]
    needs: tuple[TaskId, ...]
    line: str
    type: Literal["step_planned"] = "step_planned"


@dataclass(slots=True)
class StepRejected:
    """A plan line was refused; it goes back to the planner."""

    run_id: str
    seq: int
    ts: float
    step: str | None
    source: str
    message: str
    line: int
    column: int
    type: Literal["step_rejected"] = "step_rejected"


@dataclass(slots=True)
class PlanIgnored:
    """Something of the model's text was not used, or a missing ``join()`` was supplied."""

    run_id: str
    seq: int
    ts: float
    text: str
    reason: str
    type: Literal["plan_ignored"] = "plan_ignored"


@dataclass(slots=True)
class PlanFinished:
    """The plan is sealed: no step will be added to it. `joins` names what the joiner needs."""

    run_id: str
    seq: int
    ts: float
    steps: int
    joins: tuple[TaskId, ...] | None
    type: Literal["plan_finished"] = "plan_finished"


@dataclass(slots=True)
class StepStarted:
    """A step's tool was called. For a fan-out `elements` is the number of calls, else None."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    tool: str
    args: Mapping[str, Json]
    elements: int | None
    type: Literal["step_started"] = "step_started"


@dataclass(slots=True)
class StepProgress:
    """A tool reported how far it is. `total` is None where it does not know."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    done: float
    total: float | None
    message: str
    type: Literal["step_progress"] = "step_progress"


@dataclass(slots=True)
class StepRetrying:
    """A call failed and is tried again after `wait` seconds; `attempt` is the number of the new try."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    attempt: int
    message: str
    wait: float
    type: Literal["step_retrying"] = "step_retrying"


@dataclass(slots=True)
class StepFinished:
    """A step succeeded. `seconds` is how long it ran."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    output: Json
    seconds: float
    type: Literal["step_finished"] = "step_finished"


@dataclass(slots=True)
class StepFailed:
    """A step failed; `kind` is the error's type name."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    kind: str
    message: str
    attempts: int
    seconds: float
    type: Literal["step_failed"] = "step_failed"


@dataclass(slots=True)
class StepSkipped:
    """A step will not run; `because` is the step that stood in the way."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    reason: str
    because: TaskId | None
    type: Literal["step_skipped"] = "step_skipped"


@dataclass(slots=True)
class StepCancelled:
    """A step was stopped, or never started, because the run was."""

    run_id: str
    seq: int
    ts: float
    step: TaskId
    reason: str
    type: Literal["step_cancelled"] = "step_cancelled"


@dataclass(slots=True)
class ReplanStarted:
    """The joiner asked for more steps. `replan` counts from 1."""

    run_id: str
    seq: int
    ts: float
    replan: int
    reason: str
    type: Literal["replan_started"] = "replan_started"


@dataclass(slots=True)
class AnswerDelta:
    """The next piece of the answer."""

    run_id: str
    seq: int
    ts: float
    text: str
    type: Literal["answer_delta"] = "answer_delta"


@dataclass(slots=True)
class UsageUpdated:
    """A model call ended; `usage` is the run's sum so far, `call` and `figures` are its own."""

    run_id: str
    seq: int
    ts: float
    usage: Usage
    model: str = ""
    call: Usage = field(default_factory=Usage)
    figures: Figures = field(default_factory=Figures)
    type: Literal["usage_updated"] = "usage_updated"


@dataclass(slots=True)
class RunFinished:
    """The run has its answer."""

    run_id: str
    seq: int
    ts: float
    answer: str | None
    type: Literal["run_finished"] = "run_finished"


@dataclass(slots=True)
class RunFailed:
    """The run ended without an answer."""

    run_id: str
    seq: int
    ts: float
    kind: str
    message: str
    type: Literal["run_failed"] = "run_failed"


@dataclass(slots=True)
class RunCancelled:
    """The run was stopped by its caller."""

    run_id: str
    seq: int
    ts: float
    type: Literal["run_cancelled"] = "run_cancelled"


Event: TypeAlias = Union[  # noqa: UP007 - pydantic needs the subscripted form at run time
    RunStarted,
    PlanStarted,
    PlanDelta,
    StepPlanned,
    StepRejected,
    PlanIgnored,
    PlanFinished,
    StepStarted,
    StepProgress,
    StepRetrying,
    StepFinished,
    StepFailed,
    StepSkipped,
    StepCancelled,
    ReplanStarted,
    AnswerDelta,
    UsageUpdated,
    RunFinished,
    RunFailed,
    RunCancelled,
]
EVENT_TYPES: tuple[type, ...] = get_args(Event)
Sink: TypeAlias = Callable[[Event], None]
_log = logging.getLogger("llmcompiler")


class Emitter:
    """Stamps events of one run and hands them to every sink.

    `clock` gives seconds; the time of the first use is the run's zero. A sink that raises is
    dropped with a logged error: a reader never breaks a run.
    """

    __slots__ = ("_clock", "_seq", "_sinks", "_zero", "run_id")

    def __init__(self, run_id: str, clock: Callable[[], float], sinks: Iterable[Sink] = ()) -> None:
        self.run_id = run_id
        self._clock = clock
        self._zero = clock()
        self._seq = 0
        self._sinks = list(sinks)

    def now(self) -> float:
        """Return the seconds since the run's start."""
        return self._clock() - self._zero

    def emit(self, kind: Callable[..., Event], *fields: Any) -> None:
        """Make an event of `kind` from its own fields, in order, and tell every sink."""
        self._seq += 1
        event = kind(self.run_id, self._seq, self._clock() - self._zero, *fields)
        for sink in self._sinks:
            try:
                sink(event)
            except Exception:  # noqa: BLE001 - a reader may fail in any way, and is named in the log
                _log.exception("a reader of events failed and is not told any more")
                self._sinks = [other for other in self._sinks if other is not sink]


@cache
def _adapter() -> Any:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Event, Field(discriminator="type")])


def event_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the union, told apart by ``type``."""
    schema: dict[str, Any] = _adapter().json_schema()
    return schema


def event_to_json(event: Event) -> str:
    """Write an event as one line of JSON."""
    text: bytes = _adapter().dump_json(event)
    return text.decode()


def event_from_json(text: str) -> Event:
    """Read an event back; raise pydantic's ValidationError on anything else."""
    event: Event = _adapter().validate_json(text)
    return event
