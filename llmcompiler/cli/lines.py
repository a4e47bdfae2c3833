"""How does an event, or a whole run, read as one line for a person?

Pure text: it does not know terminals, colours or streams.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmcompiler.events import (
    Event,
    PlanFinished,
    PlanIgnored,
    PlanStarted,
    ReplanStarted,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepPlanned,
    StepProgress,
    StepRejected,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from llmcompiler.result import Result

__all__ = ["Line", "Tone", "duration", "line_of", "one_line", "summary"]

Tone: TypeAlias = Literal["plain", "quiet", "good", "bad", "odd"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of progress: `at` in seconds from the run's start, a word, the rest, and its tone."""

    at: float
    word: str
    text: str
    tone: Tone = "plain"

    def __str__(self) -> str:
        return f"{self.at:7.2f} s  {self.word:<8} {self.text}"


def line_of(event: Event, tools: Mapping[str, str]) -> Line | None:
    """Return the line that tells `event`, or None where it is not worth one.

    `tools` gives the tool of each step planned so far, by the step's id.
    """

    def named(step: str) -> str:
        return f"{step} {tools.get(step, '')}".rstrip()

    match event:
        case RunStarted(model=model, tools=known):
            return Line(event.ts, "ask", f"{model}, {_count(len(known), 'tool')}", "quiet")
        case PlanStarted(purpose="repair" | "continue" | "retry" as purpose):
            return Line(event.ts, purpose, _PURPOSES[purpose], "odd")
        case StepPlanned(line=line):
            return Line(event.ts, "plan", one_line(line))
        case StepRejected(message=message, source=source):
            return Line(event.ts, "reject", one_line(f"{source.strip()}: {message}"), "bad")
        case PlanIgnored(text=text, reason=reason):
            return Line(event.ts, "ignore", one_line(f"{reason}: {text.strip()}"), "quiet")
        case PlanFinished(steps=steps) if steps:
            return Line(event.ts, "plan", f"complete, {_count(steps, 'step')}", "quiet")
        case StepStarted(step=step, elements=elements):
            fan = "" if elements is None else f", {_count(elements, 'call')}"
            return Line(event.ts, "start", f"{named(step)}{fan}", "quiet")
        case StepRetrying(step=step, attempt=attempt, wait=wait, message=message):
            again = f"try {attempt} in {duration(wait)}: {message}"
            return Line(event.ts, "retry", one_line(f"{named(step)}  {again}"), "odd")
        case StepFinished(step=step, output=output, seconds=seconds):
            shown = json.dumps(output, ensure_ascii=False)
            return Line(
                event.ts, "done", one_line(f"{named(step)}  {duration(seconds)}  = {shown}"), "good"
            )
        case StepFailed(step=step, message=message, seconds=seconds):
            return Line(
                event.ts, "fail", one_line(f"{named(step)}  {duration(seconds)}  {message}"), "bad"
            )
        case StepSkipped(step=step, reason=reason):
            return Line(event.ts, "skip", one_line(f"{named(step)}  {reason}"), "odd")
        case StepCancelled(step=step, reason=reason):
            return Line(event.ts, "cancel", one_line(f"{named(step)}  {reason}"), "odd")
        case StepProgress(step=step, done=done, total=total, message=message):
            part = f"{done:g}" if total is None else f"{done:g} of {total:g}"
            return Line(event.ts, "work", one_line(f"{named(step)}  {part} {message}"), "quiet")
        case ReplanStarted(reason=reason):
            return Line(event.ts, "replan", one_line(reason or "the model wants more steps"), "odd")
        case _:
            return None


_PURPOSES = {
    "repair": "the rejected lines go back to the model",
    "continue": "the reply was cut; the model goes on from there",
    "retry": "the reply fits no form; the model is asked once more",
}


def summary(result: Result[Any]) -> str:
    """Tell in one line what a run took: steps, critical path, speed-up, tokens."""
    parts: list[str] = []
    ran = [step for step in result.steps if step.timing.seconds > 0]
    if result.steps:
        path = result.critical_path
        chain = " > ".join(path.steps)
        parts.append(f"{_count(len(result.steps), 'step')} in {duration(result.tool_seconds)}")
        parts.append(f"critical path {duration(path.seconds)} (step {_shortened(chain, 40)})")
        if len(ran) > 1:
            parts.append(f"{result.speedup:.1f}x as fast as one by one")
    else:
        parts.append("no steps")
    usage = result.usage
    about = "about " if usage.estimated else ""
    parts.append(
        f"{about}{usage.prefilled_tokens} tokens prefilled, {usage.reused_tokens} reused, "
        f"{usage.completion_tokens} written"
    )
    parts.append(f"{duration(result.seconds)} in all")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Write a time as a person reads it: ``0.4 ms``, ``38 ms``, ``1.25 s``, ``3 min 20 s``."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 119.995:
        return f"{seconds:.2f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def one_line(text: str, limit: int = 240) -> str:
    """Bring a text onto one line without control characters, at most `limit` long."""
    flat = re.sub(r"\s*\n\s*", " ", text.strip("\r\n"))
    shown = "".join(char if char.isprintable() else " " for char in flat)
    return _shortened(shown, limit)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
