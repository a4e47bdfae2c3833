"""How does a turn look so far: its steps as a graph, the state of each, and when each ran?

It does not know whether anybody looks: events go in, a rich table comes out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from rails import rails
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llmcompiler.events import (
    AnswerDelta,
    ApprovalDecided,
    Event,
    LimitReached,
    PlanChanged,
    PlanDelta,
    PlanFinished,
    PlanStarted,
    ReplanStarted,
    RunCancelled,
    RunFailed,
    RunFinished,
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

__all__ = ["Drawing", "duration", "escaped", "plain"]

_SIGNS = {  # what stands for a step in the graph, and its colour
    "waits": ("○", "dim"),
    "asked": ("?", "yellow"),
    "runs": ("◐", "cyan"),
    "done": ("●", "green"),
    "failed": ("✗", "red"),
    "skipped": ("◌", "yellow"),
    "stopped": ("■", "yellow"),
}


@dataclass(slots=True)
class _Step:
    """One row. `start` and `end` are in seconds from the start of the run."""

    line: str
    needs: tuple[str, ...]
    state: str = "waits"
    note: str = ""
    start: float | None = None
    end: float | None = None


@dataclass
class Drawing:
    """A turn as far as it has come; one thread may tell it what happens while another draws."""

    _lock: Lock = field(default_factory=Lock)
    _steps: dict[str, _Step] = field(default_factory=dict)
    _remarks: list[str] = field(default_factory=list)
    _writing: str = ""
    _waits: bool = True  # for the model
    _zero: float = field(default_factory=monotonic)
    _end: float | None = None

    def take(self, event: Event) -> None:
        """Take in what happened."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted(ts=ts):
                self._zero = monotonic() - ts
            case PlanStarted():
                self._waits, self._writing = True, ""
            case PlanDelta(text=text):
                self._writing = (self._writing + text).rpartition("\n")[2]
            case StepPlanned(step=step, line=line, needs=needs):
                self._steps[step] = _Step(plain(line.strip()), needs)
            case PlanChanged(before=before, after=after):
                self._remarks.append(f"mended: {'; '.join(before)}  =>  {'; '.join(after)}")
            case LimitReached(limit=limit, value=value):
                self._remarks.append(f"the limit of {value:,g} {limit} is used up")
            case StepRejected(source=source, message=message):
                self._remarks.append(f"refused: {source.strip()}: {message}")
            case ReplanStarted(reason=reason):
                self._remarks.append(f"replan: {reason}" if reason else "replan")
            case PlanFinished():
                self._writing = ""
            case AnswerDelta():
                self._waits = False
            case RunFinished() | RunFailed() | RunCancelled():
                self._waits, self._end = False, event.ts
            case _:
                self._take_step(event)

    def _take_step(self, event: Event) -> None:
        step = self._steps.get(getattr(event, "step", ""))
        if step is None:
            return
        match event:
            case StepAwaitingApproval(reason=reason):
                step.state, step.note = "asked", reason
            case ApprovalDecided(approved=approved, reason=reason):
                step.state = "waits"
                step.note = "approved" if approved else f"denied {reason}".rstrip()
            case StepMending(ts=ts, message=message):
                step.state, step.note, step.end = "failed", message, ts
            case StepFellBack(tool=tool):
                step.note = f"now {tool}"
            case StepStarted(ts=ts, elements=elements):
                step.state, step.start = "runs", ts
                step.note = "" if elements is None else f"{elements} calls"
            case StepProgress(message=message, done=done):
                step.note = message or f"{done:g}"
            case StepRetrying(attempt=attempt, message=message):
                step.note = f"try {attempt}: {message}"
            case StepFinished(ts=ts, output=output):
                step.state, step.end = "done", ts
                step.note = json.dumps(output, ensure_ascii=False)
            case StepFailed(ts=ts, message=message):
                step.state, step.note, step.end = "failed", message, ts
            case StepSkipped(ts=ts, reason=reason):
                step.state, step.note, step.end = "skipped", reason, ts
            case StepCancelled(ts=ts, reason=reason):
                step.state, step.note, step.end = "stopped", reason, ts
            case _:
                pass

    @property
    def shows_something(self) -> bool:
        """Whether there is anything to see but waiting."""
        return bool(self._steps or self._remarks)

    def draw(self) -> RenderableType:
        """Draw it as it is now."""
        with self._lock:
            return self._draw()

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._steps:
            parts.append(self._graph())
        parts += [Text(plain(remark), "yellow") for remark in self._remarks]
        if self._writing.strip() and self._end is None:
            parts.append(Text(plain(self._writing) + "▏", "dim", no_wrap=True, overflow="ellipsis"))
        elif self._waits and not self._running():
            parts.append(Spinner("dots", Text("the model is thinking", "dim"), style="dim"))
        return Group(*parts)

    def _running(self) -> bool:
        return any(step.state == "runs" for step in self._steps.values())

    def _graph(self) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column(width=14)
        table.add_column(width=7, justify="right", no_wrap=True)
        now = self._end if self._end is not None else monotonic() - self._zero
        ran = [step for step in self._steps.values() if step.start is not None]
        first = min((step.start or 0.0 for step in ran), default=now)
        last = max((now if step.end is None else step.end for step in ran), default=now)
        drawn = rails({name: step.needs for name, step in self._steps.items()})
        for step, rail in zip(self._steps.values(), drawn, strict=True):
            sign, colour = _SIGNS[step.state]
            before, _, behind = rail.partition("●")
            bar: RenderableType = ""
            took = ""
            if step.start is not None:
                end = now if step.end is None else step.end
                bar = Bar(max(last - first, 1e-9), step.start - first, end - first, color=colour)
                took = duration(end - step.start)
            table.add_row(
                Text.assemble(before, (sign, colour), behind),
                Text(step.line, "dim" if step.state == "waits" else ""),
                Text(plain(step.note), colour),
                bar,
                Text(took, "dim"),
            )
        return table


def plain(text: str) -> str:
    """Return a text without what would steer a terminal."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def escaped(text: str) -> str:
    """Return a text in which what would steer a terminal, or hide, is an escape to be seen."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def duration(seconds: float) -> str:
    """Write a time for a person: ``0.4 ms``, ``38 ms``, ``1.25 s``."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
