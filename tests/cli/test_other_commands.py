"""The commands beside ``run``: plan, tools, doctor, and the help that teaches them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Shell, asking
from tests.llms.server import answers, streams, web_page

PLAN = '1. stock(product="pen")\n2. add(left=$1, right=1)\n3. join()'


def test_plan_prints_the_plan_and_runs_nothing(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN)) as shell:
        ended = shell("plan", "What?", *shell.options, "--events", "e.jsonl")
    assert (ended.status, ended.out) == (0, PLAN + "\n")
    assert "step_started" not in (tmp_path / "e.jsonl").read_text("utf-8")


def test_plan_as_json_is_the_list_of_the_contract(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN)) as shell:
        said = json.loads(shell("plan", "What?", *shell.options, "--json").out)
    assert said == [
        {"id": "1", "tool": "stock", "args": {"product": "pen"}, "needs": []},
        {"id": "2", "tool": "add", "args": {"left": {"ref": "$1"}, "right": 1}, "needs": ["1"]},
    ]


def test_plan_can_be_drawn(tmp_path: Path) -> None:
    with asking(tmp_path, streams(PLAN)) as shell:
        drawn = shell("plan", "What?", *shell.options, "--mermaid").out
    assert drawn.startswith("flowchart")
    assert "-->" in drawn


def test_a_request_that_needs_no_tool_has_an_empty_plan(tmp_path: Path) -> None:
    with asking(tmp_path, streams("Answer: Hello!"), streams("Answer: Hello!")) as shell:
        text = shell("plan", "Hi", *shell.options)
        listed = shell("plan", "Hi", *shell.options, "--json")
    assert (text.status, text.out) == (0, "")
    assert "without a tool" in text.err
    assert json.loads(listed.out) == []


def test_plan_fails_as_run_does(tmp_path: Path) -> None:
    with asking(tmp_path, web_page()) as shell:
        ended = shell("plan", "What?", *shell.options)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("llmcompiler: the model server at")


def test_tools_can_be_listed_as_json(tmp_path: Path) -> None:
    said = json.loads(Shell(tmp_path)("tools", "list", "--tools", "store.py", "--json").out)
    assert [each["name"] for each in said] == ["add", "broken", "slow", "stock"]
    assert said[0]["parameters"]["required"] == ["left", "right"]


def test_a_tool_is_shown_with_its_arguments(tmp_path: Path) -> None:
    shown = Shell(tmp_path)("tools", "show", "add", "--tools", "store.py").out
    assert shown.startswith("add(left, right, [note])\n\nAdd two numbers.")
    assert 'note: string, "" if not given' in shown
    assert "Returns: integer" in shown
    assert "only reads, at most 60 s" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["left=1", "right=2"],
        ["--args", '{"left": 1, "right": 2}'],
        ["--args", '{"left": 5, "right": 2}', "left=1"],
        ["left=1", "right=2", "note=3"],
    ],
)
def test_a_tool_is_called_with_its_arguments(arguments: list[str], tmp_path: Path) -> None:
    ended = Shell(tmp_path)("tools", "call", "add", "--tools", "store.py", *arguments)
    assert (ended.status, ended.out, ended.err) == (0, "3\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["add", "left=x", "right=1"], 1, "argument 'left'"),
        (["broken", "number=1"], 1, "no luck"),
        (["stock", "product=paper"], 1, "KeyError: 'paper'"),
    ],
)
def test_a_tool_that_refuses_is_one_sentence(
    arguments: list[str], status: int, said: str, tmp_path: Path
) -> None:
    ended = Shell(tmp_path)("tools", "call", *arguments, "--tools", "store.py")
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err


def test_a_tool_that_asks_a_model_gets_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(
        "from llmcompiler import RunContext, tool\n\n\n"
        "@tool\n"
        "async def ask(context: RunContext, about: str) -> str:\n"
        '    """Ask the model."""\n'
        "    context.progress(1, 2, 'asking')\n"
        "    return await context.ask(about)\n"
    )
    with asking(tmp_path, streams("A pen.")) as shell:
        ended = shell(
            "tools", "call", "ask", "about=pens", "--tools", "asking.py", "--model", shell.model
        )
    assert (ended.status, ended.out) == (0, '"A pen."\n')
    assert ended.err == "1 of 2 asking\n"


def test_doctor_looks_at_an_endpoint(tmp_path: Path) -> None:
    with asking(tmp_path, streams("Hello")) as shell:
        ended = shell("doctor", "--model", shell.model, "--json")
    last = json.loads(ended.out)[-1]
    assert (last["name"], last["status"]) == (f"model {shell.model}", "ok")


def test_doctor_fails_with_what_is_wrong_with_an_endpoint(tmp_path: Path) -> None:
    with asking(tmp_path, answers(401, {"error": {"message": "no"}})) as shell:
        ended = shell("doctor", "--model", shell.model)
    assert ended.status == 1
    assert "refuses the key" in ended.out


def test_version_and_help_are_there_and_teach(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert shell("--version").out.startswith("llmcompiler 0.")
    overview = shell("--help").out
    for command in ("run", "plan", "tools", "doctor"):
        assert command in overview
    assert "Examples:" in shell("run", "--help").out


def test_without_a_command_the_help_is_shown(tmp_path: Path) -> None:
    ended = Shell(tmp_path)()
    assert "Usage: llmcompiler" in ended.out + ended.err
