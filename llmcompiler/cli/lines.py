"""How does an event, or a whole run, read as one line for a person?

Pure text: it does not know terminals, colours or streams.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmcompiler.events import (
    ApprovalDecided,
    Event,
    LimitReached,
    PassApplied,
    PlanChanged,
    PlanFinished,
    PlanIgnored,
    PlanStarted,
    ReplanStarted,
    ResultShortened,
    RunPaused,
    RunStarted,
    StepAwaitingApproval,
    StepCancelled,
    StepFailed,
    StepFellBack,
    StepFinished,
    StepMending,
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
        case RunStarted(request="") | StepPlanned(line=""):  # the plan was there before the run
            return None
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
        case PlanFinished(steps=steps, whole=False) if steps:
            return Line(event.ts, "plan", f"broken off after {_count(steps, 'step')}", "odd")
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
        case StepFellBack(step=step, tool=tool, message=message):
            return Line(
                event.ts, "instead", one_line(f"{named(step)}  now {tool}: {message}"), "odd"
            )
        case StepMending(step=step, message=message, seconds=seconds):
            return Line(
                event.ts, "mend", one_line(f"{named(step)}  {duration(seconds)}  {message}"), "odd"
            )
        case PlanChanged(before=before, after=after):
            return Line(event.ts, "change", one_line(f"{_joined(before)}  =>  {_joined(after)}"))
        case StepAwaitingApproval(step=step, tool=tool, reason=reason):
            return Line(event.ts, "wait", one_line(f"{step} {tool}  for approval: {reason}"), "odd")
        case ApprovalDecided(step=step, approved=approved, reason=reason):
            said = one_line(f"{named(step)}  {reason}".rstrip())
            return (
                Line(event.ts, "approve", said, "good")
                if approved
                else Line(event.ts, "deny", said, "bad")
            )
        case PassApplied(name=name, steps=steps, detail=detail, saved=saved):
            less = "" if saved <= 0 else f", {_saved(saved)}"
            return Line(event.ts, name, one_line(f"{_listed(steps)}  {detail}{less}"), "quiet")
        case ResultShortened(step=step, chars=chars, shown=shown):
            part = f"the model is shown {shown:,} of {chars:,} characters"
            return Line(event.ts, "shorten", f"{named(step)}  {part}", "quiet")
        case LimitReached(limit=limit, value=value):
            return Line(event.ts, "limit", f"{limit}: {value:,g} used up", "bad")
        case RunPaused(pending=pending):
            return Line(event.ts, "pause", f"for the approval of {_listed(pending)}", "odd")
        case _:
            return None


_PURPOSES = {
    "repair": "the rejected lines go back to the model",
    "continue": "the reply was cut; the model goes on from there",
    "retry": "the reply fits no form; the model is asked once more",
}


def summary(result: Result[Any], events: Iterable[Event] = ()) -> str:
    """Tell what a run took: steps, critical path, speed-up, tokens, and what its events add.

    One line, and where there was more than one step another about the bottleneck.
    """
    events = tuple(events)
    parts: list[str] = []
    ran = [step for step in result.steps if step.timing.seconds > 0]
    if result.steps:
        path = result.critical_path
        chain = " > ".join(path.steps)
        parts.append(f"{_count(len(result.steps), 'step')} in {duration(result.tool_seconds)}")
        parts.append(f"critical path {duration(path.seconds)} (step {_shortened(chain, 40)})")
        if len(ran) > 1:
            parts.append(f"{result.speedup:.1f}x as fast as one by one")
        saved = sum(event.saved for event in events if isinstance(event, PassApplied))
        if saved > 0:
            parts.append(_saved(saved))
        mended = {event.step for event in events if isinstance(event, StepMending)}
        if mended:
            parts.append(f"{_count(len(mended), 'step')} mended")
    else:
        parts.append("no steps")
    usage = result.usage
    about = "about " if usage.estimated else ""
    if result.request is not None or usage.model_calls:  # else no model was ever asked
        parts.append(
            f"{about}{usage.prefilled_tokens} tokens prefilled, {usage.reused_tokens} reused, "
            f"{usage.completion_tokens} written"
        )
    if result.cost is not None:
        parts.append(f"cost {_money(result.cost)}")
    parts.append(f"{duration(result.seconds)} in all")
    told = " · ".join(parts)
    if len(ran) > 1:
        from llmcompiler.trace import bottleneck

        told += f"\nbottleneck: {bottleneck(result, events).text}"
    return told


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


def _money(value: float) -> str:
    """Write a cost without an exponent: ``12.50``, ``0.000054``."""
    if value == 0 or value >= 1:
        return f"{value:,.2f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}"


def _saved(calls: int) -> str:
    return f"{_count(calls, 'call')} saved"


def _joined(lines: Sequence[str]) -> str:
    return "; ".join(line.strip() for line in lines)


def _listed(steps: Sequence[str]) -> str:
    shown = ", ".join(steps[:8])
    return shown if len(steps) <= 8 else f"{shown}, … ({len(steps)} in all)"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
