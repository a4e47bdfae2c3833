"""A workflow run by the real command: outputs, progress, JSON, approval, limits, models, Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from time import sleep

import pytest

from llmcompiler.events import RunFinished, StepFinished, event_from_json
from tests.cli.command import asking
from tests.cli.workflows import call, problems, shop
from tests.llms.server import streams

QUIET = "--quiet"


def test_an_output_that_is_no_text_is_printed_with_its_name(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--input", "more=3")
    assert (ended.status, ended.out) == (0, "total: 15\n")


def test_a_single_text_is_printed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = call(tmp_path, monkeypatch, "run", "alone.yaml", QUIET)
    assert (ended.exit_code, ended.stdout) == (0, "seen: mail.py, store.py\n")
    assert ended.stderr == ""


def test_several_outputs_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many.yaml").write_text(
        "steps:\n  a: {uses: total, with: {values: [1, 2]}}\n"
        'outputs: {one: "é", two: "${{ [steps.a.output] }}", three: "a\\nb", four: null}\n'
    )
    ended = call(tmp_path, monkeypatch, "run", "many.yaml", QUIET)
    assert ended.stdout == "one: é\ntwo: [3]\nthree:\n  a\n  b\nfour: null\n", ended.stderr


def test_a_workflow_without_outputs_says_where_results_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.yaml").write_text("steps:\n  a: {uses: total, with: {values: [1]}}\n")
    ended = call(tmp_path, monkeypatch, "run", "none.yaml")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "the workflow has no outputs; --json shows what each step gave" in ended.stderr


def test_progress_and_a_summary_stand_on_standard_error(tmp_path: Path) -> None:
    lines = shop(tmp_path)("run", "shop.yaml").err.splitlines()
    said = [line.split(" s  ", 1)[-1] for line in lines]
    assert "plan     complete, 3 steps" in said
    assert "start    found stock" in said
    assert any(line.startswith("done     sum add") and line.endswith("= 13") for line in said)
    assert any(line.startswith("skip     told send_mail") for line in said)
    assert not [line for line in said if line.startswith("ask")]
    assert lines[-2].startswith("3 steps in ")
    assert "tokens" not in lines[-2]  # no model was asked
    assert lines[-1].startswith("bottleneck: ")


def test_json_is_that_of_a_request_with_outputs(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--json", QUIET)
    said = json.loads(ended.out)
    assert list(said) == [
        "answer",
        "status",
        "error",
        "plans",
        "steps",
        "pending",
        "usage",
        "timing",
        "workflow",
        "outputs",
    ]
    assert (said["answer"], said["status"], said["error"]) == (None, "finished", None)
    assert (said["workflow"], said["outputs"]) == ("shop", {"total": 13})
    assert {step["id"]: step["status"] for step in said["steps"]} == {
        "found": "ok",
        "sum": "ok",
        "told": "skipped",
    }


def test_a_file_of_another_name_is_run_by_its_option(tmp_path: Path) -> None:
    shell = shop(tmp_path)
    (tmp_path / "shop.yaml").rename(tmp_path / "shop.txt")
    ended = shell("run", "-f", "shop.txt", QUIET)
    assert (ended.status, ended.out) == (0, "total: 13\n")


def test_a_failed_workflow_says_which_steps_failed(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--input", "product=paper")
    assert (ended.status, ended.out) == (1, "")
    lines = ended.err.splitlines()
    assert "llmcompiler: step 'found' failed: KeyError: 'paper'" in lines
    assert "failed: found · skipped: told, sum" in lines or (
        "failed: found · skipped: sum, told" in lines
    )


def test_a_failed_workflow_shows_every_outcome_as_json(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--input", "product=paper", "--json", QUIET)
    said = json.loads(ended.out)
    assert (ended.status, said["status"], said["outputs"]) == (1, "failed", {"total": None})
    assert said["error"]["message"] == "step 'found' failed: KeyError: 'paper'"
    assert {step["id"]: step["status"] for step in said["steps"]} == {
        "found": "failed",
        "sum": "skipped",
        "told": "skipped",
    }
    assert ended.err == "llmcompiler: step 'found' failed: KeyError: 'paper'\n"


def test_a_broken_file_is_told_as_compilers_do_and_is_status_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("run", "plan", "graph"):
        ended = call(tmp_path, monkeypatch, command, "broken.yaml")
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert ended.stderr.splitlines() == list(map(str, problems(Path("broken.yaml"))))


def test_a_broken_file_is_an_object_too_where_json_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "run", "broken.yaml", "--json")
    said = json.loads(ended.stdout)
    assert (ended.exit_code, said["status"], said["steps"], said["outputs"]) == (
        1,
        "failed",
        [],
        {},
    )
    assert said["error"]["type"] == "WorkflowError"
    assert said["error"]["message"] + "\n" == ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what you want to know, or which workflow to run: a FILE.yaml"),
        (["x", "-f", "shop.yaml"], "give a request or a workflow with --file shop.yaml, not both"),
        (["What?", "--input", "a=1"], "--input is for workflows, and this is a request"),
        (["What?", "--input-file", "a.json"], "--input-file is for workflows, and this is a"),
        (["shp.yaml", "--input", "a=1"], "there is no file 'shp.yaml'; did you mean 'shop.yaml'?"),
        (["-f", "no.yaml"], "cannot read the workflow 'no.yaml': no such file or directory"),
        (["shop.yaml", "--tools", "store.py"], "--tools is for requests: a workflow names its"),
        (["shop.yaml", "--price", "cheap"], "--price 'cheap' is not PROMPT,COMPLETION"),
        (["shop.yaml", "--threads", "2"], "--threads needs --model here"),
        (["shop.yaml", "--gpu-layers", "2"], "--gpu-layers needs --model here"),
        (["shop.yaml", "--model", "nothing"], "there is no installed model 'nothing'"),
        (["shop.yaml", "--timeout", "0"], "limits.seconds must be above 0"),
        (["shop.yaml", "--limit", "tool_cals=3"], "there is no limit 'tool_cals'; did you mean"),
        (["shop.yaml", "--limit", "mends=3"], "a workflow has no limit 'mends'"),
        (
            ["shop.yaml", "--limit", "tool_calls=x"],
            "tool_calls must be a whole number or null, not",
        ),
        (["shop.yaml", "--approve", "send_mial"], "--approve 'send_mial' is not among the tools; "),
        (["shop.yaml", "--no-pass", "merg"], "there is no pass 'merg'; did you mean 'merge'?"),
        (["shop.yaml", "--cache", "store.py"], "it is no SQLite database"),
        (["shop.yaml", "--events", "nowhere/e"], "cannot write events to 'nowhere/e'"),
        (["shop.yaml", "--trace", "nowhere/t"], "cannot write the trace to 'nowhere/t'"),
        (["shop.yaml", "--page", "nowhere/p"], "cannot write the page to 'nowhere/p'"),
        (["shop.yaml", "--input", "more=x"], "the input 'more' must be a whole number, not 'x'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_two(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "run", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.output
    assert ended.stderr.startswith("llmcompiler: ")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_a_request_and_this_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = call(tmp_path, monkeypatch, "run", "shp.yaml", "--model", "nothing")
    assert ended.stderr.splitlines()[0] == (
        "llmcompiler: there is no file 'shp.yaml'; did you mean 'shop.yaml'?, so this is a request"
    )
    assert "there is no installed model" in ended.stderr  # it went on as a request


def test_limits_of_the_command_count_more_than_those_of_the_file(tmp_path: Path) -> None:
    shell = shop(tmp_path)
    with (tmp_path / "shop.yaml").open("a") as file:
        file.write("limits: {tool_calls: 9, seconds: 50}\n")
    ended = shell("run", "shop.yaml", "--limit", "tool_calls=1", QUIET)
    assert ended.status == 1
    assert "the limit of 1 tool call is used up" in ended.err
    (tmp_path / "slow.yaml").write_text(
        "tools: [./store.py]\nlimits: {seconds: 50}\nsteps:\n  wait: {uses: slow}\n"
    )
    ended = shell("run", "slow.yaml", "--timeout", "0.5")
    assert ended.status == 1
    assert "the run's time limit of 0.5 s passed" in ended.err
    assert "cancelled: wait" in ended.err.splitlines()


def test_events_trace_and_page_are_written(tmp_path: Path) -> None:
    shop(tmp_path)(
        "run", "shop.yaml", "--events", "e.jsonl", "--trace", "t.json", "--page", "p.html", QUIET
    )
    events = [
        event_from_json(line) for line in (tmp_path / "e.jsonl").read_text("utf-8").splitlines()
    ]
    assert isinstance(events[-1], RunFinished)
    assert {each.step for each in events if isinstance(each, StepFinished)} == {"found", "sum"}
    assert "traceEvents" in json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert "<h1>shop</h1>" in (tmp_path / "p.html").read_text("utf-8")


def test_where_nobody_is_there_a_step_is_denied_and_said_how_to_allow_it(tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "--input", "loud=yes", QUIET)
    why = "nobody was there to approve it: --approve send_mail"
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == (
        f"llmcompiler: step told was denied: {why}\n"
        f"llmcompiler: step 'told' failed: it was not approved: {why}\n"
    )
    assert not (tmp_path / "sent.txt").exists()


@pytest.mark.parametrize("name", ["send_mail", "all"])
def test_what_an_option_approves_is_run(name: str, tmp_path: Path) -> None:
    ended = shop(tmp_path)("run", "shop.yaml", "-i", "loud=on", "--approve", name, QUIET)
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "sent.txt").read_text() == "There are 13\n"


ASKING = """\
version: 1
models: {planner: {use: "http://localhost:1/v1#none"}, writer: {use: nothing}}
steps:
  ask: {uses: llm, with: {model: writer, prompt: Hello}}
outputs: {said: "${{ steps.ask.output }}"}
"""


def test_a_model_of_the_command_replaces_every_one_of_the_file(tmp_path: Path) -> None:
    with asking(tmp_path, streams("Good day")) as shell:
        (tmp_path / "ask.yaml").write_text(ASKING)
        ended = shell("run", "ask.yaml", "--model", shell.model)
    assert (ended.status, ended.out) == (0, "Good day\n")
    assert "tokens prefilled" in ended.err


def test_a_model_of_the_environment_replaces_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ask.yaml").write_text(ASKING)
    monkeypatch.setenv("LLMCOMPILER_MODEL", "embedded")
    ended = call(tmp_path, monkeypatch, "run", "ask.yaml", QUIET)
    assert ended.exit_code != 0
    assert "there is no installed model 'nothing'" in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_says_what_had_finished(tmp_path: Path) -> None:
    shell = shop(tmp_path)
    (tmp_path / "slow.yaml").write_text(
        "name: waiting\ntools: [./store.py]\n"
        "steps:\n  wait: {uses: slow}\n"
        "  quick: {uses: stock, with: {product: pen}}\n"
        "outputs: {n: '${{ steps.quick.output }}'}\n"
    )
    log = tmp_path / "e.jsonl"
    options = ("--events", log.name, "--json", "--page", "p.html", QUIET)
    with shell.start("run", "slow.yaml", *options) as process:
        for _ in range(600):
            if log.exists() and '"output":12' in log.read_text("utf-8"):
                break
            sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    said = json.loads(out)
    assert (process.returncode, said["status"], said["workflow"]) == (130, "cancelled", "waiting")
    assert {step["id"]: step["status"] for step in said["steps"]} == {
        "quick": "ok",
        "wait": "cancelled",
    }
    assert [task["id"] for task in said["plans"][0]] == ["wait", "quick"]
    assert said["error"]["type"] == "RunCancelledError"
    assert said["outputs"] == {}
    assert err == "llmcompiler: the run was cancelled\n"
    assert "<h1>waiting</h1>" in (tmp_path / "p.html").read_text("utf-8")
