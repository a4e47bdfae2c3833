"""Is a turn read as what it is, while it comes, and is nothing in it passed over in silence?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from llmcompiler.language import TurnReader
from llmcompiler.messages import FinishReason
from llmcompiler.plan import TaskId
from llmcompiler.roles import (
    AnswerText,
    Ignored,
    Read,
    Reason,
    Sealed,
    Text,
    TurnItem,
    Unreadable,
)

Allow = Literal["any", "join", "answer", "lines"]


def read(text: str, allow: Allow = "any", reason: FinishReason = "stop") -> list[TurnItem]:
    reader = TurnReader(allow=allow)
    return reader.feed(text) + reader.close(reason)


def said(items: Sequence[TurnItem]) -> list[str]:
    """Write items down shortly, shown text left out."""
    found: list[str] = []
    answered = ""
    for item in items:
        answered = answered + item.text if isinstance(item, AnswerText) else ""
        match item:
            case Read(task):
                found.append(f"{task.id} {task.tool}")
            case Unreadable(error):
                found.append(f"unreadable {error.line}:{error.column}")
            case Sealed(joins):
                found.append("sealed" if joins is None else f"sealed {' '.join(joins)}")
            case Ignored(text, reason):
                found.append(f"ignored {text!r}: {reason}")
            case Reason(text):
                found.append(f"reason {text!r}")
            case AnswerText(text):
                if answered != text:
                    found.pop()
                found.append(f"answer {answered!r}")
            case _:
                pass
    return found


def shown(items: Sequence[TurnItem]) -> str:
    return "".join(item.text for item in items if isinstance(item, Text))


def test_a_step_is_given_out_when_its_line_ends_and_not_before() -> None:
    reader = TurnReader()
    assert said(reader.feed('1. geocode(place="Oslo")')) == []
    assert said(reader.feed("\n2. ")) == ["1 geocode"]


def test_plan_text_is_shown_as_it_comes() -> None:
    reader = TurnReader()
    pieces = ["1. geo", "code(pl", 'ace="Os', 'lo")', "\n"]
    assert [shown(reader.feed(piece)) for piece in pieces] == [
        "", "1. geocode(pl", 'ace="Os', 'lo")', "\n",
    ]  # fmt: skip


def test_join_seals_at_its_parenthesis() -> None:
    reader = TurnReader()
    assert said(reader.feed("1. a()\n2. join(")) == ["1 a"]
    assert said(reader.feed("$1)")) == ["sealed 1"]
    assert said(reader.feed("\n3. b()")) == []
    assert said(reader.close("stop")) == ["ignored '3. b()': text after join()"]


@pytest.mark.parametrize(
    "join", ["join", "7. join", "7) join()", "join()", "join.", "join<END_OF_PLAN>"]
)
def test_join_may_be_written_in_many_ways(join: str) -> None:
    assert "sealed" in said(read(f"1. a()\n{join}"))


def test_the_end_mark_alone_seals() -> None:
    assert said(read("1. a()\n<END_OF_PLAN>\nmore")) == [
        "1 a",
        "sealed",
        "ignored '<END_OF_PLAN>\\nmore': the end of the plan, read as join()",
    ]


def test_an_answer_is_streamed_without_its_marker_and_the_blanks_around_it() -> None:
    reader = TurnReader()
    pieces = ["Ans", "wer", ":", " ", "Oslo is", " ", "warmer.", "\n", "\nBy 3.", "\n\n"]
    given = [
        "".join(item.text for item in reader.feed(piece) if isinstance(item, AnswerText))
        for piece in pieces
    ]
    assert given == ["", "", "", "", "Oslo is", "", " warmer.", "", "\n\nBy 3.", ""]
    assert reader.close("stop") == []


@pytest.mark.parametrize(
    "piece", ["A", "Answer", "Rep", "Replan:", "<thi", "``", "Thought", "1. a"]
)
def test_nothing_is_shown_of_a_line_that_may_still_become_a_mark(piece: str) -> None:
    assert TurnReader().feed(piece) == []


@pytest.mark.parametrize(
    "marker", ["Answer:", "answer: ", "**Answer:** ", "**Answer**: ", "Final Answer:"]
)
def test_the_answer_marker_is_read_leniently(marker: str) -> None:
    assert said(read(f"Well.\n{marker}It is 3.")) == [
        "ignored 'Well.': thought",
        "answer 'It is 3.'",
    ]


def test_an_answer_may_hold_what_looks_like_a_plan() -> None:
    text = "1. a(x=1)\nReplan: no\n```\njoin()"
    assert said(read(f"Answer: {text}")) == [f"answer {text!r}"]


def test_a_fence_around_an_answer_is_not_part_of_it() -> None:
    assert said(read("```\nAnswer: it is ``so``\n```\n")) == [
        "ignored '```': code fence",
        "answer 'it is ``so``'",
        "ignored '```': code fence",
    ]


def test_a_replan_is_a_reason_and_lines() -> None:
    assert said(read("Replan: no such place.\n3. a(x=$1)\n4. join()", "join")) == [
        "reason 'no such place.'",
        "3 a",
        "sealed",
    ]


def test_lines_without_a_reason_are_read_after_observations() -> None:
    assert said(read("3. a(x=$1)\n4. join()", "join")) == ["3 a", "sealed"]


def test_a_reason_among_steps_is_a_thought() -> None:
    assert said(read("3. a()\nReplan: why not\n4. b()", "join")) == [
        "3 a",
        "ignored 'Replan: why not': thought",
        "4 b",
    ]


def test_thoughts_fences_comments_and_prose_are_set_aside() -> None:
    text = (
        "Sure, here is a plan:\n```text\nThought: first\n# the start\n1. a()  # yes\n"
        "  and so on\n// no\n2. join()\n```"
    )
    assert said(read(text)) == [
        "ignored 'Sure, here is a plan:': thought",
        "ignored '```text': code fence",
        "ignored 'Thought: first': thought",
        "ignored '# the start': comment",
        "1 a",
        "ignored 'and so on': thought",
        "ignored '// no': comment",
        "sealed",
        "ignored '```': text after join()",
    ]


def test_a_thinking_block_is_set_aside_with_all_that_it_holds() -> None:
    items = read(
        "<think>\n1. a()\nAnswer: x</think> 2. b(x=\n3)\n<thinking>\nso</thinking>\n\n3. c(Oslo)"
    )
    assert said(items) == [
        "ignored '<think>\\n1. a()\\nAnswer: x</think>': thought",
        "2 b",
        "ignored '<thinking>\\nso</thinking>': thought",
        "unreadable 8:6",
    ]
    assert [item.task.line for item in items if isinstance(item, Read)] == [3]


def test_a_thinking_block_that_never_ends_is_a_thought() -> None:
    assert said(read("<think>I wonder")) == ["ignored '<think>I wonder': thought"]


def test_the_end_of_a_thought_whose_beginning_was_in_the_prompt_is_read() -> None:
    assert said(read("so it is.\n</think>\n\nAnswer: 3")) == [
        "ignored 'so it is.': thought",
        "ignored '</think>': thought",
        "answer '3'",
    ]
    assert said(read("so it is.</think>Answer: 3\nor 4")) == [
        "ignored 'so it is.</think>': thought",
        "answer '3\\nor 4'",
    ]
    assert said(read("done</think> 1. a(Oslo)")) == [
        "ignored 'done</think>': thought",
        "unreadable 1:19",
    ]


def test_columns_count_what_stands_before_a_step_on_its_line() -> None:
    assert said(read("</think> 1. a(Oslo)"))[1] == "unreadable 1:15"
    assert said(read("<think>so</think> 1. a(Oslo)"))[1] == "unreadable 1:24"
    assert said(read("   1. a(Oslo)")) == ["unreadable 1:9"]


def test_a_line_that_cannot_be_read_does_not_stop_the_others() -> None:
    assert said(read("1. a(x=Oslo)\n2. b(x=$1)\n3. join()")) == ["unreadable 1:8", "2 b", "sealed"]


def test_a_missing_parenthesis_is_supplied_where_the_rest_is_whole() -> None:
    text = '1. a(x="(1"  # why\n2. b([1, 2]\nThought: so\n3. c(x=1\njoin($1'
    assert said(read(text)) == [
        "1 a",
        "ignored '': a closing ')' was supplied in line 1",
        "2 b",
        "ignored '': a closing ')' was supplied in line 2",
        "ignored 'Thought: so': thought",
        "3 c",
        "ignored '': a closing ')' was supplied in line 4",
        "sealed 1",
        "ignored '': a closing ')' was supplied in line 5",
    ]


@pytest.mark.parametrize(
    "line", ["1. a(", "1. a(x=1,", "1. a(x=", "1. a(x=[1", "1. a(x={", "1. a(x=1 2"]
)
def test_no_parenthesis_is_supplied_where_more_is_missing(line: str) -> None:
    found = said(read(f"{line}\n2. b()\n"))
    assert found[0].startswith("unreadable 1:")
    assert found[1:] == ["2 b"]


def test_a_line_break_in_a_text_is_refused_and_reading_goes_on_at_the_next_step() -> None:
    assert said(read('1. a(x="one\ntwo\n2. not a step")\n2. b(x=1)\n')) == [
        "unreadable 1:8",
        "ignored 'two': part of line 1, which cannot be read",
        "ignored '2. not a step\")': part of line 1, which cannot be read",
        "2 b",
    ]


def test_lines_count_from_the_first_line_that_the_reader_was_given() -> None:
    reader = TurnReader(first_line=10)
    items = reader.feed("\n1. a()\r\n\r\n2. a(b)\n")
    assert said(items) == ["1 a", "unreadable 13:6"]
    assert [item.task.line for item in items if isinstance(item, Read)] == [11]


def test_an_answer_among_steps_is_set_aside() -> None:
    assert said(read("1. a()\nAnswer: surely 3\n2. b()")) == [
        "1 a",
        "ignored 'Answer: surely 3\\n2. b()': an answer, written before the results are there",
    ]


def test_a_repair_turn_takes_lines_only() -> None:
    assert said(read("Replan: sorry\n2. a(x=1)", "lines")) == [
        "ignored 'Replan: sorry': thought",
        "2 a",
    ]
    assert said(read("Answer: no", "lines")) == [
        "ignored 'Answer: no': an answer, where only plan lines are asked for"
    ]


def test_where_only_an_answer_is_allowed_a_plan_is_set_aside() -> None:
    plan = "a plan, where only an answer is asked for"
    assert said(read("Replan: no\n3. a(x=1)\n4. join()\nAnswer: 3", "answer")) == [
        f"ignored 'Replan: no': {plan}",
        f"ignored '3. a(x=1)': {plan}",
        f"ignored '4. join()': {plan}",
        "answer '3'",
    ]


def test_where_only_an_answer_is_allowed_it_needs_no_marker() -> None:
    text = "Oslo is warmer:\n\n1. by 3 degrees\n2. at least"
    assert said(read(text, "answer")) == [f"answer {text!r}"]
    assert said(read("Hm.\nAnswer: 3", "answer")) == ["ignored 'Hm.': thought", "answer '3'"]


def test_where_a_plan_is_allowed_an_unmarked_answer_is_no_answer() -> None:
    assert said(read("Oslo is warmer.")) == ["ignored 'Oslo is warmer.': thought"]


@pytest.mark.parametrize("reason", ["length", "cut"])
def test_a_cut_line_is_set_aside_and_what_was_whole_stands(reason: FinishReason) -> None:
    cut = "the line was cut off"
    for last in ("2. b(x=1", '2. b(x="on', "2. b", "2", "2. join", "2. join("):
        assert said(read(f"1. a()\n{last}", reason=reason)) == ["1 a", f"ignored {last!r}: {cut}"]
    assert said(read("1. a()\n2. b(x=[1,\n3", reason=reason)) == [
        "1 a",
        f"ignored '2. b(x=[1,\\n3': {cut}",
    ]
    assert said(read("1. a()\n2. b(x=1)", reason=reason)) == ["1 a", "2 b"]
    assert said(read("Answer: it is", reason=reason)) == ["answer 'it is'"]


def test_a_turn_that_stops_by_itself_ends_its_last_line() -> None:
    assert said(read("1. a()\n2. b(x=1")) == [
        "1 a",
        "2 b",
        "ignored '': a closing ')' was supplied in line 2",
    ]
    assert said(read("1. a()\n2. b(x=")) == ["1 a", "unreadable 2:8"]


def test_an_empty_turn_gives_nothing() -> None:
    assert read("") == []
    assert read(" \n\n ") == []


def test_a_read_line_comes_with_its_source() -> None:
    (item,) = [item for item in read("  3) f( x = 'a' ) # so\n") if isinstance(item, Read)]
    assert item.source == "  3) f( x = 'a' ) # so"
    assert item.task.id == TaskId("3")
