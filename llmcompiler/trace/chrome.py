"""How is a run written for viewers of Chrome traces, Perfetto first?

It knows that format's fields and units, microseconds, and nothing of how a run came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmcompiler.events import Event
from llmcompiler.plan import Failed, Observation, Ok, TaskId
from llmcompiler.result import Result
from llmcompiler.trace.lanes import lanes
from llmcompiler.trace.notes import Note, notes
from llmcompiler.trace.timeline import ModelTurn, model_turns
from llmcompiler.trace.words import shortened, value_text

__all__ = ["chrome_trace"]

_PROCESS = 1
_NOTES = 1  # the thread of what happened besides; those of the model and the steps follow
_LONGEST = 2000


def chrome_trace(result: Result[Any], events: Iterable[Event] = ()) -> dict[str, Any]:
    """Return the run as an object to write as JSON and open in Perfetto or ``chrome://tracing``.

    One process; threads for what happened besides, for the model's turns, and for steps, as many
    as ran at once. An arrow leads from each step to those that read its result. Values longer than
    2000 characters are shortened.
    """
    events = tuple(events)
    turns = model_turns(events)
    ran = [step for step in result.steps if _ran(step)]
    turn_spans = [_span(turn.start, turn.end) for turn in turns]
    step_spans = [_span(step.timing.start, step.timing.end) for step in ran]
    turn_lanes, step_lanes = lanes(turn_spans), lanes(step_spans)
    first_turn = _NOTES + 1
    first_step = first_turn + max(turn_lanes, default=0) + 1
    written = [_meta("process_name", 0, name=f"run {result.run_id}")]
    written += _thread(_NOTES, "notes")
    for lane in range(first_turn, first_step):
        written += _thread(lane, "model")
    for lane in sorted(set(step_lanes)):
        written += _thread(first_step + lane, f"steps {lane + 1}")
    for turn, span, lane in zip(turns, turn_spans, turn_lanes, strict=True):
        written.append(_turn(turn, span, first_turn + lane))
    placed: dict[TaskId, tuple[tuple[int, int], int]] = {}
    for step, span, lane in zip(ran, step_spans, step_lanes, strict=True):
        placed[step.task.id] = span, first_step + lane
        written.append(_step(step, span, first_step + lane))
    written += _arrows(ran, placed)
    written += [_instant(note) for note in notes(events)]
    return {
        "traceEvents": written,
        "displayTimeUnit": "ms",
        "otherData": {
            "request": result.request,
            "status": result.status,
            "seconds": result.seconds,
            "critical_path": list(result.critical_path.steps),
        },
    }


def _ran(step: Observation) -> bool:
    return isinstance(step.outcome, Ok | Failed) or step.timing.end > step.timing.start


def _span(start: float, end: float) -> tuple[int, int]:
    """Return whole microseconds, at least one of them: what has no length cannot be seen."""
    first = round(start * 1e6)
    return first, max(first + 1, round(end * 1e6))


def _event(phase: str, name: str, category: str, ts: int, thread: int) -> dict[str, Any]:
    return {
        "ph": phase,
        "name": name,
        "cat": category,
        "ts": ts,
        "pid": _PROCESS,
        "tid": thread,
    }


def _meta(kind: str, thread: int, **args: Any) -> dict[str, Any]:
    return {**_event("M", kind, "__metadata", 0, thread), "args": args}


def _thread(thread: int, name: str) -> list[dict[str, Any]]:
    return [
        _meta("thread_name", thread, name=name),
        _meta("thread_sort_index", thread, sort_index=thread),
    ]


def _turn(turn: ModelTurn, span: tuple[int, int], thread: int) -> dict[str, Any]:
    event = _event("X", f"turn {turn.number}: {turn.purpose}", "model", span[0], thread)
    return {**event, "dur": span[1] - span[0], "args": {"purpose": turn.purpose}}


def _step(step: Observation, span: tuple[int, int], thread: int) -> dict[str, Any]:
    name = f"{step.task.id} {step.task.tool}"
    outcome = step.outcome
    args: dict[str, Any] = {
        "step": step.task.id,
        "tool": step.task.tool,
        "needs": list(step.task.needs),
        "arguments": None if step.args is None else _value(step.args),
        "status": outcome.status,
        "waited_ms": round(1000 * max(0.0, step.timing.start - step.timing.ready), 3),
    }
    if isinstance(outcome, Ok):
        args["output"] = _value(outcome.value)
    elif isinstance(outcome, Failed):
        args["error"] = shortened(f"{outcome.kind}: {outcome.message}", _LONGEST)
        args["attempts"] = outcome.attempts
    else:
        args["error"] = shortened(outcome.reason, _LONGEST)
    return {**_event("X", name, "step", span[0], thread), "dur": span[1] - span[0], "args": args}


def _value(value: Any) -> str:
    return shortened(value_text(value), _LONGEST)


def _arrows(
    ran: list[Observation], placed: dict[TaskId, tuple[tuple[int, int], int]]
) -> list[dict[str, Any]]:
    """Lead an arrow out of the last microsecond of each step into the first of those that read it."""
    arrows: list[dict[str, Any]] = []
    for step in ran:
        for need in step.task.needs:
            if need not in placed:
                continue
            number = len(arrows) // 2 + 1
            (_, end), thread = placed[need]
            (start, _), other = placed[step.task.id]
            leaves = _event("s", "result", "needs", min(end - 1, start), thread)
            arrives = _event("f", "result", "needs", start, other)
            arrows += [{**leaves, "id": number}, {**arrives, "id": number, "bp": "e"}]
    return arrows


def _instant(note: Note) -> dict[str, Any]:
    event = _event("i", note.kind, "note", round(note.ts * 1e6), _NOTES)
    text = shortened("\n".join((note.text, *note.lines)), _LONGEST)
    return {**event, "s": "t", "args": {"steps": list(note.steps), "text": text}}
