"""How does training go on from a shipped GGUF, when its checkpoint is gone?

It does not know how the file was trained; what a GGUF does not hold (the optimisers' moments) starts anew.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGUFReader
from model import Shape
from tokenizers import AddedToken, Tokenizer, models
from torch import Tensor

_PLAIN = {"attn_norm": "n1", "ffn_norm": "n2"}
_BLOCK = {
    "attn_q": "wq",
    "attn_k": "wk",
    "attn_v": "wv",
    "attn_output": "wo",
    "ffn_gate": "w1",
    "ffn_up": "w3",
    "ffn_down": "w2",
}


def _halves(weight: Tensor, heads: int) -> Tensor:
    """Undo `export._interleaved`: rotary rows from neighbouring pairs to two halves, head by head."""
    rows = weight.shape[0] // heads // 2
    return weight.reshape(heads, rows, 2, -1).swapaxes(1, 2).reshape(weight.shape).contiguous()


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.fields.get(name)
    if field is None:
        raise ValueError(f"the GGUF has no {name!r}: it was not written by this recipe")
    return field.contents()


def unpack(source: Path, checkpoint: Path, tokenizer: Path) -> None:
    """Write the checkpoint and the tokenizer that `source` was exported from, as exactly as it holds them."""
    reader = GGUFReader(str(source))
    texts = _field(reader, "tokenizer.ggml.tokens")
    kinds = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE(vocab={text: n for n, text in enumerate(texts)}, merges=merges))
    specials = [text for text, kind in zip(texts, kinds, strict=True) if kind == 3]
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in specials])
    shape = Shape(
        vocabulary=len(texts),
        width=_field(reader, "llama.embedding_length"),
        layers=_field(reader, "llama.block_count"),
        heads=_field(reader, "llama.attention.head_count"),
        kv_heads=_field(reader, "llama.attention.head_count_kv"),
        head=_field(reader, "llama.attention.key_length"),
        hidden=_field(reader, "llama.feed_forward_length"),
    )
    found = {
        tensor.name.removesuffix(".weight"): torch.from_numpy(
            gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy()
        ).float()
        for tensor in reader.tensors
    }
    weights = {"embed.weight": found["token_embd"], "norm": found["output_norm"]}
    for layer in range(shape.layers):
        target, origin = f"blocks.{layer}.", f"blk.{layer}."
        for name, ours in _PLAIN.items():
            weights[target + ours] = found[origin + name]
        for name, ours in _BLOCK.items():
            weights[f"{target}{ours}.weight"] = found[origin + name]
        for ours, heads in (("wq", shape.heads), ("wk", shape.kv_heads)):
            name = f"{target}{ours}.weight"
            weights[name] = _halves(weights[name], heads)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(tokenizer))
    state = {"steps": 0.0, "seen": 0.0, "rows": 0.0, "seconds": 0.0}
    torch.save({"shape": asdict(shape), "weights": weights, "state": state}, checkpoint)
