"""What happened on the way besides steps that simply ran: refusals, retries, passes, approvals, mends?

It words events for a reader and does not know how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmcompiler.events import (
    ApprovalDecided,
    Event,
    LimitReached,
    PassApplied,
    PlanChanged,
    PlanIgnored,
    ReplanStarted,
    ResultShortened,
    RunPaused,
    StepAwaitingApproval,
    StepCancelled,
    StepFellBack,
    StepMending,
    StepRejected,
    StepRetrying,
    StepSkipped,
)
from llmcompiler.trace.words import counted, seconds_text, step_list

__all__ = ["Note", "notes"]


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened, at `ts` seconds: a kind in a word, the steps it is about, a text.

    `lines` are plan lines that belong to it, with ``- `` or ``+ `` in front.
    """

    ts: float
    kind: str
    steps: tuple[str, ...]
    text: str
    lines: tuple[str, ...] = ()


def notes(events: Iterable[Event]) -> tuple[Note, ...]:
    """Return what there is to say of the events, in their order; of most there is nothing."""
    return tuple(note for event in events if (note := _note(event)) is not None)


def _note(event: Event) -> Note | None:
    match event:
        case StepRejected():
            said = f"line {event.line} was refused: {event.message}"
            about = () if event.step is None else (event.step,)
            return Note(event.ts, "refused", about, said, (f"- {event.source}",))
        case PlanIgnored():
            unused = (f"- {event.text}",) if event.text else ()
            return Note(event.ts, "ignored", (), event.reason, unused)
        case StepRetrying():
            wait = f" after {seconds_text(event.wait)}" if event.wait else ""
            return _of(event, "retry", f"try {event.attempt}{wait}: {event.message}")
        case StepFellBack():
            return _of(event, "fallback", f"{event.tool} is called instead: {event.message}")
        case StepMending():
            tries = counted(event.attempts, "call")
            return _of(event, "mend", f"{event.kind} after {tries}: {event.message}")
        case StepSkipped():
            return _of(event, "skipped", event.reason)
        case StepCancelled():
            return _of(event, "cancelled", event.reason)
        case StepAwaitingApproval():
            return _of(event, "asked", f"{event.tool} waits for approval: {event.reason}")
        case ApprovalDecided():
            said = "it may run, exactly as shown" if event.approved else "it may not run"
            reason = f": {event.reason}" if event.reason else ""
            return _of(event, "approved" if event.approved else "denied", said + reason)
        case ResultShortened():
            said = f"the model saw {event.shown} of {event.chars} characters of the result"
            return _of(event, "shortened", said)
        case PlanChanged():
            lines = (
                *(f"- {line}" for line in event.before),
                *(f"+ {line}" for line in event.after),
            )
            said = f"{step_list(event.steps)} written anew" if event.steps else "written anew"
            return Note(event.ts, "changed", event.steps, said, lines)
        case PassApplied():
            saved = f" (saved {counted(event.saved, 'call')})" if event.saved else ""
            return Note(event.ts, f"pass {event.name}", event.steps, f"{event.detail}{saved}")
        case LimitReached():
            return Note(event.ts, "limit", (), f"{event.limit} is used up: {event.value:g}")
        case ReplanStarted():
            said = event.reason or "the model asked for more steps"
            return Note(event.ts, "replan", (), said)
        case RunPaused():
            said = f"the run waits for approval of {step_list(event.pending)}"
            return Note(event.ts, "paused", event.pending, said)
        case _:
            return None


_OfAStep = (
    StepRetrying
    | StepFellBack
    | StepMending
    | StepSkipped
    | StepCancelled
    | StepAwaitingApproval
    | ApprovalDecided
    | ResultShortened
)


def _of(event: _OfAStep, kind: str, text: str) -> Note:
    return Note(event.ts, kind, (event.step,), text)
