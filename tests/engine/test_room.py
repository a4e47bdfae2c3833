from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine.context import Context
from llmcompiler.engine.live import Live
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.messages import Sampling
from tests.engine.asked import OPTIONS, Asked, held_up, running, short, tokens


class _Counting(Sampler):
    """Chooses by the place in the reply alone, so that nothing but the order can change a text."""

    def __init__(self, seed: int) -> None:
        super().__init__(Sampling())
        self._seed = seed
        self._count = 0

    @property
    def greedy(self) -> bool:
        return False

    def pick(self, logits: Logits, among: object = None) -> int:
        return 5 + (self._seed * 31 + self._count * 7) % 250

    def accept(self, token: int) -> None:
        self._count += 1


@pytest.mark.parametrize("cache_ram", [0, 64])
def test_when_the_cells_run_out_the_youngest_waits_and_goes_on_where_it_was(
    q8_gguf: Path, cache_ram: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=256, cache_ram=cache_ram)
    with running(q8_gguf, options) as engine:
        stood: list[Live] = []
        stand = Live.stand
        monkeypatch.setattr(Live, "stand", lambda live: (stood.append(live), stand(live)))
        with held_up(engine):
            asked = [
                Asked(engine, tokens(60, seed), short(100), sampler=_Counting(seed))
                for seed in range(3)
            ]
        assert [each.end().reason for each in asked] == ["length"] * 3
    assert stood
    for seed, each in enumerate(asked):
        assert each.wrote == [5 + (seed * 31 + n * 7) % 250 for n in range(100)]


def test_everybody_ends_where_the_cells_are_far_too_few(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=256)
    with running(tiny_gguf, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, tokens(100 + n, n), short(60)) for n in range(12)]
        ends = [each.end() for each in asked]
        assert {end.reason for end in ends} <= {"length", "stop"}
        assert [end.usage.completion_tokens for end in ends if end.reason == "length"].count(
            60
        ) >= 8


def test_what_was_evicted_is_restored_from_memory(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=256, n_seq=2)
    with running(tiny_gguf, options) as engine:
        first = Asked(engine, tokens(150), short(8))
        first.rest()
        Asked(engine, tokens(200, 1), short(8)).rest()
        again = Asked(engine, tokens(150), short(8))
        assert again.usage().reused_tokens == 149
        assert again.wrote == first.wrote
    with running(tiny_gguf, replace(options, cache_ram=0)) as engine:
        for seed in (0, 1):
            Asked(engine, tokens(150 + 50 * seed, seed), short(8)).rest()
        assert Asked(engine, tokens(150), short(8)).usage().reused_tokens <= 1


def test_after_a_restart_a_prefix_comes_from_disk(tiny_gguf: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, cache_dir=str(tmp_path / "cache"))
    with running(tiny_gguf, options) as engine:
        first = Asked(engine, tokens(150), short(8))
        first.rest()
    with running(tiny_gguf, options) as engine:
        again = Asked(engine, tokens(150), short(8))
        assert again.usage().reused_tokens == 149
        assert again.wrote == first.wrote
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
    with running(tiny_gguf, options) as engine:
        broken = Asked(engine, tokens(150), short(8))
        assert broken.usage().reused_tokens == 0
        assert broken.wrote == first.wrote


def test_a_kept_prefix_survives_any_crowd(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=512, n_seq=4, cache_ram=0)
    with running(tiny_gguf, options) as engine:
        kept = Asked(engine, tokens(100), silent=True, keep=True).end()
        assert kept.figures.evaluated == 100
        for seed in range(1, 8):
            Asked(engine, tokens(200, seed), short(3)).rest()
        assert Asked(engine, [*tokens(100), 7], short(3)).usage().reused_tokens == 100


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_soak_leaves_the_ledger_whole(q8_gguf: Path, tmp_path: Path, reproducible: bool) -> None:
    options = replace(
        OPTIONS,
        n_ctx=256,
        n_cells=None if reproducible else 700,
        n_seq=5,
        rows=4,
        drafts=True,
        reproducible=reproducible,
        cache_ram=1,
        cache_dir=str(tmp_path),
        cache_disk=4,
    )
    chance = random.Random(7)
    texts = [tokens(chance.randrange(2, 230), seed) for seed in range(12)]
    with running(q8_gguf, options) as engine:
        waiting: list[Asked] = []
        for _ in range(60 if reproducible else 400):
            text = chance.choice(texts)
            prompt = text[: chance.randrange(1, len(text) + 1)] + [5] * chance.randrange(3)
            silent = chance.random() < 0.15
            asked = Asked(
                engine,
                prompt,
                short(chance.randrange(1, 25), temperature=chance.choice([0.0, 1.0])),
                grammar=chance.choice([None, None, "start: /[a-z]+/ /[.]/"]),
                priority=chance.choice([0, 0, 3]),
                silent=silent,
                keep=silent and chance.random() < 0.1,
            )
            if chance.random() < 0.25:
                asked.job.cancel()
            else:
                waiting.append(asked)
            if chance.random() < 0.1:
                waiting.pop(0).rest()
        for asked in waiting:
            asked.rest()


@pytest.mark.parametrize("lasting", [False, True])
def test_closing_saves_only_what_outlives_the_process(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    saved: list[int] = []
    save = Context.save

    def watch(context: Context, slot: int) -> bytes:
        saved.append(slot)
        return save(context, slot)

    monkeypatch.setattr(Context, "save", watch)
    options = replace(OPTIONS, cache_dir=str(tmp_path) if lasting else None)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(100), silent=True, keep=True).end()
        Asked(engine, tokens(100, 1), short(2)).rest()
    assert bool(saved) is lasting
