"""The chatbot as its user meets it: piped into, and at a terminal with real Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmcompiler.events import RunStarted, event_from_json
from tests.examples.terminal import CTRL_C, CTRL_D, terminal

SCRIPT = Path(__file__).with_name("scripted_chat.py")
ROOT = SCRIPT.parents[2]
COMMAND = [sys.executable, "-W", "error"]


def chat(*messages: str, cwd: Path = ROOT) -> str:
    """Pipe messages into a chat, one to a line, and return what it said."""
    done = subprocess.run(
        [*COMMAND, str(SCRIPT)],
        input="".join(f"{message}\n" for message in messages),
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_turn_shows_its_graph_then_the_answer() -> None:
    said = chat("compare")
    graph = [line.split("quick(")[0].rstrip() for line in said.splitlines() if "quick(" in line]
    assert graph == ["●   1.", "│ ● 2.", "●─╯ 3."]
    assert re.search(r'1\. quick\(name="left"\) +"left is done"', said)
    assert "the results of compare\nare in.\n" in said
    assert "critical path 1 → 3" in said or "critical path 2 → 3" in said


def test_what_was_said_before_is_known_until_it_is_forgotten() -> None:
    said = chat("compare", "hello", "/new", "again")
    assert "I have heard compare, hello." in said
    assert "I have heard again." in said


def test_a_turn_that_fails_leaves_the_chat_as_it_was() -> None:
    said = chat("hello", "break", "again")
    assert "the model's reply cannot be used" in said
    assert "No step had finished. The chat goes on as it was before this message." in said
    assert "I have heard hello, again." in said


def test_a_refused_line_is_shown_with_what_was_wrong_with_it() -> None:
    said = chat("mistake")
    assert "there is no tool 'quik'; did you mean 'quick'?" in " ".join(said.split())
    assert "the results of mistake" in said


def test_what_a_model_writes_cannot_steer_the_terminal() -> None:
    said = chat("hello")
    assert "I have heard hello." in said
    assert "\x1b" not in said


def test_commands_say_what_there_is() -> None:
    said = chat("/plan", "/tools", "/help", "/hlep", "compare", "/plan")
    assert "There was no turn yet" in said
    assert re.search(r"slow\(name\) +Wait for longer than anybody does\.", said)
    assert re.search(r"/save FILE +the whole chat", said)
    assert "There is no command /hlep; did you mean '/help'?" in said
    assert '3. quick(name="${1} and ${2}")\n4. join($3)\n' in said
    assert "flowchart LR\n" in said


def test_a_plan_can_be_asked_for_without_running_it() -> None:
    said = chat("/plan wait", "/plan hello")
    assert '2. slow(name="second")\n' in said
    assert "No steps: the model answers at once." in said


def test_a_path_is_a_message_and_no_command() -> None:
    assert "I have heard /etc/hosts?" in chat("/etc/hosts?")


def test_quit_leaves_before_the_input_ends() -> None:
    assert "I have heard" not in chat("/quit", "hello")


def test_a_saved_chat_holds_every_event_of_every_turn(tmp_path: Path) -> None:
    said = chat("compare", "break", "/save chat.json", "hello", "/save chat.json", cwd=tmp_path)
    assert "Saved 2 turns to chat.json" in said
    assert "Saved 3 turns to chat.json" in said
    saved = json.loads((tmp_path / "chat.json").read_text("utf-8"))
    assert saved["tools"] == ["quick", "send", "slow", "slow_in_a_thread"]
    compared, broken, greeted = saved["turns"]
    assert compared["status"] == "finished"
    assert [step["output"] for step in compared["steps"]][
        -1
    ] == "left is done and right is done is done"
    assert (broken["status"], broken["error"]["type"]) == ("failed", "ReplyError")
    assert greeted["request"] == "hello"
    for turn in (compared, broken, greeted):
        events = [event_from_json(json.dumps(event)) for event in turn["events"]]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert isinstance(events[0], RunStarted)
        assert events[0].request == turn["request"]
    assert list(tmp_path.iterdir()) == [tmp_path / "chat.json"]


def test_a_chat_saved_as_markdown_holds_all_that_was_written(tmp_path: Path) -> None:
    chat("compare", "break", "/save chat.md", cwd=tmp_path)
    saved = (tmp_path / "chat.md").read_text("utf-8")
    assert "> compare\n\nthe results of compare\nare in.\n" in saved
    assert '```text\n1. quick(name="left")\n' in saved
    assert "```mermaid\nflowchart LR\n" in saved
    assert '"output": "left is done and right is done is done"' in saved
    assert "**failed**: the model's reply cannot be used" in saved


def test_saving_never_overwrites_what_is_not_this_chat(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("precious")
    said = chat("/save mine.md", "/save", "/save chat.txt", "/save no/such/chat.md", cwd=tmp_path)
    assert "Not saved: mine.md is there already: choose another name" in said
    assert "Name a file" in said
    assert "the name must end in .json or .md" in said
    assert "No such file or directory" in said
    assert (tmp_path / "mine.md").read_text() == "precious"


QUESTION = 'Approve step 2, send(to="ann")? [y/N] '


def test_a_piped_chat_answers_questions_line_by_line(tmp_path: Path) -> None:
    said = chat("mail", "y", "mail", "n not today", "/save chat.json", "mail", cwd=tmp_path)
    assert f"send always needs approval\n{QUESTION}y" in said
    assert '"sent to ann' in said
    assert said.count("✗") == 2
    saved = json.loads((tmp_path / "chat.json").read_text("utf-8"))
    errors = [step.get("error") for turn in saved["turns"] for step in turn["steps"]]
    assert {"type": "ApprovalDenied", "message": "it was not approved: not today"} in errors


def test_a_step_that_needs_approval_is_asked_for_in_the_chat() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("mail\n")
        chat.wait_for(QUESTION)
        chat.type("y\n")
        shown = chat.wait_for("the results of mail")
        assert "left is done" in shown
        assert "sent to ann is done" in shown
        chat.wait_for("› ")
        chat.type("hello\n")
        chat.wait_for("I have heard mail, hello.")
        assert "Traceback" not in chat.shown


def test_enter_alone_is_a_no_that_the_model_reads() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("mail\n")
        chat.wait_for(QUESTION)
        chat.type("\n")
        assert "it was not approved" in chat.wait_for("the results of mail")


def test_several_questions_are_asked_one_after_the_other_and_ctrl_c_stops_the_turn() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("mails\n")
        chat.wait_for('send(to="a")? [y/N] ')
        chat.type("y\n")
        chat.wait_for('send(to="b")? [y/N] ')
        chat.wait_for("as it was before this message.", CTRL_C)
        assert "Finished were 1 send." in chat.shown
        chat.type("hello\n")
        chat.wait_for("I have heard hello.")
        assert "Traceback" not in chat.shown


def test_ctrl_c_stops_the_turn_and_keeps_the_chat() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("hello\n")
        chat.wait_for("I have heard hello.")
        chat.type("wait\n")
        chat.wait_for("first is done")
        began = time.monotonic()
        chat.type(CTRL_C)
        shown = chat.wait_for("as it was before this message.")
        assert time.monotonic() - began < 5
        assert "Stopped." in shown
        assert "Finished were 1 quick." in shown
        assert re.search(r"■ *│? *2\. slow", shown)
        chat.type("again\n")
        chat.wait_for("I have heard hello, again.")
        chat.wait_for("› ")
        assert chat.wait_for_the_end(CTRL_D) == 0
        assert "Traceback" not in chat.shown


def test_pressing_ctrl_c_again_while_a_turn_stops_does_no_harm() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("wait\n")
        chat.wait_for("first is done")
        for _ in range(5):
            os.killpg(chat.process.pid, signal.SIGINT)
        chat.wait_for("as it was before this message.")
        chat.type("\nhello\n")
        chat.wait_for("I have heard hello.")
        assert "Traceback" not in chat.shown


def test_ctrl_c_stops_a_model_that_is_only_asked_for_a_plan() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.type("/plan ponder\n")
        chat.wait_for("the model is planning")
        chat.wait_for("Stopped.", CTRL_C)
        chat.type("hello\n")
        chat.wait_for("I have heard hello.")
        assert "Traceback" not in chat.shown


def test_ctrl_c_at_the_prompt_leaves_only_when_pressed_twice() -> None:
    with terminal(SCRIPT) as chat:
        chat.wait_for("› ")
        chat.wait_for("Ctrl-C once more, or Ctrl-D, leaves the chat.", CTRL_C)
        chat.wait_for("› ")
        chat.type("hello\n")
        chat.wait_for("I have heard hello.")
        chat.wait_for("› ")
        chat.wait_for("once more", CTRL_C)
        chat.wait_for("› ")
        assert chat.wait_for_the_end(CTRL_C) == 0
        assert "Traceback" not in chat.shown


def test_an_interrupt_stops_the_turn_of_a_piped_chat_too(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with subprocess.Popen(
        [*COMMAND, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "BEGUN": str(begun)},
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"wait\n")
        process.stdin.flush()
        patience = time.monotonic() + 30
        while not begun.exists():
            assert time.monotonic() < patience
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(b"hello\n", timeout=30)
    assert process.returncode == 0
    assert "Finished were 1 quick." in said.decode()
    assert "I have heard hello." in said.decode()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "local:missing.gguf"], "cannot load the model file 'missing.gguf'"),
        (["--model", "nonsense"], "cannot use the model 'nonsense'"),
        (["--tools", "missing.py"], "cannot load tools from 'missing.py'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [*COMMAND, "examples/chatbot", *arguments],
        input="hello\n",
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert sentence in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
