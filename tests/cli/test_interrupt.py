"""What does Ctrl-C leave behind, whenever it comes?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest

from llmcompiler.events import RunCancelled, event_from_json
from tests.cli.command import Shell, asking
from tests.llms.server import hangs, streams

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")


def _interrupted(
    shell: Shell, ready: Callable[[str], bool], *arguments: str
) -> tuple[int, str, str]:
    """Run, press Ctrl-C as soon as the events say so, and return status, output and errors."""
    log = shell.folder / "events.jsonl"
    with shell.start("run", "What?", *shell.options, "--events", log.name, *arguments) as process:
        for _ in range(600):
            if log.exists() and ready(log.read_text("utf-8")):
                break
            sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_ctrl_c_while_a_tool_runs_still_says_what_had_finished(tmp_path: Path) -> None:
    plan = "1. add(left=1, right=2)\n2. slow()\n3. add(left=$1, right=1)\n4. join()"
    with asking(tmp_path, streams(plan)) as shell:
        status, out, err = _interrupted(
            shell, lambda log: '"output":4' in log and '"tool":"slow"' in log, "--json"
        )
    said = json.loads(out)
    assert (status, said["status"], said["answer"]) == (130, "cancelled", None)
    assert said["error"]["type"] == "RunCancelledError"
    assert {step["id"]: step["status"] for step in said["steps"]} == {
        "1": "ok",
        "2": "cancelled",
        "3": "ok",
    }
    assert "cancel   2 slow" in err
    lines = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()
    assert isinstance(event_from_json(lines[-1]), RunCancelled)


def test_ctrl_c_while_the_model_is_silent_ends_at_once(tmp_path: Path) -> None:
    with asking(tmp_path, hangs()) as shell:
        status, out, err = _interrupted(shell, lambda log: "plan_started" in log)
    assert (status, out) == (130, "")
    assert "llmcompiler: the run was cancelled" in err


def test_ctrl_c_while_the_answer_is_written_leaves_no_answer(tmp_path: Path) -> None:
    with asking(tmp_path, hangs("Answer: It ", "is")) as shell:
        status, out, _ = _interrupted(shell, lambda log: "answer_delta" in log, "--json")
    assert (status, json.loads(out)["status"]) == (130, "cancelled")


@pytest.mark.parametrize("arguments", [["plan", "What?"], ["tools", "call", "slow"]])
def test_ctrl_c_in_other_commands_is_status_130(arguments: list[str], tmp_path: Path) -> None:
    with asking(tmp_path, hangs()) as shell:
        options = shell.options if arguments[0] == "plan" else shell.options[2:]
        with shell.start(*arguments, *options) as process:
            sleep(2.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err.strip()) == (130, "", "llmcompiler: interrupted")


HELD = """
import os, signal, sys
import llmcompiler.cli
from llmcompiler.cli.interrupts import hold_interrupts

hold_interrupts()
os.kill(os.getpid(), signal.SIGINT)  # before the command is even imported
sys.argv = ["llmcompiler", "run", "What?", "--json"]
llmcompiler.cli.main()
"""


def test_ctrl_c_before_the_command_is_loaded_still_gives_an_object(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELD], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    said = json.loads(ended.stdout)
    assert (ended.returncode, said["status"], said["steps"]) == (130, "cancelled", [])
    assert ended.stderr.strip() == "llmcompiler: the run was cancelled"
