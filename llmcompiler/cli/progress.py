"""How does a run look on standard error while it goes on?

Two readers of events: plain lines for a log, and the same lines in colour above a live region for
a terminal. Neither knows who runs what.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from llmcompiler.cli.lines import Line, Tone, duration, line_of, one_line
from llmcompiler.events import (
    AnswerDelta,
    Event,
    PlanDelta,
    PlanFinished,
    PlanStarted,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepPlanned,
    StepStarted,
)

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["LiveProgress", "PlainProgress", "Progress", "Silence", "progress_for", "region_for"]

_ROWS = 8  # running steps shown at once; the rest is counted
_BREATH = 0.05  # seconds between two writings
_LOADING = "loading the model"


class Progress(Protocol):
    """A reader of events for a person: a context manager around a run, called with each event."""

    def __call__(self, event: Event) -> None: ...
    def held(self) -> AbstractContextManager[None]:
        """Write nothing while the block lasts: somebody is being asked something."""
        ...

    def __enter__(self) -> Progress: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def progress_for(stream: TextIO, *, quiet: bool, waiting: str = _LOADING) -> Progress:
    """Return the progress that suits `stream`: nothing, plain lines, or live on a terminal.

    `waiting` is what the live one says before anything has happened.
    """
    if quiet:
        return Silence()
    return LiveProgress(stream, waiting=waiting) if stream.isatty() else PlainProgress(stream)


def region_for(stream: TextIO, *, quiet: bool) -> Progress:
    """Return only the live region, for where the lines themselves are the output."""
    return Silence() if quiet or not stream.isatty() else LiveProgress(stream, lines=False)


class Silence:
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        """Take an event and say nothing."""

    def held(self) -> AbstractContextManager[None]:
        """Say nothing in the block either."""
        return nullcontext()

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        return


class PlainProgress:
    """Writes a line for each event that is worth one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tools: dict[str, str] = {}
        self._holds = 0
        self._late: list[Line] = []

    def __call__(self, event: Event) -> None:
        """Write the event's line."""
        if isinstance(event, StepPlanned):
            self._tools[event.step] = event.tool
        line = line_of(event, self._tools)
        if line is not None:
            self._late.append(line)
            self._write()

    def _write(self) -> None:
        while self._late and not self._holds:
            print(self._late.pop(0), file=self._stream, flush=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write nothing while the block lasts, and what came meanwhile after it."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._write()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return


_STYLES: dict[Tone, str] = {
    "plain": "",
    "quiet": "dim",
    "good": "green",
    "bad": "red",
    "odd": "yellow",
}


class LiveProgress:
    """The same lines in colour; below them, what is being written and what is running now."""

    def __init__(
        self,
        stream: TextIO,
        *,
        lines: bool = True,
        waiting: str = _LOADING,
        clock: Callable[[], float] = monotonic,
    ) -> None:

        from rich.console import Console
        from rich.live import Live

        self._clock = clock
        self._lines = lines
        self._console = Console(file=stream, stderr=stream is sys.stderr, highlight=False)
        self._tools: dict[str, str] = {}
        self._running: dict[str, float] = {}
        self._waiting = waiting
        self._writing = ""
        self._zero = self._clock()
        self._open = False
        self._holds = 0
        self._pending: list[Text] = []
        self._flushed = 0.0
        self._live = Live(
            console=self._console,
            get_renderable=self._region,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveProgress:
        self._live.start()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, event: Event) -> None:
        """Write the event's line and bring the live region up to date."""
        match event:
            case RunStarted():
                self._zero = self._clock() - event.ts
            case PlanStarted():
                self._waiting = "the model is thinking"
                self._writing = ""
            case PlanDelta(text=text):
                self._writing = (self._writing + text).rpartition("\n")[2]
            case StepPlanned(step=step, tool=tool, line=written):
                self._tools[step] = tool
                if self._writing.strip() == written.strip():
                    self._writing = ""
            case PlanFinished():
                self._writing = ""
            case StepStarted(step=step):
                self._running[step] = event.ts
            case StepFinished(step=step) | StepFailed(step=step) | StepCancelled(step=step):
                self._running.pop(step, None)
            case AnswerDelta():
                self._close()  # the answer is written where the region was
                return
            case _:
                pass
        line = line_of(event, self._tools)
        if line is not None and self._lines:
            self._pending.append(_styled(line))
            if self._clock() - self._flushed > _BREATH:
                self._flush()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leave the screen to a question while the block lasts; what comes meanwhile is kept."""
        if self._open and not self._holds:
            self._flush()
            self._live.stop()
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._open and not self._holds:
                self._live.start()
                self._flush()

    def _flush(self) -> None:
        """Write the lines since the last time; each writing draws the region anew, which costs."""
        if self._holds:
            return
        lines, self._pending = self._pending, []
        self._flushed = self._clock()
        if lines:
            self._console.print(*lines, sep="\n", overflow="ellipsis", no_wrap=True)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._flush()
            self._live.stop()

    def _region(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        now = self._clock() - self._zero
        dots = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(now * 10) % 10]
        running = list(self._running.items())
        rows = list(self._pending)
        for step, began in running[:_ROWS]:
            named = f"{step} {self._tools.get(step, '')}  {duration(now - began)}"
            rows.append(Text(f"{now:7.2f} s  {dots} {named}"))
        if len(running) > _ROWS:
            rows.append(Text(f"{now:7.2f} s  … and {len(running) - _ROWS} more steps running"))
        if self._writing.strip():
            rows.append(Text(f"{now:7.2f} s  writing  {one_line(self._writing, 120)}▏", "dim"))
        elif not running:
            rows.append(Text(f"{now:7.2f} s  {dots} {self._waiting}", "dim"))
        return Group(*rows)


def _styled(line: Line) -> Text:
    from rich.text import Text

    return Text.assemble(
        (f"{line.at:7.2f} s  ", "dim"),
        (f"{line.word:<8} ", _STYLES[line.tone] or "bold"),
        (line.text, _STYLES[line.tone] if line.tone in ("quiet", "bad") else ""),
    )
