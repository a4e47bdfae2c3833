"""How events and results read: pure text."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from llmcompiler.cli.lines import duration, line_of, one_line, summary
from llmcompiler.events import (
    EVENT_TYPES,
    AnswerDelta,
    ApprovalDecided,
    LimitReached,
    PassApplied,
    PlanChanged,
    PlanDelta,
    ResultShortened,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunPaused,
    StepAwaitingApproval,
    StepFailed,
    StepFellBack,
    StepFinished,
    StepMending,
    StepRejected,
    StepRetrying,
    StepStarted,
    UsageUpdated,
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


ONE = TaskId("1")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            StepFellBack("r", 1, 0.0, ONE, "wget", "no such host"),
            "instead  1 fetch  now wget: no such host",
        ),
        (
            StepMending("r", 1, 0.0, ONE, "ValueError", "no", 2, 0.5),
            "mend     1 fetch  500 ms  no",
        ),
        (
            PlanChanged("r", 1, 0.0, (ONE,), ('1. fetch(url="a")',), ('1. fetch(url="b")',)),
            'change   1. fetch(url="a")  =>  1. fetch(url="b")',
        ),
        (
            StepAwaitingApproval("r", 1, 0.0, ONE, "fetch", {}, "d", "fetch always needs approval"),
            "wait     1 fetch  for approval: fetch always needs approval",
        ),
        (ApprovalDecided("r", 1, 0.0, ONE, "d", True, ""), "approve  1 fetch"),
        (ApprovalDecided("r", 1, 0.0, ONE, "d", False, "no"), "deny     1 fetch  no"),
        (
            PassApplied("r", 1, 0.0, "merge", (ONE, TaskId("2")), "the same call", 1),
            "merge    1, 2  the same call, 1 call saved",
        ),
        (PassApplied("r", 1, 0.0, "hedge", (ONE,), "slow", 0), "hedge    1  slow"),
        (
            ResultShortened("r", 1, 0.0, ONE, 123_456, 2000),
            "shorten  1 fetch  the model is shown 2,000 of 123,456 characters",
        ),
        (LimitReached("r", 1, 0.0, "tokens", 1000), "limit    tokens: 1,000 used up"),
        (RunPaused("r", 1, 0.0, (ONE,)), "pause    for the approval of 1"),
    ],
)
def test_what_the_compiler_does_reads_as_a_line_too(event: Any, line: str) -> None:
    assert str(line_of(event, TOOLS)) == f"   0.00 s  {line}"


def test_many_steps_are_counted_and_not_listed() -> None:
    steps = tuple(TaskId(str(number)) for number in range(1, 31))
    line = line_of(PassApplied("r", 1, 0.0, "drop", steps, "unread", 30), TOOLS)
    assert line is not None
    assert line.text == "1, 2, 3, 4, 5, 6, 7, 8, … (30 in all)  unread, 30 calls saved"


def test_a_piece_of_the_answer_is_no_line() -> None:
    assert line_of(AnswerDelta("r", 1, 0.0, "It"), TOOLS) is None
    assert AnswerDelta in EVENT_TYPES


def test_every_kind_of_event_has_a_line_or_is_known_to_have_none() -> None:
    source = inspect.getsource(line_of)
    silent = {AnswerDelta, PlanDelta, RunCancelled, RunFailed, RunFinished, UsageUpdated}
    without = {kind for kind in EVENT_TYPES if f"case {kind.__name__}(" not in source}
    assert without == silent


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
        "20 tokens prefilled, 100 reused, 30 written · 2.50 s in all\n"
        "bottleneck: step 1 (t) took 1.0 s of the 2.5 s; with unlimited parallelism the tools "
        "would have taken 1.5 s"
    )


def test_the_summary_tells_what_passes_saved_and_what_was_mended() -> None:
    told = summary(
        _result(_step("1", 0.0, 1.0)),
        [
            PassApplied("r", 1, 0.0, "merge", (ONE,), "the same", 3),
            PassApplied("r", 2, 0.0, "bulk", (ONE,), "apart after all", -1),
            StepMending("r", 3, 0.0, ONE, "E", "no", 1, 0.0),
            StepMending("r", 4, 0.0, ONE, "E", "no again", 1, 0.0),
        ],
    )
    assert " · 2 calls saved · 1 step mended · " in told
    assert "bottleneck" not in told


def test_the_summary_tells_the_cost_where_it_is_known() -> None:
    for cost, text in (
        (0.01234, "0.012"),
        (5.4e-05, "0.000054"),
        (1234.5, "1,234.50"),
        (0, "0.00"),
    ):
        assert f" · cost {text} · 2.50 s in all" in summary(replace(_result(), cost=cost))


def test_a_summary_without_steps_has_no_path_and_guesses_are_called_so() -> None:
    text = summary(_result(usage=Usage(10, 0, 5, 1, estimated=True)))
    assert text == "no steps · about 10 tokens prefilled, 0 reused, 5 written · 2.50 s in all"
