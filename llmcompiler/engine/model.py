"""What does the model file hold, and what does llama.cpp make of these tokens?

The only file that has heard of llama.cpp; it does not know requests, grammars or threads. Whoever
owns a `Model` calls it from one thread at a time. Calls that can abort the process inside C are
checked here first, since no exception comes back from there.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.gguf import Header
from llmcompiler.engine.options import CONTEXT_DEFAULT, EngineOptions, default_threads
from llmcompiler.errors import (
    ConfigurationError,
    MissingExtraError,
    ModelError,
    ModelFileError,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Model", "VocabularyTable"]

_log = logging.getLogger("llmcompiler.engine")
_starting = threading.Lock()
_complaints: deque[str] = deque(maxlen=64)
_listeners: list[object] = []  # C keeps only a pointer to a callback: this keeps it alive

_ERROR = 4
_KV_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
_FLASH = {"auto": -1, "off": 0, "on": 1}
_SPLIT = {"none": 0, "layer": 1, "row": 2}
_NO_VOCABULARY = 0
_SENTENCEPIECE = 1
_CONTROL = 8
_USER_DEFINED = 16
_SEQUENCE = 0


@dataclass(frozen=True, slots=True)
class VocabularyTable:
    """A vocabulary as llguidance wants it; the addresses are valid until the model is closed.

    `texts` are the tokens' bytes, those of control tokens after the byte 0xff. `vocabulary` is
    llama.cpp's pointer and `tokenize` the address of its function.
    """

    texts: tuple[bytes, ...]
    end_tokens: frozenset[int]
    vocabulary: int
    tokenize: int


class Model:
    """A GGUF in memory with a context of one sequence: tokens to text, tokens to scores.

    `header` is what the file says of itself, `n_ctx` how many tokens the context holds, `threads`
    how many compute. `end_tokens` end a turn; `first_token` begins every prompt, if the model was
    trained so; `marks` are what chat templates call ``bos_token`` and ``eos_token``; `markup`
    matches the texts of control tokens, which must not be read as such in plain text. Reading the
    file and allocating take a while: construct it off the event loop; `stopped` is asked now and
    then whether to give up.

    Raises:
        ModelError: loading was stopped.
        ModelFileError: llama.cpp refuses the file.
        ConfigurationError: an option does not fit this machine or this model.
        MissingExtraError: the packages of the local back end are not installed.
    """

    def __init__(
        self, header: Header, options: EngineOptions, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.header = header
        self.threads: int = options.threads or default_threads()
        llama = self._llama = _binding()
        self._weights = _load(llama, header, options, stopped)
        self._close = weakref.finalize(self, _free, llama, None, self._weights)
        self._vocabulary = llama.llama_model_get_vocab(self._weights)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self._vocabulary)
        self._check_kind()
        trained = int(llama.llama_model_n_ctx_train(self._weights)) or CONTEXT_DEFAULT
        if (options.n_ctx or 0) > trained:
            raise ConfigurationError(
                f"n_ctx is {options.n_ctx}, and {header.path.name!r} was trained for {trained} "
                f"tokens: take that or less"
            )
        self.n_ctx: int = options.n_ctx or min(trained, CONTEXT_DEFAULT)
        self._buffer = _Buffer(llama, min(options.chunk, self.n_ctx))
        self._context = _open(llama, self._weights, header, options, self)
        self._close.detach()
        self._close = weakref.finalize(self, _free, llama, self._context, self._weights)
        self._memory = llama.llama_get_memory(self._context)
        self._pieces: dict[int, bytes] = {}
        self.end_tokens: frozenset[int] = self._end_tokens()
        self.first_token: int | None = self._first_token()
        self.marks: dict[str, str] = self._marks()
        self.markup: re.Pattern[str] | None = self._markup()
        self._prefixes_space: bool = (
            llama.llama_vocab_type(self._vocabulary) == _SENTENCEPIECE
            and header.metadata.get("tokenizer.ggml.add_space_prefix") is not False
        )

    @property
    def chunk(self) -> int:
        """The most tokens that one `evaluate` takes."""
        return self._buffer.size

    def table(self) -> VocabularyTable:
        """List the vocabulary for llguidance; this takes a while for a large one."""
        texts = [self._render(token, special=True) for token in range(self.n_vocab)]
        for token, text in enumerate(texts):
            kind = self._llama.llama_vocab_get_attr(self._vocabulary, token)
            bracketed = text.startswith(b"<") and text.endswith(b">")
            if kind & _CONTROL or (kind & _USER_DEFINED and bracketed):
                texts[token] = b"\xff" + text
        function = ctypes.cast(self._llama._lib.llama_tokenize, ctypes.c_void_p)
        return VocabularyTable(tuple(texts), self.end_tokens, self._vocabulary, function.value or 0)

    def is_control(self, token: int) -> bool:
        """Say whether `token` is markup and not text."""
        return bool(self._llama.llama_vocab_is_control(self._vocabulary, token))

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token's text; a control token has none."""
        found = self._pieces.get(token)
        if found is None:
            found = self._pieces[token] = self._render(token, special=False)
        return found

    def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
        """Return the tokens of `text`, without any that mark a beginning or end.

        `special` reads the texts of control tokens as these tokens. `continued` says that plain
        text stands right before, so that no blank is put in front where a vocabulary does that.
        """
        if continued and self._prefixes_space:
            lead = self._tokenize("\n", special=False)
            tokens = self._tokenize("\n" + text, special=special)
            if tokens[: len(lead)] == lead:
                return tokens[len(lead) :]
        return self._tokenize(text, special=special)

    def evaluate(self, batch: Batch) -> None:
        """Compute a batch; its tokens then stand in the key-value cache.

        Raises:
            ModelError: the batch does not fit the cache as it is, or the computation failed. What
                the cache then holds is unknown: call `clear`.
        """
        count = len(batch.tokens)
        held = self._llama.llama_memory_seq_pos_max(self._memory, _SEQUENCE) + 1
        if not 1 <= count <= self._buffer.size:
            raise ModelError(f"a batch has 1 to {self._buffer.size} tokens, not {count}")
        if batch.position != held or held + count > self.n_ctx:
            raise ModelError(
                f"{count} tokens at position {batch.position} do not fit a context "
                f"that holds {held} of {self.n_ctx}"
            )
        if min(batch.tokens) < 0 or max(batch.tokens) >= self.n_vocab:
            raise ModelError(f"a token is outside the vocabulary of {self.n_vocab}")
        self._buffer.fill(batch)
        code = self._llama.llama_decode(self._context, self._buffer.batch)
        if code:
            reasons = {1: "it found no room in the context", 2: "it was aborted"}
            raise ModelError(
                f"llama.cpp could not compute {count} tokens: "
                f"{reasons.get(code, f'it failed with code {code}; free memory or lower n_ctx')}"
            )

    def logits(self) -> NDArray[np.float32]:
        """View the scores after the last batch's last token, shape (n_vocab,).

        The view is overwritten by the next `evaluate`, which must have wanted logits.
        """
        import numpy as np

        row = self._llama.llama_get_logits_ith(self._context, -1)
        if not row:
            raise ModelError("the last batch computed no logits")
        return np.ctypeslib.as_array(row, shape=(self.n_vocab,))

    def trim(self, count: int) -> bool:
        """Drop all but the first `count` tokens from the key-value cache.

        False says that this architecture cannot drop a part; nothing was dropped then.
        """
        return bool(self._llama.llama_memory_seq_rm(self._memory, _SEQUENCE, count, -1))

    def clear(self) -> None:
        """Drop everything from the key-value cache."""
        self._llama.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        """Free the memory; the model cannot be used afterwards. Doing it again is harmless."""
        self._close()

    def abandon(self) -> None:
        """Never free the memory: a computation that cannot be stopped still uses it."""
        self._close.detach()

    def _check_kind(self) -> None:
        llama, path = self._llama, str(self.header.path)
        if llama.llama_vocab_type(self._vocabulary) == _NO_VOCABULARY:
            raise ModelFileError(path, "it has no vocabulary: take a text model")
        if llama.llama_model_has_encoder(self._weights) or not llama.llama_model_has_decoder(
            self._weights
        ):
            raise ModelFileError(path, "it cannot write text: take a decoder-only model")

    def _end_tokens(self) -> frozenset[int]:
        is_end = self._llama.llama_vocab_is_eog
        return frozenset(t for t in range(self.n_vocab) if is_end(self._vocabulary, t))

    def _first_token(self) -> int | None:
        token = int(self._llama.llama_vocab_bos(self._vocabulary))
        wanted = self._llama.llama_vocab_get_add_bos(self._vocabulary)
        return token if wanted and token >= 0 else None

    def _marks(self) -> dict[str, str]:
        tokens = {
            "bos_token": self._llama.llama_vocab_bos(self._vocabulary),
            "eos_token": self._llama.llama_vocab_eos(self._vocabulary),
        }
        return {
            name: self._render(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
            for name, token in tokens.items()
        }

    def _markup(self) -> re.Pattern[str] | None:
        texts: set[str] = set()
        for token in range(self.n_vocab):
            kind = self._llama.llama_vocab_get_attr(self._vocabulary, token)
            if kind & (_CONTROL | _USER_DEFINED):
                text = self._render(token, special=True).decode("utf-8", "replace")
                bracketed = text[:1] in ("<", "[") and text[-1:] in (">", "]")
                if len(text) > 1 and (kind & _CONTROL or bracketed):
                    texts.add(re.escape(text))
        longest_first = sorted(texts, key=lambda text: (-len(text), text))
        return re.compile("|".join(longest_first)) if texts else None

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            count = self._llama.llama_tokenize(
                self._vocabulary, data, len(data), tokens, room, False, special
            )
            if count >= 0:
                return list(tokens[:count])
            room = -count

    def _render(self, token: int, *, special: bool) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._llama.llama_token_to_piece(
                self._vocabulary, token, buffer, room, 0, special
            )
            if count >= 0:
                return buffer.raw[:count]
            room = -count


class _Buffer:
    """One batch in llama.cpp's layout, over arrays that are filled again and again."""

    def __init__(self, llama: Any, size: int) -> None:
        import numpy as np

        self.size = size
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._output = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        self._sequence = np.full(size, _SEQUENCE, np.int32)
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
        count = len(batch.tokens)
        self._token[:count] = batch.tokens
        self._position[:count] = range(batch.position, batch.position + count)
        self._output[:count] = 0
        self._output[count - 1] = batch.wants_logits
        self.batch.n_tokens = count


@functools.cache
def _binding() -> Any:
    """Import llama.cpp's binding, start its back ends and route its log to `logging`."""
    try:
        import numpy as np  # noqa: F401 - a part of the extra, and used by every step
        from llama_cpp import llama_cpp
    except ImportError as error:
        raise MissingExtraError("the local back end", "local") from error
    with _starting:
        _silence(llama_cpp)
        llama_cpp.llama_backend_init()
    return llama_cpp


def _silence(llama: Any) -> None:
    def listen(level: int, text: bytes, _: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if level == _ERROR:
            _complaints.append(line)
        _log.debug("%s", line)

    listener = llama.llama_log_callback(listen)
    _listeners.append(listener)
    llama.llama_log_set(listener, ctypes.c_void_p(0))


def _load(llama: Any, header: Header, options: EngineOptions, stopped: Callable[[], bool]) -> Any:
    """Load the weights; return llama.cpp's pointer to them."""
    parameters = llama.llama_model_default_params()
    if llama.llama_supports_gpu_offload():
        parameters.n_gpu_layers = options.n_gpu_layers
    parameters.split_mode = _SPLIT[options.split_mode]
    parameters.main_gpu = options.main_gpu
    parameters.progress_callback = llama.llama_progress_callback(lambda *_: not stopped())
    if options.tensor_split is not None:
        devices = int(llama.llama_max_devices())
        if len(options.tensor_split) > devices:
            raise ConfigurationError(
                f"tensor_split has {len(options.tensor_split)} shares; this build has room "
                f"for {devices}"
            )
        shares = (ctypes.c_float * devices)(*options.tensor_split)
        parameters.tensor_split = shares
    with _starting:
        _complaints.clear()
        weights = llama.llama_model_load_from_file(str(header.path).encode(), parameters)
        if not weights and stopped():
            raise ModelError(f"loading {header.path.name!r} was stopped")
        if not weights:
            raise ModelFileError(str(header.path), f"llama.cpp refuses it: {_complaint()}")
    return weights


def _open(llama: Any, weights: Any, header: Header, options: EngineOptions, model: Model) -> Any:
    """Make a context for one sequence; return llama.cpp's pointer to it."""
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = model.n_ctx
    parameters.n_batch = parameters.n_ubatch = model.chunk
    parameters.n_seq_max = 1
    parameters.n_threads = parameters.n_threads_batch = model.threads
    parameters.flash_attn_type = _FLASH[options.flash_attention]
    parameters.type_k = parameters.type_v = _KV_TYPES[options.kv_type]
    with _starting:
        _complaints.clear()
        context = llama.llama_init_from_model(weights, parameters)
        if not context:
            raise ConfigurationError(
                f"a context of {model.n_ctx} tokens with kv_type {options.kv_type!r} and flash "
                f"attention {options.flash_attention!r} cannot be made for {header.path.name!r} "
                f"({_complaint()}): lower n_ctx, or leave these options out"
            )
    return context


def _complaint() -> str:
    """Return what llama.cpp complained about first; the rest follows from it."""
    return _complaints[0].split(": ", 1)[-1] if _complaints else "it gave no reason"


def _free(llama: Any, context: Any, weights: Any) -> None:
    if context is not None:
        llama.llama_free(context)
    llama.llama_model_free(weights)
