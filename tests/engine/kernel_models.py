"""Whole models of every kind of weights that the kernels take, and what is computed with them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any
from unittest import mock

import gguf
import numpy as np
from numpy.typing import NDArray

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.binding import binding
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from tests.engine.kernel_graphs import Floats, Kind
from tests.engine.tiny_model import write_tiny_model

_EXPERTS, _USED = 8, 2
_SURE = 8.0  # the second expert counts for little where rounding decides which one it is
OPTIONS = EngineOptions(n_ctx=512, n_seq=8, chunk=256, threads=1, drafts=False)


def write_variant(
    path: Path,
    kind: Kind,
    *,
    tied: bool = False,
    exact: bool = False,
    experts: bool = False,
    choosing: Kind = Kind.F32,
    **sizes: Any,
) -> Path:
    """Write the tiny model with matrices of one kind; `tied` has one for embeddings and results.

    With `exact` the numbers are those of this kind, and kept in 32 bits: nothing is rounded when
    they are computed with. With `experts` each token goes through 2 of 8 networks in every layer;
    what chooses them has numbers of the kind `choosing`.
    """
    add, random = gguf.GGUFWriter.add_tensor, np.random.default_rng(1)

    def adding(
        writer: gguf.GGUFWriter, name: str, tensor: NDArray[Any], raw_dtype: Kind | None = None
    ) -> None:
        if tied and name == "output.weight":
            return
        layer, network, part = name.partition(".ffn_")
        if experts and name == "token_embd.weight":
            writer.add_expert_count(_EXPERTS)
            writer.add_expert_used_count(_USED)
        if experts and part in ("gate.weight", "up.weight", "down.weight"):
            rows, width = tensor.shape
            name = f"{layer}{network}{part.replace('.', '_exps.')}"
            tensor = random.standard_normal((_EXPERTS, rows, width)) * width**-0.5
            if part == "gate.weight":
                choice = random.standard_normal((_EXPERTS, width), np.float32)
                choice *= _SURE * width**-0.5
                chooser = f"{layer}.ffn_gate_inp.weight"
                if choosing == Kind.F32:
                    add(writer, chooser, choice)
                else:
                    add(writer, chooser, _quantised(choice, choosing), raw_dtype=choosing)
        if tensor.ndim > 1:
            tensor, raw_dtype = _quantised(tensor, kind), kind
            if exact:
                tensor, raw_dtype = gguf.quants.dequantize(tensor, kind), None
        add(writer, name, tensor, raw_dtype=raw_dtype)

    with mock.patch.object(gguf.GGUFWriter, "add_tensor", adding):
        return write_tiny_model(path, **sizes)


def _quantised(values: NDArray[Any], kind: Kind) -> NDArray[np.uint8]:
    quantise = ctypes.CDLL(binding()._lib._name).ggml_quantize_chunk
    quantise.argtypes = [c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p]
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    *shape, width = values.shape
    plain = np.ascontiguousarray(values, np.float32).reshape(-1, width)
    rows = len(plain)
    made = np.zeros((rows, width // numbers * size), np.uint8)
    quantise(int(kind), plain.ctypes.data, made.ctypes.data, 0, rows, width, None)
    return made.reshape(*shape, -1)


@contextmanager
def loaded(path: Path, options: EngineOptions = OPTIONS) -> Iterator[Model]:
    """Load a model, and close it afterwards."""
    model = Model(read_header(path), options)
    try:
        yield model
    finally:
        model.close()


def scores(
    model: Model, texts: Sequence[Sequence[int]], options: EngineOptions = OPTIONS
) -> Floats:
    """Return the scores behind every token of some texts, which are computed in one pass."""
    context = Context(model, options, n_slots=8, n_cells=2048)
    rows = [Row(slot, 0, tuple(text), len(text)) for slot, text in enumerate(texts)]
    context.evaluate(Batch(tuple(rows)))
    found = context.logits().copy()
    context.close()
    return found


def scores_one_by_one(
    model: Model, text: Sequence[int], options: EngineOptions = OPTIONS
) -> Floats:
    """Return the scores behind every token of a text, each of which is computed in its own pass."""
    context = Context(model, options, n_slots=8, n_cells=2048)
    found = []
    for position, token in enumerate(text):
        context.evaluate(Batch((Row(0, position, (token,), 1),)))
        found.append(context.logits().copy())
    context.close()
    return np.concatenate(found)


def matrices(path: Path) -> dict[str, int]:
    """Return how many bytes each quantised matrix of a file has."""
    return {
        each.name: int(each.n_bytes)
        for each in gguf.GGUFReader(path).tensors
        if each.tensor_type not in (Kind.F32, Kind.F16)
    }
