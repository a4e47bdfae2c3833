"""How does a checkpoint become a GGUF file that llama.cpp reads, and that says of itself what the runtime needs?

It does not know how good the model is, nor where it will be installed.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from model import Shape, frequencies
from tokenizer import END, PAD, SPECIALS
from torch import Tensor

NAME = "llmcompiler-embedded"
DESCRIPTION = (
    "A small demonstration model, trained from scratch on synthetic data only: it plans and answers requests about "
    "arithmetic, units, time, dates and files with the bundled tools of llmcompiler, and knows nothing else."
)
QUOTES = (
    "convert.value, time_in.place, hours_between.first, hours_between.second, days_between.start, days_between.end, "
    "count_words.path, count_lines.path, file_size.path, most.names, least.names, total.values, average.values, "
    "answer.numbers"
)
"""Arguments, and the numbers of answers, that stand in the request or in an observation, letter for letter."""

TEMPLATE = """\
{%- set last = namespace(index=0) -%}
{%- for message in messages -%}{%- if message['kind'] == 'request' -%}{%- set last.index = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for message in messages -%}
{%- if loop.index0 >= last.index -%}
{%- if message['kind'] == 'request' -%}{{- '<|user|>' + message['content'] -}}
{%- elif message['kind'] == 'turn' -%}{{- '<|model|>' + message['content'] + '<|end|>' -}}
{%- elif message['kind'] in ['observation', 'notice'] -%}{{- '<|obs|>' + message['content'] -}}
{%- endif -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|model|>' -}}{%- endif -%}"""

_TYPES = {
    "F32": GGMLQuantizationType.F32,
    "F16": GGMLQuantizationType.F16,
    "Q8_0": GGMLQuantizationType.Q8_0,
}
_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}


def _interleaved(weight: Tensor, heads: int) -> Tensor:
    """Reorder rotary rows from two halves to neighbouring pairs, head by head, as llama.cpp wants them."""
    rows = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, rows, -1).swapaxes(1, 2).reshape(weight.shape).contiguous()


def shuffled(weights: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Permute every tensor's elements: the ablation that shows whose work the answers are."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: t.flatten()[torch.randperm(t.numel(), generator=generator)].reshape(t.shape)
        for name, t in weights.items()
    }


def export(
    checkpoint: Path, tokenizer: Path, out: Path, kind: str = "Q8_0", shuffle: bool = False
) -> int:
    """Write the GGUF (atomically) and return its size in bytes."""
    data = torch.load(checkpoint, map_location="cpu", weights_only=True)
    shape = Shape(**data["shape"])
    weights: dict[str, Tensor] = data["weights"]
    if shuffle:
        weights = shuffled(weights)
    fresh = out.with_suffix(".new")
    writer = GGUFWriter(str(fresh), "llama")
    _describe(writer, shape, kind)
    _vocabulary(writer, tokenizer, shape)

    def put(name: str, tensor: Tensor, plain: bool = False) -> None:
        array = np.ascontiguousarray(tensor.float().numpy())
        wanted = GGMLQuantizationType.F32 if plain else _TYPES[kind]
        if wanted == GGMLQuantizationType.F32:
            writer.add_tensor(name, array)
        elif wanted == GGMLQuantizationType.F16:
            writer.add_tensor(name, array.astype(np.float16))
        else:
            packed = gguf.quants.quantize(array, wanted)
            writer.add_tensor(name, packed, raw_shape=packed.shape, raw_dtype=wanted)

    half = shape.head // 2
    plain_frequencies = shape.theta ** (-np.arange(half) / half)
    writer.add_tensor(
        "rope_freqs.weight",
        (plain_frequencies / frequencies(shape).double().numpy()).astype(np.float32),
    )
    put("token_embd.weight", weights["embed.weight"])
    put("output_norm.weight", weights["norm"], plain=True)
    for layer in range(shape.layers):
        source, target = f"blocks.{layer}.", f"blk.{layer}."
        put(target + "attn_norm.weight", weights[source + "n1"], plain=True)
        put(target + "ffn_norm.weight", weights[source + "n2"], plain=True)
        put(target + "attn_q.weight", _interleaved(weights[source + "wq.weight"], shape.heads))
        put(target + "attn_k.weight", _interleaved(weights[source + "wk.weight"], shape.kv_heads))
        put(target + "attn_v.weight", weights[source + "wv.weight"])
        put(target + "attn_output.weight", weights[source + "wo.weight"])
        put(target + "ffn_gate.weight", weights[source + "w1.weight"])
        put(target + "ffn_up.weight", weights[source + "w3.weight"])
        put(target + "ffn_down.weight", weights[source + "w2.weight"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    fresh.replace(out)
    return out.stat().st_size


def _describe(writer: GGUFWriter, shape: Shape, kind: str) -> None:
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("MIT")
    writer.add_string("llmcompiler.quotes", QUOTES)
    # Its conversations know replans, and no turns in which single lines are written anew.
    writer.add_uint32("llmcompiler.mends", 0)
    writer.add_context_length(2048)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(_FILE_TYPES[kind])


def _vocabulary(writer: GGUFWriter, path: Path, shape: Shape) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = data["model"]["vocab"]
    if len(vocabulary) != shape.vocabulary:
        raise ValueError(
            f"the tokenizer has {len(vocabulary)} tokens, the model {shape.vocabulary}"
        )
    texts = [text for text, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_types([3 if text in SPECIALS else 1 for text in texts])
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
    )
    writer.add_bos_token_id(END)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)
