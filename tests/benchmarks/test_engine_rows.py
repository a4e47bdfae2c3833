"""Tests of what is measured, on a model of one layer: rows come out, and mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import engine_prefix
from benchmarks.engine_calls import Call, ask, opened, source_tokens, warm
from benchmarks.engine_constraint import replayed_plan
from benchmarks.engine_peers import sequential
from benchmarks.engine_plans import GBNF, PLAN, REQUEST, RULES
from benchmarks.engine_prefix import computed_twice, first_token
from benchmarks.engine_streams import constrained, reproducible
from benchmarks.engine_table import Bench

ONCE = Bench(repeat=1, model="small", say=lambda line: None)


def test_calls_at_once_are_answered_in_their_order(small_model: Path) -> None:
    with opened(small_model, gpu=False) as engine:
        source = source_tokens(engine)
        warm(engine, source[:64])
        prompts = [source[: 64 + more] for more in (5, 9, 7)]
        replies = ask(engine, *(Call(prompt, 8) for prompt in prompts))
        again = [ask(engine, Call(prompt, 8))[0] for prompt in prompts]
        pieces = map(engine.model.piece, replies[0].tokens)
        assert replies[0].text == b"".join(pieces).decode("utf-8", "replace")
    assert [len(reply.tokens) for reply in replies] == [8, 8, 8]
    assert {reply.reason for reply in replies} == {"length"}
    assert all(reply.reused >= 64 for reply in replies)
    assert [reply.tokens for reply in again] == [reply.tokens for reply in replies]


def test_nothing_is_computed_twice_and_that_is_counted(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = computed_twice(ONCE)
    assert row.met
    assert 0 < row.details["computed"] < row.details["asked"] / 4
    one_sequence = {"n_seq": 1, "rows": 1, "cache_ram": 0, "drafts": False}
    monkeypatch.setattr(
        engine_prefix, "opened", lambda path, gpu, **_: opened(path, gpu, **one_sequence)
    )
    [forgetful] = computed_twice(ONCE)
    assert forgetful.met is False


def test_a_prefix_that_is_kept_is_there_after_a_restart(small_model: Path, tmp_path: Path) -> None:
    for known, end in ((0, 2000), (1500, 2001)):
        with opened(small_model, gpu=False, cache_dir=str(tmp_path)) as engine:
            source = source_tokens(engine)
            assert (
                ask(engine, Call([*source[:1500], *source[end : end + 24]], 1))[0].reused == known
            )
            warm(engine, source[:1500], keep=True)


def test_the_first_token_is_measured_cold_hot_and_after_a_restart(small_model: Path) -> None:
    hot, again = first_token(ONCE)
    assert len(hot.details["seconds"]) == 3
    assert len(again.details["seconds"]) == len(again.details["cold_seconds"]) == 1
    assert hot.value is not None
    assert again.value is not None


def test_a_replay_writes_the_plan_whatever_the_model_would_say(small_model: Path) -> None:
    against_llama, own, flat = replayed_plan(ONCE)
    assert against_llama.value is not None
    assert flat.value is not None
    assert own.value is not None
    assert flat.value >= own.value > 1  # the grammar alone forces some


def test_llama_replays_the_same_plan(small_model: Path) -> None:
    with sequential(small_model, gpu=False) as llama:
        plan = llama.tokenize(PLAN)
        prompt = llama.tokenize(RULES + REQUEST)
        assert llama.write(prompt, len(plan) + 8, GBNF, plan) == len(plan)
        written = llama._llama._input_ids[len(prompt) :][: len(plan) - 1].tolist()
    assert written == plan[:-1]


def test_both_sides_write_under_their_grammar(small_model: Path) -> None:
    [row] = constrained(ONCE)
    assert row.value is not None
    assert row.ours.endswith("tokens/s")


def test_texts_are_equal_in_reproducible_mode(small_model: Path) -> None:
    [row] = reproducible(ONCE)
    assert row.met
