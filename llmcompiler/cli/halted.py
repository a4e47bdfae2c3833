"""What had a workflow come to when it was stopped, as far as its events tell?

It does not know why it was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from llmcompiler.errors import LLMCompilerError
from llmcompiler.events import (
    Event,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepSkipped,
    StepStarted,
    UsageUpdated,
)
from llmcompiler.messages import Usage
from llmcompiler.plan import Cancelled, Failed, Observation, Ok, Outcome, Plan, Skipped, Timing
from llmcompiler.result import Result, Status
from llmcompiler.transcript import Transcript

__all__ = ["halted_result"]


def halted_result(
    plan: Plan | None, events: Iterable[Event], error: LLMCompilerError | None, status: Status
) -> Result[str | None]:
    """Return a result with what had become of each step; `plan` is None where none was made."""
    tasks = {} if plan is None else {task.id: task for task in plan}
    started: dict[str, StepStarted] = {}
    steps: list[Observation] = []
    run_id, usage, last = "", Usage(), 0.0
    for event in events:
        run_id, last = event.run_id, event.ts
        match event:
            case StepStarted():
                started[event.step] = event
            case UsageUpdated():
                usage = event.usage
            case StepFinished() | StepFailed() | StepSkipped() | StepCancelled():
                if event.step in tasks:
                    before = started.get(event.step)
                    start = event.ts if before is None else before.ts
                    args = None if before is None else before.args
                    timing = Timing(start, start, event.ts)
                    steps.append(Observation(tasks[event.step], _outcome(event), timing, args))
            case _:
                pass
    return Result(
        run_id=run_id,
        request=None,
        status=status,
        answer=None,
        output=None,
        error=error,
        plans=() if plan is None else (plan,),
        steps=tuple(steps),
        usage=usage,
        seconds=last,
        transcript=Transcript(),
    )


def _outcome(event: StepFinished | StepFailed | StepSkipped | StepCancelled) -> Outcome:
    match event:
        case StepFinished():
            return Ok(event.output)
        case StepFailed():
            return Failed(event.kind, event.message, event.attempts)
        case StepSkipped():
            return Skipped(event.reason, event.because)
        case StepCancelled():
            return Cancelled(event.reason)
        case _:
            assert_never(event)
