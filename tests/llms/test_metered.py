"""A metered model: every call is told, with what can be known of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from llmcompiler import Limits
from llmcompiler.budget import Budget
from llmcompiler.errors import LimitReachedError, ModelError
from llmcompiler.events import Emitter, Event, UsageUpdated
from llmcompiler.llms.metered import Account, MeteredLLM
from llmcompiler.messages import (
    Delta,
    Figures,
    Finished,
    Prompt,
    Sampling,
    TextDelta,
    Usage,
)
from llmcompiler.result import ModelCall
from llmcompiler.testing import run_virtual
from tests.llms.calls import PROMPT, reply


class _Slow:
    """A model that gives these deltas, each after as many seconds as are written before it."""

    name = "slow"

    def __init__(self, *script: tuple[float, Delta | Exception]) -> None:
        self._script = script
        self.asked: list[int | None] = []

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        self.asked.append(sampling.max_tokens)
        for seconds, delta in self._script:
            await anyio.sleep(seconds)
            if isinstance(delta, Exception):
                raise delta
            yield delta

    async def aclose(self) -> None:
        raise AssertionError("whoever made it closes it")


_SPOKEN = ((0.5, TextDelta("An")), (0.0, TextDelta("")), (0.25, TextDelta("swer")))


def _calls_of(*script: tuple[float, Delta | Exception]) -> list[ModelCall]:
    calls: list[ModelCall] = []
    run_virtual(reply, MeteredLLM(_Slow(*script), calls.append))
    return calls


def test_figures_of_the_back_end_are_passed_on() -> None:
    usage, figures = Usage(10, 4, 2, 1), Figures(6, 4, steps=3, arrivals=(0.1, 0.2))
    (call,) = _calls_of(*_SPOKEN, (0.5, Finished("stop", usage, figures)))
    assert call == ModelCall("slow", usage, figures)


def test_without_them_the_pieces_are_timed_and_the_prompt_is_as_it_was_counted() -> None:
    (call,) = _calls_of(*_SPOKEN, (0.5, Finished("stop", Usage(10, 4, 2, 1))))
    assert call.figures == Figures(evaluated=6, reused=4, arrivals=(0.5, 0.75))


def test_what_was_only_guessed_is_no_figure() -> None:
    (call,) = _calls_of((0.5, TextDelta("An")), (0.0, Finished("stop", Usage(9, estimated=True))))
    assert call.figures == Figures(arrivals=(0.5,))
    assert call.usage == Usage(9, model_calls=1, estimated=True)


def test_a_call_that_is_stopped_early_is_told_with_what_had_come() -> None:
    calls: list[ModelCall] = []

    async def main() -> None:
        llm = MeteredLLM(_Slow((1.0, TextDelta("Answer: 4")), (9.0, TextDelta("2"))), calls.append)
        async with aclosing(llm.stream(PROMPT, Sampling())) as stream:
            await anext(stream)

    run_virtual(main)
    asked = len("Be brief.How warm is Oslo?") // 4
    usage = Usage(asked, 0, 2, model_calls=1, estimated=True)
    assert calls == [ModelCall("slow", usage, Figures(arrivals=(1.0,)))]


def test_a_call_that_fails_is_told_and_fails() -> None:
    calls: list[ModelCall] = []
    with pytest.raises(ModelError):
        run_virtual(reply, MeteredLLM(_Slow((1.0, ModelError("no"))), calls.append))
    assert [call.usage for call in calls] == [Usage(model_calls=1, estimated=True)]


def test_closing_leaves_the_inner_model_open() -> None:
    run_virtual(MeteredLLM(_Slow(), lambda call: None).aclose)


def test_an_account_sums_up_and_tells_each_call() -> None:
    told: list[Event] = []
    account = Account(Emitter("r", lambda: 0.0, [told.append]))
    first = ModelCall("small", Usage(10, 0, 2, 1), Figures(evaluated=10))
    second = ModelCall("large", Usage(20, 10, 4, 1), Figures(evaluated=10, reused=10))
    account.record(first)
    account.record(second)
    assert account.usage == Usage(30, 10, 6, 2)
    assert told == [
        UsageUpdated("r", 1, 0.0, first.usage, "small", first.usage, first.figures),
        UsageUpdated("r", 2, 0.0, account.usage, "large", second.usage, second.figures),
    ]
    assert account.close() == (first, second)


def test_a_closed_account_takes_nothing_in() -> None:
    told: list[Event] = []
    account = Account(Emitter("r", lambda: 0.0, [told.append]))
    account.close()
    account.record(ModelCall("m", Usage(1, 1, 1, 1), Figures()))
    assert (account.usage, account.close(), told) == (Usage(), (), [])


def test_a_budget_counts_every_call_and_bounds_the_reply() -> None:
    budget = Budget(Limits(tokens=100, model_calls=5))
    inner = _Slow((0.0, TextDelta("A")), (0.0, Finished("stop", Usage(50, 20, 10))))
    told: list[ModelCall] = []
    metered = MeteredLLM(inner, told.append, budget)
    for _ in range(2):
        run_virtual(reply, metered)
    assert inner.asked == [100, 60]
    assert (budget.tokens, budget.left().model_calls) == (80, 3)
    assert len(told) == 2


def test_a_call_that_the_budget_does_not_allow_is_never_made() -> None:
    budget = Budget(Limits(tokens=40))
    inner = _Slow((0.0, Finished("stop", Usage(50, 20, 10))))
    told: list[ModelCall] = []
    metered = MeteredLLM(inner, told.append, budget)
    run_virtual(reply, metered)
    with pytest.raises(LimitReachedError):
        run_virtual(reply, metered)
    assert len(inner.asked) == len(told) == 1


def test_a_call_that_failed_counts_as_well() -> None:
    budget = Budget(Limits(model_calls=1))
    metered = MeteredLLM(_Slow((0.0, ModelError("no"))), lambda call: None, budget)
    with pytest.raises(ModelError):
        run_virtual(reply, metered)
    assert budget.spent() == ("model_calls", 1)


def test_calls_at_the_same_time_do_not_pass_the_limit_together() -> None:
    budget = Budget(Limits(model_calls=3))
    inner = _Slow((1.0, Finished("stop", Usage(1, 0, 1))))
    metered = MeteredLLM(inner, lambda call: None, budget, kept=1)
    refused: list[LimitReachedError] = []

    async def ask() -> None:
        try:
            await reply(metered)
        except LimitReachedError as error:
            refused.append(error)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)

    run_virtual(main)
    assert len(inner.asked) == 2
    assert len(refused) == 3
    assert budget.last_call, "one is kept for the answer"
