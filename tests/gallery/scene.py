"""What the gallery shares: a few tools, and a run to its end with all that was seen on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from llmcompiler import Agent, Result, Transcript, tool
from llmcompiler.events import Event, StepStarted
from llmcompiler.messages import LLM
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from llmcompiler.toolbox import ToolLike

LEAVE = "1. join()"  # what a model says that leaves failed steps as they are
ANSWER = "Answer: done"

calls: list[str] = []  # what tools did, in order; emptied before every test


@tool
async def work(name: str, seconds: float = 1.0, after: Any = None) -> str:
    """Work for so many seconds, and return the name."""
    calls.append(name)
    try:
        await anyio.sleep(seconds)
    finally:
        calls.append(f"{name} over")
    return name


@tool
async def fail(message: str) -> str:
    """Fail at once."""
    raise ValueError(message)


@tool
async def say(value: Any) -> Any:
    """Return what it is given."""
    return value


@tool(effects="write")
async def send(text: str) -> str:
    """Send a text to somebody."""
    calls.append(f"send {text}")
    await anyio.sleep(1)
    return "sent"


@tool(effects="write", approve="always")
async def pay(amount: int) -> str:
    """Pay an amount."""
    calls.append(f"pay {amount}")
    return f"paid {amount}"


TOOLS: list[ToolLike] = [work, fail, say, send, pay]


@dataclass(frozen=True)
class Seen:
    """What a run came to, its events, and its model."""

    result: Result[Any]
    events: Sequence[Event]
    llm: ScriptedLLM
    agent: Agent[Any]

    def of(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def starts(self) -> dict[str, float]:
        """When each step's tool was called, in seconds."""
        return {event.step: round(event.ts, 6) for event in self.of(StepStarted)}

    def read(self, prompt: int = -1) -> list[str]:
        """Return what the model read, message by message; of its last turn if not told otherwise."""
        return [message.text for message in self.llm.prompts[prompt].messages]


def play(
    *replies: str | Reply,
    tools: Iterable[ToolLike] = TOOLS,
    request: str = "What is to be done?",
    history: Transcript | None = None,
    chunk: int | None = None,
    delay: float = 0.0,
    first_delay: float = 0.0,
    **options: Any,
) -> Seen:
    """Run to the end, however it ends, in virtual time; every reply must have been asked for."""
    llm = ScriptedLLM(list(replies), chunk=chunk, delay=delay, first_delay=first_delay)
    seen = run_virtual(follow, llm, tools, request, history or Transcript(), options)
    llm.assert_complete()
    return seen


async def follow(
    llm: Any,
    tools: Iterable[ToolLike] = TOOLS,
    request: str = "What is to be done?",
    history: Transcript = Transcript(),  # noqa: B008 - a frozen value
    options: dict[str, Any] | None = None,
) -> Seen:
    """Run to the end on any model, however it ends."""
    model: LLM = llm
    agent = Agent(model, tools=tools, **(options or {}))
    events: list[Event] = []
    async with agent.run_stream(request, history=history, sinks=[events.append]) as stream:
        async for _ in stream.events():
            pass
    return Seen(stream.result, events, llm, agent)
