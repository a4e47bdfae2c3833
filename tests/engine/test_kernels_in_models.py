"""What models compute with kernels, beside what llama.cpp computes alone."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcompiler.engine.binding import binding
from llmcompiler.engine.embedding import EmbeddingContext
from llmcompiler_planners.embedded import model_path
from tests.engine import asked
from tests.engine.asked import Asked, held_up, running, short, tokens
from tests.engine.kernel_graphs import Floats, Kind, kernels_here
from tests.engine.kernel_models import (
    OPTIONS,
    loaded,
    matrices,
    scores,
    scores_one_by_one,
    write_variant,
)
from tests.engine.kernel_programs import said, start

_ON = replace(OPTIONS, kernels="on")
_OFF = replace(OPTIONS, kernels="off")
_KINDS = (Kind.Q8_0, Kind.Q4_0, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K)
# Both round the numbers that a matrix is multiplied with to 8 bits; sums in another order put a few
# of them on the other side of a half. That is an error of another sign, and none that is larger.
_ROUNDING = 0.02
_AS_NEAR = 1.1
_REQUESTS = (
    "How many kilometers are 3 miles?",
    "How many hours are between Tokyo and Lima?",
    "What is 12 plus 30?",
)
Written = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    kernels_here()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return what writes a model of a kind, each of them once."""
    folder, made = tmp_path_factory.mktemp("kinds"), dict[str, Path]()

    def write(kind: Kind, *, width: int = 256, **more: Any) -> Path:
        parts = (f"{name}{int(value)}" for name, value in more.items() if value)
        name = f"{kind.name}-{width}-{'-'.join(parts)}.gguf"
        if name not in made:
            made[name] = write_variant(folder / name, kind, width=width, head=64, **more)
        return made[name]

    return write


def _agree(one: Floats, other: Floats, argmax: float = 0.9) -> bool:
    """Say whether scores are the same but for rounding, and the best one nearly everywhere."""
    near = np.abs(one - other).mean() <= _ROUNDING * other.std()
    return bool(near and (one.argmax(1) == other.argmax(1)).mean() >= argmax)


@pytest.mark.parametrize("more", [{}, {"tied": True}, {"experts": True}], ids=str)
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_scores_are_as_near_to_exact_ones_as_those_of_llama_cpp(
    written: Written, kind: Kind, more: dict[str, bool]
) -> None:
    """Exact ones come from the same weights in 32 bits, multiplied with numbers in 32 bits."""
    path, texts = written(kind, **more), [tokens(90), tokens(1, 1), tokens(40, 2)]
    with loaded(path, _ON) as ours, loaded(path, _OFF) as theirs:
        found, beside = scores(ours, texts, _ON), scores(theirs, texts, _OFF)
    with loaded(written(kind, exact=True, **more), _OFF) as model:
        exact = scores(model, texts, _OFF)
    ours_off, theirs_off = (np.abs(each - exact).mean() for each in (found, beside))
    assert ours_off <= _AS_NEAR * theirs_off
    assert theirs_off <= 0.05 * exact.std()  # else it says nothing that ours is as near
    assert not np.array_equal(found, beside)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_all_matrices_but_those_that_rows_are_taken_from_are_packed(
    written: Written, kind: Kind
) -> None:
    for tied in (False, True):
        path = written(kind, tied=tied)
        sizes = matrices(path)
        rows = 0 if tied else sizes["token_embd.weight"]  # if tied there is a copy to multiply with
        with loaded(path, _ON) as model:
            assert model.packed == sum(sizes.values()) - rows > 0


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_the_matrices_of_experts_are_packed(written: Written, kind: Kind) -> None:
    path = written(kind, experts=True)
    sizes = matrices(path)
    experts = sum(size for name, size in sizes.items() if name.endswith("_exps.weight"))
    with loaded(path, _ON) as model:
        assert model.packed == sum(sizes.values()) - sizes["token_embd.weight"]
        assert model.packed > experts > model.packed / 2


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_0], ids=lambda kind: kind.name)
def test_a_model_of_experts_scores_as_llama_cpp_alone_but_for_rounding(
    written: Written, kind: Kind
) -> None:
    path, texts = written(kind, experts=True), [tokens(90), tokens(1, 1), tokens(40, 2)]
    with loaded(path, _ON) as ours, loaded(path, _OFF) as theirs:
        found, expected = scores(ours, texts, _ON), scores(theirs, texts, _OFF)
    assert _agree(found, expected)
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_a_pass_of_many_tokens_through_experts_is_as_one_of_each(
    written: Written, kind: Kind
) -> None:
    """To the last bit where they choose the experts as well, and llama.cpp nothing."""
    for seed in range(3):
        text = tokens(60, seed)
        with loaded(written(kind, experts=True, choosing=kind), _ON) as model:
            together = scores(model, [text], _ON)
            assert together.tobytes() == scores_one_by_one(model, text, _ON).tobytes()
        with loaded(written(kind, experts=True), _ON) as model:
            together = scores(model, [text], _ON)
            assert _agree(together, scores_one_by_one(model, text, _ON))


@pytest.mark.parametrize("kind", [Kind.F16, Kind.Q5_0], ids=lambda kind: kind.name)
def test_of_other_weights_attention_alone_is_ours(written: Written, kind: Kind) -> None:
    path, texts = written(kind), [tokens(120), tokens(70, 1)]
    with loaded(path, _ON) as ours, loaded(path, _OFF) as theirs:
        assert (ours.packed, ours.attends) == (0, True)
        assert ours.kernels in ("AVX512-VNNI", "AVX-VNNI")
        assert (theirs.packed, theirs.attends, theirs.kernels) == (0, False, None)
        found, expected = scores(ours, texts, _ON), scores(theirs, texts, _OFF)
        assert _agree(found, expected)
        assert not np.array_equal(found, expected)
        ours.computing = nullcontext()
        assert np.array_equal(
            scores(ours, texts, replace(_ON, flash_attention="on")),
            scores(theirs, texts, replace(_OFF, flash_attention="on")),
        )


@pytest.mark.parametrize("more", [{"flash_attention": "off"}, {"kv_type": "q8_0"}])
def test_attention_that_llama_cpp_computes_goes_with_packed_weights(
    written: Written, more: dict[str, Any]
) -> None:
    path, texts = written(Kind.Q8_0), [tokens(100), tokens(40, 1)]
    on, off = replace(_ON, **more), replace(_OFF, **more)
    with loaded(path, on) as ours, loaded(path, off) as theirs:
        assert ours.packed
        assert _agree(scores(ours, texts, on), scores(theirs, texts, off))


def test_what_a_sequence_computes_does_not_depend_on_others_to_the_last_bit(
    written: Written,
) -> None:
    """Also where all share one pool of cells: each goes through its own, in their order."""
    path = written(Kind.Q8_0)
    texts = [tokens(length, length) for length in (40, 1, 7, 33, 80, 12)]
    with loaded(path, _ON) as model:
        together = scores(model, texts, _ON)
        alone = np.concatenate([scores(model, [text], _ON) for text in texts])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize("drafts", [False, True])
def test_in_reproducible_mode_company_changes_no_text_with_kernels(
    written: Written, drafts: bool
) -> None:
    path = written(Kind.Q8_0)
    options = replace(
        asked.OPTIONS, kernels="on", reproducible=True, n_ctx=256, n_cells=None, drafts=drafts
    )
    prompts = [tokens(20 + 9 * seed, seed) for seed in range(5)]
    alone = []
    for prompt in prompts:
        with running(path, replace(options, drafts=False)) as engine:
            one = Asked(engine, prompt, short(25, temperature=1.0, seed=3))
            one.rest()
            alone.append(one.wrote)
    with running(path, options) as engine:
        with held_up(engine):
            sampling = short(25, temperature=1.0, seed=3)
            together = [Asked(engine, prompt, sampling) for prompt in prompts]
        for each in together:
            each.rest()
    assert [each.wrote for each in together] == alone


def test_a_trained_model_scores_and_writes_the_same_with_and_without() -> None:
    written: dict[str, list[list[int]]] = {}
    found: dict[str, Floats] = {}
    for options in (_ON, _OFF):
        with loaded(model_path(), options) as model:
            prompts = [
                model.tokenize(f"<|user|>{request}<|model|>", special=True) for request in _REQUESTS
            ]
            assert (model.packed > 2_000_000) == (options is _ON)
        with running(model_path(), replace(asked.OPTIONS, kernels=options.kernels)) as engine:
            answers = [Asked(engine, prompt, short(60)) for prompt in prompts]
            for each in answers:
                each.rest()
        written[options.kernels] = [each.wrote for each in answers]
        assert min(map(len, written[options.kernels])) > 5
        texts = [[*prompt, *wrote] for prompt, wrote in zip(prompts, written["on"], strict=True)]
        with loaded(model_path(), options) as model:
            found[options.kernels] = scores(model, texts, options)
    assert written["on"] == written["off"]
    assert _agree(found["on"], found["off"], argmax=0.97)


def test_embeddings_are_those_of_llama_cpp_but_for_rounding(written: Written) -> None:
    path, texts = written(Kind.Q8_0), [tokens(50), tokens(3, 1), tokens(300, 2)]
    found = []
    for options in (_ON, _OFF):
        with loaded(path, options) as model:
            context = EmbeddingContext(model, options)
            found.append(context.embed(texts))
            context.close()
    assert ((found[0] * found[1]).sum(1) > 0.999).all()
    assert not np.array_equal(*found)


def test_states_that_were_saved_with_kernels_are_not_restored_without(
    written: Written, tmp_path: Path
) -> None:
    path = written(Kind.Q8_0)
    on = replace(asked.OPTIONS, kernels="on", cache_dir=str(tmp_path))
    reused = []
    for options in (on, replace(on, kernels="off"), on):
        with running(path, options) as engine:
            reused.append(Asked(engine, tokens(150), short(4)).usage().reused_tokens)
    assert reused == [0, 0, 149]


def test_what_other_threads_load_while_a_model_is_loaded_is_not_packed(written: Written) -> None:
    llama, kernels = binding(), kernels_here()
    path = str(written(Kind.Q8_0)).encode()
    counted: list[int] = []

    def load() -> None:
        weights = llama.llama_model_load_from_file(path, llama.llama_model_default_params())
        llama.llama_model_free(weights)

    def load_and_count() -> None:
        load()
        counted.append(kernels._place(0))  # what this thread packed

    with kernels.placing() as placed:
        other = threading.Thread(target=load_and_count)
        other.start()
        other.join()
    assert placed.bytes == 0
    load_and_count()
    assert counted == [0, 0]
    with kernels.placing() as placed:
        load()
    assert placed.bytes > 0


# llama_cpp's own class before there are kernels, and after; each line says how scores compare.
_BESIDE = """
import sys
from pathlib import Path
import numpy as np
from llama_cpp import Llama
from tests.engine.kernel_models import OPTIONS, loaded, scores
from dataclasses import replace

path, text = Path(sys.argv[1]), [0, *range(5, 140)]

def plainly():
    llama = Llama(str(path), n_ctx=512, n_batch=256, n_ubatch=256, n_threads=1,
                  n_threads_batch=1, logits_all=True, flash_attn=True, verbose=False)
    llama.eval(text)
    found = llama.scores[:len(text)].copy()
    llama.close()
    return found

on, off = (replace(OPTIONS, kernels=use, flash_attention="on") for use in ("on", "off"))
before = plainly()
with loaded(path, on) as ours, loaded(path, off) as theirs:
    first = scores(ours, [text], on)
    print(np.array_equal(first, before))
    print(np.array_equal(plainly(), before))
    print(np.array_equal(scores(theirs, [text], off), before))
    print(np.array_equal(scores(ours, [text], on), first))
"""


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.F16], ids=lambda kind: kind.name)
def test_other_models_of_the_process_compute_as_if_there_were_no_kernels(
    written: Written, kind: Kind
) -> None:
    found = said(start(_BESIDE, written(kind))).split()
    assert found == ["False", "True", "True", "True"]


_AGAIN = """
import ctypes, sys
from pathlib import Path
from tests.engine.kernel_models import OPTIONS, loaded, scores
from dataclasses import replace

path, options, text = Path(sys.argv[1]), replace(OPTIONS, kernels="on"), [0, *range(5, 200)]

class Memory(ctypes.Structure):
    names = "arena", "one", "two", "three", "mapped", "four", "five", "used", "free", "top"
    _fields_ = [(name, ctypes.c_size_t) for name in names]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Memory

def taken():
    found = mallinfo()
    return found.mapped + found.used

for turn in range(20):
    with loaded(path, options) as model:
        scores(model, [text], options)
    if turn == 4:
        before = taken()
print(model.packed, taken() - before)
with loaded(path, options) as model:
    for turn in range(60):
        scores(model, [text], options)
        if turn == 9:
            before = taken()
    print(taken() - before)
"""


def test_models_and_contexts_that_are_closed_give_their_memory_back(written: Written) -> None:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library does not say how much memory is taken")
    packed, *grown = map(int, said(start(_AGAIN, written(Kind.Q8_0, width=768))).split())
    # Each of 15 models would have left as much as it packed, each of 50 contexts 500 KiB.
    assert packed > 8_000_000
    assert max(grown) < 2_000_000
