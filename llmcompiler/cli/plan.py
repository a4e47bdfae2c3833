"""How is a plan asked for, looked at and written down at the command line?

It does not know how plans are made, nor their text.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llmcompiler.cli.ask import Asked
from llmcompiler.cli.exits import FAILED, FINISHED
from llmcompiler.cli.files import EventFile, FinalFile
from llmcompiler.cli.freeze import FrozenFile

if TYPE_CHECKING:
    from llmcompiler.dataflow import Flow
    from llmcompiler.plan import Plan
    from llmcompiler.trace import Estimate

__all__ = ["Views", "show_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is to be seen of a plan: in which `form`, with its `estimate`, and its flows (`lint`)."""

    form: Literal["text", "json", "mermaid", "dot"]
    estimate: bool
    lint: bool
    freeze: Path | None
    events: Path | None
    page: Path | None


@dataclass(frozen=True, slots=True)
class _Made:
    plan: Plan
    estimate: Estimate
    flows: tuple[Flow, ...]


def show_plan(asked: Asked, views: Views) -> int:
    """Ask for a plan and print it; return 1 if it was linted and has flows that need approval."""
    page = FinalFile(views.page, "the page")
    frozen = None if views.freeze is None else FrozenFile(views.freeze)
    made = _ask(asked, views.events)
    plan = made.plan
    match views.form:
        case "json":
            print(json.dumps(_as_json(made, views), ensure_ascii=False, indent=2))
        case "mermaid":
            print(plan.to_mermaid(), end="")
        case "dot":
            print(plan.to_dot(), end="")
        case "text":
            from llmcompiler.language import write_plan

            if plan.tasks:
                print(write_plan(plan).rstrip("\n"))
    if not plan.tasks and not asked.quiet:
        print("no plan: the model answers this without a tool", file=sys.stderr)
    if views.form != "json":
        # A drawing is for another program, which must not find our sentences in it.
        _say_more(made, views, quiet=asked.quiet, apart=views.form != "text")
    if page.wanted:
        from llmcompiler.trace import plan_page

        page.write(plan_page(plan, made.estimate))
    if frozen is not None:
        frozen.write(plan, asked.tools or ())
    return FAILED if views.lint and made.flows else FINISHED


def _say_more(made: _Made, views: Views, *, quiet: bool, apart: bool) -> None:
    stream = sys.stderr if apart else sys.stdout
    if views.estimate:
        print(f"\n{made.estimate.text}", file=stream)
    if views.lint and made.flows:
        print("\nneeds approval:", file=stream)
        for flow in made.flows:
            print(f"  {flow.path_text}: {flow.text}", file=stream)
    elif views.lint and not quiet:
        print("no flow of untrusted text or private data needs approval", file=sys.stderr)


def _as_json(made: _Made, views: Views) -> Any:
    from dataclasses import asdict

    from llmcompiler.plan import plan_to_json

    plan = plan_to_json(made.plan)
    if not (views.estimate or views.lint):
        return plan
    shown: dict[str, Any] = {"plan": plan}
    if views.estimate:
        shown["estimate"] = asdict(made.estimate)
    if views.lint:
        shown["flows"] = [{**asdict(flow), "text": flow.text} for flow in made.flows]
    return shown


def _ask(asked: Asked, events: Path | None) -> _Made:
    import anyio

    from llmcompiler.cli.progress import region_for
    from llmcompiler.dataflow import lint

    request = asked.text()

    async def work(log: EventFile) -> _Made:
        tools = asked.load_tools()
        asked.check()
        llm = asked.load_model()
        try:
            async with asked.load_agent(llm, tools) as agent:
                with region_for(sys.stderr, quiet=asked.quiet) as progress:
                    plan = await agent.plan(request, sinks=(log, progress))
                return _Made(plan, agent.estimate(plan), lint(plan, agent.tools))
        finally:
            with anyio.CancelScope(shield=True):
                await llm.aclose()

    with EventFile(events) as log:
        return anyio.run(work, log)
