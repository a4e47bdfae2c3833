"""Complaints about LLMCompiler itself and about its best known tutorial."""

from __future__ import annotations

import pytest

from llmcompiler.events import PlanChanged, ReplanStarted, StepMending, StepStarted
from llmcompiler.plan import Failed, Ok
from tests.gallery.scene import ANSWER, calls, play


def test_squeezeailab_llmcompiler_19_a_failed_plan_is_mended_where_it_failed() -> None:
    """A first plan that fails is not followed by a second that fails as a whole."""
    seen = play(
        '1. work(name="good", seconds=2)\n2. work(name="good")\n3. fail(message="bad city")\n'
        "4. say(value=[$1, $3])\n5. join()",
        'Replan: the city was wrong.\n3. say(value="good city")\n4. join()',
        ANSWER,
    )
    assert seen.result["4"] == Ok(["good", "good city"])
    assert calls.count("good") == 2, "what had finished was not done again"
    (changed,) = seen.of(PlanChanged)
    assert changed.before == ('3. fail(message="bad city")',)
    assert changed.after == ('3. say(value="good city")',)
    assert seen.of(ReplanStarted) == []
    assert len(seen.of(StepMending)) == 1


def test_squeezeailab_llmcompiler_19_results_go_on_as_values_and_not_as_words() -> None:
    seen = play(
        '1. say(value={"yesterday": {"high": 27.5}, "place": "New York"})\n'
        '2. work(name="power of two", seconds=$1.yesterday.high)\n'
        '3. say(value="${1.place}: ${1.yesterday.high}")\n4. join()',
        ANSWER,
    )
    given = {event.step: event.args for event in seen.of(StepStarted)}
    assert given["2"] == {"name": "power of two", "seconds": 27.5}
    assert seen.result["3"] == Ok("New York: 27.5")


@pytest.mark.parametrize(
    "plan",
    [
        '1. say(value="a")\n2. say(value=$1)\n3. join()',
        '1) say("a")\n2) say($1)\n3) join()',
        'Thought: first a.\n1. say("a")\nThought: then that.\n2. say("$1")\n3. join()<END_OF_PLAN>',
        "```\n1. say(value='a')\n2. say(value=${1})\n3. join()\n```",
        'Here is the plan:\n  1.say( value = "a", ) # first\n  2. say(\n    value=$1\n  )\n  3. join()',
        '<think>say it twice</think>\n1. say(value="a")\n2. say(value=$1)',
    ],
)
def test_langgraph_1459_a_model_that_writes_plans_in_its_own_style_is_understood(
    plan: str,
) -> None:
    seen = play(plan, ANSWER)
    assert [step.outcome for step in seen.result.steps] == [Ok("a"), Ok("a")]
    assert len(seen.llm.prompts) == 2, "nothing had to be repaired"


def test_langgraph_1513_what_went_wrong_is_in_front_of_the_model_when_it_replans() -> None:
    seen = play(
        '1. say(value="Springfield")\n2. join()',
        'Replan: there are several Springfields.\n2. say(value="Springfield, Ohio")\n3. join()',
        ANSWER,
    )
    before_last = seen.read(1)
    assert '$1 = "Springfield"' in before_last
    texts = seen.read()
    assert any(text.startswith("Replan: there are several Springfields.") for text in texts)
    assert '$2 = "Springfield, Ohio"' in texts
    assert not any("{replan}" in text for text in texts)


def test_langgraph_1565_a_replan_goes_on_with_numbers_and_earlier_results() -> None:
    seen = play(
        "1. say(value=2)\n2. join()",
        "Replan: one more.\n2. say(value=[$1, 3])\n3. join()",
        "Replan: and another.\n3. say(value=[$1, $2])\n4. join()",
        "Answer: enough",
    )
    assert seen.result.answer == "enough"
    assert seen.result["3"] == Ok([2, [2, 3]])
    assert [event.replan for event in seen.of(ReplanStarted)] == [1, 2]
    assert len(seen.result.plans) == 3


def test_squeezeailab_llmcompiler_19_a_call_that_failed_is_not_made_again_and_again() -> None:
    same = '1. fail(message="no such city")\n2. join()'
    seen = play(same, same, same, "Answer: there is no such city")
    assert len(seen.of(StepStarted)) <= 2
    assert isinstance(seen.result["1"], Failed)
    assert seen.result.answer == "there is no such city"


def test_langgraph_1459_a_greeting_is_answered_without_a_plan() -> None:
    seen = play("Answer: Hello!", request="Hello")
    assert (seen.result.answer, seen.result.plans) == ("Hello!", ())
