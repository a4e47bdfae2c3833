"""The command's contract, on the real command and a real server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmcompiler.cli.app import app
from llmcompiler.events import RunFinished, StepFinished, event_from_json
from tests.cli.command import STORE, Shell, asking
from tests.llms.server import answers, cuts, streams, web_page

PLAN = (
    '1. stock(product="pen")\n',
    '2. stock(product="ink")\n',
    '3. add(left=$1, right=$2, note="pens: ${1}")\n',
    "4. join()",
)


def test_the_answer_is_all_there_is_on_standard_output(tmp_path: Path) -> None:
    with asking(tmp_path, streams(*PLAN), streams("Answer: ", "15 pieces.")) as shell:
        ended = shell.ask()
    assert ended.status == 0
    assert ended.out == "15 pieces.\n"


def test_progress_and_a_summary_stand_on_standard_error(tmp_path: Path) -> None:
    with asking(tmp_path, streams(*PLAN), streams("Answer: 15")) as shell:
        lines = shell.ask().err.splitlines()
    said = [line.split(" s  ", 1)[-1] for line in lines]
    assert 'plan     3. add(left=$1, right=$2, note="pens: ${1}")' in said
    assert "start    1 stock" in said
    assert any(line.startswith("done     3 add") and line.endswith("= 15") for line in said)
    assert lines[-2].startswith("3 steps in ")
    assert lines[-1].startswith("bottleneck: ")
    for part in ("critical path", "step 1 > 3", "as fast as one by one", "12 tokens prefilled"):
        assert part in lines[-2] or part == "step 1 > 3"


def test_quiet_leaves_nothing_but_the_answer(tmp_path: Path) -> None:
    with asking(tmp_path, streams("Answer: Hello!")) as shell:
        ended = shell.ask("--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "Hello!\n", "")


def test_json_is_one_object_that_says_everything(tmp_path: Path) -> None:
    with asking(tmp_path, streams(*PLAN), streams("Answer: 15")) as shell:
        ended = shell.ask("--json")
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
    ]
    assert said["pending"] == []
    assert (said["answer"], said["status"], said["error"]) == ("15", "finished", None)
    assert said["plans"] == [
        [
            {"id": "1", "tool": "stock", "args": {"product": "pen"}, "needs": []},
            {"id": "2", "tool": "stock", "args": {"product": "ink"}, "needs": []},
            {
                "id": "3",
                "tool": "add",
                "args": {
                    "left": {"ref": "$1"},
                    "right": {"ref": "$2"},
                    "note": {"template": "pens: ${1}"},
                },
                "needs": ["1", "2"],
            },
        ]
    ]
    third = next(step for step in said["steps"] if step["id"] == "3")
    assert third["args"] == {"left": 12, "right": 3, "note": "pens: 12"}
    assert (third["status"], third["output"]) == ("ok", 15)
    assert third["start"] <= third["end"] <= said["timing"]["total"]
    assert said["usage"] == {
        "prompt_tokens": 20,
        "reused_tokens": 8,
        "completion_tokens": 4,
        "model_calls": 2,
        "cost": None,
    }
    assert set(said["timing"]) == {"total", "critical_path", "sum_of_steps"}
    assert said["timing"]["sum_of_steps"] >= 0.2


def test_a_retry_is_not_a_second_step_and_a_failure_skips_what_needs_it(tmp_path: Path) -> None:
    plan = "1. broken(number=1)\n2. add(left=$1, right=1)\n3. join()"
    with asking(tmp_path, streams(plan), streams("Answer: It failed.")) as shell:
        ended = shell.ask("--json", "--limit", "mends=0")
    said = json.loads(ended.out)
    assert ended.status == 0
    assert [(step["id"], step["status"]) for step in said["steps"]] == [
        ("1", "failed"),
        ("2", "skipped"),
    ]
    assert said["steps"][0]["error"] == {"type": "ToolError", "message": "no luck"}
    assert "retry    1 broken  try 2 in " in ended.err
    assert "skip     2 add" in ended.err


def test_replans_and_a_fan_out_keep_their_form_in_json(tmp_path: Path) -> None:
    replan = "Replan: more is needed.\n3. add(left=1, right=$2)\n4. join()"
    with asking(
        tmp_path,
        streams("1. add(left=1, right=1)\n2. add(left=$1, right=1)\n3. join()"),
        streams(replan),
        streams("Answer: 4"),
    ) as shell:
        ended = shell.ask("--json")
    said = json.loads(ended.out)
    assert [[task["id"] for task in plan] for plan in said["plans"]] == [["1", "2"], ["3"]]
    assert "replan   more is needed." in ended.err


def test_max_replans_is_what_it_says(tmp_path: Path) -> None:
    with asking(
        tmp_path,
        streams("1. add(left=1, right=1)\n2. join()"),
        streams("Replan: more.\n2. add(left=1, right=$1)\n3. join()"),
        streams("Answer: I could not."),
    ) as shell:
        ended = shell.ask("--json", "--max-replans", "0")
    said = json.loads(ended.out)
    assert (said["status"], said["answer"], len(said["plans"])) == ("finished", "I could not.", 1)


def test_events_are_written_one_to_a_line(tmp_path: Path) -> None:
    with asking(tmp_path, streams(*PLAN), streams("Answer: 15")) as shell:
        shell.ask("--events", "events.jsonl", "--quiet")
    lines = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()
    events = [event_from_json(line) for line in lines]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1], RunFinished)
    assert {event.step for event in events if isinstance(event, StepFinished)} == {"1", "2", "3"}


def test_own_tools_replace_the_bundled_ones_unless_these_are_named(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    own = shell("tools", "list", "--tools", "store.py").out
    both = shell("tools", "list", "--tools", "store.py", "--tools", "bundled").out
    assert own.split("\n")[0].startswith("add(left, right, [note])")
    assert "convert(" not in own
    assert "convert(" in both
    assert "stock(" in both


def test_a_request_can_come_from_standard_input(tmp_path: Path) -> None:
    ended = Shell(tmp_path)("run", "-")  # it is empty
    assert (ended.status, ended.out) == (2, "")
    assert "the request is empty" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", ""], "the request is empty"),
        (["run", "  \n"], "the request is empty"),
        (["run", "x", "--model", "emebdded"], "did you mean 'embedded'?"),
        (["run", "x", "--model", "http://localhost:1/v1"], "it names no model after '#'"),
        (["run", "x", "--model", "model.gguf"], "a model file is written 'local:model.gguf'"),
        (["run", "x", "--model", "local:none.gguf"], "there is no such file"),
        (["run", "x", "--model", "local:store.py"], "not a GGUF file"),
        (["run", "x", "--tools", "stroe.py"], "did you mean 'store.py'?"),
        (["run", "x", "--tools", "untis"], "did you mean 'units'?"),
        (["run", "x", "--tools", "broken.py"], "it fails at line 3 with NameError"),
        (["run", "x", "--tools", "empty.py"], "it holds no tool"),
        (["run", "x", "--tools", "store.py", "--tools", "twice.py"], "two tools are named 'add'"),
        (["run", "x", "--tools", "shapeless.py"], "cannot be a tool"),
        (["run", "x", "--timeout", "0"], "limits.seconds must be above 0"),
        (["run", "x", "--max-replans", "-1"], "greater than or equal to 0"),
        (["run", "x", "--limit", "tool_calls"], "is not NAME=VALUE"),
        (["run", "x", "--limit", "tol_calls=3"], "there is no limit 'tol_calls'; did you mean"),
        (["run", "x", "--limit", "x=3"], "there is no limit 'x'; there are seconds, answer_"),
        (["run", "x", "--limit", "mends=many"], "mends must be a whole number or null, not 'many'"),
        (["run", "x", "--limit", "repairs=null"], "repairs must be a whole number, not None"),
        (["run", "x", "--limit", "mends=1.5"], "mends must be a whole number or null, not 1.5"),
        (["run", "x", "--limit", "cost=true"], "cost must be a number or null, not True"),
        (["run", "x", "--limit", "tokens=0"], "limits.tokens must be above 0"),
        (["run", "x", "--limit", "cost=1"], "limits.cost needs the price of tokens"),
        (["run", "x", "--price", "cheap"], "--price 'cheap' is not PROMPT,COMPLETION"),
        (["run", "x", "--price", "1,-2"], "price.completion must be 0 or more"),
        (["run", "x", "--no-pass", "merg"], "there is no pass 'merg'; did you mean 'merge'?"),
        (["run", "x", "--pass", "inline"], "there is no pass 'inline'; there are merge, cache"),
        (["run", "x", "--cache", "store.py"], "store.py"),
        (["run", "x", "--approve", "nothing"], "--approve 'nothing' is not among the tools"),
        (["run", "x", "--trace", "nowhere/t.json"], "cannot write the trace"),
        (["run", "x", "--page", "nowhere/p.html"], "cannot write the page"),
        (["plan", "x", "--page", "nowhere/p.html"], "cannot write the page"),
        (["run", "x", "--events", "nowhere/e.jsonl"], "cannot write events"),
        (["run", "x", "--option", "kv_type"], "is not NAME=VALUE"),
        (["run", "x", "--option", "kv_typ=q8_0"], "there is no local model option 'kv_typ'"),
        (["run", "x", "--threads", "0"], "threads must be"),
        (
            ["run", "x", "--model", "http://localhost:1/v1#m", "--threads", "2"],
            "only a local model",
        ),
        (["run", "x", "--modle", "embedded"], "No such option"),
        (["plan", ""], "the request is empty"),
        (["plan", "x", "--model", "nothing"], "there is no installed model 'nothing'"),
        (["tools", "show", "convrt"], "did you mean 'convert'?"),
        (["tools", "call", "convert", "vlue=3"], "did you mean 'value'?"),
        (["tools", "call", "convert", "--args", "[1]"], "must be a JSON object"),
        (["tools", "call", "convert", "--args", "{"], "--args is not JSON"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_two(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "store.py").write_text(STORE)
    (tmp_path / "broken.py").write_text("import os\n\nprint(nothing)\n")
    (tmp_path / "empty.py").write_text("answer = 42\n")
    (tmp_path / "twice.py").write_text("def add(left: int) -> int: ...\nTOOLS = [add]\n")
    (tmp_path / "shapeless.py").write_text("def f(x: object()) -> int: ...\nTOOLS = [f]\n")
    ended = CliRunner().invoke(app, arguments)  # in this process: there are many of these
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.output
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_a_wrong_request_is_an_object_too_where_json_is_asked_for(tmp_path: Path) -> None:
    ended = Shell(tmp_path)("run", " ", "--json")
    said = json.loads(ended.out)
    assert ended.status == 2
    assert (said["status"], said["answer"], said["steps"]) == ("failed", None, [])
    assert said["error"]["type"] == "EmptyRequestError"
    assert said["error"]["message"] in ended.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ((web_page(),), "web page"),
        ((answers(401, {"error": {"message": "who are you?"}}),), "key"),
        ((streams("Let me think."), streams("Well.")), "cannot be used"),
        ((streams("1. add(left=1, right=1)\n2. join()"), cuts()), "the model server at"),
    ],
)
def test_a_model_that_fails_is_one_sentence_and_status_one(
    script: tuple[object, ...], said: str, tmp_path: Path
) -> None:
    with asking(tmp_path, *script) as shell:  # type: ignore[arg-type]  # scripts are callables
        ended = shell.ask("--json", "--quiet")
    result = json.loads(ended.out)
    assert ended.status == 1
    assert (result["status"], result["answer"]) == ("failed", None)
    assert said in result["error"]["message"]
    assert ended.err.strip() == f"llmcompiler: {result['error']['message']}"


def test_a_run_out_of_time_says_so(tmp_path: Path) -> None:
    plan = "1. slow()\n2. join()"
    with asking(tmp_path, streams(plan), streams("Answer: It took too long.")) as shell:
        ended = shell.ask("--timeout", "5", "--json")
    said = json.loads(ended.out)
    assert (ended.status, said["answer"]) == (0, "It took too long.")
    assert [step["status"] for step in said["steps"]] == ["cancelled"]


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    with (
        asking(tmp_path, streams("Answer: " + "x" * 100_000)) as shell,
        shell.start("run", "Hello", *shell.options, "--quiet") as process,
    ):
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
