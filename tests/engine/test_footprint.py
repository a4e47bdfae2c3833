from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine.binding import binding
from llmcompiler.engine.context import Context
from llmcompiler.engine.footprint import Footprint, footprint, padded
from llmcompiler.engine.gguf import Header, Scalar, read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from tests.engine.tiny_model import write_tiny_model

LLAMA_8B: dict[str, Scalar] = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 14336,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
}


def _header(metadata: dict[str, Scalar], **lists: tuple[Scalar, ...]) -> Header:
    return Header(Path("made-up.gguf"), metadata, {f"llama.{k}": v for k, v in lists.items()})


def _size(metadata: dict[str, Scalar], **options: Any) -> Footprint:
    return footprint(_header(metadata), EngineOptions(**options))


def test_a_token_of_a_model_with_eight_billion_parameters_takes_128_kib() -> None:
    assert _size(LLAMA_8B).kv_per_token == 128 * 1024


def test_a_quantised_cache_takes_less() -> None:
    assert _size(LLAMA_8B, kv_type="q8_0").kv_per_token == 68 * 1024
    assert _size(LLAMA_8B, kv_type="q4_0").kv_per_token == 36 * 1024
    assert _size(LLAMA_8B, kv_type="q8_0", kv_type_v="f16").kv_per_token == 98 * 1024


def test_heads_may_have_a_size_of_their_own() -> None:
    sized = LLAMA_8B | {"llama.attention.key_length": 256, "llama.attention.value_length": 64}
    assert _size(sized).kv_per_token == 32 * 8 * (256 + 64) * 2


def test_without_shared_heads_every_head_is_cached() -> None:
    alone = {k: v for k, v in LLAMA_8B.items() if not k.endswith("head_count_kv")}
    assert _size(alone).kv_per_token == 512 * 1024


def test_layers_may_have_different_heads_and_none() -> None:
    rare = {k: v for k, v in LLAMA_8B.items() if not k.endswith("head_count_kv")}
    header = _header(rare, **{"attention.head_count_kv": (8, 0) * 16})
    kv = footprint(header, EngineOptions()).kv
    assert kv[:4] == (4096, 0, 4096, 0)


def test_layers_that_borrow_the_cache_of_others_have_none() -> None:
    borrowed = LLAMA_8B | {"llama.attention.shared_kv_layers": 12}
    assert _size(borrowed).kv_per_token == 20 * 4096


def test_compressed_values_are_a_part_of_the_keys() -> None:
    compressed: dict[str, Scalar] = LLAMA_8B | {
        "llama.attention.head_count_kv": 1,
        "llama.attention.key_length": 576,
        "llama.attention.value_length": 512,
        "llama.attention.key_length_mla": 192,
    }
    assert _size(compressed).kv_per_token == 32 * 576 * 2


def test_a_recurrent_layer_takes_the_same_for_every_sequence_however_long() -> None:
    mamba: dict[str, Scalar] = {
        "general.architecture": "mamba",
        "mamba.block_count": 48,
        "mamba.embedding_length": 2048,
        "mamba.ssm.inner_size": 4096,
        "mamba.ssm.state_size": 16,
        "mamba.ssm.conv_kernel": 4,
    }
    size = _size(mamba)
    assert size.kv_per_token == 0
    assert size.state_per_sequence == 48 * 4 * (3 * 4096 + 16 * 4096)


def test_a_header_that_says_nothing_takes_nothing() -> None:
    size = _size({})
    assert (size.kv_per_token, size.state_per_sequence, size.weights) == (0, 0, 0)
    assert size.scratch(256, 4096) >= 0


def test_weights_are_counted_by_layer(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    size = footprint(header, EngineOptions())
    assert len(size.blocks) == 2
    assert size.blocks[0] == size.blocks[1] > 0
    assert size.output == header.tensors["output.weight"] + header.tensors["output_norm.weight"]
    assert size.rest == header.tensors["token_embd.weight"]
    assert size.weights == sum(header.tensors.values())
    assert size.tied == 0


def test_an_embedding_that_is_used_twice_is_copied_where_the_end_is_on_a_gpu() -> None:
    header = Header(Path("x"), LLAMA_8B, {}, {"token_embd.weight": 100, "output_norm.weight": 4})
    size = footprint(header, EngineOptions())
    assert (size.rest, size.output, size.tied, size.weights) == (100, 4, 100, 104)


@pytest.mark.parametrize(("cells", "expected"), [(1, 256), (256, 256), (257, 512), (4000, 4096)])
def test_cells_come_in_steps(cells: int, expected: int) -> None:
    assert padded(cells) == expected


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions(n_ctx=1000, threads=1, chunk=128),
        EngineOptions(n_ctx=1000, threads=1, chunk=128, flash_attention="off"),
        EngineOptions(n_ctx=1000, threads=1, chunk=128, kv_type="q8_0"),
        EngineOptions(n_ctx=300, threads=1, chunk=64, reproducible=True),
    ],
    ids=["auto", "no flash attention", "q8_0", "reproducible"],
)
def test_the_arithmetic_is_llama_cpps(
    options: EngineOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    binding()
    header = read_header(write_tiny_model(tmp_path / "m.gguf", width=256, head=64, layers=3))
    size = footprint(header, options)
    slots = 3
    with caplog.at_level(logging.DEBUG, "llmcompiler.engine"):
        model = Model(header, options)
        context = Context(model, options, n_slots=slots)
        said = caplog.text
        context.close()
        model.close()
    cells = padded(options.n_ctx or 0) * (slots if options.reproducible else 1)
    assert _mebibytes(said, r"KV buffer size") == pytest.approx(
        cells * size.kv_per_token / (1 << 20), abs=0.01
    )
    each = padded(options.n_ctx or 0)
    estimate = size.scratch(options.chunk, each) / (1 << 20)
    real = _mebibytes(said, r"compute buffer size")
    assert 0.5 * real <= estimate <= 3 * real


def _mebibytes(said: str, what: str) -> float:
    return sum(float(found) for found in re.findall(rf"{what} = +([\d.]+) MiB", said))
