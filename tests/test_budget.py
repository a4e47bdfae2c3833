"""What a run has used of its limits, as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler import Limits
from llmcompiler.budget import Budget, Left
from llmcompiler.errors import ConfigurationError, LimitReachedError
from llmcompiler.messages import Price, Usage

PRICE = Price(prompt=2.0, completion=10.0, reused=0.5)


def used(prompt: int, reused: int, completion: int) -> Usage:
    return Usage(prompt, reused, completion, 1)


def test_without_bounds_nothing_is_ever_used_up() -> None:
    budget = Budget(Limits())
    for _ in range(1000):
        budget.model_call()
        budget.add(used(10**9, 0, 10**9))
        assert budget.tool_call()
    assert budget.left() == Left()
    assert budget.spent() is None
    assert budget.max_tokens(None) is None
    assert budget.max_tokens(2048) == 2048
    assert not budget.last_call


def test_tool_calls_are_refused_when_they_are_used_up() -> None:
    budget = Budget(Limits(tool_calls=2))
    assert [budget.tool_call() for _ in range(2)] == [True, True]
    assert not budget.refused
    assert [budget.tool_call() for _ in range(2)] == [False, False]
    assert budget.refused
    assert budget.left().tool_calls == 0
    assert budget.spent() is None, "the model may still answer"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (1, "the limit of 1 tool call is used up"),
        (50, "the limit of 50 tool calls is used up"),
        (5000, "the limit of 5,000 tool calls is used up"),
    ],
)
def test_a_refused_tool_call_is_told_of_the_limit(limit: int, said: str) -> None:
    assert Budget(Limits(tool_calls=limit)).refusal == said


def test_a_model_call_counts_from_its_beginning() -> None:
    budget = Budget(Limits(model_calls=2))
    assert not budget.last_call
    budget.model_call()
    assert budget.last_call
    budget.model_call()
    assert not budget.last_call
    assert budget.spent() == ("model_calls", 2)
    with pytest.raises(LimitReachedError) as caught:
        budget.model_call()
    assert (caught.value.limit, caught.value.value) == ("model_calls", 2)


def test_kept_calls_are_for_somebody_else() -> None:
    budget = Budget(Limits(model_calls=3))
    budget.model_call(kept=1)
    budget.model_call(kept=1)
    with pytest.raises(LimitReachedError) as caught:
        budget.model_call(kept=1)
    assert caught.value.value == 3
    budget.model_call()


def test_a_call_that_ended_is_not_counted_twice() -> None:
    budget = Budget(Limits(model_calls=4))
    budget.model_call()
    budget.model_call()
    budget.add(used(1, 0, 1))
    assert (budget.model_calls, budget.left().model_calls) == (2, 2)
    budget.add(used(1, 0, 1))
    assert budget.model_calls == 2


def test_a_run_that_is_taken_up_again_has_used_what_it_used_before() -> None:
    budget = Budget(Limits(model_calls=4, tool_calls=10, tokens=100))
    budget.add(Usage(50, 10, 5, model_calls=3), tool_calls=9)
    assert budget.left() == Left(model_calls=1, tool_calls=1, tokens=55)
    assert budget.last_call


def test_tokens_are_those_computed_and_those_written() -> None:
    budget = Budget(Limits(tokens=100))
    budget.add(used(50, 30, 15))
    assert (budget.tokens, budget.left().tokens) == (35, 65)
    budget.add(used(80, 30, 15))
    assert budget.spent() == ("tokens", 100)
    assert budget.left().tokens == 0
    with pytest.raises(LimitReachedError):
        budget.model_call()


def test_a_reply_is_no_longer_than_the_tokens_that_are_left() -> None:
    budget = Budget(Limits(tokens=100))
    assert budget.max_tokens(2048) == 100
    assert budget.max_tokens(None) == 100
    assert budget.max_tokens(7) == 7
    budget.add(used(95, 0, 0))
    assert budget.max_tokens(7) == 5


def test_a_reply_is_no_longer_than_what_is_left_of_the_cost_pays_for() -> None:
    budget = Budget(Limits(cost=0.01), PRICE)
    assert budget.max_tokens(5000) == 1000
    assert budget.max_tokens(None) == 1000
    assert Budget(Limits(cost=0.01), Price(1.0, 0.0)).max_tokens(5000) == 5000


def test_cost_is_used_up_like_tokens() -> None:
    budget = Budget(Limits(cost=0.01), PRICE)
    budget.add(used(1000, 0, 0))
    assert budget.cost == pytest.approx(0.002)
    assert budget.left().cost == pytest.approx(0.008)
    budget.add(used(0, 0, 900))
    assert budget.spent() == ("cost", 0.01)


def test_a_limited_cost_needs_a_price() -> None:
    with pytest.raises(ConfigurationError, match="needs the price of tokens"):
        Budget(Limits(cost=1.0))
    assert Budget(Limits()).cost is None


def test_a_price_is_for_a_million_tokens_of_each_kind() -> None:
    usage = Usage(3_000_000, 1_000_000, 500_000, 4)
    assert usage.cost(PRICE) == pytest.approx(2 * 2.0 + 1 * 0.5 + 0.5 * 10.0)
    assert usage.cost(Price(2.0, 10.0)) == pytest.approx(3 * 2.0 + 0.5 * 10.0)
    assert Usage().cost(PRICE) == 0


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["prompt", "completion", "reused"])
def test_what_is_no_price_is_refused(name: str, wrong: float) -> None:
    given_prices = {"prompt": 1.0, "completion": 1.0, name: wrong}
    with pytest.raises(ConfigurationError, match=f"price.{name} must be 0 or more"):
        Price(**given_prices)


@given(
    st.integers(1, 2000),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 500)), max_size=30),
)
def test_replies_alone_never_pass_the_limit_of_tokens(
    limit: int, calls: list[tuple[int, int]]
) -> None:
    budget = Budget(Limits(tokens=limit))
    prompts = 0
    for prompt, wished in calls:
        if budget.spent():
            break
        budget.model_call()
        asked = budget.max_tokens(wished)
        assert asked is not None
        assert 1 <= asked <= wished
        budget.add(used(prompt, 0, asked))
        prompts = prompt
    assert budget.tokens <= limit + prompts
    assert (budget.spent() is not None) == (budget.tokens >= limit)
