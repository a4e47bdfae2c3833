"""The commands for those who write workflows: validate, graph, plan, init and schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmcompiler.cli.starter import STARTER
from llmcompiler.workflow.reading import read
from tests.cli.command import asking
from tests.cli.workflows import SHOP, call, problems, shop
from tests.llms.server import streams

# ---------------------------------------------------------------------- validate


def test_a_file_that_is_fine_is_said_to_be_so(tmp_path: Path) -> None:
    ended = shop(tmp_path)("validate", "shop.yaml", "alone.yaml")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "shop.yaml: fine, 3 steps\nalone.yaml: fine, 2 steps\n"


def test_every_problem_is_told_with_its_place(tmp_path: Path) -> None:
    ended = shop(tmp_path)("validate", "broken.yaml", "shop.yaml")
    assert (ended.status, ended.out) == (1, "shop.yaml: fine, 3 steps\n")
    lines = ended.err.splitlines()
    assert lines[0] == "broken.yaml:3:13: there is no tool 'totl'; did you mean 'total'?"
    assert lines[1].startswith("broken.yaml:4:46: there is no step 'c'")
    assert len(lines) == 2


def test_problems_as_json_are_a_list_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "validate", "shop.yaml", "broken.yaml", "no.yaml", "--json")
    assert (ended.exit_code, ended.stderr) == (2, "")
    assert json.loads(ended.stdout) == [
        {"file": "shop.yaml", "valid": True, "steps": 3, "problems": []},
        {
            "file": "broken.yaml",
            "valid": False,
            "steps": None,
            "problems": [
                {
                    "file": "broken.yaml",
                    "line": each.line,
                    "column": each.column,
                    "message": each.message,
                }
                for each in problems(Path("broken.yaml"))
            ],
        },
        {
            "file": "no.yaml",
            "valid": False,
            "steps": None,
            "problems": [
                {
                    "file": "no.yaml",
                    "line": None,
                    "column": None,
                    "message": "cannot read the workflow 'no.yaml': no such file or directory",
                }
            ],
        },
    ]


def test_a_file_that_is_not_there_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "validate", "no.yaml", "alone.yaml")
    assert (ended.exit_code, ended.stdout) == (2, "alone.yaml: fine, 2 steps\n")
    assert ended.stderr == (
        "llmcompiler: cannot read the workflow 'no.yaml': no such file or directory\n"
    )


# ---------------------------------------------------------------------- plan

PLAN = """\
files  list_files(folder=${{ inputs.folder }}, pattern="*.py")
lines  count_lines(path=${{ item }})  for each of ${{ steps.files.output }}  after files

2 steps, at most 1 at once
at least 1 call, and one for each element in step lines
duration unknown: none is learned of list_files, count_lines
"""


def test_the_plan_of_a_workflow_is_steps_edges_and_an_estimate(tmp_path: Path) -> None:
    ended = shop(tmp_path)("plan", "alone.yaml")
    assert (ended.status, ended.out, ended.err) == (0, PLAN, "")


def test_inputs_are_filled_into_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = call(tmp_path, monkeypatch, "plan", "alone.yaml", "--input", "folder=docs")
    assert ended.stdout == PLAN.replace("${{ inputs.folder }}", '"docs"')


def test_a_plan_shows_guards_approvals_and_what_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = call(tmp_path, monkeypatch, "plan", "shop.yaml").stdout.splitlines()
    assert lines[2] == (
        "told   send_mail(text=There are ${{ steps.sum.output }})  if ${{ inputs.loud }}  after sum"
    )
    assert "needs approval: step told" in lines
    assert not (tmp_path / "sent.txt").exists()


def test_the_plan_as_json_has_plan_edges_and_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = json.loads(call(tmp_path, monkeypatch, "plan", "shop.yaml", "--json").stdout)
    assert list(said) == ["workflow", "plan", "edges", "estimate"]
    assert said["workflow"] == "shop"
    assert [task["id"] for task in said["plan"]] == ["found", "sum", "told"]
    assert said["edges"] == [["found", "sum"], ["sum", "told"]]
    assert (said["estimate"]["steps"], said["estimate"]["approvals"]) == (3, ["told"])


def test_durations_are_learned_by_runs_with_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tmp_path, monkeypatch, "run", "alone.yaml", "--cache", "c.db")
    ended = call(tmp_path, monkeypatch, "plan", "alone.yaml", "--cache", "c.db")
    assert "critical path" in ended.stdout
    assert "(files → lines)" in ended.stdout


@pytest.mark.parametrize(
    "option",
    [
        ("--model", "embedded"),
        ("--tools", "x"),
        ("--timeout", "3"),
        ("--events", "e"),
        ("--gpu-layers", "1"),
        ("--freeze", "f.yaml"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    option: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "plan", "shop.yaml", *option)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"llmcompiler: {option[0]} is for requests: to show a workflow's plan no model is asked "
        "and nothing is run\n"
    )


# ---------------------------------------------------------------------- freeze


def test_a_plan_that_is_kept_runs_without_a_model(tmp_path: Path) -> None:
    plan = '1. stock(product="pen")\n2. add(left=$1, right=1)\n3. join()'
    with asking(tmp_path, streams(plan)) as shell:
        made = shell("plan", "What?", *shell.options, "--freeze", "kept.yaml")
    ran = shell("run", "kept.yaml", "--quiet")
    again = shell("plan", "What?", *shell.options, "--freeze", "kept.yaml")
    assert (made.status, made.out) == (0, plan + "\n")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.endswith(": 13\n")
    assert (again.status, again.err) == (
        2,
        "llmcompiler: 'kept.yaml' is already there and stays as it is: give another name\n",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kept.txt", "a workflow's name ends in .yaml or .yml, unlike 'kept.txt'"),
        ("nowhere/kept.yaml", "cannot write 'nowhere/kept.yaml': there is no such folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_a_model_is_asked(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "plan", "What?", "--model", "nothing", "--freeze", name)
    assert (ended.exit_code, ended.stderr) == (2, f"llmcompiler: {said}\n")


# ---------------------------------------------------------------------- graph


@pytest.mark.parametrize(
    ("options", "begins", "holds"),
    [
        ((), "flowchart LR\n", "-->"),
        (("--format", "mermaid"), "flowchart LR\n", "-->"),
        (("--format", "dot"), "digraph", "->"),
        (("--format", "html"), "<!DOCTYPE html>", "<h1>shop</h1>"),
    ],
)
def test_a_workflow_is_drawn(
    options: tuple[str, ...],
    begins: str,
    holds: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = call(tmp_path, monkeypatch, "graph", "shop.yaml", *options)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.lower().startswith(begins.lower())
    assert holds in ended.stdout
    assert ended.stdout.endswith("\n")
    assert not ended.stdout.endswith("\n\n")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("g.html", "<!doctype html>"), ("g.dot", "digraph"), ("g.gv", "digraph"), ("g.mmd", "flow")],
)
def test_the_ending_of_a_file_says_what_to_draw(
    name: str, begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "graph", "shop.yaml", "-o", name)
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert (tmp_path / name).read_text("utf-8").lower().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop.yaml", "--format", "svg"), "--format 'svg' is not mermaid, dot or html"),
        (("no.yaml",), "cannot read the workflow 'no.yaml': no such file or directory"),
        (("shop.yaml", "-o", "no/g.dot"), "cannot write the drawing to 'no/g.dot'"),
    ],
)
def test_a_drawing_that_cannot_be_made_is_one_sentence(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "graph", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"llmcompiler: {said}")


# ---------------------------------------------------------------------- init


def test_the_first_workflow_is_right_and_runs_at_once(tmp_path: Path) -> None:
    shell = shop(tmp_path)
    made = shell("init", "first.yml")
    checked = shell("validate", "first.yml")
    ran = shell("run", "first.yml", "--quiet")
    other = shell("run", "first.yml", "-i", "pattern=*.txt", "-i", "in_thousands=yes", "--quiet")
    assert (made.status, made.err) == (0, "")
    assert made.out == "first.yml is written. Try it: llmcompiler run first.yml\n"
    assert (checked.status, checked.out) == (0, "first.yml: fine, 5 steps\n")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("files: 4, lines: ")
    assert ran.out.endswith("the longest: first.yml\n")
    assert other.out == "files: 0, lines: 0, the longest: none\n", other.err


def test_a_file_that_is_there_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workflow.yaml").write_text("mine")
    ended = call(tmp_path, monkeypatch, "init")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "llmcompiler: 'workflow.yaml' is already there and stays as it is: give another name\n"
    )
    assert (tmp_path / "workflow.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("first.txt", "a workflow's name ends in .yaml or .yml, unlike 'first.txt'"),
        ("no/first.yaml", "cannot write 'no/first.yaml': no such file or directory"),
    ],
)
def test_a_place_where_nothing_can_be_begun_is_one_sentence(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "init", name)
    assert (ended.exit_code, ended.stderr) == (2, f"llmcompiler: {said}\n")


# ---------------------------------------------------------------------- schema


def _schema(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    ended = call(folder, monkeypatch, "schema", *arguments)
    assert (ended.exit_code, ended.stderr) == (0, "")
    made: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.Draft202012Validator.check_schema(made)
    return made


def _problems(schema: dict[str, Any], text: str) -> list[str]:
    found = jsonschema.Draft202012Validator(schema).iter_errors(read(text, "x").data)
    return [error.message for error in found]


def test_the_schema_knows_the_bundled_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = _schema(tmp_path, monkeypatch)
    assert _problems(schema, STARTER) == []
    assert _problems(schema, STARTER.replace("uses: total", "uses: totl"))
    assert _problems(schema, STARTER.replace("{path:", "{pth:"))
    assert _problems(schema, STARTER.replace("on_error: continue", "on_error: go_on"))


def test_the_schema_of_a_file_knows_its_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = _schema(tmp_path, monkeypatch, "shop.yaml")
    assert _problems(schema, SHOP) == []
    assert _problems(schema, SHOP.replace("uses: stock", "uses: total"))
    assert _problems(schema, SHOP.replace("{product: ", "{item: "))


def test_the_schema_knows_what_steps_ask_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "models: {small: {use: embedded}}\n"
        "steps:\n"
        "  a: {uses: llm, with: {model: small, prompt: Hello}}\n"
        "  b: {uses: agent, with: {request: What?, tools: [total]}}\n"
    )
    (tmp_path / "ask.yaml").write_text(text)
    schema = _schema(tmp_path, monkeypatch, "ask.yaml")
    assert _problems(schema, text) == []
    assert _problems(schema, text.replace("model: small", "model: large"))
    assert _problems(schema, text.replace("prompt", "request"))
    assert _problems(schema, text.replace("[total]", "[totl]"))


def test_the_rest_of_the_file_may_be_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "begun.yaml").write_text("tools: [./store.py]\nsteps:\n  a: {uses: sto}\n")
    schema = _schema(tmp_path, monkeypatch, "begun.yaml")
    assert _problems(schema, "steps: {a: {uses: stock, with: {product: pen}}}") == []


def test_tools_that_cannot_be_loaded_are_told_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "begun.yaml").write_text("version: 1\ntools: [text, untis]\n")
    ended = call(tmp_path, monkeypatch, "schema", "begun.yaml")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("begun.yaml:2:15: ")
    assert "did you mean 'units'?" in ended.stderr


# ---------------------------------------------------------------------- help


def test_the_overview_lists_the_commands_as_they_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = call(tmp_path, monkeypatch, "--help").stdout
    names = ["run", "plan", "validate", "graph", "init", "schema", "tools", "options", "doctor"]
    places = [shown.index(f"│ {name} ") for name in names]
    assert places == sorted(places)


@pytest.mark.parametrize("command", ["run", "plan", "validate", "graph", "init", "schema"])
def test_every_help_has_examples(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = call(tmp_path, monkeypatch, command, "--help").stdout
    assert "Examples:" in shown
    assert f"llmcompiler {command}" in shown


def test_only_commands_that_read_workflows_load_what_reads_them() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from llmcompiler.cli.app import app\n"
        "CliRunner().invoke(app, ['run', '--help'])\n"
        "CliRunner().invoke(app, ['init', 'no/where.yaml'])\n"
        "print(*(name for name in sys.modules if name in ('llmcompiler.workflow', 'jinja2', 'ruamel.yaml')))\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
