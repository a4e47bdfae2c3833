from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Broken, Context
from llmcompiler.engine.devices import FreeMemory
from llmcompiler.engine.footprint import footprint
from llmcompiler.engine.gguf import Header, Scalar, read_header
from llmcompiler.engine.memory import plan_memory
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions, KernelUse
from llmcompiler.engine.request import Failed
from llmcompiler.engine.sampler import Logits
from llmcompiler.errors import ModelError
from tests.engine.asked import EXACT, Asked, cold_texts, ending, held_up, running, short, tokens
from tests.engine.recurrent_model import FAMILIES, WINDOW
from tests.engine.soak import Soak

_KERNELS: tuple[KernelUse, ...] = ("off", "auto")


@pytest.mark.parametrize("family", FAMILIES)
def test_only_those_without_a_state_can_drop_a_part(family: str, families: dict[str, Path]) -> None:
    options = EngineOptions(n_ctx=256, chunk=64, threads=1)
    model = Model(read_header(families[family]), options)
    context = Context(model, options, n_slots=2)
    context.evaluate(Batch((Row(0, 0, tuple(tokens(2 * WINDOW)), 1),)))
    assert context.trim(0, 20) is model.partial is (family == "gemma3")
    assert context.held(0) == (20 if model.partial else 2 * WINDOW)
    if not model.partial:
        with pytest.raises(ModelError, match="whole sequences"):
            context.fork(0, 1, 20)
    assert context.trim(0, 0)
    assert context.agrees()
    context.close()
    model.close()


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_arithmetic_of_states_is_llama_cpps(
    family: str, families: dict[str, Path], caplog: pytest.LogCaptureFixture, reproducible: bool
) -> None:
    options = EngineOptions(n_ctx=512, chunk=64, threads=1, reproducible=reproducible)
    slots = 200  # so many that what is said to two digits is said well enough
    if reproducible:
        slots = 20
    header = read_header(families[family])
    size = footprint(header, options)
    with caplog.at_level(logging.DEBUG, "llmcompiler.engine"):
        model = Model(header, options)
        context = Context(model, options, n_slots=slots)
        said = caplog.text
        context.close()
        model.close()
    for what, expected in [
        ("KV", 512 * (slots if reproducible else 1) * size.kv_per_token),
        ("RS", slots * size.state_per_sequence),
    ]:
        found = re.findall(rf"{what} buffer size = +([\d.]+) MiB", said)
        assert sum(map(float, found)) == pytest.approx(expected / (1 << 20), abs=0.011)
    assert (size.state_per_sequence > 0) is (family != "gemma3")


def _made_up(family: str, facts: dict[str, Scalar], **lists: tuple[Scalar, ...]) -> Header:
    named = {f"{family}.{name}": value for name, value in facts.items()}
    listed = {f"{family}.{name.replace('__', '.')}": each for name, each in lists.items()}
    metadata = {"general.architecture": family, **named}
    return Header(Path("x"), metadata, lists=listed)


_STATES: dict[str, Scalar] = {
    "block_count": 4,
    "embedding_length": 64,
    "attention.head_count": 2,
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 128,
    "ssm.state_size": 16,
    "ssm.group_count": 2,
}
_STATE = 4 * (3 * (128 + 2 * 2 * 16) + 16 * 128)
_CACHE = 2 * 2 * 2 * 32


def test_every_so_many_layers_one_attends_and_the_others_have_a_state() -> None:
    facts = _STATES | {"attention.head_count_kv": 2, "full_attention_interval": 4}
    size = footprint(_made_up("qwen3next", facts), EngineOptions())
    assert size.state == (_STATE, _STATE, _STATE, 0)
    assert size.kv == (0, 0, 0, _CACHE)


def test_layers_that_have_a_state_may_be_listed() -> None:
    facts = _STATES | {"attention.head_count_kv": 2, "full_attention_interval": 4}
    listed = {"attention__recurrent_layers": (False, True, True, False)}
    size = footprint(_made_up("qwen3next", facts, **listed), EngineOptions())
    assert size.state == (0, _STATE, _STATE, 0)
    assert size.kv == (_CACHE, 0, 0, _CACHE)


def test_a_layer_that_only_feeds_forward_has_neither() -> None:
    lists = {"attention__head_count_kv": (0, 2, 0, 0), "feed_forward_length": (0, 0, 256, 0)}
    size = footprint(_made_up("nemotron_h", _STATES, **lists), EngineOptions())
    assert size.state == (_STATE, 0, 0, _STATE)
    assert size.kv == (0, _CACHE, 0, 0)


def test_other_kinds_of_states_are_counted() -> None:
    facts: dict[str, Scalar] = {
        "block_count": 2,
        "embedding_length": 64,
        "attention.head_count": 2,
        "attention.head_count_kv": 0,
    }
    rwkv = _made_up("rwkv6", facts | {"wkv.head_size": 32})
    assert footprint(rwkv, EngineOptions()).state == (4 * (2 * 64 + 64 * 32),) * 2
    kimi = _made_up("kimi-linear", facts | {"kda.head_dim": 16, "ssm.conv_kernel": 4})
    assert footprint(kimi, EngineOptions()).state == (4 * (3 * 3 * 2 * 16 + 16 * 16 * 2),) * 2


def test_states_are_planned_for_and_where_memory_is_short_there_are_fewer(whole: Path) -> None:
    header = read_header(whole)
    size = footprint(header, EXACT)
    options = replace(EXACT, n_seq=None)
    plenty = plan_memory(header, options, FreeMemory(1 << 34, ()))
    assert plenty.n_seq == 64
    assert plenty.kv_bytes == plenty.n_cells * size.kv_per_token + 64 * size.state_per_sequence
    least = size.weights + plenty.n_cells * size.kv_per_token + plenty.scratch_bytes
    scarce = plan_memory(header, options, FreeMemory(least + 4 * 8 * size.state_per_sequence, ()))
    assert 1 <= scarce.n_seq <= 8


@pytest.mark.parametrize("kernels", _KERNELS)
def test_where_only_a_window_is_seen_what_it_has_passed_is_there_after_a_cut_and_a_fork(
    families: dict[str, Path], kernels: KernelUse
) -> None:
    options = EngineOptions(n_ctx=512, chunk=4 * WINDOW, threads=1, kernels=kernels)
    if kernels == "off":
        options = replace(options, flash_attention="off")
    model = Model(read_header(families["gemma3"]), options)
    context = Context(model, options, n_slots=4)
    text, rest = tokens(4 * WINDOW), ending(9, 1)

    def scores(slot: int, tokens: list[int]) -> Logits:
        context.evaluate(Batch((Row(slot, context.held(slot), tuple(tokens), 1),)))
        return context.logits()[-1].copy()

    scores(0, text)
    for length in (3 * WINDOW, 2 * WINDOW, WINDOW // 2):
        cold = scores(1, [*text[:length], *rest])
        context.clear(1)
        context.fork(0, 2, length)
        assert np.allclose(scores(2, rest), cold, atol=0.05)
        context.clear(2)
        assert context.trim(0, length)
        assert np.allclose(scores(0, rest), cold, atol=0.05)
        assert context.trim(0, length)
    assert context.agrees()
    model.close()


def test_the_window_itself_changes_what_is_written(
    families: dict[str, Path], tmp_path: Path
) -> None:
    data = families["gemma3"].read_bytes()
    key = b"gemma3.attention.sliding_window\x04\x00\x00\x00"
    assert data.count(key + WINDOW.to_bytes(4, "little")) == 1
    wide = tmp_path / "wide.gguf"
    wide.write_bytes(
        data.replace(key + WINDOW.to_bytes(4, "little"), key + (1024).to_bytes(4, "little"))
    )
    prompt = tokens(4 * WINDOW)
    assert cold_texts(wide, EXACT, prompt) != cold_texts(families["gemma3"], EXACT, prompt)


@pytest.mark.parametrize("kernels", _KERNELS)
@pytest.mark.parametrize("reproducible", [False, True])
def test_a_state_that_made_way_is_gone_on_from_when_it_is_needed(
    whole: Path, reproducible: bool, kernels: KernelUse
) -> None:
    options = replace(
        EXACT, n_seq=2, n_cells=None, cache_ram=64, reproducible=reproducible, kernels=kernels
    )
    prompt = tokens(100)
    with running(whole, options) as engine:
        first = Asked(engine, prompt, short(10))
        first.rest()
        for seed in range(1, 4):
            Asked(engine, tokens(80, seed), short(2)).rest()
        turn = [*prompt, *first.wrote, 7, 8, 9]
        unlike = [*prompt[:90], 7]
        other = Asked(engine, unlike, short(12))
        assert other.usage().reused_tokens == 0
        asked = Asked(engine, turn, short(12))
        assert asked.usage().reused_tokens == 109
    assert [asked.wrote, other.wrote] == cold_texts(whole, options, turn, unlike)


def test_the_next_process_goes_on_from_what_was_on_disk(whole: Path, tmp_path: Path) -> None:
    options = replace(EXACT, cache_dir=str(tmp_path))
    common, prompt = tokens(80), tokens(100, 1)
    with running(whole, options) as engine:
        Asked(engine, common, silent=True, keep=True).rest()
        first = Asked(engine, prompt, short(10))
        first.rest()
    turns = [[*common, 7, 8, 9], [*prompt, *first.wrote, 7, 8, 9]]
    with running(whole, options) as engine:
        asked = [Asked(engine, turn, short(12)) for turn in turns]
        assert [each.usage().reused_tokens for each in asked] == [80, 109]
    assert [each.wrote for each in asked] == cold_texts(whole, options, *turns)


def test_texts_have_the_same_vectors_together_and_alone(whole: Path) -> None:
    texts = ["the place", "Oslo and " * 40, "join", "find the place in Oslo " * 9]
    with running(whole, EXACT) as engine:
        together = engine.embed(texts)
        alone = np.concatenate([engine.embed([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-3)
    assert np.linalg.matrix_rank(together) == len(texts)


def test_vectors_change_nothing_of_what_is_written_beside_them(whole: Path) -> None:
    prompt = tokens(70)
    with running(whole, EXACT) as engine:
        asked = Asked(engine, prompt, short(40)).until_it_speaks()
        engine.embed(["the place", "Oslo"])
        asked.rest()
    assert [asked.wrote] == cold_texts(whole, EXACT, prompt, count=40)


def test_after_a_pass_that_failed_half_way_nothing_that_was_held_is_gone_on_from(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [tokens(40, seed) for seed in range(4)]
    cold = cold_texts(whole, EXACT, *prompts, count=20)
    evaluate, failed = Context.evaluate, [0]

    def failing(context: Context, batch: Batch) -> None:
        evaluate(context, batch)
        if len(batch.rows) == 4 and batch.size == 4 and failed[0] < 2:
            failed[0] += 1
            raise Broken("half way")

    monkeypatch.setattr(Context, "evaluate", failing)
    with running(whole, EXACT) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(20)) for prompt in prompts]
        for each in asked:
            each.end()
        assert failed == [2]
        assert [each.wrote for each in asked] == cold
        again = Asked(engine, prompts[0], short(20))
        again.rest()
        assert again.wrote == cold[0]


def test_a_pass_that_failed_half_way_may_have_displaced_any_state(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = tokens(70)
    evaluate, failed = Context.evaluate, [0]

    def failing(context: Context, batch: Batch) -> None:
        evaluate(context, batch)
        if len(batch.rows) > 1 and not failed[0]:
            assert all(not row.position for row in batch.rows)
            failed[0] += 1
            raise Broken("half way")

    monkeypatch.setattr(Context, "evaluate", failing)
    with running(whole, EXACT) as engine:
        first = Asked(engine, prompt, short(10))
        first.rest()
        with held_up(engine):
            others = [Asked(engine, tokens(20, seed), short(2)) for seed in (1, 2)]
        for each in others:
            each.end()
        assert failed == [1]
        turn = Asked(engine, [*prompt, *first.wrote, 7], short(2))
        assert turn.usage().reused_tokens == 0


def test_a_pass_that_fails_for_one_fails_for_that_one_alone(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guilty = 77
    prompts = [[t for t in tokens(40, seed) if t != guilty] for seed in range(3)]
    cold = cold_texts(whole, EXACT, *prompts)
    evaluate, failed = Context.evaluate, [0]

    def failing(context: Context, batch: Batch) -> None:
        evaluate(context, batch)
        if any(guilty in row.tokens for row in batch.rows):
            failed[0] += 1
            raise Broken("half way")

    monkeypatch.setattr(Context, "evaluate", failing)
    with running(whole, EXACT) as engine:
        with held_up(engine):
            asked = [Asked(engine, prompt, short(12)) for prompt in prompts]
            long = [t for t in tokens(150, 9) if t != guilty]  # of several passes
            culprit = Asked(engine, [*long, guilty, 9], short(12))
        assert isinstance(culprit.rest()[-1], Failed)
        for each in asked:
            each.end()
    assert [each.wrote for each in asked] == cold
    assert failed == [2]  # beside the others, and alone


@pytest.mark.parametrize("reproducible", [False, True])
def test_whatever_comes_every_request_ends_once_and_the_ledger_holds(
    whole: Path, tmp_path: Path, reproducible: bool
) -> None:
    soak = Soak([whole, whole], tmp_path, seed=3, reproducible=reproducible, guessing=False)
    tally = soak.run(lambda rounds: rounds < 1, requests=60)
    assert tally.ends["stop"]
    assert tally.figures["reused"]
    assert tally.injected
