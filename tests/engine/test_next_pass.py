from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine import next_pass as module
from llmcompiler.engine.batcher import Batch, Waiting, next_batch
from llmcompiler.engine.cost import CostCurve, DraftPolicy
from llmcompiler.engine.drafts import NgramDrafts
from llmcompiler.engine.figures import Meter
from llmcompiler.engine.live import Live
from llmcompiler.engine.next_pass import next_pass
from llmcompiler.engine.request import Job, Request
from llmcompiler.engine.sampler import Sampler
from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.messages import Sampling
from tests.engine.asked import OPTIONS, Asked, held_up, running, short, tokens

STEEP = CostCurve({1: 1.0, 32: 32.0})
FLAT = CostCurve({1: 1.0, 32: 1.1})


def _live(slot: int, written: int, pending: int, curve: CostCurve | None) -> Live:
    """Return a request behind 6 tokens that repeat, `pending` of which were not computed."""
    live = Live(
        Job(Request(list, sampling=Sampling(max_tokens=50)), lambda output: None),
        slot,
        TokenSequence([1, 2, 3, 1, 2, 3]),
        n_ctx=64,
        piece=lambda token: b"x",
        end_tokens=(),
        sampler=Sampler(Sampling()),
        constraint=None,
        text=TextStream(),
        meter=Meter(),
        drafts=None if curve is None else lambda: NgramDrafts([1, 2, 3, 1, 2, 3]),
        policy=None if curve is None else DraftPolicy(curve),
    )
    live.slot = slot
    live.sequence.tokens += [1 + place % 3 for place in range(written)]
    live.computed(max(0, len(live.sequence.tokens) - pending))
    return live


def _never(live: Live, error: Exception) -> None:
    raise AssertionError(error)


def _the_long_way(lives: Sequence[Live], budget: int, fail: object = None) -> Batch:
    waiting: list[Waiting] = []
    width = sum(each.pending for each in lives if each.decoding)
    decoding = sum(each.decoding for each in lives)
    for each in lives:
        waiting.append(each.waiting(budget, width, decoding))
        width += len(waiting[-1].drafts)
    return next_batch(waiting, budget)


_seats = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from([1, 1, 1, 1, 1, 2]), st.sampled_from([None, STEEP, FLAT])
    ),
    min_size=1,
    max_size=12,
)


@given(_seats, st.integers(1, 16) | st.integers(17, 200))
def test_the_short_way_for_one_token_each_makes_the_batch_of_the_long_way(
    seats: list[tuple[int, int, CostCurve | None]], budget: int
) -> None:
    def lives() -> list[Live]:
        return [_live(slot, *each) for slot, each in enumerate(seats)]

    assert next_pass(lives(), budget, _never) == _the_long_way(lives(), budget)


def test_one_token_each_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Live, "waiting", None)
    for curve in (None, STEEP):
        batch = next_pass([_live(slot, 2, 1, curve) for slot in range(3)], 8, _never)
        assert batch is not None
        assert [(row.slot, row.tokens, row.outputs) for row in batch.rows] == [
            (slot, (2,), 1) for slot in range(3)
        ]


def test_nobody_makes_no_batch() -> None:
    assert next_pass([], 8, _never) is None


@pytest.mark.parametrize("single", [False, True])
def test_who_cannot_say_what_it_wants_fails_alone(
    monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    lives = [_live(slot, single, 1 if single else 3, None) for slot in range(2)]
    lives[0].sequence.tokens = None  # type: ignore[assignment]  # something is broken
    failed: list[Live] = []
    monkeypatch.setattr(Live, "pending", 1)
    batch = next_pass(lives, 8, lambda live, error: failed.append(live))
    assert failed == lives[:1]
    assert batch is not None
    assert [row.slot for row in batch.rows] == [1]


@pytest.mark.parametrize("guessing", [False, True])
def test_neither_the_short_way_nor_filling_up_changes_a_text(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch, guessing: bool
) -> None:
    options = replace(OPTIONS, drafts=True)
    grammar = 'start: line+ "join()"\nline: /[1-3]/ ". find(place=" /"[a-d]{1,6}"/ ")" "\\n"'
    written: list[list[list[int]]] = []
    monkeypatch.setattr(CostCurve, "hopeless", lambda curve, width, requests: not guessing)
    for plain, filled in ((True, False), (False, False), (True, True)):
        sizes: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(
                CostCurve, "filled", lambda curve, n, filled=filled: -(-n // 4) * 4 if filled else n
            )
            if not plain:
                patch.setattr(module, "_one_each", _the_long_way)
            with running(tiny_gguf, options) as engine:
                evaluate = engine.context.evaluate

                def watch(
                    batch: Batch, evaluate: object = evaluate, sizes: list[int] = sizes
                ) -> None:
                    sizes.append(batch.size)
                    evaluate(batch)  # type: ignore[operator]  # the context's own

                patch.setattr(engine.context, "evaluate", watch)
                with held_up(engine):
                    asked = [
                        Asked(
                            engine,
                            tokens(20, seed),
                            short(20 + 4 * seed, temperature=0.7 * (seed % 2), seed=seed),
                            grammar=grammar if seed % 3 else None,
                        )
                        for seed in range(7)
                    ]
                for each in asked:
                    end = each.end()
                    assert guessing or end.figures.drafted == 0
                written.append([each.wrote for each in asked])
        odd = sum(size % 4 != 0 for size in sizes)
        assert odd <= 2 if filled else odd > 10, sizes
    assert written[0] == written[1] == written[2]
