from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Broken, Context, NoRoom
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.sampler import Logits
from llmcompiler.errors import ConfigurationError, ModelError
from tests.engine.tiny_model import write_tiny_model

SLOTS = 4


def _open(model: Model, *, reproducible: bool = False, slots: int = SLOTS) -> Context:
    options = EngineOptions(chunk=64, threads=1, reproducible=reproducible)
    return Context(model, options, n_slots=slots)


@pytest.fixture
def context(tiny_model: Model) -> Iterator[Context]:
    """Return a context of 512 cells for four slots, at most 64 tokens a pass."""
    context = _open(tiny_model)
    yield context
    assert context.agrees()
    context.close()


@pytest.fixture
def split(tiny_model: Model) -> Iterator[Context]:
    """Return the same with cells of its own for each slot."""
    context = _open(tiny_model, reproducible=True)
    yield context
    assert context.agrees()
    context.close()


def _row(context: Context, slot: int, tokens: list[int], outputs: int = 1) -> Row:
    return Row(slot, context.held(slot), tuple(tokens), outputs)


def _scores(context: Context, slot: int, tokens: list[int]) -> Logits:
    """Compute tokens of one slot; return the scores behind the last."""
    context.evaluate(Batch((_row(context, slot, tokens),)))
    return context.logits()[-1].copy()


def test_scores_in_chunks_are_those_of_one_batch(context: Context) -> None:
    tokens = list(range(5, 25))
    whole = _scores(context, 0, tokens)
    context.evaluate(Batch((_row(context, 1, tokens[:4], 0),)))
    assert np.allclose(_scores(context, 1, tokens[4:]), whole, atol=0.05)
    assert whole.shape == (context.n_vocab,)


def test_there_may_be_more_slots_than_a_batch_has_tokens(tiny_model: Model) -> None:
    context = _open(tiny_model, slots=65)  # of 64 tokens: it would have ended the process
    assert _scores(context, 64, [5, 6]).shape == (context.n_vocab,)
    context.close()


def test_rows_of_a_batch_are_scored_as_each_alone(context: Context) -> None:
    texts = [[5, 6, 7, 8], [9], [10, 11, 12]]
    alone = []
    for tokens in texts:
        alone.append(_scores(context, 0, tokens))
        context.clear(0)
    context.evaluate(Batch(tuple(_row(context, n, text) for n, text in enumerate(texts))))
    assert context.logits().shape == (3, context.n_vocab)
    assert np.allclose(context.logits(), np.stack(alone), atol=0.05)


def test_every_wanted_place_has_its_scores_in_the_order_of_rows(context: Context) -> None:
    first = _scores(context, 3, [5])
    second = _scores(context, 3, [6])
    other = _scores(context, 2, [9, 10])
    context.clear(3)
    context.clear(2)
    rows = (_row(context, 3, [5, 6], 2), _row(context, 1, [7, 8], 0), _row(context, 2, [9, 10]))
    context.evaluate(Batch(rows))
    assert np.allclose(context.logits(), np.stack([first, second, other]), atol=0.05)


def test_with_cells_apart_company_changes_nothing_at_all(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "q8.gguf", quantised=True)
    model = Model(read_header(path), EngineOptions(n_ctx=512, threads=1))
    context = _open(model, reproducible=True)
    alone = _scores(context, 0, [5, 6, 7, 8])
    context.clear(0)
    _scores(context, 1, list(range(20, 60)))
    context.evaluate(Batch((_row(context, 0, [5, 6, 7, 8]), _row(context, 1, [9]))))
    assert np.array_equal(context.logits()[0], alone)
    model.close()


@pytest.mark.parametrize("kind", ["context", "split"])
def test_a_fork_goes_on_where_the_original_could(kind: str, request: pytest.FixtureRequest) -> None:
    context: Context = request.getfixturevalue(kind)
    tokens = list(range(5, 45))
    _scores(context, 0, tokens)
    context.fork(0, 2, 30)
    assert (context.held(0), context.held(2)) == (40, 30)
    forked = _scores(context, 2, tokens[30:])
    context.clear(0)
    assert np.allclose(_scores(context, 0, tokens), forked, atol=0.05)


def test_dropping_the_original_leaves_the_fork(context: Context) -> None:
    _scores(context, 0, [5, 6, 7])
    context.fork(0, 1, 3)
    before = _scores(context, 0, [8])
    context.clear(0)
    assert np.allclose(_scores(context, 1, [8]), before, atol=0.05)


def test_a_fork_into_a_full_slot_or_of_too_much_is_refused(context: Context) -> None:
    _scores(context, 0, [5, 6])
    _scores(context, 1, [5])
    for source, target, length in [(0, 1, 1), (0, 2, 3), (0, 2, 0), (3, 2, 1)]:
        with pytest.raises(ModelError, match="cannot take"):
            context.fork(source, target, length)


def test_what_was_trimmed_can_be_written_anew(context: Context) -> None:
    before = _scores(context, 0, [5, 6, 7])
    _scores(context, 0, [8, 9])
    assert context.trim(0, 2)
    assert np.allclose(_scores(context, 0, [7]), before, atol=0.05)


@pytest.mark.parametrize("kind", ["context", "split"])
def test_what_was_saved_goes_on_in_another_slot(kind: str, request: pytest.FixtureRequest) -> None:
    context: Context = request.getfixturevalue(kind)
    _scores(context, 0, [5, 6, 7])
    data = context.save(0)
    before = _scores(context, 0, [8])
    assert context.restore(3, data, 3)
    assert np.allclose(_scores(context, 3, [8]), before, atol=0.05)


def test_what_was_saved_goes_on_in_another_process_of_the_model(
    context: Context, tiny_gguf: Path
) -> None:
    _scores(context, 0, [5, 6, 7])
    data = context.save(0)
    before = _scores(context, 0, [8])
    other = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, threads=1))
    again = _open(other)
    assert again.restore(1, data, 3)
    assert np.allclose(_scores(again, 1, [8]), before, atol=0.05)
    other.close()


def test_saved_bytes_that_are_cut_or_foreign_are_refused(context: Context, tmp_path: Path) -> None:
    _scores(context, 0, [5, 6, 7])
    data = context.save(0)
    path = write_tiny_model(tmp_path / "wide.gguf", width=128)
    foreign = Model(read_header(path), EngineOptions(n_ctx=512, threads=1))
    other = _open(foreign)
    for target, given, length in [
        (context, data[:-10], 3),
        (context, b"", 3),
        (context, data, 4),
        (other, data, 3),
    ]:
        assert not target.restore(2, given, length)
        assert target.held(2) == 0
        assert target.agrees()
    foreign.close()


def test_a_full_or_freshly_copied_slot_is_neither_restored_nor_saved(split: Context) -> None:
    _scores(split, 0, [5, 6, 7])
    data = split.save(0)
    assert not split.restore(0, data, 3)
    split.fork(0, 1, 3)
    assert split.save(1) == b""
    _scores(split, 1, [8])
    assert split.save(1)


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (Row(0, 0, ()),),
        (Row(0, 0, (5,) * 65),),
        (Row(0, 1, (5,)),),
        (Row(0, 0, (-1,)),),
        (Row(0, 0, (1 << 30,)),),
        (Row(SLOTS, 0, (5,)),),
        (Row(-1, 0, (5,)),),
        (Row(0, 0, (5,)), Row(0, 0, (5,))),
        (Row(0, 0, (5,), 2),),
        (Row(0, 0, (5,), -1),),
    ],
)
def test_a_batch_that_would_end_the_process_is_refused(
    context: Context, rows: tuple[Row, ...]
) -> None:
    with pytest.raises(ModelError):
        context.evaluate(Batch(rows))
    _scores(context, 0, [5, 6])


def test_a_rewind_and_a_gap_are_refused(context: Context) -> None:
    _scores(context, 0, [5, 6])
    for position in (0, 1, 3):
        with pytest.raises(ModelError, match="do not fit a slot that holds 2 of 512"):
            context.evaluate(Batch((Row(0, position, (7,), 1),)))


def test_cells_that_are_used_up_are_told_and_nothing_changes(context: Context) -> None:
    for _ in range(4):
        context.evaluate(Batch((_row(context, 0, [5] * 64, 0),)))
        context.evaluate(Batch((_row(context, 1, [6] * 64, 0),)))
    with pytest.raises(NoRoom, match="no room for 2 tokens"):
        context.evaluate(Batch((_row(context, 0, [5]), _row(context, 2, [5]))))
    assert [context.held(slot) for slot in range(SLOTS)] == [256, 256, 0, 0]
    assert context.agrees()
    context.trim(0, 200)
    _scores(context, 2, [5])


@pytest.mark.parametrize(
    ("code", "failure"), [(1, NoRoom), (-1, ModelError), (-3, Broken), (2, Broken)]
)
def test_every_return_code_has_its_error(
    context: Context, monkeypatch: pytest.MonkeyPatch, code: int, failure: type[ModelError]
) -> None:
    _scores(context, 0, [5])
    decode = context._llama.llama_decode
    monkeypatch.setattr(context._llama, "llama_decode", lambda *_: code)
    with pytest.raises(failure) as caught:
        context.evaluate(Batch((_row(context, 0, [6, 7]),)))
    assert type(caught.value) is failure
    monkeypatch.setattr(context._llama, "llama_decode", decode)
    context._held[0] = 1
    _scores(context, 0, [6])


def test_scores_that_were_not_computed_are_not_shown(context: Context) -> None:
    context.evaluate(Batch((_row(context, 0, [5, 6], 0),)))
    with pytest.raises(ModelError, match="no scores"):
        context.logits()


@pytest.mark.parametrize("kv_type", ["f16", "q8_0", "q4_0"])
def test_the_cache_may_be_quantised(tiny_model: Model, kv_type: str) -> None:
    options = EngineOptions(threads=1, kv_type=kv_type)  # type: ignore[arg-type]  # a test parameter is a str
    context = Context(tiny_model, options, n_slots=2)
    assert np.isfinite(_scores(context, 1, [5, 6, 7])).all()


def test_a_context_that_cannot_be_made_names_the_options(tmp_path: Path) -> None:
    narrow = write_tiny_model(tmp_path / "narrow.gguf", head=16)
    options = EngineOptions(kv_type="q4_0", threads=1)
    model = Model(read_header(narrow), options)
    with pytest.raises(ConfigurationError, match=r"'q4_0'.*lower n_ctx or n_seq, or leave these"):
        Context(model, options)
    model.close()


def test_two_contexts_share_the_weights_of_one_model(tiny_model: Model) -> None:
    one, two = _open(tiny_model), _open(tiny_model)
    assert np.array_equal(_scores(one, 0, [5, 6]), _scores(two, 0, [5, 6]))
    one.close()
    assert np.isfinite(_scores(two, 0, [7])).all()


def test_closing_the_model_closes_its_contexts_first(tiny_gguf: Path) -> None:
    model = Model(read_header(tiny_gguf), EngineOptions(threads=1))
    context = _open(model)
    model.close()
    model.close()
    context.close()


def test_a_partial_copy_between_cells_apart_would_have_ended_the_process(tiny_gguf: Path) -> None:
    """llama.cpp aborts there; `fork` copies the whole and trims, in a process that lives on."""
    program = f"""
from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
import sys
options = EngineOptions(n_ctx=64, threads=1, reproducible=True)
context = Context(Model(read_header({str(tiny_gguf)!r}), options), options, n_slots=2)
context.evaluate(Batch((Row(0, 0, (5, 6, 7), 1),)))
if sys.argv[1] == "raw":
    context._llama.llama_memory_seq_cp(context._memory, 0, 1, 0, 2)
else:
    context.fork(0, 1, 2)
context.evaluate(Batch((Row(1, 2, (8,), 1),)))
print("alive")
"""
    ended = {
        how: subprocess.run([sys.executable, "-c", program, how], capture_output=True, timeout=60)
        for how in ("raw", "fork")
    }
    assert ended["raw"].returncode < 0
    assert ended["fork"].stdout == b"alive\n"


def test_the_fixture_can_be_quantised(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "q8.gguf", quantised=True)
    kinds = {
        t.tensor_type for t in gguf.GGUFReader(path).tensors if t.name.endswith("ffn_up.weight")
    }
    assert kinds == {gguf.GGMLQuantizationType.Q8_0}


def test_nothing_is_restored_where_a_copy_is_still_to_be_carried_out(split: Context) -> None:
    _scores(split, 1, list(range(60, 90)))
    saved = split.save(1)
    tokens = list(range(5, 35))
    _scores(split, 0, tokens)
    expected = _scores(split, 0, [7])
    split.trim(0, 30)
    split.fork(0, 2, 30)
    split.clear(0)
    assert not split.restore(0, saved, 30)
    assert np.array_equal(_scores(split, 2, [7]), expected)
    assert split.restore(0, saved, 30)
