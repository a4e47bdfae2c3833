"""A GGUF of random weights, small enough to write in a test: real llama.cpp, no meaning."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

CONTROL = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
WORDS = ["the", "and", " the", " and", "join", "Answer", "Replan", "add", "find", "place", "Oslo"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_alphabet() -> dict[int, str]:
    """Return GPT-2's printable character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }


def vocabulary() -> tuple[list[str], list[str]]:
    """Return tokens (control tokens, bytes, words and their beginnings) and merges."""
    alphabet = byte_alphabet()
    tokens = [*CONTROL, *alphabet.values()]
    merges: list[str] = []
    for word in WORDS:
        spelled = [alphabet[byte] for byte in word.encode()]
        left = spelled[0]
        for right in spelled[1:]:
            if left + right not in tokens:
                tokens.append(left + right)
                merges.append(f"{left} {right}")
            left += right
    return tokens, merges


def write_tiny_model(
    path: Path,
    *,
    template: str | None = TEMPLATE,
    metadata: dict[str, str] | None = None,
    width: int = 64,
    head: int = 32,
    layers: int = 2,
    context: int = 4096,
    seed: int = 0,
    name: str | None = "tiny random",
    quantised: bool = False,
    tensors_each: int = 0,
    bare_first: bool = False,
) -> Path:
    """Write the model to `path` and return it; F16, or Q8_0 if `quantised`.

    With `tensors_each` it is written in parts of so many tensors, and the first is returned; one
    more comes before them that has none if `bare_first`.
    """
    tokens, merges = vocabulary()
    heads, inner = width // head, width * 2
    writer = gguf.GGUFWriter(
        path, "llama", split_max_tensors=tensors_each, small_first_shard=bare_first
    )
    if name is not None:
        writer.add_name(name)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(head)
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
    if template is not None:
        writer.add_chat_template(template)
    for key, value in (metadata or {}).items():
        writer.add_string(key, value)
    random = np.random.default_rng(seed)

    def add(tensor: str, rows: int, columns: int, scale: float) -> None:
        values = random.standard_normal((rows, columns), dtype=np.float32) * scale
        if quantised:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor, values.astype(np.float16))

    def add_ones(tensor: str) -> None:
        writer.add_tensor(tensor, np.ones(width, np.float32))

    add("token_embd.weight", len(tokens), width, 0.3)
    add("output.weight", len(tokens), width, 0.3)
    for layer in range(layers):
        block = f"blk.{layer}."
        add_ones(block + "attn_norm.weight")
        add_ones(block + "ffn_norm.weight")
        for part in ("q", "k", "v", "output"):
            add(f"{block}attn_{part}.weight", width, width, width**-0.5)
        add(block + "ffn_gate.weight", inner, width, width**-0.5)
        add(block + "ffn_up.weight", inner, width, width**-0.5)
        add(block + "ffn_down.weight", width, inner, inner**-0.5)
    add_ones("output_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return writer.format_shard_names(path)[0]
