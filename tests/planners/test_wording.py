"""What the runtime says to a model, word for word: small models are trained on these sentences."""

from __future__ import annotations

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Json,
    Observation,
    Ok,
    Outcome,
    Skipped,
    Task,
    TaskId,
    Timing,
)
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    Entry,
    NoReplansLeft,
    Observed,
    Rejected,
    Request,
    TimeIsUp,
    Transcript,
    Turn,
)
from llmcompiler_planners.wording import to_messages


def observed(outcome: Outcome) -> Entry:
    return Observed(Observation(Task(TaskId("1"), "tool"), outcome, Timing(0, 0, 1)))


def word(entry: Entry) -> tuple[str, str]:
    (message,) = to_messages(Transcript((entry,)))
    return message.kind, message.text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18.2, "$1 = 18.2"),
        ("2026-11-21 17:03", '$1 = "2026-11-21 17:03"'),
        ({"name": "é.md", "value": 120}, '$1 = {"name": "é.md", "value": 120}'),
        ([1, None, True], "$1 = [1, null, true]"),
        ("two\nlines", '$1 = "two\\nlines"'),
    ],
)
def test_a_result_is_one_line_of_json(value: Json, text: str) -> None:
    assert word(observed(Ok(value))) == ("observation", text)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (observed(Failed("ToolError", "there is no file 'x'")), "$1 failed: there is no file 'x'"),
        (observed(Failed("E", "two\n lines")), "$1 failed: two lines"),
        (observed(Skipped("it needs $2", TaskId("2"))), "$1 skipped: it needs $2"),
        (observed(Cancelled("the time is up")), "$1 cancelled: the time is up"),
        (
            observed(Failed("E", "1 of 2 calls failed: [1] no", 2, (Ok(5), Failed("E", "no")))),
            "$1 failed: 1 of 2 calls failed: [1] no; the others gave [5, null]",
        ),
        (NoReplansLeft(), "No replans are left: answer with what there is."),
        (TimeIsUp(), "The time is up: answer with what there is."),
        (CutOff(2), "The plan was cut off after line 2: go on from there."),
        (CutOff(0), "That was cut off: go on from there."),
        (
            BadForm("that was neither a plan nor an answer"),
            "That was neither a plan nor an answer: write plan lines, or Answer: and the answer.",
        ),
        (
            Rejected(
                (
                    PlanError("there is no tool 'a'", line=4, task="2"),
                    PlanError("the string is not closed", line=5),
                )
            ),
            "Line 2 was rejected: there is no tool 'a'\n"
            "Line 5 was rejected: the string is not closed\n"
            "Write only the corrected lines.",
        ),
    ],
)
def test_what_happened_is_said_in_fixed_words(entry: Entry, said: str) -> None:
    assert word(entry)[1] == said


def test_requests_and_turns_are_passed_on_to_the_letter() -> None:
    assert word(Request(" as it is\n")) == ("request", " as it is\n")
    assert word(Turn("1. join()")) == ("turn", "1. join()")
