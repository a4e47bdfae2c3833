"""Limits, passes and pictures at the command line, on the real command and a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.command import Shell, asking
from tests.llms.server import streams

PLAN = '1. stock(product="pen")\n2. add(left=$1, right=1)\n3. join()'
TWICE = '1. stock(product="pen")\n2. stock(product="pen")\n3. add(left=$1, right=$2)\n4. join()'
ANSWER = streams("Answer: Done.")
FLOWING = '1. web_page(url="u")\n2. post(text=$1)\n3. join()'
POST = '''
from llmcompiler import tool


@tool(untrusted=True)
def web_page(url: str) -> str:
    """Read what a stranger wrote."""
    return "buy now"


@tool(sends=True)
def post(text: str) -> str:
    """Post something."""
    return "posted"
'''


def _plan(
    folder: Path, text: str, *arguments: str, tools: str | None = None
) -> tuple[int, str, str]:
    with asking(folder, streams(text)) as shell:
        if tools is not None:
            (folder / "store.py").write_text(tools, "utf-8")
        ended = shell("plan", "What?", *shell.options, *arguments)
    return ended.status, ended.out, ended.err


# ---------------------------------------------------------------------- limits and passes


def test_any_limit_can_be_set(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--json", "--limit", "tool_calls=1", "--limit", "mends=0")
    steps = {step["id"]: step for step in json.loads(ended.out)["steps"]}
    assert steps["1"]["status"] == "ok"
    assert steps["2"]["error"]["message"] == "the limit of 1 tool call is used up"
    assert "limit    tool_calls: 1 used up" in ended.err


def test_what_a_run_costs_is_told_where_prices_are_known(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--json", "--price", "1000000,10000000")
    usage = json.loads(ended.out)["usage"]
    computed = usage["prompt_tokens"] - usage["reused_tokens"]
    assert usage["cost"] >= computed + 10 * usage["completion_tokens"]
    assert f" · cost {usage['cost']:,.2f} · " in ended.err


def test_a_pass_can_be_turned_off(tmp_path: Path) -> None:
    with asking(tmp_path, streams(TWICE), ANSWER) as shell:
        merged = shell.ask()
    with asking(tmp_path, streams(TWICE), ANSWER) as shell:
        apart = shell.ask("--no-pass", "merge")
    assert "  merge    " in merged.err
    assert " · 1 call saved · " in merged.err
    assert "  merge    " not in apart.err
    assert "saved" not in apart.err


PURE = '''
from pathlib import Path

from llmcompiler import tool


@tool(pure=True)
def square(number: int) -> int:
    """Square a number."""
    with Path("calls.txt").open("a") as calls:
        calls.write("called\\n")
    return number * number
'''


def test_results_of_pure_tools_are_kept_from_run_to_run(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        plan = "1. square(number=7)\n2. join()"
        with asking(tmp_path, streams(plan), ANSWER) as shell:
            (tmp_path / "store.py").write_text(PURE, "utf-8")
            ended = shell.ask("--cache", "results.sqlite", *arguments)
        assert ended.status == 0
        assert "= 49" in ended.err
        return ended.err

    def count() -> int:
        return (tmp_path / "calls.txt").read_text("utf-8").count("called")

    run()
    assert "  cache    1  " in run()
    assert count() == 1
    run("--no-pass", "cache")
    assert count() == 2


# ---------------------------------------------------------------------- pictures of a run


def test_a_run_leaves_a_trace_and_a_page(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--trace", "t.json", "--page", "p.html", "--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "Done.\n", "")
    trace = json.loads((tmp_path / "t.json").read_text("utf-8"))
    names = [event["name"] for event in trace["traceEvents"]]
    assert any("stock" in name for name in names)
    page = (tmp_path / "p.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "Bottleneck" in page
    assert "What is in store?" in page


def test_a_run_that_fails_leaves_them_too(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN), streams("Hm."), streams("Hm.")) as shell:
        ended = shell.ask("--trace", "t.json", "--page", "p.html")
    assert ended.status == 1
    assert json.loads((tmp_path / "t.json").read_text("utf-8"))["otherData"]["status"] == "failed"
    assert "ReplyError" in (tmp_path / "p.html").read_text("utf-8")


# ---------------------------------------------------------------------- pictures of a plan


def test_a_plan_can_be_drawn_for_graphviz(tmp_path: Path) -> None:
    status, out, _ = _plan(tmp_path, PLAN, "--dot")
    assert status == 0
    assert out.startswith("digraph")
    assert "->" in out


def test_a_plan_can_be_drawn_as_a_page(tmp_path: Path) -> None:
    status, out, _ = _plan(tmp_path, PLAN, "--page", "plan.html", "--estimate")
    assert (status, out.splitlines()[0]) == (0, '1. stock(product="pen")')
    page = (tmp_path / "plan.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "not run" in page


def test_an_estimate_stands_behind_the_plan(tmp_path: Path) -> None:
    _, out, _ = _plan(tmp_path, PLAN, "--estimate")
    assert re.sub(r"about \d+ tokens", "about N tokens", out) == (
        f"{PLAN}\n\n2 steps, at most 1 at once\n2 calls\n"
        "duration unknown: none is learned of stock, add\n"
        "about N tokens to read for the answer, beside the results\n"
    )


def test_an_estimate_knows_what_earlier_runs_have_learned(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN), ANSWER) as shell:
        shell.ask("--cache", "learned.sqlite")
    _, out, _ = _plan(tmp_path, PLAN, "--estimate", "--cache", "learned.sqlite")
    assert "critical path 1" in out
    assert "(1 → 2)" in out


def test_lint_shows_each_flow_with_its_path_and_fails(tmp_path: Path) -> None:
    status, out, err = _plan(tmp_path, FLOWING, "--lint", tools=POST)
    assert status == 1
    assert out == (
        f"{FLOWING}\n\nneeds approval:\n"
        "  $1 -> $2: untrusted text from $1 (web_page) flows into $2 (post)\n"
    )
    assert err == ""


def test_lint_says_where_there_is_nothing(tmp_path: Path) -> None:
    status, out, err = _plan(tmp_path, PLAN, "--lint")
    assert (status, out) == (0, f"{PLAN}\n")
    assert err == "no flow of untrusted text or private data needs approval\n"


def test_beside_a_drawing_findings_stand_on_standard_error(tmp_path: Path) -> None:
    status, out, err = _plan(tmp_path, FLOWING, "--lint", "--estimate", "--dot", tools=POST)
    assert status == 1
    assert out.startswith("digraph")
    assert "flows into" not in out
    assert "2 steps, at most 1 at once" in err
    assert "$1 -> $2: untrusted text" in err


def test_as_json_a_plan_comes_with_what_was_asked_for(tmp_path: Path) -> None:
    status, out, _ = _plan(tmp_path, FLOWING, "--lint", "--estimate", "--json", tools=POST)
    said = json.loads(out)
    assert status == 1
    assert [task["id"] for task in said["plan"]] == ["1", "2"]
    assert (said["estimate"]["steps"], said["estimate"]["calls"]) == (2, 2)
    assert said["flows"][0]["path"] == ["1", "2"]
    assert said["flows"][0]["label"] == "untrusted"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "run",
            "--approve --limit --price --pass --no-pass --cache --trace --page --events --json",
        ),
        ("plan", "--estimate --lint --dot --mermaid --page --cache --json"),
    ],
)
def test_help_teaches_every_option(command: str, options: str, tmp_path: Path) -> None:
    shown = Shell(tmp_path)(command, "--help").out
    for option in options.split():
        assert f"{option} " in shown
    assert "Examples:" in shown


def test_a_tool_shows_what_it_may_do(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "store.py").write_text(POST, "utf-8")
    assert "untrusted" in shell("tools", "show", "web_page", "--tools", "store.py").out
    listed = json.loads(shell("tools", "show", "post", "--tools", "store.py", "--json").out)
    assert (listed["sends"], listed["untrusted"], listed["approve"]) == (True, False, None)
