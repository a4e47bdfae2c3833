"""How is a plan asked for and written down at the command line?

It does not know how plans are made, nor their text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmcompiler.cli.ask import Asked, EventFile

if TYPE_CHECKING:
    from llmcompiler.plan import Plan

__all__ = ["show_plan"]


def show_plan(asked: Asked, events: Path | None, form: Literal["text", "json", "mermaid"]) -> None:
    """Ask for a plan and print it in `form`; raise what goes wrong."""
    plan = _ask(asked, events)
    match form:
        case "json":
            from llmcompiler.plan import plan_to_json

            print(json.dumps(plan_to_json(plan), ensure_ascii=False, indent=2))
        case "mermaid":
            from llmcompiler.graph import to_mermaid

            print(to_mermaid(plan), end="")
        case "text":
            from llmcompiler.language import write_plan

            if plan.tasks:
                print(write_plan(plan).rstrip("\n"))
    if not plan.tasks and not asked.quiet:
        print("no plan: the model answers this without a tool", file=sys.stderr)


def _ask(asked: Asked, events: Path | None) -> Plan:
    import anyio

    from llmcompiler.agent import Agent
    from llmcompiler.cli.progress import region_for

    request = asked.text()

    async def work(log: EventFile) -> Plan:
        tools, limits = asked.load_tools(), asked.limits()
        llm = asked.load_model()
        try:
            agent = Agent(llm, tools=tools.values(), limits=limits)
            with region_for(sys.stderr, quiet=asked.quiet) as progress:
                return await agent.plan(request, sinks=(log, progress))
        finally:
            with anyio.CancelScope(shield=True):
                await llm.aclose()

    with EventFile(events) as log:
        return anyio.run(work, log)
