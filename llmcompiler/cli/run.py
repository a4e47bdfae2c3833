"""How is a request answered at the command line, and what is left behind whatever happens?

It does not know options (ask), nor how progress looks (progress).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcompiler.cli.ask import Asked
from llmcompiler.cli.exits import complain, status_of
from llmcompiler.cli.files import EventFile, FinalFile, draw
from llmcompiler.cli.interrupts import release_interrupts
from llmcompiler.errors import LLMCompilerError, RunCancelledError

if TYPE_CHECKING:
    from llmcompiler.events import Event
    from llmcompiler.result import Result

__all__ = ["Wanted", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to come of a run beside its answer: `approve` names tools that need not be asked for."""

    approve: Sequence[str]
    events: Path | None
    trace: Path | None
    page: Path | None
    as_json: bool


@dataclass(slots=True)
class _Seen:
    """What has been seen of a run: its events, and its result as soon as there is one."""

    events: list[Event] = field(default_factory=list)
    result: Result[Any] | None = None
    shown: bool = False


def answer(asked: Asked, wanted: Wanted) -> int:
    """Answer the request, write what came of it, and return the exit status."""
    as_json, seen = wanted.as_json, _Seen()
    error: LLMCompilerError | None = None
    try:
        release_interrupts()
        _answer(asked, wanted, seen)
    except KeyboardInterrupt:
        error = RunCancelledError()
    except LLMCompilerError as raised:
        error = raised
    result, shown = seen.result, seen.shown
    if result is not None and error is None:
        error = result.error
    if as_json:
        print(json.dumps(_as_json(result, error, asked.request), ensure_ascii=False, indent=2))
    elif result is not None and result.answer and not shown and error is None:
        print(result.answer)
    if error is not None:
        complain(error)
    if result is not None and not asked.quiet:
        from llmcompiler.cli.lines import summary

        print(summary(result, seen.events), file=sys.stderr)
    return status_of(error)


def _answer(asked: Asked, wanted: Wanted, seen: _Seen) -> None:
    """Run the request and keep what is seen of it, also where it is stopped."""
    import anyio

    from llmcompiler.cli.approve import Consent, terminal_input
    from llmcompiler.cli.progress import progress_for

    request = asked.text()
    printer = _AnswerPrinter(not wanted.as_json and sys.stdout.isatty())
    progress = progress_for(sys.stderr, quiet=asked.quiet)

    async def work(log: EventFile) -> None:
        tools = asked.load_tools()
        asked.check()  # both are cheaper to be wrong about than a model
        consent = Consent(wanted.approve, tools, terminal_input(), progress.held)
        llm = asked.load_model()
        try:
            async with asked.load_agent(llm, tools, consent) as agent:
                sinks = (seen.events.append, log, progress, printer)  # the stream is a turn late
                with progress:
                    run = None
                    try:
                        async with agent.run_stream(request, sinks=sinks) as run:
                            async for _ in run.events():
                                pass
                    finally:
                        if run is not None:
                            with suppress(RuntimeError):  # cancelled before it had begun
                                seen.result = run.result
        finally:
            printer.end()
            seen.shown = printer.written
            with anyio.CancelScope(shield=True):
                await llm.aclose()

    trace, page = FinalFile(wanted.trace, "the trace"), FinalFile(wanted.page, "the page")
    try:
        with EventFile(wanted.events) as log:
            anyio.run(work, log)
    finally:
        if seen.result is not None:
            draw(seen.result, seen.events, trace, page)


class _AnswerPrinter:
    """Writes the answer to a terminal while it is being written."""

    def __init__(self, active: bool) -> None:
        self._active = active
        self._open = False
        self.written = False

    def __call__(self, event: Event) -> None:
        from llmcompiler.events import AnswerDelta, PlanStarted

        if not self._active:
            return
        if isinstance(event, AnswerDelta):
            text = event.text if self._open else event.text.lstrip()
            if text:
                shown = (char for char in text if char.isprintable() or char in "\n\t")
                sys.stdout.write("".join(shown))
                sys.stdout.flush()
                self._open = self.written = True
        elif isinstance(event, PlanStarted):
            self.end()

    def end(self) -> None:
        """End the line that is open."""
        if self._open:
            self._open = False
            print(flush=True)


def _as_json(result: Result[Any] | None, error: LLMCompilerError | None, request: str) -> Any:
    from llmcompiler.messages import Usage
    from llmcompiler.result import Result as Made
    from llmcompiler.transcript import Transcript

    if result is None:
        result = Made(
            run_id="",
            request=request,
            status="cancelled" if isinstance(error, RunCancelledError) else "failed",
            answer=None,
            output=None,
            error=error,
            plans=(),
            steps=(),
            usage=Usage(),
            seconds=0.0,
            transcript=Transcript(),
        )
    shown = result.to_json()
    if error is not None and result.error is None:  # it was stopped after it had its answer
        shown["status"] = "cancelled" if isinstance(error, RunCancelledError) else "failed"
        shown["error"] = {"type": type(error).__name__, "message": str(error)}
    return shown
