"""GGUFs of random weights whose layers have a state in place of a cache, or beside one, or a window.

Small enough to write in a test, as `tiny_model` is: real llama.cpp, no meaning. Matrices are Q8_0,
whose kernels add up alike in batches of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np

from tests.engine.tiny_model import CONTROL, TEMPLATE, vocabulary

__all__ = ["FAMILIES", "WHOLE", "WINDOW", "write_family"]

WIDTH: Final = 64
WINDOW: Final = 32  # tokens that the sliding layers of gemma3 look back
_HEAD: Final = 32
_INNER: Final = 2 * WIDTH
_STATE: Final = 16
_KERNEL: Final = 4
_RANK: Final = 4
_GROUPS: Final = 2
_ATTENDS: Final = (0, 2)  # heads with a cache, in the two layers of those that have both kinds


class _Weights:
    """What a file is written with: its metadata and its random tensors, by their names."""

    def __init__(self, writer: Any, seed: int) -> None:
        self.writer = writer
        self._random = np.random.default_rng(seed)

    def matrix(self, name: str, rows: int, columns: int, scale: float | None = None) -> None:
        values = self._draw(rows, columns) * (columns**-0.5 if scale is None else scale)
        kind = gguf.GGMLQuantizationType.Q8_0
        self.writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)

    def plain(self, name: str, *shape: int, scale: float = 1.0) -> None:
        self.writer.add_tensor(name, self._draw(*shape) * np.float32(scale))

    def ones(self, name: str, count: int = WIDTH) -> None:
        self.writer.add_tensor(f"{name}.weight", np.ones(count, np.float32))

    def decay(self, name: str, rows: int, columns: int) -> None:
        """Write how fast each part of a state fades: some at once, some hardly."""
        values = -np.exp(self._random.uniform(-4.0, 1.0, (rows, columns)))
        self.writer.add_tensor(name, values.astype(np.float32))

    def attention(self, block: str, heads: int = 2, head: int = _HEAD) -> None:
        self.matrix(f"{block}.attn_q", 2 * head, WIDTH)
        self.matrix(f"{block}.attn_k", heads * head, WIDTH)
        self.matrix(f"{block}.attn_v", heads * head, WIDTH)
        self.matrix(f"{block}.attn_output", WIDTH, 2 * head)

    def feed_forward(self, block: str, norm: str = "ffn_norm.weight") -> None:
        self.writer.add_tensor(f"{block}.{norm}", np.ones(WIDTH, np.float32))
        self.matrix(f"{block}.ffn_gate", _INNER, WIDTH)
        self.matrix(f"{block}.ffn_up", _INNER, WIDTH)
        self.matrix(f"{block}.ffn_down", WIDTH, _INNER)

    def mamba(self, block: str, *, normed: bool) -> None:
        """Write a layer of the first kind: each channel has steps of its own."""
        self.matrix(f"{block}.ssm_in", 2 * _INNER, WIDTH)
        self._window(block, _INNER)
        self.matrix(f"{block}.ssm_x", _RANK + 2 * _STATE, _INNER)
        if normed:
            self.ones(f"{block}.ssm_dt_norm", _RANK)
            self.ones(f"{block}.ssm_b_norm", _STATE)
            self.ones(f"{block}.ssm_c_norm", _STATE)
        self.plain(f"{block}.ssm_dt.weight", _INNER, _RANK, scale=0.5)
        self.plain(f"{block}.ssm_dt.bias", _INNER, scale=0.5)
        self.decay(f"{block}.ssm_a", _INNER, _STATE)
        self.plain(f"{block}.ssm_d", _INNER)
        self.matrix(f"{block}.ssm_out", WIDTH, _INNER)

    def mamba2(self, block: str) -> None:
        """Write a layer of the second kind: heads of channels that step alike."""
        convolved = _INNER + 2 * _GROUPS * _STATE
        self.matrix(f"{block}.ssm_in", _INNER + convolved + _RANK, WIDTH)
        self._window(block, convolved)
        self.plain(f"{block}.ssm_dt.bias", _RANK, scale=0.5)
        self.decay(f"{block}.ssm_a", _RANK, 1)
        self.plain(f"{block}.ssm_d", _RANK, 1)
        self.writer.add_tensor(
            f"{block}.ssm_norm.weight", np.ones((_GROUPS, _INNER // _GROUPS), np.float32)
        )
        self.matrix(f"{block}.ssm_out", WIDTH, _INNER)

    def _window(self, block: str, channels: int) -> None:
        self.plain(f"{block}.ssm_conv1d.weight", channels, _KERNEL, scale=0.5)
        self.plain(f"{block}.ssm_conv1d.bias", channels, scale=0.1)

    def _draw(self, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._random.standard_normal(shape, dtype=np.float32)


def _with_states(writer: Any) -> None:
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(_INNER)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_RANK)


def _with_heads(writer: Any, cached: int | tuple[int, ...] = 2, head: int = _HEAD) -> None:
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(cached)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(10000.0)


def _mamba(weights: _Weights) -> None:
    _with_states(weights.writer)
    for block in _blocks(weights, 2):
        weights.mamba(block, normed=False)


def _mamba2(weights: _Weights) -> None:
    _with_states(weights.writer)
    weights.writer.add_ssm_group_count(_GROUPS)
    for block in _blocks(weights, 2):
        weights.mamba2(block)


def _jamba(weights: _Weights) -> None:
    _with_states(weights.writer)
    _with_heads(weights.writer, _ATTENDS)
    for block, heads in zip(_blocks(weights, 2), _ATTENDS, strict=True):
        if heads:
            weights.attention(block, heads)
        else:
            weights.mamba(block, normed=True)
        weights.feed_forward(block)


def _falcon_h1(weights: _Weights) -> None:
    _with_states(weights.writer)
    _with_heads(weights.writer)
    weights.writer.add_ssm_group_count(_GROUPS)
    for block in _blocks(weights, 2):
        weights.attention(block)
        weights.mamba2(block)
        weights.feed_forward(block, "ffn_norm")  # that name alone


def _lfm2(weights: _Weights) -> None:
    _with_heads(weights.writer, _ATTENDS)
    weights.writer.add_shortconv_l_cache(_KERNEL)
    for block, heads in zip(_blocks(weights, 2), _ATTENDS, strict=True):
        if heads:
            weights.ones(f"{block}.attn_q_norm", _HEAD)
            weights.ones(f"{block}.attn_k_norm", _HEAD)
            weights.attention(block, heads)
        else:
            weights.plain(f"{block}.shortconv.conv.weight", WIDTH, _KERNEL)
            weights.matrix(f"{block}.shortconv.in_proj", 3 * WIDTH, WIDTH)
            weights.matrix(f"{block}.shortconv.out_proj", WIDTH, WIDTH)
        weights.feed_forward(block)


def _gemma3(weights: _Weights) -> None:
    """Write six layers, of which the last alone sees everything."""
    _with_heads(weights.writer)
    weights.writer.add_sliding_window(WINDOW)
    for block in _blocks(weights, 6):
        weights.attention(block)
        weights.ones(f"{block}.attn_q_norm", _HEAD)
        weights.ones(f"{block}.attn_k_norm", _HEAD)
        weights.ones(f"{block}.post_attention_norm")
        weights.feed_forward(block)
        weights.ones(f"{block}.post_ffw_norm")


def _blocks(weights: _Weights, count: int) -> list[str]:
    weights.writer.add_block_count(count)
    blocks = [f"blk.{layer}" for layer in range(count)]
    for block in blocks:
        weights.ones(f"{block}.attn_norm")
    return blocks


FAMILIES: Final[dict[str, Callable[[_Weights], None]]] = {
    "mamba": _mamba,
    "mamba2": _mamba2,
    "jamba": _jamba,
    "falcon-h1": _falcon_h1,
    "lfm2": _lfm2,
    "gemma3": _gemma3,
}
WHOLE: Final = ("mamba", "jamba")  # one with states alone, and one with both


def write_family(path: Path, family: str, *, context: int = 4096, seed: int = 0) -> Path:
    """Write a model of `family`, one of `FAMILIES`, to `path` and return it."""
    tokens, merges = vocabulary()
    writer: Any = gguf.GGUFWriter(path, family)
    writer.add_name(f"tiny random {family}")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    kinds = gguf.TokenType
    writer.add_token_types([kinds.CONTROL if t in CONTROL else kinds.NORMAL for t in tokens])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    weights = _Weights(writer, seed)
    weights.matrix("token_embd", len(tokens), WIDTH, 0.3)
    weights.matrix("output", len(tokens), WIDTH, 0.3)
    weights.ones("token_embd_norm" if family == "lfm2" else "output_norm")
    FAMILIES[family](weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
