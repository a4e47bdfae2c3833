"""Each limit of a run has its own clear end: what happens, what the model reads, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from llmcompiler import Agent, Limits, Result, RunContext, tool
from llmcompiler.errors import ConfigurationError, LimitReachedError, RunTimeoutError
from llmcompiler.events import (
    LimitReached,
    ReplanStarted,
    ResultShortened,
    StepMending,
    UsageUpdated,
)
from llmcompiler.messages import Price
from llmcompiler.plan import Cancelled, Failed, Ok, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.agent.approving import Watched
from tests.agent.scenario import PLAN, TOOLS, calls, price, run

GHOST = '1. price(item="ghost")\n2. join()'


def _limits(events: list[Any]) -> list[tuple[str, float]]:
    return [(event.limit, event.value) for event in events]


# ---------------------------------------------------------------------- seconds


def test_seconds_stop_what_runs_and_the_model_answers_with_what_there_is() -> None:
    done = run(PLAN, "Answer: 3", limits=Limits(seconds=1.5))
    assert (done.result.status, done.result.answer) == ("finished", "3")
    assert done.result["3"] == Cancelled("the time is up")
    assert _limits(done.of(LimitReached)) == [("seconds", 1.5)]
    assert done.last_texts()[-1] == "The time is up: answer with what there is."


def test_seconds_with_nothing_in_hand_are_an_error() -> None:
    done = run("Answer: never", limits=Limits(seconds=1), first_delay=9)
    assert isinstance(done.result.error, RunTimeoutError)
    assert _limits(done.of(LimitReached)) == [("seconds", 1)]


def test_seconds_bound_a_plan_that_is_only_asked_for() -> None:
    async def main() -> list[Any]:
        events: list[Any] = []
        agent = Agent(ScriptedLLM([PLAN], first_delay=9), tools=[price], limits=Limits(seconds=1))
        with pytest.raises(RunTimeoutError):
            await agent.plan("x", sinks=[events.append])
        return [event for event in events if isinstance(event, LimitReached)]

    assert _limits(run_virtual(main)) == [("seconds", 1)]


def test_the_answer_of_a_run_out_of_time_has_a_time_of_its_own() -> None:
    done = run(
        PLAN,
        "Answer: too slow",
        limits=Limits(seconds=6, answer_seconds=3),
        first_delay=5,
    )
    assert isinstance(done.result.error, RunTimeoutError)
    assert done.result.seconds == 9


# ---------------------------------------------------------------------- calls of the model


def test_the_last_call_of_the_model_is_kept_for_the_answer() -> None:
    done = run(PLAN, "Answer: 8", limits=Limits(model_calls=2))
    assert done.result.answer == "8"
    assert _limits(done.of(LimitReached)) == [("model_calls", 2)]
    assert "model calls" in done.last_texts()[-1]


def test_a_plan_where_the_last_call_must_be_the_answer_is_an_error_that_names_the_limit() -> None:
    done = run(PLAN, "Replan: more\n4. join()", limits=Limits(model_calls=2))
    error = done.result.error
    assert isinstance(error, LimitReachedError)
    assert (error.limit, error.value) == ("model_calls", 2)
    assert done.result["3"] == Ok(8.0)


def test_only_one_call_is_an_answer_without_a_plan() -> None:
    done = run("Answer: hello", limits=Limits(model_calls=1))
    assert done.result.answer == "hello"


def test_no_mend_takes_the_last_call() -> None:
    done = run(GHOST, "Answer: no", limits=Limits(model_calls=2))
    assert done.result.answer == "no"
    assert done.of(StepMending) == []


def test_a_tool_that_asks_the_model_cannot_take_the_last_call() -> None:
    @tool
    async def summarise(ctx: RunContext[None], text: str) -> str:
        """Summarise."""
        return await ctx.ask(f"Summarise: {text}")

    async def main(most: int) -> tuple[Watched, Any]:
        replies = ['1. summarise(text="a")\n2. join()', *["short"] * (most - 2), "Answer: done"]
        watched = Watched(*replies, tools=[summarise], limits=Limits(model_calls=most))
        result = await watched.run()
        watched.llm.assert_complete()
        return watched, result

    _, enough = run_virtual(main, 3)
    assert enough["1"] == Ok("short")
    watched, refused = run_virtual(main, 2)
    assert refused.answer == "done"
    assert isinstance(refused["1"], Failed)
    assert refused["1"].kind == "LimitReachedError"
    assert "$1 failed: " in watched.told
    assert refused.usage.model_calls == 2


# ---------------------------------------------------------------------- calls of tools


def test_further_calls_of_tools_fail_and_the_model_answers_with_what_there_is() -> None:
    done = run(PLAN, "Answer: the sum is missing", limits=Limits(tool_calls=2))
    assert done.result.answer == "the sum is missing"
    outcome = done.result["3"]
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.attempts) == ("LimitReached", 0)
    assert outcome.message == "the limit of 2 tool calls is used up"
    assert calls == ["pen", "ruler"]
    assert _limits(done.of(LimitReached)) == [("tool_calls", 2)]
    assert "$3 failed: the limit of 2 tool calls is used up" in done.last_texts()


def test_which_calls_are_refused_goes_by_who_comes_first() -> None:
    done = run(
        '1. price(item="a")\n2. price(item="b")\n3. price(item="c")\n4. join()',
        "Answer: two",
        limits=Limits(tool_calls=2),
    )
    assert sorted(step.outcome.status for step in done.result.steps) == ["failed", "ok", "ok"]


def test_a_call_that_is_merged_with_another_is_no_call() -> None:
    done = run(
        '1. price(item="pen")\n2. price(item="pen")\n3. price(item="a")\n4. join()',
        "Answer: all of it",
        limits=Limits(tool_calls=2),
    )
    assert {step.outcome.status for step in done.result.steps} == {"ok"}
    assert done.of(LimitReached) == []


# ---------------------------------------------------------------------- tokens and cost


def test_tokens_that_are_used_up_end_the_run_and_keep_what_finished() -> None:
    done = run(PLAN, limits=Limits(tokens=10))
    error = done.result.error
    assert isinstance(error, LimitReachedError)
    assert error.limit == "tokens"
    assert "raise limits.tokens" in str(error)
    assert done.result["3"] == Ok(8.0)
    assert _limits(done.of(LimitReached)) == [("tokens", 10)]


def test_no_reply_may_be_longer_than_the_tokens_that_are_left() -> None:
    async def main() -> list[int | None]:
        llm = ScriptedLLM([PLAN, "Answer: 8"])
        agent = Agent(llm, tools=TOOLS, limits=Limits(tokens=2000))
        await agent.run("x")
        return [call.sampling.max_tokens for call in llm.calls]

    first, second = run_virtual(main)
    assert first == 2000
    assert second is not None
    assert second < 2000


def test_a_cost_that_is_used_up_ends_the_run_and_says_so() -> None:
    async def main() -> Watched:
        watched = Watched(
            '1. look(item="a")\n2. join()',
            limits=Limits(cost=0.5),
            price=Price(prompt=100, completion=1_000_000),
        )
        with pytest.raises(LimitReachedError) as caught:
            await watched.run()
        result = caught.value.result
        assert isinstance(result, Result)
        assert caught.value.limit == "cost"
        assert result.cost is not None
        assert result.cost >= 0.5
        assert result["1"] == Ok(1.0)
        return watched

    assert _limits(run_virtual(main).of(LimitReached)) == [("cost", 0.5)]


def test_a_cost_without_a_price_is_refused_with_what_to_do() -> None:
    async def main() -> None:
        await Watched(limits=Limits(cost=1)).run()

    with pytest.raises(ConfigurationError, match=r"price=Price\(prompt, completion\)"):
        run_virtual(main)


def test_a_run_says_what_it_cost() -> None:
    async def main() -> Any:
        return await Watched("Answer: hello", price=Price(1_000_000, 1_000_000)).run()

    result = run_virtual(main)
    assert result.cost == result.usage.prefilled_tokens + result.usage.completion_tokens
    assert result.to_json()["usage"]["cost"] == result.cost


# ---------------------------------------------------------------------- replans and mends


def test_after_the_last_replan_the_answer_is_due() -> None:
    done = run(
        '1. price(item="a")\n2. join()',
        'Replan: more\n2. price(item="b")\n3. join()',
        "Answer: enough",
        limits=Limits(replans=1),
    )
    assert done.result.answer == "enough"
    assert len(done.of(ReplanStarted)) == 1
    assert _limits(done.of(LimitReached)) == [("replans", 1)]


def test_a_run_without_replans_reaches_no_limit() -> None:
    done = run('1. price(item="a")\n2. join()', "Answer: 1", limits=Limits(replans=0))
    assert done.of(LimitReached) == []


def test_after_the_last_mend_a_failure_is_final() -> None:
    done = run(GHOST, '1. price(item="ghost ")\n2. join()', "Answer: ok", limits=Limits(mends=1))
    assert done.result["1"] == Ok(6.0)

    @tool
    async def broken(item: str) -> str:
        """Fail."""
        raise ValueError(f"no {item}")

    async def main() -> tuple[Watched, Any]:
        replies = [f'1. broken(item="{item}")\n2. join()' for item in "ab"]
        watched = Watched(*replies, "Answer: no", tools=[broken], limits=Limits(mends=1))
        return watched, await watched.run()

    watched, result = run_virtual(main)
    assert isinstance(result["1"], Failed)
    assert len(watched.of(StepMending)) == 1
    assert _limits(watched.of(LimitReached)) == [("mends", 1)]


# ---------------------------------------------------------------------- size of results


@tool
async def letters(count: int) -> list[str]:
    """Write so many letters."""
    calls.append("letters")
    return [f"letter {number}" for number in range(count)]


@tool
async def size(text: str) -> int:
    """Measure a text."""
    return len(text)


def test_a_large_result_is_shown_in_part_and_read_whole_by_the_next_step() -> None:
    async def main() -> tuple[Watched, Any]:
        watched = Watched(
            "1. letters(count=1000)\n2. size(text=$1[999])\n3. join()",
            "Answer: done",
            tools=[letters, size],
            limits=Limits(result_chars=200),
        )
        return watched, await watched.run()

    watched, result = run_virtual(main)
    (shortened,) = watched.of(ResultShortened)
    assert shortened.step == TaskId("1")
    assert shortened.chars > 10_000
    assert shortened.shown <= 200
    assert result["2"] == Ok(len("letter 999"))
    assert len(result["1"].value) == 1000
    assert "letter 999" not in watched.told
    assert "$1" in watched.told


def test_a_result_that_is_not_too_large_is_shown_whole() -> None:
    async def main() -> tuple[Watched, Any]:
        watched = Watched(
            "1. letters(count=1000)\n2. join()",
            "Answer: done",
            tools=[letters],
            limits=Limits(result_chars=None),
        )
        return watched, await watched.run()

    watched, _ = run_virtual(main)
    assert watched.of(ResultShortened) == []
    assert "letter 999" in watched.told


def test_every_element_of_a_fan_out_is_a_call() -> None:
    async def main() -> Any:
        watched = Watched(
            "1. letters(count=3)\n2. size(text=each $1)\n3. join()",
            "Answer: two of them",
            tools=[letters, size],
            limits=Limits(tool_calls=3, mends=0),
        )
        return await watched.run()

    outcome = run_virtual(main)["2"]
    assert isinstance(outcome, Failed)
    assert outcome.elements is not None
    assert [each.status for each in outcome.elements] == ["ok", "ok", "failed"]


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"seconds": 0}, "seconds"),
        ({"answer_seconds": -1}, "answer_seconds"),
        ({"model_calls": 0}, "model_calls"),
        ({"tool_calls": 0}, "tool_calls"),
        ({"tokens": -5}, "tokens"),
        ({"cost": 0}, "cost"),
        ({"replans": -1}, "replans"),
        ({"mends": -1}, "mends"),
        ({"repairs": -1}, "repairs"),
        ({"result_chars": 0}, "result_chars"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_what_is_no_limit_is_refused_by_its_name(limits: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"limits.{name} must be"):
        Limits(**limits)


def test_a_run_within_its_limits_reaches_none() -> None:
    done = run(
        PLAN,
        "Answer: 8",
        limits=Limits(seconds=100, model_calls=9, tool_calls=9, tokens=100_000, result_chars=999),
    )
    assert done.result.answer == "8"
    assert done.of(LimitReached) == []
    assert len(done.of(UsageUpdated)) == 2
