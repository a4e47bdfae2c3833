"""Is the page whole, for every run, and can nothing that a tool said become part of it?"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import RunTimeoutError
from llmcompiler.events import Event, PassApplied, StepRetrying
from llmcompiler.plan import Cancelled, Failed, Ok, Plan, Policy, Skipped, TaskId
from llmcompiler.result import Result
from llmcompiler.trace import estimate, html_page, plan_page
from tests.trace.sample import each, large, run_of, small, task

VOID = {"meta", "br"}
TAGS = {
    *("html", "head", "meta", "title", "style", "script", "body", "main", "header", "section"),
    *("h1", "h2", "p", "span", "b", "i", "dl", "dt", "dd", "div", "ul", "li", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("svg", "defs", "symbol", "path", "use", "g", "rect", "text", "tspan", "line"),
}


class Page(HTMLParser):
    """Reads a page strictly: every element known and closed, every attribute harmless."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.said: dict[str, list[str]] = {}
        assert text.startswith("<!doctype html>\n")
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert not name.startswith("on"), f"a handler: {name}"
            assert name not in ("src", "style", "srcset", "action", "formaction")
            if name == "href":
                assert re.fullmatch(r"#mark-[a-z]+", value or "")
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.said.setdefault(self.open[-1], []).append(data)

    def of(self, tag: str, class_: str) -> list[dict[str, str]]:
        return [
            attrs
            for name, attrs in self.found
            if name == tag and class_ in attrs.get("class", "").split()
        ]


def read(run: tuple[Result[Any], list[Event]]) -> tuple[str, Page]:
    text = html_page(*run)
    return text, Page(text)


def test_a_run_is_shown_whole() -> None:
    text, page = read(small())
    assert len(page.of("g", "step")) == 5
    assert len(page.of("g", "bar")) == 5
    assert len(page.of("g", "turn")) == 2
    assert len(page.of("g", "critical")) == 8  # four boxes, four bars
    assert len(page.of("path", "wire")) == 5
    assert page.said["h1"] == ["What do they cost?"]
    assert page.said["dd"] == ["3.9 s", "3.2 s", "1.4×", "1.2 s", "5"]
    assert "step 3 (fetch) took 2.1 s of the 3.9 s" in text
    assert "ToolError: the shop is closed until Monday (3 calls)" in text
    assert "Ærø &lt; Oslo" in text
    for kind in ("refused", "pass merge", "retry", "asked", "approved", "mend", "changed"):
        assert kind in page.said["span"]


@pytest.mark.parametrize("count", [1, 40, 130, 500])
def test_a_run_of_any_size_is_shown(count: int) -> None:
    _, page = read(large(count))
    assert len(page.of("g", "step")) == count
    rows = [attrs["data-row"] for name, attrs in page.found if name == "tr" and "data-row" in attrs]
    assert rows == [str(number) for number in range(count)]


def test_every_standing_has_its_mark_and_a_word() -> None:
    tasks = [
        task("1", "a"),
        task("2", "b"),
        task("3", "c", "2"),
        task("4", "d"),
        each("5", "e", "1"),
    ]
    outcomes = {"2": Failed("E", "no"), "3": Skipped("2 failed"), "4": Cancelled("stopped")}
    result, events = run_of(tasks, lambda _: 1.0, outcomes=outcomes)
    more = replace(result, plans=(Plan((*tasks, task("6", "f"))),))
    text, page = read((more, events))
    shown = {attrs["href"] for name, attrs in page.found if name == "use"}
    assert shown == {
        f"#mark-{name}" for name in ("ok", "failed", "skipped", "cancelled", "planned")
    }
    for word in ("done", "failed", "skipped", "stopped", "not run"):
        assert f" {word}</td>" in text
    assert "×3" in text


def test_no_plan_is_said() -> None:
    text, page = read(run_of([], lambda _: 0.0))
    assert "There was no plan: the model answered without a tool." in text
    assert not page.of("g", "step")


def test_a_run_that_failed_says_why() -> None:
    result, events = small()
    failed = replace(result, status="failed", answer=None, error=RunTimeoutError(3.0), request=None)
    text, _ = read((failed, events))
    assert "RunTimeoutError: " in text
    assert "A plan, run as it was given" in text


def test_without_events_there_is_still_a_page() -> None:
    text, page = read((small()[0], []))
    assert len(page.of("g", "bar")) == 5
    assert "On the way" not in page.said["h2"]
    assert "model calls" in text


HOSTILE = '</script></style></title><img src=x onerror="alert(1)"><!-- ]]> \'" \x00\x1b \ud800 &lt;'


def hostile(text: str) -> tuple[Result[Any], list[Event]]:
    """Put a text wherever a text can come from outside."""
    tasks = [task(text, text, place=text), task("2", "f", text)]
    outcomes = {text: Ok({text: [text]}), "2": Failed(text, text)}
    extra: list[Event] = [
        StepRetrying("r", 0, 0.5, TaskId("2"), 2, text, 0.1),
        PassApplied("r", 0, 0.5, "merge", (TaskId(text),), text, 0),
    ]
    return run_of(tasks, lambda _: 1.0, outcomes=outcomes, request=text, answer=text, extra=extra)


def test_what_a_tool_said_stays_text() -> None:
    text, page = read(hostile(HOSTILE))
    assert "<img" not in text
    assert "\x00" not in text
    text.encode("utf-8")  # no half of a surrogate pair is left
    assert page.said["h1"] == [
        HOSTILE.replace("\x00", "�").replace("\x1b", "�").replace("\ud800", "�")
    ]


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40) | st.sampled_from(["<b>", "]]>", "&amp;", "'\"", "<!--", "</body>"]))
def test_any_text_stays_text(said: str) -> None:
    text, page = read(hostile(said))
    kinds = [name for name, _ in page.found]
    assert kinds.count("script") == kinds.count("style") == kinds.count("h1") == 1
    text.encode("utf-8")


def test_the_page_needs_no_network_and_runs_nothing_else() -> None:
    text, page = read(small())
    assert not re.search(r"(?:https?:)?//[a-z]|@import|url\(", text)
    policy = next(attrs["content"] for _, attrs in page.found if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        (inside,) = page.said[name]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_long_values_are_folded_and_never_cut_in_silence() -> None:
    run = run_of([task("1", "f")], lambda _: 1.0, outcomes={"1": Ok("x" * 9000)})
    text, _ = read(run)
    assert "x" * 3000 in text
    assert "… and 5002 more characters" in text
    assert len(text) < 40_000


def test_a_plan_that_nobody_has_run_is_drawn() -> None:
    plan = small()[0].plan
    asks = Plan((*plan, task("6", "mail", "5", policy=Policy(approve="it sends"))))
    text = plan_page(asks, estimate(asks, {"fetch": 2.0}.get))
    page = Page(text)
    assert len(page.of("g", "step")) == 6
    assert not page.of("div", "timeline")
    assert page.said["dd"] == ["6", "2.0 s"]
    assert "needs approval: it sends" in text
    assert "3. fetch(item=each $1)" in text


def test_a_plan_is_drawn_without_an_estimate_and_without_steps() -> None:
    assert Page(plan_page(small()[0].plan)).said["dd"] == ["5", "4 steps"]
    assert "The plan has no steps." in plan_page(Plan())
