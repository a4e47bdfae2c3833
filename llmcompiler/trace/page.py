"""What does one HTML page show of a run, or of a plan that nobody has run?

It needs no network and no other file; it does not know who opens it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from llmcompiler.events import Event
from llmcompiler.graph import critical_path
from llmcompiler.plan import Plan
from llmcompiler.result import Result
from llmcompiler.trace.bars import timeline_picture
from llmcompiler.trace.estimate import Estimate
from llmcompiler.trace.markup import Child, Html, raw, tag
from llmcompiler.trace.notes import Note, notes
from llmcompiler.trace.picture import STANDINGS, graph_picture, mark, symbols
from llmcompiler.trace.timeline import bottleneck, model_turns
from llmcompiler.trace.views import StepView, of_plan, of_run
from llmcompiler.trace.words import counted, seconds_text

__all__ = ["html_page", "plan_page"]

_FIRST_LINE = 160  # characters of a value that a table shows at once
_LONGEST = 4000  # and once it is opened


def html_page(result: Result[Any], events: Iterable[Event] = ()) -> str:
    """Return a page about a run: head line, graph, timeline, what happened besides, every step.

    Without the run's events there are no turns of the model, passes, approvals and repairs in it.
    """
    events = tuple(events)
    steps, turns, said = of_run(result, events), model_turns(events), notes(events)
    bound = bottleneck(result, events)
    request = result.request or "A plan, run as it was given"
    facts = [
        ("total", seconds_text(result.seconds)),
        ("critical path", seconds_text(result.critical_path.seconds)),
        ("speed-up", f"{result.speedup:.1f}×"),
        ("model", seconds_text(bound.model)) if turns else ("model calls", str(len(result.calls))),
        ("steps", str(len(steps))),
    ]
    error = result.error
    answer = None if result.answer is None else tag("p", result.answer, class_="answer")
    head = [
        tag("p", tag("span", result.status, class_=f"badge {result.status}"), class_="over"),
        tag("h1", request),
        answer,
        None if error is None else tag("p", f"{type(error).__name__}: {error}", class_="error"),
        _facts(facts),
        tag("p", tag("b", "Bottleneck: "), f"{bound.text}.", class_="bound"),
    ]
    body: list[Child] = [tag("header", head)]
    if not steps:
        why = ": the model answered without a tool" if result.status == "finished" else ""
        body.append(tag("p", f"There was no plan{why}.", class_="none"))
    else:
        body.append(_graph(steps))
    if turns or any(step.ran for step in steps):
        picture = timeline_picture(steps, turns, said, result.seconds)
        signs = any(
            step.timing is not None and step.id in note.steps for step in steps for note in said
        )
        body.append(
            _section("Timeline", picture, _key_of_bars(steps, turns=bool(turns), signs=signs))
        )
    if said:
        body.append(_section("On the way", _notes(said)))
    if steps:
        body.append(_section("Steps", _table(steps, ran=True)))
    return _page(request, body)


def plan_page(plan: Plan, estimate: Estimate | None = None) -> str:
    """Return a page about a plan that nobody has run: its graph, its steps and, if given, its cost.

    The longest chain is marked: by learned durations of the estimate, else by number of steps.
    """
    if estimate is not None and estimate.path.seconds:
        path = estimate.path
        chain = ("critical path", seconds_text(path.seconds))
    else:
        path = critical_path(plan, {task.id: 1.0 for task in plan})
        chain = ("longest chain", counted(len(path.steps), "step"))
    steps = of_plan(plan, path.steps)
    title = plan.request or "A plan"
    head: list[Child] = [
        tag("p", tag("span", "not run", class_="badge"), class_="over"),
        tag("h1", title),
        _facts([("steps", str(len(steps))), chain]),
    ]
    if estimate is not None:
        head.append(tag("p", (_line(line) for line in estimate.text.split("\n")), class_="bound"))
    body: list[Child] = [tag("header", head)]
    if steps:
        body += [_graph(steps), _section("Steps", _table(steps, ran=False))]
    else:
        body.append(tag("p", "The plan has no steps.", class_="none"))
    return _page(title, body)


def _page(title: str, body: Sequence[Child]) -> str:
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        raw("style", style),
    )
    tip = tag("div", id="tip", role="tooltip", hidden=True)
    content = tag("body", symbols(), tag("main", body), tip, raw("script", script))
    return f"<!doctype html>\n{tag('html', head, content, lang='en')}\n"


@cache
def _resource(name: str) -> str:
    return files("llmcompiler.trace").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _section(title: str, *children: Child) -> Html:
    return tag("section", tag("h2", title), *children)


def _facts(facts: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts))


def _line(text: str) -> Html:
    return tag("span", text, class_="line")


def _graph(steps: Sequence[StepView]) -> Html:
    there = {step.standing for step in steps}
    key: list[Child] = [
        tag("li", tag("svg", mark(each), width="12", height="12"), said, class_=each)
        for each, said in STANDINGS.items()
        if each in there
    ]
    if any(step.critical for step in steps):
        key.append(tag("li", tag("span", class_="thick"), "critical path"))
    if any(step.write for step in steps):
        key.append(tag("li", tag("span", class_="double"), "writes"))
    if any(step.fan for step in steps):
        key.append(tag("li", tag("b", "×n"), "one call for each element"))
    picture = tag("div", graph_picture(steps), class_="scroll")
    return _section("Graph", picture, tag("ul", key, class_="key"))


def _key_of_bars(steps: Sequence[StepView], *, turns: bool, signs: bool) -> Html:
    shown = [
        (turns, "swatch turn", "the model writes"),
        (any(step.waited > 0 for step in steps), "swatch wait", "ready, and waiting"),
        (any(step.ran for step in steps), "swatch ran", "running"),
        (any(step.critical for step in steps), "thick", "critical path"),
        (signs, "swatch sign", "see “On the way”"),
    ]
    items = (tag("li", tag("span", class_=name), said) for there, name, said in shown if there)
    return tag("ul", items, class_="key")


def _notes(said: Sequence[Note]) -> Html:
    rows = (
        tag(
            "tr",
            tag("td", seconds_text(note.ts), class_="number"),
            tag("td", tag("span", note.kind, class_="kind")),
            tag("td", ", ".join(note.steps)),
            tag("td", _long(note.text), _lines(note.lines)),
        )
        for note in said
    )
    return _rows(("at", "what", "step", ""), rows, "notes")


def _lines(lines: Sequence[str]) -> Html | None:
    if not lines:
        return None
    classes = {"-": "gone", "+": "come"}
    return tag("pre", (tag("span", line, class_=classes.get(line[:1], "line")) for line in lines))


def _table(steps: Sequence[StepView], *, ran: bool) -> Html:
    heads: tuple[str, ...] = (
        "step",
        "tool",
        "outcome",
        "arguments",
        "result or error",
        "waited",
        "took",
    )
    if not ran:
        heads = ("step", "tool", "", "line", "")
    return _rows(heads, (_row(step, number, ran=ran) for number, step in enumerate(steps)))


def _row(step: StepView, number: int, *, ran: bool) -> Html:
    icon = tag("svg", mark(step.standing), width="12", height="12", aria_hidden="true")
    outcome = [icon, f" {STANDINGS[step.standing]}"] if ran else None
    traits = [step.fan, "writes" if step.write else ""]
    cells = [
        tag("td", tag("b", step.id)),
        tag(
            "td", step.tool, *(tag("span", f" {trait}", class_="soft") for trait in traits if trait)
        ),
        tag("td", outcome, class_=f"outcome {step.standing}"),
        tag("td", _long(step.args), class_="value"),
        tag("td", _long(step.result), class_="value"),
    ]
    if ran:
        timing = step.timing
        waited = seconds_text(step.waited) if timing is not None and step.waited > 0 else ""
        took = "" if timing is None else seconds_text(timing.seconds)
        cells += [tag("td", waited, class_="number"), tag("td", took, class_="number")]
    return tag("tr", cells, data_row=number, class_="critical" if step.critical else None)


def _long(text: str) -> Child:
    if len(text) <= _FIRST_LINE:
        return text
    shown = text[:_LONGEST]
    rest = len(text) - len(shown)
    more = tag("i", f" … and {rest} more characters") if rest else ""
    first = tag("summary", text[:_FIRST_LINE], "…")
    return tag("details", first, shown, more)


def _rows(heads: Iterable[str], rows: Iterable[Html], class_: str | None = None) -> Html:
    titles = tag("thead", tag("tr", (tag("th", head) for head in heads)))
    return tag("div", tag("table", titles, tag("tbody", rows), class_=class_), class_="scroll")
