"""Tests of what watches the engine: it counts what is computed twice, and steers a replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.engine_probe import Probe, Replay, Shadow
from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions

OPTIONS = EngineOptions(n_ctx=128, threads=1, n_gpu_layers=0)


@pytest.fixture
def context(small_model: Path) -> Iterator[Context]:
    model = Model(read_header(small_model), OPTIONS)
    yield Context(model, OPTIONS, n_slots=3)
    model.close()


def test_a_token_counts_twice_only_behind_the_same_tokens() -> None:
    shadow = Shadow()
    shadow.evaluate(0, 0, [1, 2, 3])
    shadow.evaluate(1, 0, [2, 2, 3])
    assert shadow.twice == 0
    shadow.evaluate(2, 0, [1, 2, 4])
    assert shadow.twice == 2
    assert shadow.computed == 9


def test_what_was_forked_or_saved_is_not_computed_again() -> None:
    shadow = Shadow()
    shadow.evaluate(0, 0, [1, 2, 3])
    shadow.fork(0, 1, 2)
    shadow.evaluate(1, 2, [4])
    shadow.save(1, b"state")
    shadow.trim(1, 0)
    shadow.restore(1, b"state")
    shadow.evaluate(1, 3, [5])
    assert shadow.twice == 0
    shadow.trim(1, 2)
    shadow.evaluate(1, 2, [4])
    assert shadow.twice == 1


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=8))
def test_without_sharing_only_the_distinct_prefixes_count_once(texts: list[list[int]]) -> None:
    shadow = Shadow()
    for slot, text in enumerate(texts):
        shadow.evaluate(slot, 0, text)
    prefixes = {tuple(text[:end]) for text in texts for end in range(1, len(text) + 1)}
    assert shadow.twice == sum(map(len, texts)) - len(prefixes)


def test_passes_are_seen_with_their_choices_and_times(context: Context) -> None:
    with Probe() as probe:
        context.evaluate(Batch((Row(0, 0, (7, 8, 9)),)))
        context.fork(0, 1, 2)
        for position in range(3, 6):
            rows = (Row(0, position, (9,), 1), Row(1, position - 1, (8,), 1))
            context.evaluate(Batch(rows))
    context.evaluate(Batch((Row(2, 0, (7,), 1),)))
    assert [each.tokens for each in probe.passes] == [3, 2, 2, 2]
    assert probe.steps == 3
    assert all(each.inside > 0 for each in probe.passes)
    assert 0 < probe.python_per_step(2) < min(each.inside for each in probe.passes) * 100
    assert probe.shadow.twice == 0
    with pytest.raises(ValueError, match="1 streams"):
        probe.python_per_step(1)


def test_nothing_is_watched_any_more_afterwards() -> None:
    before = [Context.evaluate, Context.logits, Context.fork]
    with Probe():
        assert Context.evaluate is not before[0]
    assert [Context.evaluate, Context.logits, Context.fork] == before


def test_a_replay_makes_the_next_token_of_the_text_the_best(context: Context) -> None:
    model = context._model
    text = "def main():\n    return 1"

    def tokenize(part: str) -> list[int]:
        return model.tokenize(part, special=False)

    prompt = (5, 6, 7)
    written: list[int] = []
    row = Row(0, 0, prompt, 1)
    with Probe(Replay(len(prompt), text, model.piece, tokenize)):
        while b"".join(map(model.piece, written)).decode() != text:
            context.evaluate(Batch((row,)))
            written.append(int(context.logits()[0].argmax()))
            row = Row(0, context.held(0), (written[-1],), 1)
    assert len(written) <= len(tokenize(text)) + 2


def test_a_replay_knows_its_place_behind_drafts_that_were_dropped() -> None:
    pieces = {1: b"a", 2: b"b", 3: b"c", 4: b"ab", 9: b"!"}
    tokens = {text.decode(): token for token, text in pieces.items()}
    replay = Replay(
        2, "abc", pieces.__getitem__, lambda text: [tokens.get(text[:2], tokens[text[0]])], "!"
    )
    replay.wrote(0, [7, 7])
    assert replay.after(1) == [9, 4, 1]
    replay.wrote(2, [1, 9])
    assert replay.after(2) == [9, 2]
    assert replay.after(3) == []
    replay.wrote(3, [2])
    assert replay.after(3) == [9, 3]
