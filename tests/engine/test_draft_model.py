from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine import draft_model, loop
from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.devices import FreeMemory
from llmcompiler.engine.draft_model import DraftEngine, ModelDrafts
from llmcompiler.engine.drafts import Drafts
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.memory import plan_memory
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ModelError
from tests.engine import tiny_model
from tests.engine.asked import Asked, running, short
from tests.engine.tiny_model import write_tiny_model

OPTIONS = EngineOptions(n_ctx=256, chunk=16, threads=1)
PROMPT = [0, 40, 50, 60, 70, 80]


@pytest.fixture(scope="module")
def certain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF wide enough to be sure of itself: its random scores lie far apart."""
    return write_tiny_model(tmp_path_factory.mktemp("draft") / "wide.gguf", width=256, head=64)


@pytest.fixture
def engine(certain_gguf: Path) -> Iterator[DraftEngine]:
    """Return a draft engine of two slots that share 256 cells; it guesses for its own weights."""
    made = _engine(certain_gguf)
    yield made
    made.close()


def _open(path: Path) -> Model:
    return Model(read_header(path), OPTIONS)


def _engine(path: Path, *, n_slots: int = 2) -> DraftEngine:
    target = _open(path)
    made = DraftEngine(_open(path), target, OPTIONS, n_slots=n_slots)
    target.close()
    return made


def _greedy(path: Path, prompt: list[int], count: int) -> list[int]:
    """Return what the model writes by itself, one token a pass."""
    model = _open(path)
    context = Context(model, OPTIONS)
    row, written = tuple(prompt), list[int]()
    while len(written) < count:
        context.evaluate(Batch((Row(0, context.held(0), row, 1),)))
        written.append(int(context.logits()[-1].argmax()))
        row = (written[-1],)
    model.close()
    return written


def test_the_same_model_guesses_what_would_be_written(
    engine: DraftEngine, certain_gguf: Path
) -> None:
    written = _greedy(certain_gguf, PROMPT, 30)
    drafts: Drafts = engine.open(PROMPT)
    at = guessed = 0
    while at < 24:
        guess = drafts.draft(4)
        assert list(guess) == written[at : at + len(guess)]
        assert len(drafts.chances) == len(guess)
        assert all(0.4 <= chance <= 1 for chance in drafts.chances)
        guessed += len(guess)
        drafts.extend(written[at : at + len(guess) + 1])
        at += len(guess) + 1
    assert guessed >= 12


def test_a_guess_that_was_wrong_is_forgotten(engine: DraftEngine, certain_gguf: Path) -> None:
    drafts = engine.open(PROMPT)
    assert drafts.draft(4)
    drafts.extend([90, 91])
    expected = _greedy(certain_gguf, [*PROMPT, 90, 91], 4)
    guess = drafts.draft(4)
    assert list(guess) == expected[: len(guess)]
    assert drafts.draft(4) == guess


def test_nothing_is_computed_before_a_guess_is_asked_for(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(Context, "evaluate", refuse)
        drafts = engine.open(PROMPT)
        drafts.extend([90])
        assert drafts.draft(0) == ()
        drafts.close()


def test_a_long_prompt_is_caught_up_with_chunk_by_chunk(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = _watch(monkeypatch)
    drafts = engine.open([*range(5, 45)])
    assert drafts.draft(1) == drafts.draft(1) == ()
    drafts.draft(1)
    assert sizes == [16, 16, 8]


def test_texts_share_what_they_begin_with(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = _watch(monkeypatch)
    first, second = engine.open([*range(5, 15), 90]), engine.open([*range(5, 15), 91])
    first.draft(1)
    second.draft(1)
    assert sizes == [11, 1]
    second.close()
    third = engine.open([*range(5, 15), 92])
    third.draft(1)
    assert sizes == [11, 1, 1]
    for each in (first, third):
        each.close()


def test_a_text_does_not_take_the_place_of_one_that_it_hardly_shares(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = _watch(monkeypatch)
    for prompt in ([*range(5, 17)], [5, 6, *range(60, 70)], [*range(5, 17), 90]):
        drafts = engine.open(prompt)
        drafts.draft(1)
        drafts.close()
    assert sizes == [12, 10, 1]


def test_a_text_that_shares_much_with_one_in_use_takes_the_place_of_an_idle_one(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = _watch(monkeypatch)
    live, idle = engine.open([*range(5, 17)]), engine.open([*range(60, 70)])
    live.draft(1)
    idle.draft(1)
    idle.close()
    engine.open([*range(5, 17), 90]).draft(1)
    assert sizes == [12, 10, 1]


def test_a_text_guesses_as_if_it_were_alone(engine: DraftEngine, certain_gguf: Path) -> None:
    prompts = [[*range(5, 15), last] for last in (90, 91, 92)]
    for prompt in prompts:
        drafts = engine.open(prompt)
        guess = drafts.draft(3)
        assert list(guess) == _greedy(certain_gguf, prompt, 3)[: len(guess)]
        drafts.close()


def test_a_text_without_a_slot_gets_no_guess(engine: DraftEngine) -> None:
    first, second, third = (engine.open(PROMPT) for _ in range(3))
    assert first.draft(2) == second.draft(2) != ()
    assert third.draft(2) == ()
    first.close()
    first.close()
    assert third.draft(2) == second.draft(2)
    assert first.draft(2) == ()


def test_a_text_as_long_as_the_context_gets_no_guess(
    engine: DraftEngine, caplog: pytest.LogCaptureFixture
) -> None:
    drafts = engine.open([*range(5, 261)])
    assert not _caught_up(drafts)
    assert engine.open([]).draft(4) == ()
    assert not caplog.records


def test_a_guess_ends_where_the_turn_does(
    engine: DraftEngine, certain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_model, "_UNSURE", 0.0)
    assert len(engine.open(PROMPT).draft(4)) == 4
    draft, target = _open(certain_gguf), _open(certain_gguf)
    draft.end_tokens = frozenset(range(draft.n_vocab))
    ending = DraftEngine(draft, target, OPTIONS)
    assert len(ending.open(PROMPT).draft(4)) == 1
    ending.close()
    target.close()


def test_what_idle_texts_hold_makes_room_and_what_is_in_use_does_not(engine: DraftEngine) -> None:
    first, second = engine.open([*range(5, 155)]), engine.open([*range(100, 250)])
    third = engine.open([*range(160, 10, -1)])
    assert _caught_up(first)
    first.close()
    guess = _caught_up(second)
    assert guess
    assert not _caught_up(third)
    assert second.draft(1) == guess
    second.extend(range(5, 95))
    assert _caught_up(second)
    second.close()
    assert not _caught_up(third)
    assert _caught_up(engine.open([*range(160, 10, -1)]))


def test_a_failing_draft_model_stops_guessing_and_nothing_else(
    engine: DraftEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("it broke")

    drafts = engine.open(PROMPT)
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Context, "evaluate", fail)
        assert drafts.draft(2) == ()
    assert "it broke" in caplog.text
    assert drafts.draft(2) == ()
    assert engine.open(PROMPT).draft(2) != ()


def test_a_guess_costs_what_a_pass_of_the_small_model_does(engine: DraftEngine) -> None:
    assert 0 < engine.price < 1
    assert engine.open(PROMPT).price == engine.price


def test_a_model_with_another_vocabulary_is_refused(
    tmp_path: Path, certain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tiny_model, "WORDS", [*tiny_model.WORDS[:-1], "Rome"])
        other = write_tiny_model(tmp_path / "other.gguf")
    draft, target = _open(other), _open(certain_gguf)
    assert draft.n_vocab == target.n_vocab
    with pytest.raises(ConfigurationError, match=r"'other\.gguf' is not that of 'wide\.gguf'"):
        DraftEngine(draft, target, OPTIONS)
    draft.close()
    target.close()


def test_padding_at_the_end_of_a_vocabulary_is_never_guessed(
    tmp_path: Path, certain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tiny_model, "WORDS", [*tiny_model.WORDS, "Reykjavik"])
        padded = write_tiny_model(tmp_path / "padded.gguf")
    draft, target = _open(padded), _open(certain_gguf)
    engine = DraftEngine(draft, target, OPTIONS)
    assert engine.known == target.n_vocab < draft.n_vocab
    scores = engine.scores(0, array("i", PROMPT))
    assert scores is not None
    assert scores.shape == (target.n_vocab,)
    engine.close()
    target.close()


def test_a_model_that_cannot_take_tokens_back_is_refused(certain_gguf: Path) -> None:
    draft = _open(certain_gguf)
    draft.partial = False
    with pytest.raises(ConfigurationError, match="without recurrent layers"):
        DraftEngine(draft, draft, OPTIONS)
    draft.close()


def test_an_engine_is_opened_with_a_draft_model_just_where_there_is_memory_for_both(
    certain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write_tiny_model(tmp_path / "small.gguf")
    alone = EngineOptions(n_ctx=256, n_cells=512, n_seq=4, chunk=16, threads=1)
    with running(certain_gguf, alone) as engine:
        text = Asked(engine, PROMPT, short(20)).text()
    both = replace(alone, draft_model=str(small))
    needed = plan_memory(
        read_header(certain_gguf), both, FreeMemory(None), read_header(small)
    ).total_bytes
    monkeypatch.setattr(loop, "free_memory", lambda: FreeMemory(needed))
    with running(certain_gguf, both) as engine:
        assert Asked(engine, PROMPT, short(20)).text() == text
    monkeypatch.setattr(loop, "free_memory", lambda: FreeMemory(needed - 1))
    with pytest.raises(
        ConfigurationError, match=r"for 'small\.gguf' to draft.*leave draft_model out"
    ):
        Engine.open(read_header(certain_gguf), both)
    with running(certain_gguf, alone) as engine:
        assert Asked(engine, PROMPT, short(20)).text() == text


def _caught_up(drafts: ModelDrafts) -> tuple[int, ...]:
    """Return the first guess that is not empty, if the text's length allows one."""
    return next((guess for _ in range(16) if (guess := drafts.draft(1))), ())


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of the passes that are computed from now on."""
    sizes: list[int] = []
    evaluate = Context.evaluate

    def watched(context: Context, batch: Batch) -> None:
        sizes.append(batch.size)
        evaluate(context, batch)

    monkeypatch.setattr(Context, "evaluate", watched)
    return sizes
