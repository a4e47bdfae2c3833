"""Complaint: keeping a conversation is left to everybody's own table."""

from __future__ import annotations

import pytest

from llmcompiler.plan import Ok
from tests.gallery.scene import ANSWER, LEAVE, play


@pytest.mark.parametrize("turns", [2, 5])
def test_pydantic_ai_530_and_4773_a_chat_goes_on_from_what_a_run_gave_back(turns: int) -> None:
    seen = play("1. say(value=0)\n2. join()", "Answer: number 0", request="Question 0")
    for number in range(1, turns):
        seen = play(
            f"1. say(value={number})\n2. join()",
            f"Answer: number {number}",
            request=f"Question {number}",
            history=seen.result.transcript,
        )
        assert seen.result["1"] == Ok(number), "its numbers begin again at 1"
    read = seen.read()
    for number in range(turns):
        assert f"Question {number}" in read
        assert f"$1 = {number}" in read
    assert f"Answer: number {turns - 2}" in read


@pytest.mark.parametrize("ending", ["failed step", "denied", "refused line"])
def test_pydantic_ai_4773_a_chat_goes_on_after_a_run_in_which_something_went_wrong(
    ending: str,
) -> None:
    before = {
        "failed step": play('1. fail(message="no")\n2. join()', LEAVE, ANSWER),
        "denied": play("1. pay(amount=1)\n2. join()", ANSWER, approver=lambda request: False),
        "refused line": play("1. sai(value=1)\n2. join()", "1. say(value=1)", ANSWER),
    }[ending]
    after = play(
        "1. say(value=2)\n2. join()", ANSWER, request="Again.", history=before.result.transcript
    )
    assert after.result["1"] == Ok(2)
    assert after.result.status == "finished"
