"""Tests of the models that are measured on: files that llama.cpp runs, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import models
from benchmarks.models import NAMES, SHAPES, model_file, quantization, source_text
from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from tests.benchmarks.small import SMALL

OPTIONS = EngineOptions(n_ctx=64, threads=1, n_gpu_layers=0)


@pytest.fixture
def model(small_model: Path) -> Iterator[Model]:
    loaded = Model(read_header(small_model), OPTIONS)
    yield loaded
    loaded.close()


def test_llama_cpp_reads_the_text_with_the_trained_vocabulary(model: Model) -> None:
    text = "import os\n\n\ndef main():\n    return os.environ['HOME']\n"
    tokens = model.tokenize(text, special=False)
    assert b"".join(map(model.piece, tokens)).decode() == text
    assert model.n_vocab == 500
    assert len(tokens) < len(text) * 0.8


def test_scores_are_spread_and_no_reply_ends_by_chance(model: Model) -> None:
    context = Context(model, OPTIONS)
    tokens = tuple(model.tokenize("for each of them", special=False))
    context.evaluate(Batch((Row(0, 0, tokens, len(tokens)),)))
    scores = context.logits()
    assert np.isfinite(scores).all()
    for token in model.end_tokens:
        assert (scores[:, token] == 0).all()
        assert (scores.max(axis=1) > 0).all()
    context.close()


def test_a_model_is_made_once(small_model: Path) -> None:
    written = small_model.stat().st_mtime_ns
    said: list[str] = []
    assert model_file("small", said.append) == small_model
    assert small_model.stat().st_mtime_ns == written
    assert said == []


def test_another_shape_of_that_name_is_another_file(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models.SHAPES, "small", replace(SMALL, layers=2))
    said: list[str] = []
    other = model_file("small", said.append)
    assert other != small_model
    assert len(said) == 2


def test_a_model_that_could_not_be_written_leaves_nothing(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setitem(models.SHAPES, "small", replace(SMALL, layers=3))
    monkeypatch.setattr(models, "_blocks", fail)
    before = set(small_model.parent.iterdir())
    with pytest.raises(OSError, match="full"):
        model_file("small", lambda line: None)
    assert set(small_model.parent.iterdir()) == before


def test_the_text_is_the_same_each_time_and_no_longer_than_asked() -> None:
    first = list(source_text(1))
    assert first == list(source_text(1))
    assert sum(map(len, first[:-1])) <= 1_000_000 <= sum(map(len, first))


@pytest.mark.parametrize("name", SHAPES)
def test_heads_and_blocks_divide_the_widths(name: str) -> None:
    shape = SHAPES[name]
    assert shape.width % shape.heads == 0
    assert shape.heads % shape.kv_heads == 0
    assert shape.width % 32 == shape.inner % 32 == 0


def test_the_same_weights_in_fewer_bits_are_another_file_that_says_nearly_the_same(
    small_model: Path, model: Model
) -> None:
    fewer = model_file("small Q4_0", lambda line: None)
    assert fewer.name.startswith("small-Q4_0-")
    assert fewer.stat().st_size < small_model.stat().st_size
    wanted = tuple(model.tokenize("for each of them", special=False))
    scores = []
    for path in (small_model, fewer):
        loaded = Model(read_header(path), OPTIONS)
        context = Context(loaded, OPTIONS)
        context.evaluate(Batch((Row(0, 0, wanted, 1),)))
        scores.append(context.logits()[0].copy())
        context.close()
        loaded.close()
    assert 0.9 < np.corrcoef(*scores)[0, 1] < 0.99999


def test_a_name_says_how_the_weights_are_written() -> None:
    assert quantization("213M") == "Q8_0"
    assert quantization("213M Q4_0") == "Q4_0"
    assert {"213M", "213M Q4_0", "8B Q4_0"} <= {*NAMES}
