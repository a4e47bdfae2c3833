"""How many bytes does a model take: weights by layer, key-value cache by token?

Arithmetic on a GGUF's header; it does not know how much memory there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmcompiler.engine.gguf import Header, Scalar
from llmcompiler.engine.options import CONTEXT_DEFAULT, EngineOptions, KVType

__all__ = ["Footprint", "footprint", "padded"]

_BLOCK = re.compile(r"blk\.(\d+)\.")
_PAD = 256  # llama.cpp's own step
# ggml's numbers of what our kernels compute with: Q4_0, Q8_0, Q4_K, Q5_K and Q6_K.
_PACKED = frozenset({2, 8, 12, 13, 14})
# A block of 32 values is 34 bytes of Q8_0 and 18 of Q4_0.
_PER_32: dict[KVType, int] = {"f16": 64, "q8_0": 34, "q4_0": 18}
_BOTH = "falcon-h1"  # each of its layers has a state beside its part of the cache
_ONE_EACH = frozenset({"nemotron_h", "nemotron_h_moe"})  # a layer attends, recurs or does neither


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes, in bytes; the layers are its blocks, in order.

    `blocks` are the weights of each layer, `output` those behind the last, `rest` the embedding of
    tokens and whatever else always stays in main memory; `tied` is what of that has a copy behind
    the last layer, where that is on a GPU; `packed` says that it has one in main memory as well. `kv` is one token's part of the key-value cache in each
    layer, `state` what a sequence takes beside it where a layer is recurrent. `trained` is the
    context the model was trained with, in tokens.
    """

    trained: int
    blocks: tuple[int, ...]
    output: int
    rest: int
    tied: int
    packed: bool
    kv: tuple[int, ...]
    state: tuple[int, ...]
    _vocabulary: int
    _width: int
    _inner: int
    _heads: int
    _attention: str

    @property
    def weights(self) -> int:
        """All weights, in main memory."""
        return sum(self.blocks) + self.output + self.rest + (self.tied if self.packed else 0)

    @property
    def kv_per_token(self) -> int:
        """One token's part of the key-value cache."""
        return sum(self.kv)

    @property
    def state_per_sequence(self) -> int:
        """What a sequence of a recurrent model takes, however long it is."""
        return sum(self.state)

    def scratch(self, chunk: int, cells: int) -> int:
        """Estimate what computing `chunk` tokens over a cache of `cells` takes beside the results."""
        values = self._vocabulary + 4 * self._width + 2 * self._inner
        scores = 2 if self._attention != "off" else 4 + 4 * self._heads
        return chunk * (4 * values + scores * cells)


def footprint(header: Header, options: EngineOptions) -> Footprint:
    """Say what a model takes when it is run with `options`."""
    facts = _Facts(header)
    layers = facts.number("block_count")
    blocks = [0] * layers
    output = rest = 0
    for name, size in header.tensors.items():
        found = _BLOCK.match(name)
        if found and int(found[1]) < layers:
            blocks[int(found[1])] += size
        elif name.startswith("output"):
            output += size
        else:
            rest += size
    embedding = header.tensors.get("token_embd.weight", 0)
    trained = facts.number("context_length") or CONTEXT_DEFAULT
    return Footprint(
        trained=trained,
        blocks=tuple(blocks),
        output=output,
        rest=rest,
        tied=0 if "output.weight" in header.tensors else embedding,
        packed=options.kernels != "off" and header.types.get("token_embd.weight") in _PACKED,
        kv=tuple(_kv(facts, layer, layers, options) for layer in range(layers)),
        state=tuple(_state(facts, layer) for layer in range(layers)),
        _vocabulary=facts.number("vocab_size") or _vocabulary(header),
        _width=facts.number("embedding_length"),
        _inner=facts.number("feed_forward_length"),
        _heads=facts.number("attention.head_count"),
        _attention=options.attention,
    )


def padded(cells: int) -> int:
    """Round up to what llama.cpp allocates."""
    return -(-cells // _PAD) * _PAD


class _Facts:
    """Numbers that the header gives for the model's architecture; 0 where it gives none."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self.architecture = header.text("general.architecture") or ""

    def number(self, name: str, layer: int = 0) -> int:
        key = f"{self.architecture}.{name}"
        listed = self._header.lists.get(key)
        value: Scalar | None = self._header.metadata.get(key)
        if listed:
            value = listed[min(layer, len(listed) - 1)]
        return max(0, int(value)) if isinstance(value, int | float) else 0

    def known(self, name: str) -> bool:
        key = f"{self.architecture}.{name}"
        return key in self._header.metadata or key in self._header.lists


def _kv(facts: _Facts, layer: int, layers: int, options: EngineOptions) -> int:
    """One token's part of a layer's cache; sliding windows are kept whole, so that they can fork."""
    if layer >= layers - facts.number("attention.shared_kv_layers"):
        return 0
    if _state(facts, layer) and facts.architecture != _BOTH:
        return 0
    heads = facts.number("attention.head_count", layer)
    shared = (
        facts.number("attention.head_count_kv", layer)
        if facts.known("attention.head_count_kv")
        else heads
    )
    even = facts.number("embedding_length") // heads if heads else 0
    keys = shared * (facts.number("attention.key_length") or even)
    values = shared * (facts.number("attention.value_length") or even)
    if facts.number("attention.key_length_mla"):
        values = 0  # compressed: the values are a part of the keys
    return keys * _PER_32[options.kv_type] // 32 + values * _PER_32[options.value_type] // 32


def _state(facts: _Facts, layer: int) -> int:
    """What one sequence takes in a recurrent layer, in 32-bit floats; 0 in any other."""
    width, heads = facts.number("embedding_length"), facts.number("attention.head_count")
    kernel = facts.number("ssm.conv_kernel")
    if head := facts.number("wkv.head_size"):
        shifts = facts.number("token_shift_count") or 2
        values = shifts * width + width * head
    elif reach := facts.number("shortconv.l_cache"):
        values = (reach - 1) * width
    elif head := facts.number("kda.head_dim"):
        values = 3 * ((kernel or 4) - 1) * heads * head + head * head * heads
    else:
        inner, size = facts.number("ssm.inner_size"), facts.number("ssm.state_size")
        window = max(0, kernel - 1) * (inner + 2 * facts.number("ssm.group_count") * size)
        values = window + size * inner
    return 4 * values if values and _recurs(facts, layer) else 0


def _recurs(facts: _Facts, layer: int) -> bool:
    """Say whether a layer of a model that has states has one."""
    if facts.known("attention.recurrent_layers"):
        return bool(facts.number("attention.recurrent_layers", layer))
    if interval := facts.number("full_attention_interval"):
        return (layer + 1) % interval != 0
    if facts.architecture in _ONE_EACH and facts.number("feed_forward_length", layer):
        return False
    attends = facts.known("attention.head_count_kv") and facts.number(
        "attention.head_count_kv", layer
    )
    return facts.architecture == _BOTH or not attends


def _vocabulary(header: Header) -> int:
    """Guess the vocabulary's size from the embedding, which is 2 bytes a value at most."""
    width = _Facts(header).number("embedding_length")
    return header.tensors.get("token_embd.weight", 0) // (2 * width) if width else 0
