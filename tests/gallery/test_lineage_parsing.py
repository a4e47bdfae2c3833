"""Defects 10 to 17 of the original: plan lines that are lost, cut or misread."""

from __future__ import annotations

import pytest

from llmcompiler import tool
from llmcompiler.events import PlanIgnored, StepRejected
from llmcompiler.plan import Ok
from llmcompiler.testing import Reply
from tests.gallery.scene import ANSWER, TOOLS, play


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_lineage_10_several_lines_in_one_piece_lose_no_call(pieces: int) -> None:
    lines = [f"{number}. say(value={number})\n" for number in range(1, 7)] + ["7. join()"]
    chunks = tuple("".join(lines[at : at + 4 // pieces]) for at in range(0, 7, 4 // pieces))
    seen = play(Reply(chunks=chunks), ANSWER, delay=0.1)
    assert [step.outcome for step in seen.result.steps] == [Ok(n) for n in range(1, 7)]


@pytest.mark.parametrize("chunk", range(1, 12))
def test_lineage_11_blanks_survive_however_the_stream_is_cut(chunk: int) -> None:
    seen = play('1. say(value="New York city  ")\n2. join()', ANSWER, chunk=chunk)
    assert seen.result["1"] == Ok("New York city  ")


@pytest.mark.parametrize(
    "line",
    [
        '1. say(value="x"',
        '1) say(value="x")',
        '    1. say(value="x")',
        '1. say(\n    value="x",\n)',
    ],
)
def test_lineage_12_a_line_in_another_form_is_read(line: str) -> None:
    seen = play(f"{line}\n2. say(value=$1)\n3. join()", ANSWER)
    assert seen.result["2"] == Ok("x")
    assert seen.of(StepRejected) == []


@pytest.mark.parametrize("line", ["2. say(value=)", "2. maps.say(value=1)", "2. say(value=[1"])
def test_lineage_12_a_line_that_cannot_be_read_is_told_and_repaired(line: str) -> None:
    plan = f"1. say(value=1)\n{line}\n3. say(value=$2)\n4. join()"
    seen = play(plan, "2. say(value=2)", ANSWER)
    (rejected,) = seen.of(StepRejected)
    assert (rejected.step, rejected.line) == ("2", 2)
    assert seen.result["3"] == Ok(2), "it waited"


def test_lineage_12_what_refers_to_a_line_that_is_no_call_at_all_is_repaired_with_it() -> None:
    seen = play(
        "1. say(value=1)\n2. say value\n3. say(value=$2)\n4. join()",
        "2. say(value=2)\n3. say(value=$2)",
        ANSWER,
    )
    assert [event.line for event in seen.of(StepRejected)] == [2, 3]
    assert seen.result["3"] == Ok(2)


def test_lineage_13_numbers_may_begin_anywhere_and_have_gaps() -> None:
    seen = play("4. say(value=4)\n9. say(value=$4)\n20. join($9)", ANSWER)
    assert seen.result["9"] == Ok(4)


def test_lineage_14_a_reference_to_a_later_line_reaches_no_tool_as_text() -> None:
    seen = play(
        '1. say(value=$2)\n2. say(value="late")\n3. join()',
        '1. say(value="mended")',
        ANSWER,
    )
    assert [each.step for each in seen.of(StepRejected)] == ["1"]
    assert "$2" not in str([step.args for step in seen.result.steps])


def test_lineage_14_two_lines_of_one_number_do_not_overwrite_each_other() -> None:
    seen = play(
        '1. say(value="first")\n1. say(value="second")\n2. join()',
        '2. say(value="second")',
        ANSWER,
    )
    assert [seen.result[step] for step in "12"] == [Ok("first"), Ok("second")]


def test_lineage_15_a_call_inside_a_thought_is_not_made() -> None:
    seen = play(
        "Thought: I could write 5. say(value=5) or\nThought: 6. say(value=6)\n"
        "1. say(value=1)\n2. join()",
        ANSWER,
    )
    assert [step.task.id for step in seen.result.steps] == ["1"]
    assert [event.text for event in seen.of(PlanIgnored)][:1] == [
        "Thought: I could write 5. say(value=5) or"
    ]


@tool
async def note(items: list[str], title: str = "none", count: int = 0) -> list[object]:
    """Return what it was given, in order."""
    return [items, title, count]


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ('["a", "b"]', [["a", "b"], "none", 0]),
        ('items=["a"], title="v"', [["a"], "v", 0]),
        ('["a"], "t", $1', [["a"], "t", 7]),
    ],
)
def test_lineage_16_arguments_arrive_as_they_were_written(
    written: str, given: list[object]
) -> None:
    plan = f"1. say(value=7)\n2. note({written})\n3. join()"
    seen = play(plan, ANSWER, tools=[*TOOLS, note])
    assert seen.result["2"] == Ok(given)  # type: ignore[arg-type]


def test_lineage_16_a_call_within_a_call_is_refused_with_advice() -> None:
    seen = play("1. say(say(1))\n2. join()", "1. say(1)", ANSWER)
    (rejected,) = seen.of(StepRejected)
    assert "write the inner call as a step of its own" in rejected.message
    assert seen.result["1"] == Ok(1)


def test_lineage_17_a_comment_behind_a_call_is_no_argument() -> None:
    seen = play('1. say("x") # note (hi)\n2. join()  # (that is all)', ANSWER)
    assert seen.result["1"] == Ok("x")
