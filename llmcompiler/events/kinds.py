"""The kinds of events: a closed union, each with run id, sequence number and time.

It does not know who emits or reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, Union, get_args

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
    "ApprovalDecided",
    "Event",
    "LimitReached",
    "PassApplied",
    "PassName",
    "PlanChanged",
    "PlanDelta",
    "PlanFinished",
    "PlanIgnored",
    "PlanStarted",
    "Purpose",
    "ReplanStarted",
    "ResultShortened",
    "RunCancelled",
    "RunFailed",
    "RunFinished",
    "RunPaused",
    "RunStarted",
    "StepAwaitingApproval",
    "StepCancelled",
    "StepFailed",
    "StepFellBack",
    "StepFinished",
    "StepMending",
    "StepPlanned",
    "StepProgress",
    "StepRejected",
    "StepRetrying",
    "StepSkipped",
    "StepStarted",
    "UsageUpdated",
]

Purpose: TypeAlias = Literal["plan", "repair", "continue", "retry", "mend", "join"]
PassName: TypeAlias = Literal["merge", "cache", "drop", "bulk", "order", "hedge"]


@dataclass(slots=True)
class _Stamped:
    """Which run, the how-manieth event of it, and when, in seconds of a clock from the run's start."""

    run_id: str
    seq: int
    ts: float


@dataclass(slots=True)
class RunStarted(_Stamped):
    """A run began. `ts` of every event is in seconds of a monotonic clock, from the run's start."""

    request: str
    model: str
    tools: tuple[str, ...]
    type: Literal["run_started"] = "run_started"


@dataclass(slots=True)
class PlanStarted(_Stamped):
    """The model was asked for a turn. `turn` counts from 1; `purpose` is why."""

    turn: int
    purpose: Purpose
    type: Literal["plan_started"] = "plan_started"


@dataclass(slots=True)
class PlanDelta(_Stamped):
    """A piece of plan text, thought or reason, as the model wrote it."""

    text: str
    type: Literal["plan_delta"] = "plan_delta"


@dataclass(slots=True)
class StepPlanned(_Stamped):
    """A plan line was sealed and found legal. `args` shows references as ``{"ref": "$1"}``."""

    step: TaskId
    tool: str
    args: Mapping[str, Json]
    needs: tuple[TaskId, ...]
    line: str
    type: Literal["step_planned"] = "step_planned"


@dataclass(slots=True)
class StepRejected(_Stamped):
    """A plan line was refused; it goes back to the planner."""

    step: str | None
    source: str
    message: str
    line: int
    column: int
    type: Literal["step_rejected"] = "step_rejected"


@dataclass(slots=True)
class PlanIgnored(_Stamped):
    """Something of the model's text was not used, or a missing ``join()`` was supplied."""

    text: str
    reason: str
    type: Literal["plan_ignored"] = "plan_ignored"


@dataclass(slots=True)
class PlanFinished(_Stamped):
    """No step will be added to the plan. `joins` names what the joiner needs.

    It is not `whole` if it was broken off: nothing of it that writes starts any more.
    """

    steps: int
    joins: tuple[TaskId, ...] | None
    whole: bool = True
    type: Literal["plan_finished"] = "plan_finished"


@dataclass(slots=True)
class StepStarted(_Stamped):
    """A step's tool was called. For a fan-out `elements` is the number of calls, else None."""

    step: TaskId
    tool: str
    args: Mapping[str, Json]
    elements: int | None
    type: Literal["step_started"] = "step_started"


@dataclass(slots=True)
class StepProgress(_Stamped):
    """A tool reported how far it is. `total` is None where it does not know."""

    step: TaskId
    done: float
    total: float | None
    message: str
    type: Literal["step_progress"] = "step_progress"


@dataclass(slots=True)
class StepRetrying(_Stamped):
    """A call failed and is tried again after `wait` seconds; `attempt` is the number of the new try."""

    step: TaskId
    attempt: int
    message: str
    wait: float
    type: Literal["step_retrying"] = "step_retrying"


@dataclass(slots=True)
class StepFinished(_Stamped):
    """A step succeeded. `seconds` is how long it ran."""

    step: TaskId
    output: Json
    seconds: float
    type: Literal["step_finished"] = "step_finished"


@dataclass(slots=True)
class StepFailed(_Stamped):
    """A step failed; `kind` is the error's type name."""

    step: TaskId
    kind: str
    message: str
    attempts: int
    seconds: float
    type: Literal["step_failed"] = "step_failed"


@dataclass(slots=True)
class StepSkipped(_Stamped):
    """A step will not run; `because` is the step that stood in the way."""

    step: TaskId
    reason: str
    because: TaskId | None
    type: Literal["step_skipped"] = "step_skipped"


@dataclass(slots=True)
class StepCancelled(_Stamped):
    """A step was stopped, or never started, because the run was."""

    step: TaskId
    reason: str
    type: Literal["step_cancelled"] = "step_cancelled"


@dataclass(slots=True)
class ReplanStarted(_Stamped):
    """The joiner asked for more steps. `replan` counts from 1."""

    replan: int
    reason: str
    type: Literal["replan_started"] = "replan_started"


@dataclass(slots=True)
class PassApplied(_Stamped):
    """A pass changed what will run. `name` is the pass, `steps` those it changed, `detail` says how.

    `saved` counts tool calls that will not be made because of it.
    """

    name: PassName
    steps: tuple[TaskId, ...]
    detail: str
    saved: int
    type: Literal["pass_applied"] = "pass_applied"


@dataclass(slots=True)
class StepFellBack(_Stamped):
    """A step's tool failed for good, and the fallback `tool` is called with the same arguments."""

    step: TaskId
    tool: str
    message: str
    type: Literal["step_fell_back"] = "step_fell_back"


@dataclass(slots=True)
class StepMending(_Stamped):
    """A step failed, and the model is asked to write it again; what needs it waits meanwhile."""

    step: TaskId
    kind: str
    message: str
    attempts: int
    seconds: float
    type: Literal["step_mending"] = "step_mending"


@dataclass(slots=True)
class PlanChanged(_Stamped):
    """Steps of a plan were written anew. `before` and `after` are their lines in the plan language."""

    steps: tuple[TaskId, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    type: Literal["plan_changed"] = "plan_changed"


@dataclass(slots=True)
class StepAwaitingApproval(_Stamped):
    """A step waits for somebody's approval. `digest` stands for this tool with these arguments."""

    step: TaskId
    tool: str
    args: Mapping[str, Json]
    digest: str
    reason: str
    type: Literal["step_awaiting_approval"] = "step_awaiting_approval"


@dataclass(slots=True)
class ApprovalDecided(_Stamped):
    """Somebody approved or denied a step that was waiting; `reason` is theirs and may be empty."""

    step: TaskId
    digest: str
    approved: bool
    reason: str
    type: Literal["approval_decided"] = "approval_decided"


@dataclass(slots=True)
class ResultShortened(_Stamped):
    """A result is too large for the model, which sees a preview and reads the rest by path.

    `chars` is its size written as JSON, `shown` that of the preview, both in characters.
    """

    step: TaskId
    chars: int
    shown: int
    type: Literal["result_shortened"] = "result_shortened"


@dataclass(slots=True)
class LimitReached(_Stamped):
    """A budget of the run is used up. `limit` is its name in `Limits`."""

    limit: str
    value: float
    type: Literal["limit_reached"] = "limit_reached"


@dataclass(slots=True)
class RunPaused(_Stamped):
    """The run ended for now: what is left waits for approval of these steps."""

    pending: tuple[TaskId, ...]
    type: Literal["run_paused"] = "run_paused"


@dataclass(slots=True)
class AnswerDelta(_Stamped):
    """The next piece of the answer."""

    text: str
    type: Literal["answer_delta"] = "answer_delta"


@dataclass(slots=True)
class UsageUpdated(_Stamped):
    """A model call ended; `usage` is the run's sum so far, `call` and `figures` are its own."""

    usage: Usage
    model: str = ""
    call: Usage = field(default_factory=Usage)
    figures: Figures = field(default_factory=Figures)
    type: Literal["usage_updated"] = "usage_updated"


@dataclass(slots=True)
class RunFinished(_Stamped):
    """The run has its answer."""

    answer: str | None
    type: Literal["run_finished"] = "run_finished"


@dataclass(slots=True)
class RunFailed(_Stamped):
    """The run ended without an answer."""

    kind: str
    message: str
    type: Literal["run_failed"] = "run_failed"


@dataclass(slots=True)
class RunCancelled(_Stamped):
    """The run was stopped by its caller."""

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
    PassApplied,
    StepFellBack,
    StepMending,
    PlanChanged,
    StepAwaitingApproval,
    ApprovalDecided,
    ResultShortened,
    LimitReached,
    ReplanStarted,
    AnswerDelta,
    UsageUpdated,
    RunFinished,
    RunFailed,
    RunCancelled,
    RunPaused,
]
EVENT_TYPES: tuple[type, ...] = get_args(Event)
