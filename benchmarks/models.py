"""Which models are measured? GGUF files of random weights, written on the spot and kept.

It does not know what is measured on them. Random weights say nothing about quality, only about cost;
the vocabularies are trained on the source text of Python's own library, so that tokens have the
lengths of real ones. Files lie in build/bench/ under a name that tells their content.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import sysconfig
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HOME",
    "NAMES",
    "SHAPES",
    "Shape",
    "main",
    "model_file",
    "quantization",
    "requantized",
    "source_text",
]

HOME = Path(__file__).parents[1] / "build" / "bench"
_RECIPE = 3  # counts changes of what this module writes
_CONTROL = ("<|begin|>", "<|end|>", "<|eot|>", "<|system|>", "<|user|>", "<|assistant|>")
_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_BLOCK = 32  # weights under one scale
_BYTES = {"Q8_0": 34, "Q4_0": 18}  # of such a block
_SPREAD = 73.3  # standard deviation of whole numbers drawn evenly from -127 to 127
# How the "llama-bpe" pre-tokenizer of llama.cpp cuts text before pairs are merged.
_CUTS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model of llama architecture; `text` is what its vocabulary is trained on, in
    megabytes.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    context: int = 32768
    text: int = 12


SHAPES = {
    "44M": Shape(8, 512, 8, 2, 1536, 32_000),
    "213M": Shape(16, 1024, 16, 4, 2816, 32_000),
    "1B": Shape(16, 2048, 32, 8, 8192, 128_256, text=32),
    "thin128k": Shape(2, 256, 4, 2, 512, 128_256, text=32),
    "8B": Shape(32, 4096, 32, 8, 14_336, 128_256, text=32),
}
"""The measured shapes: 44 MB and about 213M parameters, a common 1B and a common 8B shape, and one
that is all vocabulary, for what only the vocabulary costs."""

_FILE_TYPES = {"F32": 0, "Q4_K_M": 15}  # llama.cpp's numbers of what it makes of a file
NAMES = (*SHAPES, *(f"{shape} {kind}" for shape in SHAPES for kind in ("Q4_0", "Q4_K_M")))
"""The models by name: a shape alone is in Q8_0; "213M Q4_0" and "213M Q4_K_M" have the same weights
in fewer bits, the latter mixed as in most files that people use."""


def quantization(name: str) -> str:
    """Return the kind of blocks that a model's weights are in."""
    return name.partition(" ")[2] or "Q8_0"


def model_file(name: str, say: Callable[[str], None] = print) -> Path:
    """Return the GGUF of a model in `NAMES`, written first if it is not there.

    `say` hears what takes long. Needs the packages `gguf` and, for a vocabulary that is not there
    yet, `tokenizers`.
    """
    shape = SHAPES[name.partition(" ")[0]]
    if quantization(name) in _FILE_TYPES:
        return requantized(model_file(name.partition(" ")[0], say), quantization(name))
    key = hashlib.blake2b(digest_size=6)
    key.update(json.dumps([_RECIPE, name, asdict(shape)]).encode())
    key.update(_text_digest(shape.text).encode())
    path = HOME / f"{name.replace(' ', '-')}-{key.hexdigest()}.gguf"
    if not path.exists():
        begun = time.perf_counter()
        say(f"making the model {name} (random weights, {shape.vocabulary:,} tokens) ...")
        HOME.mkdir(parents=True, exist_ok=True)
        vocabulary = _vocabulary(shape)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            _write(unfinished, name, shape, *vocabulary)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        size = path.stat().st_size / 1e6
        say(f"made {path.name}: {size:.0f} MB in {time.perf_counter() - begun:.0f} s")
    return path


def requantized(path: Path, kind: str) -> Path:
    """Return a model's file in another kind of blocks, which llama.cpp makes of it."""
    from llama_cpp import llama_cpp

    made = path.with_name(f"{path.stem}-{kind}.gguf")
    if not made.exists():
        unfinished = made.with_suffix(f".{os.getpid()}")
        how = llama_cpp.llama_model_quantize_default_params()
        how.allow_requantize, how.ftype, how.nthread = True, _FILE_TYPES[kind], 1
        try:
            code = llama_cpp.llama_model_quantize(
                str(path).encode(), str(unfinished).encode(), ctypes.byref(how)
            )
            if code:
                raise OSError(f"llama.cpp could not make {made.name} of {path.name}: code {code}")
            unfinished.replace(made)
        finally:
            unfinished.unlink(missing_ok=True)
    return made


def source_text(megabytes: int) -> Iterator[str]:
    """Yield the sources of Python's own library in the order of their names, tests last, until
    there are so many megabytes.
    """
    home = Path(sysconfig.get_path("stdlib"))
    files = [path for path in home.rglob("*.py") if "site-packages" not in path.parts]
    left = megabytes * 1_000_000
    for path in sorted(files, key=lambda path: ("test" in path.parts, path.relative_to(home))):
        text = path.read_text("utf-8", "ignore")
        if left > 0:
            yield text
        left -= len(text)


@cache
def _text_digest(megabytes: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in source_text(megabytes):
        digest.update(text.encode())
    return digest.hexdigest()


def _vocabulary(shape: Shape) -> tuple[list[str], list[str]]:
    """Return tokens and merges, trained once for all shapes with as many tokens."""
    path = HOME / f"vocabulary-{shape.vocabulary}-{_text_digest(shape.text)[:12]}.json"
    if not path.exists():
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(_train(shape), "utf-8")
        unfinished.replace(path)
    model: dict[str, Any] = json.loads(path.read_text("utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    # A text too small for so many pairs leaves tokens over: they are never written or read.
    tokens += [f"<|spare_{n}|>" for n in range(shape.vocabulary - len(tokens))]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    return tokens, merges


def _train(shape: Shape) -> str:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CUTS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary,
        special_tokens=list(_CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(source_text(shape.text), trainer)
    written: str = tokenizer.to_str()
    return written


def _write(path: Path, name: str, shape: Shape, tokens: list[str], merges: list[str]) -> None:
    with closing(gguf.GGUFWriter(path, "llama")) as writer:
        control = {*_CONTROL, *(token for token in tokens if token.startswith("<|spare_"))}
        _describe(writer, name, shape)
        _add_vocabulary(writer, tokens, merges, control)
        silent = [index for index, token in enumerate(tokens) if token in control]
        _fill(writer, shape, quantization(name), silent)


def _describe(writer: Any, name: str, shape: Shape) -> None:
    writer.add_name(f"random {name}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{quantization(name)}"])
    writer.add_chat_template(_TEMPLATE)


def _add_vocabulary(
    writer: Any, tokens: list[str], merges: list[str], control: Collection[str]
) -> None:
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    writer.add_token_types([kinds.CONTROL if t in control else kinds.NORMAL for t in tokens])
    writer.add_bos_token_id(_CONTROL.index("<|begin|>"))
    writer.add_eos_token_id(_CONTROL.index("<|end|>"))
    writer.add_eot_token_id(_CONTROL.index("<|eot|>"))
    writer.add_add_bos_token(True)


def _fill(writer: Any, shape: Shape, kind: str, silent: list[int]) -> None:
    """Write the tensors one by one, so that a large model needs little memory."""
    matrices, norms = _matrices(shape), _norms(shape)
    for tensor, (rows, columns, _) in matrices.items():
        row = columns // _BLOCK * _BYTES[kind]
        writer.add_tensor_info(
            tensor, (rows, row), np.dtype(np.uint8), rows * row, gguf.GGMLQuantizationType[kind]
        )
    for tensor in norms:
        writer.add_tensor_info(tensor, (shape.width,), np.dtype(np.float32), shape.width * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(0)
    for tensor, (rows, columns, scale) in matrices.items():
        blocks = _blocks(random, rows, columns, scale)
        if tensor == "token_embd.weight":
            blocks[silent] = 0  # their scores are 0, below the best: no reply ends by chance
        writer.write_tensor_data(_in_kind(blocks, kind))
    for _ in norms:
        writer.write_tensor_data(np.ones(shape.width, np.float32))


def _matrices(shape: Shape) -> dict[str, tuple[int, int, float]]:
    """Return rows, columns and standard deviation of each matrix; the embedding is also the head."""
    width, inner, narrow = shape.width, shape.inner, shape.width**-0.5
    keys = shape.width // shape.heads * shape.kv_heads
    found = {"token_embd.weight": (shape.vocabulary, width, 0.05)}
    for layer in range(shape.layers):
        found |= {
            f"blk.{layer}.attn_q.weight": (width, width, 2 * narrow),
            f"blk.{layer}.attn_k.weight": (keys, width, 2 * narrow),
            f"blk.{layer}.attn_v.weight": (keys, width, narrow),
            f"blk.{layer}.attn_output.weight": (width, width, narrow),
            f"blk.{layer}.ffn_gate.weight": (inner, width, narrow),
            f"blk.{layer}.ffn_up.weight": (inner, width, narrow),
            f"blk.{layer}.ffn_down.weight": (width, inner, inner**-0.5),
        }
    return found


def _norms(shape: Shape) -> list[str]:
    parts = ("attn_norm", "ffn_norm")
    norms = [f"blk.{layer}.{part}.weight" for layer in range(shape.layers) for part in parts]
    return [*norms, "output_norm.weight"]


def _blocks(
    random: np.random.Generator, rows: int, columns: int, scale: float
) -> NDArray[np.uint8]:
    """Draw a matrix in Q8_0 as it lies in the file: a 16-bit scale before each 32 whole numbers."""
    blocks = np.empty((rows, columns // _BLOCK, _BLOCK + 2), np.uint8)
    blocks[..., :2] = np.array([scale / _SPREAD], np.float16).view(np.uint8)
    numbers = random.integers(-127, 128, (rows, columns // _BLOCK, _BLOCK), np.int8)
    blocks[..., 2:] = numbers.view(np.uint8)
    return blocks.reshape(rows, -1)


def _in_kind(blocks: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Return a matrix that is in Q8_0 in another kind of blocks."""
    if kind == "Q8_0":
        return blocks
    weights = gguf.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
    found: NDArray[np.uint8] = gguf.quantize(weights, gguf.GGMLQuantizationType[kind])
    return found


def main() -> None:
    """Write the models that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=NAMES, default=["44M", "213M"])
    for name in parser.parse_args().names:
        print(model_file(name))


if __name__ == "__main__":
    main()
