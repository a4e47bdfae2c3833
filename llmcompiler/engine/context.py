"""What does llama.cpp hold and compute for many sequences at once?

It does not know requests, grammars or who shares what with whom: slots are numbers, and the ledger
is kept elsewhere. Whoever owns a `Context` calls it from one thread at a time. Calls that can abort
the process inside C are checked here first, since no exception comes back from there.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.binding import binding, complaint, starting
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Broken", "Context", "NoRoom"]

_KV_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
_FLASH = {"auto": -1, "off": 0, "on": 1}
_NO_ROOM = 1
_ABORTED = 2
_REFUSED = -1
_VIEWS = 64  # making one takes longer than all else between two passes; the place rarely changes


class NoRoom(ModelError):
    """The cells are used up; nothing was computed, and nothing changed."""


class Broken(ModelError):
    """A computation failed half way: what the batch's slots hold is unknown."""


class Context:
    """A key-value cache of `n_cells` tokens for `n_slots` sequences, and the computation over it.

    `n_ctx` is the most tokens that one slot can hold, `batch` the most that one `evaluate` takes.
    With `unified` slots share one pool of cells, and a fork costs none; without it each has cells
    of its own, a fork is a copy, and results do not depend on what other slots hold. `partial`
    says whether a part of a slot can be dropped.

    Raises:
        ConfigurationError: llama.cpp cannot make it with these options.
    """

    def __init__(
        self, model: Model, options: EngineOptions, *, n_cells: int | None = None, n_slots: int = 1
    ) -> None:
        llama = self._llama = binding()
        self.unified = not options.reproducible
        self.n_slots = n_slots
        self.n_ctx = model.n_ctx
        self.n_cells = max(n_cells or 0, self.n_ctx) if self.unified else self.n_ctx * n_slots
        self.batch = min(options.chunk, self.n_ctx)
        self.n_vocab = model.n_vocab
        self.partial = model.partial
        self._model = model
        self._context = _open(llama, model, options, self)
        self._close = weakref.finalize(self, llama.llama_free, self._context)
        model.lend(self)
        self._memory = llama.llama_get_memory(self._context)
        self._buffer = _Buffer(llama, self.batch, self.n_vocab)
        self._held = [0] * n_slots
        self._threads = model.threads
        self._copied: set[int] = set()
        self._copying: set[int] = set()
        self._outputs = 0
        self._views: dict[tuple[int, int], NDArray[np.float32]] = {}

    def evaluate(self, batch: Batch) -> None:
        """Compute a batch; its tokens then stand in their slots.

        Raises:
            NoRoom: there are too few cells; nothing changed.
            ModelError: the batch does not fit what the slots hold; nothing changed.
            Broken: the computation failed; trim or clear the slots.
        """
        self._check(batch)
        self._outputs = 0
        self._buffer.fill(batch)
        with self._model.computing:
            code = self._llama.llama_decode(self._context, self._buffer.batch)
        self._copied.clear()
        self._copying.clear()
        if code == _NO_ROOM:
            raise NoRoom(f"llama.cpp found no room for {batch.size} tokens in the context")
        if code == _REFUSED:
            raise ModelError(f"llama.cpp refused a batch of {batch.size} tokens")
        for row in batch.rows:
            self._held[row.slot] += len(row.tokens)
            self._outputs += row.outputs
        if code:
            reason = "it was aborted" if code == _ABORTED else f"it failed with code {code}"
            raise Broken(
                f"llama.cpp could not compute {batch.size} tokens: {reason}; "
                f"free memory or lower n_ctx"
            )

    def logits(self) -> NDArray[np.float32]:
        """View the scores that the last batch wanted, shape (outputs, n_vocab), in its order.

        The view is overwritten by the next `evaluate`.
        """
        first = self._llama.llama_get_logits(self._context) if self._outputs else None
        if not first:
            raise ModelError("the last batch computed no scores")
        place = (ctypes.addressof(first.contents), self._outputs)
        view = self._views.get(place)
        if view is None:
            import numpy as np

            if len(self._views) >= _VIEWS:
                self._views.clear()
            view = np.ctypeslib.as_array(first, shape=(self._outputs, self.n_vocab))
            self._views[place] = view
        return view

    def held(self, slot: int) -> int:
        """Count the tokens in a slot."""
        return self._held[slot]

    def copying(self, slot: int) -> bool:
        """Say whether a copy from or to a slot is still to be carried out, by the next `evaluate`.

        What were restored there before would be copied in place of what was meant, or overwritten.
        """
        return slot in self._copying

    def fork(self, source: int, target: int, length: int) -> None:
        """Let `target`, which must be empty, hold the first `length` tokens of `source` as well.

        Raises:
            ModelError: `target` is not empty, `source` holds fewer, or it cannot be cut there.
        """
        whole = length == self._held[source]
        if self._held[target] or not 0 < length <= self._held[source]:
            raise ModelError(
                f"slot {target} holds {self._held[target]} tokens and cannot take {length} of the "
                f"{self._held[source]} in slot {source}"
            )
        if not (whole or self.partial):
            raise ModelError("this architecture can only fork whole sequences")
        # A partial copy between sequences with cells of their own aborts the process.
        end = length if self.unified and not whole else -1
        self._llama.llama_memory_seq_cp(self._memory, source, target, 0 if end > 0 else -1, end)
        self._held[target] = self._held[source] if end < 0 else length
        if not self.unified:
            self._copied.add(target)
            self._copying |= {source, target}
        if self._held[target] > length and not self.trim(target, length):
            self.clear(target)
            raise ModelError(f"the copy in slot {target} could not be cut")

    def trim(self, slot: int, length: int) -> bool:
        """Drop all but the first `length` tokens of a slot.

        False says that this architecture cannot drop a part; nothing was dropped then.
        """
        if length >= self._held[slot]:
            return True
        done = bool(self._llama.llama_memory_seq_rm(self._memory, slot, length, -1))
        if done:
            self._held[slot] = length
        return done

    def clear(self, slot: int) -> None:
        """Drop everything from a slot."""
        if self._held[slot]:
            self._llama.llama_memory_seq_rm(self._memory, slot, -1, -1)
            self._held[slot] = 0
        self._copied.discard(slot)

    def save(self, slot: int) -> bytes:
        """Return what a slot holds, to be restored; empty if it cannot be saved now.

        A copy between separate cells is carried out by the next `evaluate`, and not before.
        """
        if not self._held[slot] or slot in self._copied:
            return b""
        size = self._llama.llama_state_seq_get_size(self._context, slot)
        data = (ctypes.c_uint8 * size)()
        done = self._llama.llama_state_seq_get_data(self._context, data, size, slot)
        return bytes(memoryview(data)[:done])

    def restore(self, slot: int, data: bytes, length: int) -> bool:
        """Put back into an empty slot what was saved from one that held `length` tokens.

        False says that it could not be; the slot is empty then. `data` must come from `save` of a
        context like this one, unchanged: llama.cpp does not look.
        """
        if self._held[slot] or not data or slot in self._copying:
            return False
        source = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        done = self._llama.llama_state_seq_set_data(self._context, source, len(data), slot)
        if done and self._llama.llama_memory_seq_pos_max(self._memory, slot) + 1 == length:
            self._held[slot] = length
            return True
        self._llama.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return False

    def agrees(self) -> bool:
        """Say whether llama.cpp holds in every slot as much as is thought here."""
        last = self._llama.llama_memory_seq_pos_max
        return all(last(self._memory, slot) + 1 == self._held[slot] for slot in range(self.n_slots))

    def set_threads(self, count: int) -> None:
        """Compute with `count` threads from the next batch on."""
        if count != self._threads:
            self._llama.llama_set_n_threads(self._context, count, count)
            self._threads = count

    def close(self) -> None:
        """Free the memory; doing it again is harmless."""
        self._close()

    def abandon(self) -> None:
        """Never free the memory: a computation that cannot be stopped still uses it."""
        self._close.detach()
        self._model.abandon()

    def _check(self, batch: Batch) -> None:
        size, seen = batch.size, set[int]()
        if not 1 <= size <= self.batch:
            raise ModelError(f"a batch has 1 to {self.batch} tokens, not {size}")
        for row in batch.rows:
            if row.slot in seen or not 0 <= row.slot < self.n_slots:
                raise ModelError(f"slot {row.slot} is given twice, or is none of {self.n_slots}")
            seen.add(row.slot)
            held, count = self._held[row.slot], len(row.tokens)
            if row.position != held or held + count > self.n_ctx or not count:
                raise ModelError(
                    f"{count} tokens at position {row.position} do not fit a slot "
                    f"that holds {held} of {self.n_ctx}"
                )
            if not 0 <= row.outputs <= count:
                raise ModelError(f"{row.outputs} outputs are wanted of {count} tokens")


class _Buffer:
    """One batch in llama.cpp's layout, over arrays that are filled again and again."""

    def __init__(self, llama: Any, size: int, n_vocab: int) -> None:
        import numpy as np

        self._n_vocab = n_vocab
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._output = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        self._sequence = np.zeros(size, np.int32)
        place = self._sequence.ctypes.data
        self._sequences = np.arange(place, place + 4 * size, 4, dtype=np.uint64)
        batch = self.batch = llama.llama_batch()
        batch.token = self._token.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        batch.pos = self._position.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        batch.n_seq_id = self._counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        batch.seq_id = ctypes.cast(
            self._sequences.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))
        )
        batch.logits = self._output.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))

    def fill(self, batch: Batch) -> None:
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        outputs: list[int] = []
        for row in batch.rows:
            slot, position, wanted, count = row.slot, row.position, row.outputs, len(row.tokens)
            tokens += row.tokens
            if count == 1:  # as in nearly all rows
                slots.append(slot)
                positions.append(position)
                outputs.append(wanted)
                continue
            slots += [slot] * count
            positions += range(position, position + count)
            outputs += [0] * (count - wanted)
            outputs += [1] * wanted
        if min(tokens) < 0 or max(tokens) >= self._n_vocab:
            raise ModelError(f"a token is outside the vocabulary of {self._n_vocab}")
        size = len(tokens)
        self._token[:size] = tokens
        self._position[:size] = positions
        self._sequence[:size] = slots
        self._output[:size] = outputs
        self.batch.n_tokens = size


def _open(llama: Any, model: Model, options: EngineOptions, context: Context) -> Any:
    """Make a context; return llama.cpp's pointer to it."""
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = context.n_cells
    parameters.n_batch = parameters.n_ubatch = context.batch
    parameters.n_seq_max = context.n_slots
    parameters.n_outputs_max = max(context.batch, context.n_slots)  # fewer end the process
    parameters.kv_unified = context.unified
    parameters.n_threads = parameters.n_threads_batch = model.threads
    # Where our own code attends, llama.cpp must not decide by whether its own does.
    attention = "on" if options.attention == "auto" and model.attends else options.attention
    parameters.flash_attn_type = _FLASH[attention]
    parameters.type_k = _KV_TYPES[options.kv_type]
    parameters.type_v = _KV_TYPES[options.value_type]
    parameters.offload_kqv = options.offload_kqv
    parameters.swa_full = True  # what a window has passed must be there for a fork or a cut
    with starting(), model.computing:
        pointer = llama.llama_init_from_model(model.weights, parameters)
        if not pointer:
            raise ConfigurationError(
                f"a context of {context.n_cells} tokens for {context.n_slots} sequences with "
                f"kv_type {options.kv_type!r} and flash attention {options.attention!r} cannot be "
                f"made for {model.header.path.name!r} ({complaint()}): lower n_ctx or n_seq, or "
                f"leave these options out"
            )
    return pointer
