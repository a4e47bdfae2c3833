"""Which steps does a conversation tell of: those there are, and those to be written again?

It does not know whether a step is legal, nor what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llmcompiler.language import TurnReader
from llmcompiler.plan import Task, TaskId
from llmcompiler.roles import Read
from llmcompiler.transcript import CutOff, Mend, Observed, Rejected, Request, Transcript, Turn

__all__ = ["Steps", "steps_of"]


@dataclass(slots=True)
class Steps:
    """The steps of the present request.

    `tasks` are those that were written and not refused. `rejected` are the ids of the lines that
    may be written again in the coming turn, because they were refused or because their calls
    failed, which `mending` says; `goes_on` says that it writes further lines too.
    """

    tasks: dict[TaskId, Task] = field(default_factory=dict)
    rejected: list[TaskId] = field(default_factory=list)
    goes_on: bool = False
    mending: bool = False


def steps_of(transcript: Transcript) -> Steps:
    """Gather the steps of the last request from what was written, observed and refused."""
    steps = Steps()
    for entry in transcript.entries:
        match entry:
            case Request():
                steps = Steps()
            case Turn(text):
                steps.rejected, steps.goes_on, steps.mending = [], False, False
                reader = TurnReader()
                for item in (*reader.feed(text), *reader.close("stop")):
                    if isinstance(item, Read):
                        steps.tasks.setdefault(item.task.id, item.task)
            case Observed(observation):
                steps.tasks[observation.task.id] = observation.task
            case Rejected(errors):
                for error in errors:
                    if error.task is None:
                        steps.goes_on = True
                    else:
                        steps.rejected.append(TaskId(error.task))
                        steps.tasks.pop(TaskId(error.task), None)
            case Mend(failed):
                steps.mending = True
                for observation in failed:
                    steps.rejected.append(observation.task.id)
                    steps.tasks.pop(observation.task.id, None)
            case CutOff():
                steps.goes_on = True
            case _:
                pass
    return steps
