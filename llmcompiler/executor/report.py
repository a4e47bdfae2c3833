"""How is it told what became of a step?

It does not know who reads it.
"""

from __future__ import annotations

from typing import assert_never

from llmcompiler.events import Emitter, StepCancelled, StepFailed, StepFinished, StepSkipped
from llmcompiler.plan import Cancelled, Failed, Observation, Ok, Skipped

__all__ = ["report"]


def report(emitter: Emitter, observation: Observation) -> None:
    """Emit the event that tells a step's outcome."""
    step, outcome, timing = observation.task.id, observation.outcome, observation.timing
    seconds = timing.end - timing.start
    match outcome:
        case Ok():
            emitter.emit(StepFinished, step, outcome.value, seconds)
        case Failed(kind, message, attempts):
            emitter.emit(StepFailed, step, kind, message, attempts, seconds)
        case Skipped(reason, because):
            emitter.emit(StepSkipped, step, reason, because)
        case Cancelled(reason):
            emitter.emit(StepCancelled, step, reason)
        case _:
            assert_never(outcome)
