"""How is a request answered at the command line, and what is left behind whatever happens?

It does not know options (ask), nor how progress looks (progress).
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcompiler.cli.ask import Asked, EventFile
from llmcompiler.cli.exits import complain, status_of
from llmcompiler.cli.interrupts import release_interrupts
from llmcompiler.errors import LLMCompilerError, RunCancelledError

if TYPE_CHECKING:
    from llmcompiler.events import Event
    from llmcompiler.result import Result

__all__ = ["answer"]


def answer(asked: Asked, events: Path | None, *, as_json: bool) -> int:
    """Answer the request, write what came of it, and return the exit status."""
    held: list[Result[Any]] = []  # filled as soon as the run has a result, also a cancelled one
    error: LLMCompilerError | None = None
    shown = False
    try:
        release_interrupts()
        shown = _answer(asked, events, held, stream=not as_json and sys.stdout.isatty())
    except KeyboardInterrupt:
        error = RunCancelledError()
    except LLMCompilerError as raised:
        error = raised
    result = held[0] if held else None
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

        print(summary(result), file=sys.stderr)
    return status_of(error)


def _answer(asked: Asked, events: Path | None, held: list[Result[Any]], *, stream: bool) -> bool:
    """Run the request; return whether the answer has been written already."""
    import anyio

    from llmcompiler.agent import Agent
    from llmcompiler.cli.progress import progress_for

    request = asked.text()
    printer = _AnswerPrinter(stream)

    async def work(log: EventFile) -> None:
        tools, limits = asked.load_tools(), asked.limits()  # cheaper to be wrong about
        llm = asked.load_model()
        try:
            agent = Agent(llm, tools=tools.values(), limits=limits)
            with progress_for(sys.stderr, quiet=asked.quiet) as progress:
                run = None
                try:
                    sinks = (log, progress, printer)  # told at once; the stream is a loop turn late
                    async with agent.run_stream(request, sinks=sinks) as run:
                        async for _ in run.events():
                            pass
                finally:
                    if run is not None:
                        with suppress(RuntimeError):  # cancelled before it had begun
                            held.append(run.result)
        finally:
            printer.end()
            with anyio.CancelScope(shield=True):
                await llm.aclose()

    with EventFile(events) as log:
        anyio.run(work, log)
    return printer.written


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
