from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcompiler.engine.context import Context
from llmcompiler.engine.cost import WIDTHS
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.speed import (
    measure_decode,
    measure_first_token,
    measure_prefill,
    measure_speed,
    measure_streams,
    random_prompts,
)
from llmcompiler.errors import ConfigurationError, ModelError
from tests.engine.tiny_model import write_tiny_model

OPTIONS = EngineOptions(n_ctx=256, n_cells=2048, n_seq=16, chunk=64, threads=1, drafts=False)


class Ticks:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self) -> float:
        return float(next(self._count))


@pytest.fixture
def context(tiny_gguf: Path) -> Iterator[Context]:
    model = Model(read_header(tiny_gguf), OPTIONS)
    yield Context(model, OPTIONS)
    model.close()


@pytest.fixture
def engine(tiny_gguf: Path) -> Iterator[Engine]:
    engine = Engine.open(read_header(tiny_gguf), OPTIONS)
    yield engine
    engine.close()


def test_a_prompt_is_computed_in_chunks_and_leaves_nothing(context: Context) -> None:
    assert measure_prefill(context, 200, clock=Ticks()) == 200.0
    assert context.held(0) == 0


def test_a_prompt_is_no_longer_than_the_context(context: Context) -> None:
    assert measure_prefill(context, 10_000, clock=Ticks()) == 256.0


def test_a_reply_is_computed_token_by_token_and_leaves_nothing(context: Context) -> None:
    assert measure_decode(context, 20, clock=Ticks()) == 20.0
    assert context.held(0) == 0


def test_a_known_prefix_is_reused_when_the_first_token_is_timed(engine: Engine) -> None:
    found = measure_first_token(engine, shared=150, new=10, repeats=1, clock=Ticks())
    assert (found.shared, found.new, found.reused) == (150, 10, 150)
    assert (found.cold, found.hot) == (1.0, 1.0)


def test_a_short_context_shares_what_fits(engine: Engine) -> None:
    assert measure_first_token(engine, repeats=1).shared == 256 - 24 - 8


@pytest.mark.parametrize("count", [1, 5])
def test_streams_write_as_many_tokens_as_were_asked_for(engine: Engine, count: int) -> None:
    assert measure_streams(engine, count, length=20, repeats=1, clock=Ticks()) == count * 20


def test_prompts_are_plain_and_never_the_same(context: Context) -> None:
    model = context._model
    make = random_prompts(model)
    first, second = make(40), make(40)
    assert first != second
    assert len(first) == 40
    assert not [token for token in first if model.is_control(token) or token in model.end_tokens]


def test_everything_is_measured_and_can_be_written_as_json(tiny_gguf: Path) -> None:
    stages: list[str] = []
    options = EngineOptions(threads=1, n_cells=8192, kv_type="q8_0")
    speed = measure_speed(
        read_header(tiny_gguf), options, streams=(1, 3), quick=True, tell=stages.append
    )
    assert stages == ["loading", "prompts", "replies", "passes", "first token", *(
        f"{count} at once" for count in (1, 3)
    )]  # fmt: skip
    assert tuple(speed.passes) == WIDTHS
    assert list(speed.streams) == [1, 3]
    assert speed.first_token.reused >= speed.first_token.shared == 300
    assert min(speed.prefill, speed.decode, *speed.streams.values()) > 0
    assert json.loads(json.dumps(speed.to_json()))["n_cells"] == 8192


def test_more_requests_than_rows_are_still_computed_at_once(tiny_gguf: Path) -> None:
    options = EngineOptions(threads=1, n_cells=2048, rows=2)
    speed = measure_speed(read_header(tiny_gguf), options, streams=(4,), quick=True)
    assert list(speed.streams) == [4]


def test_a_context_too_short_to_measure_is_refused(tiny_gguf: Path) -> None:
    with pytest.raises(ModelError, match="a context of 64 tokens is too short: take 128"):
        measure_speed(read_header(tiny_gguf), EngineOptions(n_ctx=64, threads=1))


def test_what_cannot_be_loaded_raises_what_loading_raises(tmp_path: Path) -> None:
    narrow = write_tiny_model(tmp_path / "narrow.gguf", width=16, head=8)
    with pytest.raises(ConfigurationError, match="q4_0"):
        measure_speed(read_header(narrow), EngineOptions(kv_type="q4_0", threads=1))
