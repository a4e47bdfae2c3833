"""Which vector stands for a text, by the same weights that write?

It does not know what vectors are compared for, or who else computes with the weights. Unlike a
`Context` it may be used and closed by any thread: a lock is held for each pass, and for no longer.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from llmcompiler.engine.binding import binding, complaint, starting
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import SEQUENCES_MOST, EngineOptions
from llmcompiler.engine.threads import share_threads
from llmcompiler.errors import ConfigurationError, ContextLengthError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EmbeddingContext", "Pooling"]

Pooling: TypeAlias = Literal["mean", "cls", "last"]

_TRAINED: dict[object, Pooling] = {1: "mean", 2: "cls", 3: "last"}  # as GGUF numbers them
_NO_POOLING = 0
_FLASH = {"auto": -1, "off": 0, "on": 1}
_CLOSED = "the model was closed: load it again"
_TINY = 1e-12


class EmbeddingContext:
    """Embeddings of texts, several in one pass; `width` is how many numbers each has.

    `pooling` makes one vector of those behind each token: their mean, the first or the last; None
    takes what the file names, else the mean. A long text is computed in chunks, with any pooling,
    unless the model reads a text forwards and backwards at once. The memory is taken by the first
    text and grows with the longest: `cells` is for how many tokens, and 0 before. With
    `reproducible` a vector does not depend on the texts beside it, which are computed one by one.

    Raises:
        ConfigurationError: `pooling` or `n_slots` is none that there is.
    """

    def __init__(
        self,
        model: Model,
        options: EngineOptions,
        *,
        pooling: Pooling | None = None,
        n_slots: int = 16,
    ) -> None:
        if not 1 <= n_slots <= SEQUENCES_MOST:
            raise ConfigurationError(f"n_slots must be 1 to {SEQUENCES_MOST}, not {n_slots}")
        if pooling is not None and pooling not in get_args(Pooling):
            choices = ", ".join(repr(each) for each in get_args(Pooling))
            raise ConfigurationError(f"pooling must be one of {choices}, not {pooling!r}")
        llama = self._llama = binding()
        facts, family = model.header.metadata, model.header.text("general.architecture")
        named = _TRAINED.get(facts.get(f"{family}.pooling_type"), "mean")
        self.pooling: Pooling = pooling or named
        self.causal = facts.get(f"{family}.attention.causal") is not False
        self.width = int(llama.llama_model_n_embd_out(model.weights))
        self.n_slots = 1 if options.reproducible else n_slots
        self.batch = min(options.chunk, model.n_ctx)
        self._model = model
        self._options = options
        self._last = _last_token(llama, model)
        self._threads = share_threads()
        self._turn = threading.Lock()
        self._memory = _Memory(llama)
        self._close = weakref.finalize(self, self._memory.close)
        model.lend(self)

    @property
    def cells(self) -> int:
        """For how many tokens at a time there is memory; 0 if none is taken."""
        return self._memory.cells

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of `text`, between those that the model was trained to have around it.

        Raises:
            ModelError: the model was closed.
        """
        with self._memory.lock:
            self._memory.check()
            found = self._model.tokenize(text, special=False)
        first = [] if self._model.first_token is None else [self._model.first_token]
        return [*first, *found, *self._last] if found else []

    def embed(
        self,
        texts: Sequence[Sequence[int]],
        *,
        normalized: bool = True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float32]:
        """Compute the vectors of texts given as tokens, shape (texts, width), in their order.

        `normalized` gives each a length of 1. Texts that are asked for at the same time by several
        threads are computed one call after the other; `stopped` is asked before each pass.

        Raises:
            ContextLengthError: a text is longer than the context, or than a pass where the model
                needs the whole text at once; nothing was computed.
            ConfigurationError: there is no memory for the longest text.
            ModelError: a text is empty or no text of this vocabulary, and nothing was computed; or
                it was stopped, the model was closed, or it could not compute.
        """
        import numpy as np

        self._check(texts)
        found = np.zeros((len(texts), self.width), np.float32)
        with self._turn:
            cells = max([self.batch, self._memory.cells, *map(len, texts)])
            try:
                for first, end in self._groups(texts, cells):
                    self._embed(texts[first:end], cells, found[first:end], stopped)
            finally:
                self._threads.end(more=False)
        if normalized:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), _TINY)
        return found

    def close(self) -> None:
        """Free the memory once the pass in progress is over; doing it again is harmless."""
        self._close.detach()
        self._memory.close()

    def _check(self, texts: Sequence[Sequence[int]]) -> None:
        limit = self._model.n_ctx if self.causal else self.batch
        for place, text in enumerate(texts):
            if not len(text):
                raise ModelError(f"text {place + 1} of {len(texts)} is empty: leave it out")
            if len(text) > limit:
                hint = "split the text" if self.causal else "split the text or raise chunk"
                raise ContextLengthError(len(text), limit, hint)
            if min(text) < 0 or max(text) >= self._model.n_vocab:
                raise ModelError(f"a token is outside the vocabulary of {self._model.n_vocab}")

    def _groups(self, texts: Sequence[Sequence[int]], cells: int) -> Iterator[tuple[int, int]]:
        """Cut `texts` into stretches that fit the memory together."""
        first, taken = 0, 0
        for place, text in enumerate(texts):
            if place > first and (taken + len(text) > cells or place - first == self.n_slots):
                yield first, place
                first, taken = place, 0
            taken += len(text)
        if texts:
            yield first, len(texts)

    def _embed(
        self,
        texts: Sequence[Sequence[int]],
        cells: int,
        found: NDArray[np.float32],
        stopped: Callable[[], bool],
    ) -> None:
        """Add up in `found` what the pooling takes of the vector behind each token."""
        import numpy as np

        lengths = np.array([len(text) for text in texts])
        token = np.concatenate([np.asarray(text, np.int32) for text in texts])
        slot = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
        position = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        share = _shares(self.pooling, position, lengths[slot])
        silent = 0
        if self.causal and self.pooling == "last":
            # Scores come with every vector, and cost: so the last tokens have passes of their own.
            order = np.argsort(share > 0, kind="stable")
            token, slot = token[order], slot[order]
            position, share = position[order], share[order]
            silent = len(token) - len(texts)
        for part in [*_parts(0, silent, self.batch), *_parts(silent, len(token), self.batch)]:
            if stopped():
                raise ModelError("the embedding was stopped")
            count = self._threads.begin()
            with self._memory.lock:
                self._memory.check()
                if self._memory.cells < cells:
                    self._memory.replace(self._open(cells), cells)
                if not part.start:
                    self._memory.clear()
                self._memory.set_threads(min(count, self._options.threads or count))
                wanted = bool(share[part].any())
                vectors = self._memory.compute(token[part], position[part], slot[part], wanted)
                if wanted:
                    view = np.ctypeslib.as_array(vectors, shape=(len(token[part]), self.width))
                    np.add.at(found, slot[part], view * share[part, None])
            self._threads.end(more=True)

    def _open(self, cells: int) -> Any:
        llama, options = self._llama, self._options
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = self.batch
        parameters.n_seq_max = self.n_slots
        parameters.n_outputs_max = max(self.batch, self.n_slots)  # fewer end the process
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = self._model.threads
        parameters.flash_attn_type = _FLASH[options.attention]
        parameters.offload_kqv = options.offload_kqv
        parameters.embeddings = True
        parameters.pooling_type = _NO_POOLING
        with starting():
            pointer = llama.llama_init_from_model(self._model.weights, parameters)
            if not pointer:
                raise ConfigurationError(
                    f"there is no context for embeddings of {cells} tokens with "
                    f"{self._model.header.path.name!r} ({complaint()}): split long texts, or lower "
                    f"n_ctx or n_cells so that memory is left"
                )
        return pointer


class _Memory:
    """llama.cpp's context, if there is one; call it with the lock held, but for `close`."""

    def __init__(self, llama: Any) -> None:
        self.lock = threading.Lock()
        self.cells = 0
        self._llama = llama
        self._context: Any = None
        self._closed = False

    def check(self) -> None:
        if self._closed:
            raise ModelError(_CLOSED)

    def replace(self, context: Any, cells: int) -> None:
        self._free()
        self._context, self.cells = context, cells

    def clear(self) -> None:
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), False)

    def set_threads(self, count: int) -> None:
        self._llama.llama_set_n_threads(self._context, count, count)

    def compute(
        self,
        token: NDArray[np.int32],
        position: NDArray[np.int32],
        slot: NDArray[np.int32],
        wanted: bool,
    ) -> Any:
        """Compute a pass; return where the vectors of its tokens are, if they are wanted."""
        import numpy as np

        llama, size = self._llama, len(token)
        counts, outputs = np.ones(size, np.int32), np.full(size, wanted, np.int8)
        token, position, slot = (np.ascontiguousarray(each) for each in (token, position, slot))
        slots = slot.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        numbers = ctypes.POINTER(ctypes.c_int32)
        batch = llama.llama_batch()
        batch.n_tokens = size
        batch.token = token.ctypes.data_as(numbers)
        batch.pos = position.ctypes.data_as(numbers)
        batch.n_seq_id = counts.ctypes.data_as(numbers)
        batch.seq_id = ctypes.cast(slots.ctypes.data, ctypes.POINTER(numbers))
        batch.logits = outputs.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))
        llama.llama_set_embeddings(self._context, wanted)
        code = llama.llama_decode(self._context, batch)
        vectors = llama.llama_get_embeddings(self._context) if wanted and not code else None
        if code or (wanted and not vectors):
            self._free()
            raise ModelError(
                f"llama.cpp could not compute the embeddings of {size} tokens: it failed with code "
                f"{code}; free memory or take a model that has embeddings"
            )
        return vectors

    def close(self) -> None:
        self._closed = True  # before the lock, which the next pass might be given first
        with self.lock:
            self._free()

    def _free(self) -> None:
        if self._context is not None:
            self._llama.llama_free(self._context)
            self._context, self.cells = None, 0


def _parts(start: int, end: int, size: int) -> list[slice]:
    return [slice(place, min(place + size, end)) for place in range(start, end, size)]


def _shares(
    pooling: Pooling, position: NDArray[np.int32], length: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Say how much of each token's vector is a part of its text's."""
    import numpy as np

    if pooling == "mean":
        return np.divide(1.0, length, dtype=np.float32)
    chosen = position == 0 if pooling == "cls" else position == length - 1
    return np.asarray(chosen, np.float32)


def _last_token(llama: Any, model: Model) -> list[int]:
    """Return the token that the model was trained to have behind every text, if there is one."""
    vocabulary = llama.llama_model_get_vocab(model.weights)
    for wanted, which in (
        (llama.llama_vocab_get_add_eos, llama.llama_vocab_eos),
        (llama.llama_vocab_get_add_sep, llama.llama_vocab_sep),
    ):
        if wanted(vocabulary) and (token := int(which(vocabulary))) >= 0:
            return [token]
    return []
