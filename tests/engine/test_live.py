from __future__ import annotations

from llmcompiler.engine.batcher import Waiting
from llmcompiler.engine.figures import Meter
from llmcompiler.engine.live import Live
from llmcompiler.engine.request import Job, Request
from llmcompiler.engine.sampler import Sampler
from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.messages import Sampling


def _live(prompt: list[int]) -> Live:
    return Live(
        Job(Request(lambda: prompt), lambda output: None),
        0,
        TokenSequence(prompt),
        n_ctx=512,
        piece=lambda token: b"x",
        end_tokens=(),
        sampler=Sampler(Sampling()),
        constraint=None,
        text=TextStream(),
        meter=Meter(),
    )


def test_what_was_lost_and_found_again_is_not_reused_twice() -> None:
    live = _live([5] * 100)
    live.sit(0, 80)
    live.computed(100)
    live.stand()
    live.sit(0, 0)
    live.computed(10)
    live.stand()
    live.sit(0, 80)
    assert live.usage().reused_tokens == 80


def test_a_pass_ends_where_the_next_of_others_is_to_go_on_from() -> None:
    live = _live(list(range(100)))
    live.sit(0, 10)
    live.halt(70)
    live.halt(30)
    live.halt(50)
    assert live.waiting(64, 0, 0) == Waiting(0, 10, list(range(10, 30)), choice=False)
    live.computed(30)
    live.halt(50)
    assert live.waiting(64, 0, 0) == Waiting(0, 30, list(range(30, 50)), choice=False)
    live.computed(50)
    assert live.waiting(64, 0, 0) == Waiting(0, 50, list(range(50, 100)))


def test_a_pass_that_ends_with_the_prompt_ends_with_a_choice() -> None:
    live = _live([5] * 40)
    live.sit(0, 0)
    live.halt(40)
    assert live.waiting(64, 0, 0) == Waiting(0, 0, [5] * 40)
