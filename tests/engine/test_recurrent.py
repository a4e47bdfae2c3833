from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import KernelUse
from llmcompiler.errors import ConfigurationError
from tests.engine.asked import EXACT, Asked, cold_texts, ending, held_up, running, short, tokens
from tests.engine.held import PLAN, PLAN_SHAPE

_KERNELS: tuple[KernelUse, ...] = ("off", "auto")
_PROMPTS = [tokens(20 + 23 * seed, seed) for seed in range(5)]


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of the passes that are computed from now on."""
    sizes: list[int] = []
    evaluate = Context.evaluate

    def watched(context: Context, batch: Batch) -> None:
        sizes.append(batch.size)
        evaluate(context, batch)

    monkeypatch.setattr(Context, "evaluate", watched)
    return sizes


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("kernels", _KERNELS)
def test_a_text_is_the_same_alone_and_beside_others(
    whole: Path, kernels: KernelUse, reproducible: bool
) -> None:
    options = replace(EXACT, kernels=kernels, reproducible=reproducible, n_cells=None)
    cold = cold_texts(whole, options, *_PROMPTS, count=30)
    with running(whole, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(30)) for prompt in _PROMPTS]
        for each in asked:
            each.rest()
        assert [each.wrote for each in asked] == cold


def test_the_next_turn_goes_on_from_the_state_behind_the_last(whole: Path) -> None:
    prompt = tokens(70)
    with running(whole, EXACT) as engine:
        first = Asked(engine, prompt, short(10))
        first.rest()
        second = [*prompt, *first.wrote, *tokens(9, 3)]
        turn = Asked(engine, second, short(10))
        assert turn.usage().reused_tokens == 79
        third = [*second, *turn.wrote, *tokens(30, 4)]
        last = Asked(engine, third, short(10))
        assert last.usage().reused_tokens == len(second) + 9
    assert [turn.wrote, last.wrote] == cold_texts(whole, EXACT, second, third, count=10)


def test_a_turn_that_is_asked_anew_goes_on_from_the_one_before(whole: Path) -> None:
    prompt = tokens(70)
    with running(whole, EXACT) as engine:
        first = Asked(engine, prompt, short(10))
        first.rest()
        turns = [[*prompt, *first.wrote, *ending(9, seed)] for seed in (3, 4, 5)]
        asked = []
        for turn in turns:
            asked.append(Asked(engine, turn, short(10)))
            assert asked[-1].usage().reused_tokens == 79
    assert [each.wrote for each in asked] == cold_texts(whole, EXACT, *turns, count=10)


def test_what_differs_before_the_end_of_a_state_is_computed_anew(whole: Path) -> None:
    prompt = tokens(70)
    others = [prompt[:50], [*prompt[:60], 7], [*prompt, 8]]
    asked = []
    with running(whole, EXACT) as engine:
        Asked(engine, prompt, short(10)).rest()
        for other in others:
            asked.append(Asked(engine, other, short(12)))
            assert asked[-1].usage().reused_tokens == 0
    assert [each.wrote for each in asked] == cold_texts(whole, EXACT, *others)


@pytest.mark.parametrize("reproducible", [False, True])
def test_those_who_come_together_share_what_they_have_in_common(
    whole: Path, reproducible: bool
) -> None:
    options = replace(EXACT, reproducible=reproducible, n_cells=None, n_seq=5)
    common = tokens(90)
    prompts = [[*common, *ending(10 + seed, seed)] for seed in (3, 4, 5)]
    prompts.append([*common[:40], *ending(10, 6)])
    with running(whole, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(12)) for prompt in prompts]
        reused = sorted(each.usage().reused_tokens for each in asked)
    assert reused == [0, 40, 90, 90]
    assert [each.wrote for each in asked] == cold_texts(whole, options, *prompts)


def test_one_prompt_that_is_asked_several_times_at_once_is_computed_once(whole: Path) -> None:
    prompt = tokens(100)
    (cold,) = cold_texts(whole, EXACT, prompt)
    with running(whole, EXACT) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(12)) for _ in range(4)]
            other = Asked(engine, prompt, short(12, temperature=1.0, seed=1))
        reused = [each.usage().reused_tokens for each in (*asked, other)]
    assert sorted(reused) == [0, 99, 99, 99, 99]
    assert [each.wrote for each in asked] == [cold] * 4
    assert other.wrote != cold


def test_a_kept_beginning_is_where_all_go_on_from(whole: Path) -> None:
    common = tokens(80)
    prompts = [[*common, *ending(10, seed)] for seed in range(1, 6)]
    with running(whole, EXACT) as engine:
        Asked(engine, common, silent=True, keep=True).rest()
        for seed in range(9):
            Asked(engine, tokens(60, 20 + seed), short(2)).rest()
        asked = [Asked(engine, prompt, short(12)) for prompt in prompts]
        assert [each.usage().reused_tokens for each in asked] == [80] * 5
    assert [each.wrote for each in asked] == cold_texts(whole, EXACT, *prompts)


def test_what_was_computed_ahead_is_gone_on_from(whole: Path) -> None:
    prompt = tokens(90)
    with running(whole, EXACT) as engine:
        Asked(engine, prompt[:80], silent=True, priority=100).rest()
        asked = Asked(engine, prompt, short(12))
        assert asked.usage().reused_tokens == 80
    assert [asked.wrote] == cold_texts(whole, EXACT, prompt)


def test_one_that_was_cancelled_is_gone_on_from_as_it_was_left(whole: Path) -> None:
    prompt = tokens(70)
    with running(whole, EXACT) as engine:
        cut = Asked(engine, prompt, short(300), grammar="start: /[a-f]{300}/").until_it_speaks()
        cut.job.cancel()
        assert cut.end().reason == "cut"
        turn = [*prompt, *cut.wrote, 7, 8]
        asked = Asked(engine, turn, short(12))
        assert asked.usage().reused_tokens == len(prompt) + len(cut.wrote) - 1
    assert [asked.wrote] == cold_texts(whole, EXACT, turn)


@pytest.mark.parametrize("cache_ram", [0, 64])
def test_those_who_give_way_for_want_of_room_write_the_same(whole: Path, cache_ram: int) -> None:
    options = replace(EXACT, n_ctx=256, n_cells=256, n_seq=4, cache_ram=cache_ram)
    prompts = [tokens(60, seed) for seed in range(4)]
    cold = cold_texts(whole, options, *prompts, count=90)
    with running(whole, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(90)) for prompt in prompts]
        for each in asked:
            each.rest()
        assert [each.wrote for each in asked] == cold


def test_more_may_ask_than_there_are_states(whole: Path) -> None:
    options = replace(EXACT, n_seq=2)
    with running(whole, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(12)) for prompt in _PROMPTS]
        for each in asked:
            each.rest()
    assert [each.wrote for each in asked] == cold_texts(whole, options, *_PROMPTS)


def test_a_stop_text_ends_it_and_the_next_request_works(whole: Path) -> None:
    prompt = tokens(70)
    with running(whole, EXACT) as engine:
        text = Asked(engine, prompt, short(40)).text()
        stop = text[10:12]
        stopped = Asked(engine, prompt, short(40, stop=(stop,)))
        assert stopped.text() == text[: text.index(stop)]
        assert len(stopped.wrote) < 40
        turn = [*prompt, *stopped.wrote, 9]
        asked = Asked(engine, turn, short(12))
        assert asked.usage().reused_tokens == len(turn) - 2
    assert [asked.wrote] == cold_texts(whole, EXACT, turn)


def test_nothing_is_guessed_ahead(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = [0, *[5, 6, 7, 8, 9] * 12]  # drafts would be plenty
    with running(whole, replace(EXACT, drafts=True)) as engine:
        sizes = _watch(monkeypatch)
        asked = Asked(engine, prompt, short(20))
        figures = asked.end().figures
    assert figures.drafted == 0
    assert sizes == [61, *[1] * 19]
    assert [asked.wrote] == cold_texts(whole, EXACT, prompt, count=20)


def test_a_draft_model_beside_it_is_refused(whole: Path, q8_gguf: Path) -> None:
    options = replace(EXACT, drafts=True, draft_model=str(q8_gguf))
    with pytest.raises(ConfigurationError, match="leave draft_model out"):
        Engine.open(read_header(whole), options)


def test_it_cannot_draft_itself(whole: Path, q8_gguf: Path) -> None:
    options = replace(EXACT, drafts=True, draft_model=str(whole))
    with pytest.raises(ConfigurationError, match="without recurrent layers"):
        Engine.open(read_header(q8_gguf), options)


def test_a_grammar_holds_many_at_once(whole: Path) -> None:
    with running(whole, replace(EXACT, drafts=True)) as engine:
        alone = Asked(engine, tokens(30), short(400), grammar=PLAN).text()
        with held_up(engine):
            asked = [Asked(engine, tokens(30, n), short(400), grammar=PLAN) for n in range(4)]
        texts = [each.text() for each in asked]
    assert texts[0] == alone
    assert all(PLAN_SHAPE.fullmatch(text) for text in texts)
