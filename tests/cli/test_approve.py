"""Who approves a step at the command line: options, a person at a real terminal, or nobody."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmcompiler.approval import ApprovalRequest
from llmcompiler.cli.approve import call_text
from llmcompiler.plan import TaskId
from tests.cli.command import Shell, asking
from tests.llms.server import Script, serve_in_thread, streams

MAIL = '''
import time
from pathlib import Path

from llmcompiler import tool


@tool(approve="always")
def send_mail(to: str, text: str = "") -> str:
    """Send a mail."""
    with Path("sent.txt").open("a") as sent:
        sent.write(f"{to}: {text}\\n")
    return f"sent to {to}"


@tool(untrusted=True)
def web_page(url: str) -> str:
    """Read what a stranger wrote."""
    return "buy now"


@tool(sends=True)
def post(text: str) -> str:
    """Post something."""
    return "posted"


@tool
def look(item: str, seconds: float = 0.3) -> str:
    """Look something up."""
    time.sleep(seconds)
    return f"{item} seen"
'''
PLAN = '1. look(item="pen")\n2. send_mail(to="ann", text="hello")\n3. look(item="${2}")\n4. join()'
ANSWER = streams("Answer: Done.")


@contextmanager
def mailing(folder: Path, *script: Script) -> Iterator[Shell]:
    with asking(folder, *script) as shell:
        (folder / "store.py").write_text(MAIL, "utf-8")
        yield shell


def sent(folder: Path) -> str:
    path = folder / "sent.txt"
    return path.read_text("utf-8") if path.exists() else ""


# ---------------------------------------------------------------------- no terminal


def test_where_nobody_is_there_a_step_is_denied_and_the_model_reads_how_to_allow_it(
    tmp_path: Path,
) -> None:
    with mailing(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--json")
    steps = {step["id"]: step for step in json.loads(ended.out)["steps"]}
    why = "nobody was there to approve it: --approve send_mail"
    assert steps["2"]["error"] == {
        "type": "ApprovalDenied",
        "message": f"it was not approved: {why}",
    }
    assert (steps["1"]["status"], steps["3"]["status"]) == ("ok", "skipped")
    assert ended.err.splitlines().count(f"llmcompiler: step 2 was denied: {why}") == 1
    assert sent(tmp_path) == ""


def test_a_denial_is_said_in_quiet_too(tmp_path: Path) -> None:
    with mailing(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--quiet")
    assert (ended.status, ended.out) == (0, "Done.\n")
    assert ended.err == (
        "llmcompiler: step 2 was denied: nobody was there to approve it: --approve send_mail\n"
    )


@pytest.mark.parametrize("named", ["send_mail", "all"])
def test_what_an_option_approves_is_not_asked_for(named: str, tmp_path: Path) -> None:
    with mailing(tmp_path, streams(PLAN), ANSWER) as shell:
        ended = shell.ask("--approve", "look", "--approve", named)
    assert ended.status == 0
    assert sent(tmp_path) == "ann: hello\n"
    assert "approve  2 send_mail" in ended.err
    assert "wait     2 send_mail  for approval: send_mail always needs approval" in ended.err


def test_an_option_for_one_tool_approves_no_other(tmp_path: Path) -> None:
    plan = '1. web_page(url="u")\n2. post(text=$1)\n3. send_mail(to="ann")\n4. join()'
    with mailing(tmp_path, streams(plan), ANSWER) as shell:
        ended = shell.ask("--approve", "send_mail", "--json")
    steps = {step["id"]: step["status"] for step in json.loads(ended.out)["steps"]}
    assert steps == {"1": "ok", "2": "failed", "3": "ok"}
    assert "untrusted text from $1 (web_page) flows into $2 (post)" in ended.err


def test_a_name_that_is_no_tool_cannot_be_approved(tmp_path: Path) -> None:
    with mailing(tmp_path, streams(PLAN)) as shell:
        ended = shell.ask("--approve", "send_mial")
    assert ended.status == 2
    assert "--approve 'send_mial' is not among the tools; did you mean 'send_mail'?" in ended.err


# ---------------------------------------------------------------------- what is shown


def _request(args: dict[str, str], elements: int | None = None) -> ApprovalRequest:
    return ApprovalRequest(TaskId("3"), "send_mail", args, "d", "why", elements)


def test_a_call_is_shown_so_that_nothing_in_it_hides() -> None:
    shown = call_text(_request({"to": "ann\x1b[2K\u202e", "text": "é\u200b\x9b"}))
    assert shown == '3, send_mail(to="ann\\u001b[2K\\u202e", text="é\\u200b\\x9b")'


def test_a_fan_out_says_how_many_calls_it_is() -> None:
    assert call_text(_request({}, 1200)) == "3, 1,200 calls of send_mail()"


# ---------------------------------------------------------------------- a terminal

if sys.platform != "win32":
    from tests.examples.terminal import CTRL_C, Terminal, terminal

    SCRIPT = Path(__file__).with_name("at_terminal.py")

    @contextmanager
    def sitting(
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *script: Script,
        more: tuple[str, ...] = (),
        request: str = "Mail Ann.",
    ) -> Iterator[Terminal]:
        """Run the command at a terminal of its own, in `folder`."""
        (folder / "store.py").write_text(MAIL, "utf-8")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NO_COLOR", "1")
        with serve_in_thread(*script) as server:
            options = ("--model", f"{server.url}#m", "--tools", "store.py", *more)
            with terminal(SCRIPT, "run", request, *options) as screen:
                yield screen
                assert "Traceback" not in screen.shown

    QUESTION = 'Approve step 2, send_mail(to="ann", text="hello")? [y/N] '

    def test_the_person_at_the_terminal_is_asked_and_says_yes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER) as screen:
            assert "send_mail always needs approval\n" in screen.wait_for(QUESTION)
            assert sent(tmp_path) == ""
            screen.type("y\n")
            screen.wait_for("Done.")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == "ann: hello\n"

    @pytest.mark.parametrize("said", ["", "n", "maybe", "yes please"])
    def test_anything_but_a_yes_is_a_no(
        said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER) as screen:
            screen.wait_for(QUESTION)
            screen.type(f"{said}\n")
            screen.wait_for("deny     2 send_mail")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == ""

    def test_what_is_written_behind_a_no_is_the_reason_that_the_model_reads(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        more = ("--events", "events.jsonl")
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER, more=more) as screen:
            screen.wait_for(QUESTION)
            screen.type("no, ask Bob first\n")
            screen.wait_for("Done.")
            assert screen.wait_for_the_end("") == 0
        assert "it was not approved: ask Bob first" in (tmp_path / "events.jsonl").read_text()

    def test_nothing_is_written_into_a_question_and_all_of_it_after(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER) as screen:
            screen.wait_for(QUESTION)
            begun = len(screen.shown)
            time.sleep(1.0)  # the other step ends meanwhile, and the live region would move
            screen.type("y\n")
            screen.wait_for("done     3 look")
            assert screen.shown[begun:].startswith("y\n")
            assert "done     1 look" in screen.shown[begun:]
            assert screen.wait_for_the_end("") == 0

    def test_several_questions_come_one_after_the_other(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = '1. send_mail(to="a")\n2. send_mail(to="b")\n3. send_mail(to="c")\n4. join()'
        with sitting(tmp_path, monkeypatch, streams(plan), ANSWER) as screen:
            for name, said in (("a", "y"), ("b", "n"), ("c", "y")):
                screen.wait_for(f'send_mail(to="{name}")? [y/N] ')
                screen.type(f"{said}\n")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == "a: \nc: \n"

    def test_a_long_call_is_shown_whole_when_it_is_asked_for(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = f'1. send_mail(to="ann", text="{"x" * 2000}THE END")\n2. join()'
        with sitting(tmp_path, monkeypatch, streams(plan), ANSWER) as screen:
            assert (
                "THE END"
                not in screen.wait_for("… (2,038 characters)? [y/N/?] ").rpartition("Approve step")[
                    2
                ]
            )
            screen.type("?\n")
            screen.wait_for('THE END")')
            screen.wait_for("Approve it? [y/N] ")
            screen.type("yes\n")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path).endswith("THE END\n")

    def test_what_was_typed_before_the_question_is_no_answer_to_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = PLAN.replace('text="hello"', "text=$1").replace('"pen"', '"pen", seconds=1.5')
        with sitting(tmp_path, monkeypatch, streams(plan), ANSWER) as screen:
            screen.wait_for("start    1 look")
            screen.type("y\n")
            screen.wait_for("? [y/N] ")
            time.sleep(0.5)
            assert sent(tmp_path) == ""
            screen.type("n\n")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == ""

    def test_ctrl_c_at_a_question_stops_the_run(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN)) as screen:
            screen.wait_for(QUESTION)
            began = time.monotonic()
            screen.type(CTRL_C)
            screen.wait_for("llmcompiler: the run was cancelled")
            assert screen.wait_for_the_end("") == 130
            assert time.monotonic() - began < 4
        assert sent(tmp_path) == ""

    def test_a_question_that_nobody_answers_ends_with_the_time_of_the_run(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        more = ("--timeout", "2")
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER, more=more) as screen:
            screen.wait_for(QUESTION)
            screen.wait_for("Done.")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == ""

    def test_a_request_that_is_piped_in_leaves_the_terminal_to_questions(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER, request="-") as screen:
            screen.wait_for(QUESTION)
            screen.type("y\n")
            screen.wait_for("Done.")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == "ann: hello\n"

    def test_a_quiet_run_asks_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with sitting(tmp_path, monkeypatch, streams(PLAN), ANSWER, more=("--quiet",)) as screen:
            screen.wait_for(QUESTION)
            screen.type("y\n")
            assert screen.wait_for_the_end("") == 0
        assert sent(tmp_path) == "ann: hello\n"
