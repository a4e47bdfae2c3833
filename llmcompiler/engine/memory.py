"""How long may requests be, how much is cached and which layers go to a GPU, given free memory?

Arithmetic: it does not know llama.cpp and looks at no device, both are told by numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    what is behind the last block as one. The bytes are of weights, cache, and room to compute.
    """

    n_ctx: int
    n_cells: int
    n_seq: int
    n_gpu_layers: int
    weights_bytes: int
    kv_bytes: int
    scratch_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.scratch_bytes


def plan_memory(header: Header, options: EngineOptions, free: FreeMemory) -> MemoryPlan:
    """Choose what `options` leave open, so that the model fits into `free`.

    A request may have the trained context, at most 8192 tokens, and up to 32768 where a quarter of
    the memory that the weights leave holds so many; the same quarter holds what is kept for
    later. Layers go to GPUs as long as they fit, with their part of the cache.

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
    wanted = _Wanted(size, options, least)
    layers = _layers(wanted, options, free)
    sides = _sides(wanted, layers, free)
    plan = _split(wanted, sides) if options.reproducible else _unified(wanted, sides)
    plan = replace(plan, n_gpu_layers=layers)
    _check(plan, sides, header, options, free)
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
    """What is asked for: a footprint, the options, and how long requests must at least be."""

    size: Footprint
    options: EngineOptions
    n_ctx: int

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

    def scratch(self, cells: int) -> int:
        each = padded(self.n_ctx) if self.options.reproducible else cells
        return self.size.scratch(min(self.options.chunk, self.n_ctx), each)


@dataclass(frozen=True, slots=True)
class _Side:
    """Main memory or the GPUs: what is free there, and what is put there."""

    free: int
    weights: int
    per_token: int
    per_sequence: int
    scratch_per_cell: int
    scratch: int

    def cells(self, share: int, sequences: int) -> int:
        """How many cells fit into one part of `share` of what the weights leave."""
        left = (self.free - self.weights - self.scratch) // share - sequences * self.per_sequence
        each = self.per_token + self.scratch_per_cell
        return max(0, left) // each if each else _UNBOUNDED

    def taken(self, cells: int, sequences: int) -> int:
        """How many bytes so many cells and sequences take, with the weights."""
        each = self.per_token + self.scratch_per_cell
        return self.weights + self.scratch + cells * each + sequences * self.per_sequence


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
    size, kept = wanted.size, wanted.options.offload_kqv
    first = len(size.blocks) - (layers - 1)
    blocks = slice(max(0, first), len(size.blocks))
    return _side(
        wanted,
        room,
        weights=sum(size.blocks[blocks]) + size.output + size.tied,
        kv=size.kv[blocks] if kept else (),
        state=size.state[blocks] if kept else (),
    )


def _sides(wanted: _Wanted, layers: int, free: FreeMemory) -> tuple[_Side, ...]:
    """Divide the model between main memory and the GPUs; where nothing is known, all fits."""
    size = wanted.size
    host = _UNBOUNDED if free.host is None else free.host
    if not layers:
        return (_side(wanted, host, size.weights, size.kv, size.state),)
    gpu = _gpu_side(wanted, layers, _usable(wanted.options, free.gpus))
    if wanted.options.n_gpu_layers >= 0:
        gpu = replace(gpu, free=_UNBOUNDED)  # asked for: llama.cpp has the last word
    left = slice(0, max(0, len(size.blocks) - (layers - 1)))
    kept = wanted.options.offload_kqv
    return gpu, _side(
        wanted,
        host,
        weights=size.rest + sum(size.blocks[left]),
        kv=size.kv[left] if kept else size.kv,
        state=size.state[left] if kept else size.state,
    )


def _side(
    wanted: _Wanted, free: int, weights: int, kv: Iterable[int], state: Iterable[int]
) -> _Side:
    fixed = wanted.scratch(0)
    per_cell = 0 if wanted.options.reproducible else wanted.scratch(1) - fixed
    if wanted.options.reproducible:
        fixed = wanted.scratch(wanted.n_ctx)
    return _Side(free, weights, sum(kv), sum(state), per_cell, fixed)


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
        scratch_bytes=wanted.scratch(n_cells),
    )


def _check(
    plan: MemoryPlan,
    sides: Sequence[_Side],
    header: Header,
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
    cache = needed - over.weights
    advice = ["take a smaller quantisation of it"] if cache < over.weights else []
    given = {"n_cells": options.n_cells, "n_ctx": options.n_ctx, "n_seq": options.n_seq}
    lower = ("n_ctx", "n_seq") if options.reproducible else ("n_cells", "n_ctx")
    advice += [f"lower {name}" for name in lower if given[name] is not None]
    if options.kv_type == "f16" and options.attention != "off":
        advice.append("set kv_type to 'q8_0'")
    advice = advice or ["free some of it"]
    raise ConfigurationError(
        f"{header.path.name!r} with a cache of {plan.n_cells} tokens needs "
        f"{bytes_text(needed)} of {there} ({bytes_text(over.weights)} of weights, "
        f"{bytes_text(cache)} to compute with), and {bytes_text(over.free)} are free: "
        f"{' or '.join(advice)}"
    )


def _rounded(cells: int) -> int:
    """Round down to what llama.cpp allocates."""
    return max(0, cells) // 256 * 256
