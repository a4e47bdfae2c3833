"""What the tests of passes and effects share: a run of written plans, and what its tools saw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio

from llmcompiler import Agent, Limits, Result
from llmcompiler.events import Event, PassApplied, StepStarted
from llmcompiler.passes import Passes
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from llmcompiler.toolbox import ToolLike

OFF = Passes(merge=False, cache=False, drop=False, bulk=False, order=False)


class Seen:
    """What a run came to, and its events."""

    def __init__(self, result: Result[Any], events: list[Event]) -> None:
        self.result = result
        self.events = events

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def passes(self, name: str) -> list[tuple[tuple[str, ...], int]]:
        """Return the steps and the savings of what a pass did."""
        return [(each.steps, each.saved) for each in self.of(PassApplied) if each.name == name]

    @property
    def starts(self) -> dict[str, float]:
        return {event.step: round(event.ts, 6) for event in self.of(StepStarted)}

    @property
    def ends(self) -> dict[str, float]:
        return {step.task.id: round(step.timing.end, 6) for step in self.result.steps}


def play(
    *replies: str | Reply,
    tools: Iterable[ToolLike],
    passes: Passes | None = None,
    limits: Limits | None = None,
    delay: float = 0.0,
    **options: Any,
) -> Seen:
    """Run plans to their end in virtual time, and then answer; failures are not mended."""

    async def main() -> Seen:
        llm = ScriptedLLM([*replies, "Answer: done"], delay=delay)
        agent = Agent(llm, tools=tools, passes=passes, limits=limits or Limits(mends=0), **options)
        events: list[Event] = []
        with anyio.fail_after(100_000):
            async with agent.run_stream("Do it.", sinks=[events.append]) as stream:
                async for _ in stream.events():
                    pass
        llm.assert_complete()
        return Seen(stream.result, events)

    return run_virtual(main)


def lines(*texts: str, join: str = "join()") -> str:
    """Number the lines of a plan and end it."""
    whole = (*texts, join)
    return "\n".join(f"{number}. {text}" for number, text in enumerate(whole, 1))
