"""How events and results read: pure text."""

from __future__ import annotations

from typing import Any

import pytest

from llmcompiler.cli.lines import duration, line_of, one_line, summary
from llmcompiler.events import (
    EVENT_TYPES,
    AnswerDelta,
    StepFailed,
    StepFinished,
    StepRejected,
    StepRetrying,
    StepStarted,
)
from llmcompiler.messages import Usage
from llmcompiler.plan import Observation, Ok, Plan, Ref, Task, TaskId, Timing
from llmcompiler.result import Result
from llmcompiler.transcript import Transcript

TOOLS = {"1": "fetch"}


def _result(*steps: Observation, usage: Usage | None = None) -> Result[Any]:
    return Result(
        run_id="r",
        request="?",
        status="finished",
        answer="!",
        output="!",
        error=None,
        plans=(Plan(tuple(step.task for step in steps)),),
        steps=steps,
        usage=usage or Usage(120, 100, 30, 2),
        seconds=2.5,
        transcript=Transcript(),
    )


def _step(step: str, start: float, end: float, *needs: str) -> Observation:
    args = {f"a{need}": Ref(TaskId(need)) for need in needs}
    return Observation(Task(TaskId(step), "t", args), Ok(1), Timing(start, start, end))


def test_a_line_has_a_time_a_word_and_the_rest() -> None:
    line = line_of(StepFinished("r", 1, 1.5, TaskId("1"), {"a": "é"}, 0.25), TOOLS)
    assert str(line) == '   1.50 s  done     1 fetch  250 ms  = {"a": "é"}'


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (StepStarted("r", 1, 0.0, TaskId("1"), "fetch", {}, 3), "1 fetch, 3 calls"),
        (StepRetrying("r", 1, 0.0, TaskId("1"), 2, "no", 1.0), "1 fetch  try 2 in 1.00 s: no"),
        (
            StepFailed("r", 1, 0.0, TaskId("1"), "E", "two\nlines", 1, 0.0),
            "1 fetch  0.0 ms  two lines",
        ),
        (StepRejected("r", 1, 0.0, "1", " 1. x()", "no tool 'x'", 1, 1), "1. x(): no tool 'x'"),
    ],
)
def test_each_event_reads_as_one_line(event: Any, text: str) -> None:
    line = line_of(event, TOOLS)
    assert line is not None
    assert line.text == text


def test_a_piece_of_the_answer_is_no_line() -> None:
    assert line_of(AnswerDelta("r", 1, 0.0, "It"), TOOLS) is None
    assert AnswerDelta in EVENT_TYPES


def test_what_a_tool_returns_cannot_drive_the_terminal() -> None:
    assert one_line("\x1b[2Jgone\x07") == " [2Jgone "
    assert one_line("a\n  b\r\n") == "a b"
    assert len(one_line("x" * 1000)) == 240


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 ms"),
        (0.00042, "0.4 ms"),
        (0.0378, "38 ms"),
        (0.9991, "999 ms"),
        (0.9996, "1.00 s"),
        (75.0, "75.00 s"),
        (200.0, "3 min 20 s"),
    ],
)
def test_times_read_as_a_person_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_summary_tells_steps_path_speed_up_and_tokens() -> None:
    result = _result(_step("1", 0.0, 1.0), _step("2", 0.0, 1.0), _step("3", 1.0, 1.5, "1"))
    assert summary(result) == (
        "3 steps in 1.50 s · critical path 1.50 s (step 1 > 3) · 1.7x as fast as one by one · "
        "20 tokens prefilled, 100 reused, 30 written · 2.50 s in all"
    )


def test_a_summary_without_steps_has_no_path_and_guesses_are_called_so() -> None:
    text = summary(_result(usage=Usage(10, 0, 5, 1, estimated=True)))
    assert text == "no steps · about 10 tokens prefilled, 0 reused, 5 written · 2.50 s in all"
