"""How is a workflow that nobody runs looked at: its steps, its edges, a drawing, an estimate?

It does not know how workflows become plans.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_never

from llmcompiler.cli.exits import FAILED, FINISHED
from llmcompiler.cli.files import FinalFile
from llmcompiler.cli.inputs import given_inputs
from llmcompiler.cli.lines import one_line
from llmcompiler.errors import ConfigurationError
from llmcompiler.passes import Durations
from llmcompiler.plan import Argument, Each, Expression, Plan, Ref, Task, plan_to_json
from llmcompiler.trace import Estimate, estimate, plan_page
from llmcompiler.workflow import Workflow

if TYPE_CHECKING:
    from llmcompiler.cli.plan import Views

__all__ = ["Form", "draw_graph", "form_of", "refuse_idle", "show_workflow"]

Form = Literal["mermaid", "dot", "html"]
_BY_SUFFIX: Mapping[str, Form] = {
    ".html": "html",
    ".htm": "html",
    ".dot": "dot",
    ".gv": "dot",
}
_WIDEST = 100  # characters of a step's call
_IDLE = {"model", "tools", "max_replans", "timeout", "limit", "price", "events", "freeze"} | {
    "gpu_layers",
    "context",
    "threads",
    "option",
}


def refuse_idle(named: Iterable[str]) -> None:
    """Raise `ConfigurationError` for options that change nothing where nothing is asked or run."""
    for name in sorted(named):
        if name in _IDLE:
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(
                f"{option} is for requests: to show a workflow's plan no model is asked and "
                f"nothing is run"
            )


def show_workflow(
    file: Path,
    views: Views,
    *,
    pairs: Sequence[str] | None,
    inputs: Path | None,
    cache: Path | None,
) -> int:
    """Print the steps of a workflow, what they wait for, and what it would take."""
    page = FinalFile(views.page, "the page")
    workflow = Workflow.load(file)
    plan = _plan(workflow, pairs, inputs)
    found = _estimate(workflow, plan, cache)
    flows: tuple[Any, ...] = ()
    if views.lint:
        from llmcompiler.dataflow import lint

        flows = lint(plan, workflow.tools)
    match views.form:
        case "json":
            shown: dict[str, Any] = {
                "workflow": workflow.name,
                "plan": plan_to_json(plan),
                "edges": [[need, task.id] for task in plan for need in task.needs],
                "estimate": asdict(found),
            }
            if views.lint:
                shown["flows"] = [{**asdict(flow), "text": flow.text} for flow in flows]
            print(json.dumps(shown, ensure_ascii=False, indent=2))
        case "mermaid":
            print(plan.to_mermaid(), end="")
        case "dot":
            print(plan.to_dot(), end="")
        case "text":
            print("\n".join(_lines(workflow, plan)))
            print(f"\n{found.text}")
            if flows:
                print("\nneeds approval:")
            for flow in flows:
                print(f"  {flow.path_text}: {flow.text}")
        case _:
            assert_never(views.form)
    if page.wanted:
        page.write(plan_page(replace(plan, request=workflow.name), found))
    return FAILED if flows else FINISHED


def form_of(form: str | None, output: Path | None) -> Form:
    """Return the form of a drawing: the one that is named, else by the file's ending, else mermaid."""
    match form:
        case "mermaid" | "dot" | "html":
            return form
        case None:
            return "mermaid" if output is None else _BY_SUFFIX.get(output.suffix.lower(), "mermaid")
        case _:
            raise ConfigurationError(f"--format {form!r} is not mermaid, dot or html")


def draw_graph(file: Path, form: Form, output: Path | None) -> None:
    """Draw a workflow's steps and edges, on standard output or into a file."""
    workflow = Workflow.load(file)
    plan = replace(workflow.plan(), request=workflow.name)
    match form:
        case "mermaid":
            drawn = plan.to_mermaid()
        case "dot":
            drawn = plan.to_dot()
        case "html":
            drawn = plan_page(plan, _estimate(workflow, plan, None))
        case _:
            assert_never(form)
    if output is None:
        print(drawn.rstrip("\n"))
    else:
        FinalFile(output, "the drawing").write(drawn.rstrip("\n") + "\n")


def _plan(workflow: Workflow, pairs: Sequence[str] | None, inputs: Path | None) -> Plan:
    """Return the plan; with the inputs filled in where any are given."""
    if not pairs and inputs is None:
        return workflow.plan()
    return workflow.plan(given_inputs(workflow, pairs, inputs))


def _estimate(workflow: Workflow, plan: Plan, cache: Path | None) -> Estimate:
    found = estimate(plan, _durations(cache).usual)
    asks = {name for name, tool in workflow.tools.items() if tool.approve is not None}
    approved = [task.id for task in plan if task.policy.approve or task.tool in asks]
    return replace(found, approvals=tuple(approved))


def _durations(cache: Path | None) -> Durations:
    if cache is None:
        return Durations()
    from llmcompiler.recall import Recall

    recall = Recall(cache)
    try:
        return recall.load_durations()
    finally:
        recall.close()


def _lines(workflow: Workflow, plan: Plan) -> Iterator[str]:
    width = max((len(task.id) for task in plan), default=0)
    for task in plan:
        notes = [one_line(_call(task), _WIDEST)]
        step = workflow.file.steps.get(task.id.partition(".")[0])
        if step is not None and step.for_each is not None and _fans_out(task):
            over = step.for_each.in_
            elements = over if isinstance(over, str) else json.dumps(over, ensure_ascii=False)
            notes.append(f"for each of {one_line(elements, _WIDEST)}")
        if task.when is not None:
            notes.append(f"if {one_line(str(task.when), _WIDEST)}")
        if task.needs:
            notes.append(f"after {', '.join(task.needs)}")
        yield f"{task.id:<{width}}  {'  '.join(notes)}"


def _fans_out(task: Task) -> bool:
    return any(isinstance(value, Each) for value in task.args.values())


def _call(task: Task) -> str:
    args = ", ".join(f"{name}={_shown(value)}" for name, value in task.args.items())
    return f"{task.tool}({args})"


def _shown(value: Argument) -> str:
    """Write an argument as the file does: JSON, with expressions where they stand."""
    match value:
        case Ref():
            return f"steps.{value.task}.output{value.path_text}"
        case Each():
            return _shown(value.ref)
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            pairs = (f"{json.dumps(name)}: {_shown(one)}" for name, one in value.items())
            return f"{{{', '.join(pairs)}}}"
        case Expression():
            return str(value)
        case _:
            return f"[{', '.join(map(_shown, value))}]"
