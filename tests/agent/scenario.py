"""What the tests of the loop share: three tools, and a run to its end on a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from llmcompiler import Agent, Limits, Result, tool
from llmcompiler.events import (
    Event,
)
from llmcompiler.messages import Prompt
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual

calls: list[str] = []


@tool
async def price(item: str) -> float:
    """Look a price up.

    Args:
        item: What to look up.
    """
    calls.append(item)
    await anyio.sleep(1)
    if item == "ghost":
        raise ValueError("there is no such item")
    return float(len(item))


@tool
async def add(left: float, right: float) -> float:
    """Add two numbers."""
    calls.append(f"{left}+{right}")
    await anyio.sleep(1)
    return left + right


@tool(effects="write")
async def book(item: str) -> str:
    """Book an item."""
    calls.append(f"book {item}")
    return f"booked {item}"


TOOLS = [price, add, book]
PLAN = '1. price(item="pen")\n2. price(item="ruler")\n3. add(left=$1, right=$2)\n4. join()'


class Outcome:
    """What a run came to, with what its model was asked and what was seen on the way."""

    def __init__(self, result: Result[Any], llm: ScriptedLLM, events: Sequence[Event]) -> None:
        self.result = result
        self.prompts: list[Prompt] = list(llm.prompts)
        self.events = events

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def last_texts(self, prompt: int = -1) -> list[str]:
        return [message.text for message in self.prompts[prompt].messages]


def run(
    *replies: str | Reply,
    request: str = "What do they cost?",
    limits: Limits | None = None,
    output_type: Any = str,
    **scripted: Any,
) -> Outcome:
    """Run to the end, however it ends; every reply must have been asked for."""

    async def main() -> Outcome:
        llm = ScriptedLLM(list(replies), **scripted)
        agent = Agent(llm, tools=TOOLS, limits=limits, output_type=output_type)
        events: list[Event] = []
        async with agent.run_stream(request, sinks=[events.append]) as stream:
            async for _ in stream.events():
                pass
        llm.assert_complete()
        return Outcome(stream.result, llm, events)

    return run_virtual(main)
