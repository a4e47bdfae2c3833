"""What does the chat look like on a terminal, or in a file that it is piped into?

It does not know models or how a turn is run: it is told events, results and remarks.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from drawing import Drawing, duration, escaped, plain
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from llmcompiler import Agent, Plan, Result, Toolbox
from llmcompiler.approval import ApprovalRequest
from llmcompiler.errors import LLMCompilerError
from llmcompiler.events import AnswerDelta, Event, PlanStarted, StepPlanned
from llmcompiler.graph import to_mermaid
from llmcompiler.language import write_plan

__all__ = ["View"]


class TurnView:
    """Draws one turn while it happens: the plan as a live graph, then the answer as it streams."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawing = Drawing()
        self._live = self._new_live()
        self._live.start()
        self._midline = False  # whether the cursor stands behind a piece of the answer

    def __call__(self, event: Event) -> None:
        """Take in the next event."""
        self._drawing.take(event)
        match event:
            case AnswerDelta(text=text):
                self._freeze()
                self._console.out(plain(text), end="", highlight=False)
                self._midline = True
            case PlanStarted(purpose="retry") | StepPlanned() if self._midline:
                # What was streamed was no answer after all.
                self._end_line()
                self._live.start()
            case _:
                pass

    @contextmanager
    def still(self) -> Generator[None, None, None]:
        """Take the drawing away while the block lasts; it is there again below what was said."""
        live = self._live.is_started
        if live:
            self._live.transient = True
            self._live.stop()
            self._live = self._new_live()  # the old one would go on where it was taken away
        try:
            yield
        finally:
            if live and not self._midline:
                self._live.start()

    def close(self) -> None:
        """Leave what was drawn on the screen."""
        self._freeze()
        self._end_line()

    def _new_live(self) -> Live:
        draw = self._drawing.draw
        return Live(console=self._console, get_renderable=draw, refresh_per_second=10)

    def _freeze(self) -> None:
        if self._live.is_started:
            self._live.stop()
            if self._drawing.shows_something:
                # Where there is no terminal, rich leaves the last line without its end.
                self._console.print("" if self._console.is_terminal else "\n")

    def _end_line(self) -> None:
        if self._midline:
            self._console.print()
        self._midline = False


class View:
    """Everything that the chat says."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turn: TurnView | None = None

    def greet(self, agent: Agent) -> None:
        """Say who is here and what may be typed."""
        tools = "1 tool" if len(agent.tools) == 1 else f"{len(agent.tools)} tools"
        self._console.print(Text.assemble((agent.model.name, "bold"), (f" with {tools}", "")))
        self.remark("Ctrl-C stops a turn, Ctrl-D leaves, /help lists the commands.")

    def turn_begins(self) -> TurnView:
        """Return the view of a new turn, to be called with its events."""
        self._turn = TurnView(self._console)
        return self._turn

    def turn_ends(self, result: Result) -> None:
        """Say how the turn went, in a line."""
        if self._turn is not None:
            self._turn.close()
        match result.status:
            case "finished":
                self.remark(_summary(result))
            case "failed":
                self._console.print(Text(plain(str(result.error)), "red"))
                self.remark(_kept(result))
            case "cancelled":
                self._console.print(Text("Stopped.", "yellow"))
                self.remark(_kept(result))

    @contextmanager
    def asking(self, request: ApprovalRequest) -> Generator[str, None, None]:
        """Say that a step waits for approval, and leave the screen to the question; yield that."""
        turn = self._turn
        if turn is None:
            raise RuntimeError("a step can wait for approval only within a turn")
        with turn.still():
            self._console.print(Text(escaped(request.reason), "yellow"))
            yield f"Approve step {escaped(_call(request))}? [y/N] "

    def waiting(self) -> AbstractContextManager[object]:
        """Show that the model is asked for a plan, while the block lasts."""
        return self._console.status("the model is planning")

    def remark(self, text: str) -> None:
        """Say something in passing."""
        self._console.print(Text(plain(text), "dim"))

    def complain(self, error: LLMCompilerError) -> None:
        """Say what went wrong outside a run."""
        if self._turn is not None:
            self._turn.close()
        self._console.print(Text(plain(str(error)), "red"))

    def list(self, rows: Mapping[str, str]) -> None:
        """Show names and what they stand for."""
        table = Table.grid(padding=(0, 2))
        for name, about in rows.items():
            table.add_row(Text(name, "bold"), Text(about))
        self._console.print(table)

    def tools(self, toolbox: Toolbox) -> None:
        """Show every tool with its parameters and what it does."""
        self.list(
            {
                f"{name}({', '.join(tool.parameters.get('properties', {}))})": tool.description
                for name, tool in toolbox.items()
            }
        )

    def plans(self, plans: Sequence[Plan]) -> None:
        """Show a plan and its replans as a model may write them, and as one graph to paste."""
        for plan in plans:
            self._console.print(Text(plain(write_plan(plan))))
        whole = Plan(tuple(task for plan in plans for task in plan))
        self._console.print(Text(f"\n{plain(to_mermaid(whole)).rstrip()}", "dim"))


def _call(request: ApprovalRequest) -> str:
    pairs = request.args.items()
    args = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs)
    calls = "" if request.elements is None else f"{request.elements} calls of "
    return f"{request.step}, {calls}{request.tool}({args})"


def _summary(result: Result) -> str:
    usage = result.usage
    about = "about " if usage.estimated else ""
    parts = [
        f"{duration(result.seconds)}",
        f"{about}{usage.prefilled_tokens} tokens read, {usage.reused_tokens} reused, "
        f"{usage.completion_tokens} written",
    ]
    if len(result.steps) > 1:
        chain = " → ".join(result.critical_path.steps)
        parts.insert(1, f"critical path {chain}, {duration(result.critical_path.seconds)}")
        if result.speedup >= 1.05:
            parts.insert(2, f"{result.speedup:.1f}x as fast as one by one")
    return " · ".join(parts)


def _kept(result: Result) -> str:
    done = [
        f"{step.task.id} {step.task.tool}" for step in result.steps if step.outcome.status == "ok"
    ]
    finished = f"Finished were {', '.join(done)}." if done else "No step had finished."
    return f"{finished} The chat goes on as it was before this message."
