"""How long may requests be, how much is cached and which layers go to a GPU, given free memory?

Arithmetic: it does not know llama.cpp and looks at no device, both are told by numbers. A draft
model has a place beside the large one, and a cache of as many cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmcompiler.engine.devices import FreeMemory
from llmcompiler.engine.footprint import Footprint, footprint, padded
from llmcompiler.engine.gguf import Header
from llmcompiler.engine.options import CONTEXT_DEFAULT, SEQUENCES_MOST, EngineOptions
from llmcompiler.errors import ConfigurationError

__all__ = ["MemoryPlan", "bytes_text", "plan_memory"]

_SHARE = 4  # one part of so many of the free memory is taken without being asked for
_SPARE = 8192  # tokens beside the longest request that are worth a cache
_LONGEST = 32768  # tokens of a request that are allowed without being asked for
_LEAST = 512
_SEQUENCES = 64
_MARGIN = 20  # one part of so many of a GPU's memory is left alone
_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a model is to be loaded with.

    `n_ctx` is the most tokens of one request, `n_cells` what the key-value cache holds for all of
    them, `n_seq` how many sequences it tells apart. `n_gpu_layers` counts from the model's end,
    what is behind the last block as one. The bytes are of weights, cache, and room to compute;
    `draft_bytes` is all that the draft model takes, for texts of up to `draft_ctx` tokens.
    """

    n_ctx: int
    n_cells: int
    n_seq: int
    n_gpu_layers: int
    weights_bytes: int
    kv_bytes: int
    scratch_bytes: int
    draft_bytes: int = 0
    draft_ctx: int = 0

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.scratch_bytes + self.draft_bytes


def plan_memory(
    header: Header, options: EngineOptions, free: FreeMemory, draft: Header | None = None
) -> MemoryPlan:
    """Choose what `options` leave open, so that the model fits into `free`, and `draft` with it.

    A request may have the trained context, at most 8192 tokens, and up to 32768 where a quarter of
    the memory that the weights leave holds so many; the same quarter holds what is kept for
    later. Layers go to GPUs as long as they fit, with their part of the cache; where any does, the
    whole draft model is there as well.

    Raises:
        ConfigurationError: it does not fit, or more than the trained context is asked for.
    """
    size = footprint(header, options)
    if (options.n_ctx or 0) > size.trained:
        raise ConfigurationError(
            f"n_ctx is {options.n_ctx}, and {header.path.name!r} was trained for {size.trained} "
            f"tokens: take that or less"
        )
    least = options.n_ctx or min(size.trained, CONTEXT_DEFAULT, options.n_cells or CONTEXT_DEFAULT)
    small = None if draft is None else footprint(draft, options.of_draft())
    wanted = _Wanted(size, options, least, small)
    layers = _layers(wanted, options, free)
    sides = _sides(wanted, layers, free)
    plan = _split(wanted, sides) if options.reproducible else _unified(wanted, sides)
    plan = replace(plan, n_gpu_layers=layers)
    _check(plan, sides, (header, *([draft] if draft else [])), options, free)
    return plan


def bytes_text(count: int) -> str:
    """Write a number of bytes for a person: ``512 MiB``, ``4.6 GiB``."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            value = count / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count} bytes"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: footprints, the options, and how long requests must at least be."""

    size: Footprint
    options: EngineOptions
    n_ctx: int
    draft: Footprint | None = None

    @property
    def n_seq(self) -> int:
        """How many sequences are certain."""
        return self.options.n_seq or (2 if self.options.reproducible else 1)

    @property
    def n_cells(self) -> int:
        """How many cells are certain."""
        if self.options.reproducible:
            return padded(self.n_ctx) * self.n_seq
        return padded(max(self.n_ctx, self.options.n_cells or 0))

    @property
    def sizes(self) -> tuple[Footprint, ...]:
        """The model, and the one that drafts if there is one."""
        return (self.size,) if self.draft is None else (self.size, self.draft)

    def scratch(self, size: Footprint, cells: int) -> int:
        apart = self.options.reproducible and size is self.size
        chunk = min(self.options.chunk, self.n_ctx, size.trained)
        return size.scratch(chunk, padded(self.n_ctx) if apart else cells)


@dataclass(frozen=True, slots=True)
class _Load:
    """What of one model is put somewhere, in bytes: at any rate, by cell and by sequence."""

    weights: int
    scratch: int
    per_cell: int
    per_sequence: int

    def taken(self, cells: int, sequences: int) -> int:
        """How many bytes it takes with so many cells and sequences."""
        fixed = self.weights + self.scratch
        return fixed + cells * self.per_cell + sequences * self.per_sequence


@dataclass(frozen=True, slots=True)
class _Side:
    """Main memory or the GPUs: what is free there, and what is put there of each model."""

    free: int
    loads: tuple[_Load, ...]

    @property
    def per_sequence(self) -> int:
        """How many bytes a sequence takes, however short it is."""
        return sum(load.per_sequence for load in self.loads)

    def cells(self, share: int, sequences: int) -> int:
        """How many cells fit into one part of `share` of what the weights leave."""
        left = (self.free - self.taken(0, 0)) // share - sequences * self.per_sequence
        each = sum(load.per_cell for load in self.loads)
        return max(0, left) // each if each else _UNBOUNDED

    def taken(self, cells: int, sequences: int) -> int:
        """How many bytes so many cells and sequences take, with the weights."""
        return sum(load.taken(cells, sequences) for load in self.loads)


def _layers(wanted: _Wanted, options: EngineOptions, free: FreeMemory) -> int:
    """Choose how many layers go to the GPUs, the last one first."""
    if not free.gpus:
        return 0
    most = len(wanted.size.blocks) + 1
    if options.n_gpu_layers >= 0:
        return min(options.n_gpu_layers, most)
    room = _usable(options, free.gpus)
    for count in range(most, 0, -1):
        side = _gpu_side(wanted, count, room)
        if side.cells(1, wanted.n_seq) >= wanted.n_cells:
            return count
    return 0


def _usable(options: EngineOptions, gpus: Sequence[int]) -> int:
    """How many bytes the GPUs take together when they are filled in the given shares."""
    left = [each - each // _MARGIN for each in gpus]
    if options.split_mode == "none":
        return left[options.main_gpu] if options.main_gpu < len(left) else 0
    shares = options.tensor_split
    if shares is None:
        return sum(left)
    whole = sum(shares)
    return min(
        int(each * whole / share) for each, share in zip(left, shares, strict=False) if share
    )


def _gpu_side(wanted: _Wanted, layers: int, room: int) -> _Side:
    return _Side(room, tuple(_gpu_load(wanted, size, layers) for size in wanted.sizes))


def _sides(wanted: _Wanted, layers: int, free: FreeMemory) -> tuple[_Side, ...]:
    """Divide the models between main memory and the GPUs; where nothing is known, all fits."""
    host = _UNBOUNDED if free.host is None else free.host
    main = _Side(host, tuple(_main_load(wanted, size, layers) for size in wanted.sizes))
    if not layers:
        return (main,)
    gpu = _gpu_side(wanted, layers, _usable(wanted.options, free.gpus))
    if wanted.options.n_gpu_layers >= 0:
        gpu = replace(gpu, free=_UNBOUNDED)  # asked for: llama.cpp has the last word
    return gpu, main


def _gpu_load(wanted: _Wanted, size: Footprint, layers: int) -> _Load:
    blocks = slice(_kept(wanted, size, layers), None)
    weights = sum(size.blocks[blocks]) + size.output + size.tied
    return _load(wanted, size, weights, blocks if wanted.options.offload_kqv else slice(0))


def _main_load(wanted: _Wanted, size: Footprint, layers: int) -> _Load:
    if not layers:
        return _load(wanted, size, size.weights, slice(None))
    blocks = slice(_kept(wanted, size, layers))
    weights = size.rest + sum(size.blocks[blocks])
    return _load(wanted, size, weights, blocks if wanted.options.offload_kqv else slice(None))


def _kept(wanted: _Wanted, size: Footprint, layers: int) -> int:
    """Count the blocks that main memory keeps; of the draft model none."""
    return max(0, len(size.blocks) - (layers - 1)) if size is wanted.size else 0


def _load(wanted: _Wanted, size: Footprint, weights: int, cached: slice) -> _Load:
    fixed = wanted.scratch(size, 0)
    per_cell = wanted.scratch(size, 1) - fixed
    return _Load(weights, fixed, sum(size.kv[cached]) + per_cell, sum(size.state[cached]))


def _unified(wanted: _Wanted, sides: Sequence[_Side]) -> MemoryPlan:
    """One pool of cells for all sequences."""
    options = wanted.options
    n_seq = _sequences(wanted, sides)
    spared = min(side.cells(_SHARE, n_seq) for side in sides)
    fitting = min(side.cells(1, n_seq) for side in sides)
    if all(side.free >= _UNBOUNDED for side in sides):
        spared = wanted.n_ctx + _SPARE
    n_ctx = wanted.n_ctx
    if options.n_ctx is None:
        longest = min(wanted.size.trained, _LONGEST, options.n_cells or _LONGEST)
        n_ctx = max(n_ctx, min(longest, _rounded(spared - _SPARE)))
        if n_ctx > fitting and options.n_cells is None:
            n_ctx = max(_LEAST, _rounded(fitting))
        n_ctx = min(n_ctx, wanted.size.trained)
    n_cells = options.n_cells or max(n_ctx, min(n_ctx + max(n_ctx, _SPARE), _rounded(spared)))
    if options.n_seq is None:
        n_seq = max(1, min(n_seq, n_cells // 16))
    return _plan(wanted, n_ctx, padded(n_cells), n_seq)


def _split(wanted: _Wanted, sides: Sequence[_Side]) -> MemoryPlan:
    """Cells apart for each sequence."""
    n_ctx = wanted.n_ctx
    each = padded(n_ctx)
    spared = min(side.cells(_SHARE, 0) for side in sides) // each
    if wanted.options.n_ctx is None:
        fitting = _rounded(min(side.cells(1, 0) for side in sides) // wanted.n_seq)
        if fitting < n_ctx:
            n_ctx = min(max(_LEAST, fitting), wanted.size.trained)
            each = padded(n_ctx)
    n_seq = wanted.options.n_seq or max(2, min(8, spared))
    return _plan(wanted, n_ctx, each * n_seq, n_seq)


def _sequences(wanted: _Wanted, sides: Sequence[_Side]) -> int:
    """A sequence costs nothing but where it has a state; twice the requests leave room to cache."""
    if wanted.options.n_seq is not None:
        return wanted.options.n_seq
    most = min(SEQUENCES_MOST, max(_SEQUENCES, 2 * wanted.options.rows))
    for side in sides:
        if side.per_sequence:
            left = side.free - side.taken(wanted.n_cells, 0)
            most = min(most, left // _SHARE // side.per_sequence)
    return max(1, most)


def _plan(wanted: _Wanted, n_ctx: int, n_cells: int, n_seq: int) -> MemoryPlan:
    return MemoryPlan(
        n_ctx=n_ctx,
        n_cells=n_cells,
        n_seq=n_seq,
        n_gpu_layers=0,
        weights_bytes=wanted.size.weights,
        kv_bytes=n_cells * wanted.size.kv_per_token + n_seq * wanted.size.state_per_sequence,
        scratch_bytes=wanted.scratch(wanted.size, n_cells),
        draft_bytes=_main_load(wanted, wanted.draft, 0).taken(n_cells, 0) if wanted.draft else 0,
        draft_ctx=min(n_ctx, wanted.draft.trained) if wanted.draft else 0,
    )


def _check(
    plan: MemoryPlan,
    sides: Sequence[_Side],
    headers: Sequence[Header],
    options: EngineOptions,
    free: FreeMemory,
) -> None:
    taken = [side.taken(plan.n_cells, plan.n_seq) for side in sides]
    over, needed = next(
        ((side, count) for side, count in zip(sides, taken, strict=True) if count > side.free),
        (None, 0),
    )
    if over is None:
        return
    there = "main memory" if over is sides[-1] else f"the memory of {len(free.gpus)} GPUs"
    weights = over.loads[0].weights
    cache = over.loads[0].taken(plan.n_cells, plan.n_seq) - weights
    advice = ["take a smaller quantisation of it"] if cache < weights else []
    drafting = ""
    for small, load in zip(headers[1:], over.loads[1:], strict=True):
        drafting = f", {bytes_text(load.taken(plan.n_cells, 0))} for {small.path.name!r} to draft"
        advice.insert(0, "leave draft_model out")
    given = {"n_cells": options.n_cells, "n_ctx": options.n_ctx, "n_seq": options.n_seq}
    lower = ("n_ctx", "n_seq") if options.reproducible else ("n_cells", "n_ctx")
    advice += [f"lower {name}" for name in lower if given[name] is not None]
    if options.kv_type == "f16" and options.attention != "off":
        advice.append("set kv_type to 'q8_0'")
    advice = advice or ["free some of it"]
    raise ConfigurationError(
        f"{headers[0].path.name!r} with a cache of {plan.n_cells} tokens needs "
        f"{bytes_text(needed)} of {there} ({bytes_text(weights)} of weights, "
        f"{bytes_text(cache)} to compute with{drafting}), and {bytes_text(over.free)} are free: "
        f"{' or '.join(advice)}"
    )


def _rounded(cells: int) -> int:
    """Round down to what llama.cpp allocates."""
    return max(0, cells) // 256 * 256
