"""What does the model file hold, and which tokens is a text?

It does not know what is computed with the weights: a context does, and there may be several.
Whoever owns a `Model` calls it from one thread at a time.
"""

from __future__ import annotations

import ctypes
import re
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from llmcompiler.engine.binding import binding, complaint, starting
from llmcompiler.engine.gguf import Header
from llmcompiler.engine.kernels.compiling import KernelsUnavailable
from llmcompiler.engine.kernels.library import Kernels, Placed, find_kernels
from llmcompiler.engine.options import CONTEXT_DEFAULT, EngineOptions, default_threads
from llmcompiler.errors import ConfigurationError, ModelError, ModelFileError

__all__ = ["Model", "VocabularyTable"]

_LOAD = {"auto": -1, "none": 0, "mmap": 1, "mlock": 2, "mmap+mlock": 3, "dio": 4}
_SPLIT = {"none": 0, "layer": 1, "row": 2, "tensor": 3}
_NO_VOCABULARY = 0
_SENTENCEPIECE = 1
_NORMAL = 4
_CONTROL = 8
_USER_DEFINED = 16
_BYTE = 32
_ROOM = 256  # bytes that nearly every token's text fits in

# Called for every token: keeping the interpreter's lock meanwhile is what makes them quick.
_PIECE = ctypes.PYFUNCTYPE(
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_int32,
    ctypes.c_int32,
    ctypes.c_bool,
)
_ATTRIBUTES = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int32)


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


class _Closes(Protocol):
    """What must be closed before the weights are freed."""

    def close(self) -> None: ...


class Model:
    """A GGUF in memory: tokens to text and back, and the weights that contexts compute with.

    `header` is what the file says of itself, `n_ctx` the most tokens that a text may have,
    `threads` how many compute. `kernels` names the instructions of the processor that our own code
    computes with, None where all is left to llama.cpp, `packed` how many bytes of the weights do
    so; `attends` says that attention is computed so, for which `computing` is to be held while a
    context is made or computes. `partial` says that a part of a sequence can be dropped from a
    context, as recurrent architectures cannot. `end_tokens` end a turn; `first_token` begins every
    prompt, if the model was trained so; `marks` are what chat templates call ``bos_token`` and
    ``eos_token``; `markup` matches the texts of control tokens, which must not be read as such in
    plain text. Reading the file takes a while: construct it off the event loop; `stopped` is asked
    now and then whether to give up.

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
        llama = self._llama = binding()
        kernels = _kernels(llama, options, stopped)
        self._weights, self.packed = _load(llama, header, options, stopped, kernels)
        self.kernels: str | None = kernels.instructions if kernels else None
        self.attends: bool = kernels is not None and not _offloads(llama, options)
        self.computing: AbstractContextManager[None] = (
            kernels if kernels and self.attends else nullcontext()
        )
        self._users: weakref.WeakSet[_Closes] = weakref.WeakSet()
        self._close = weakref.finalize(self, llama.llama_model_free, self._weights)
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
        self.partial: bool = not (
            llama.llama_model_is_recurrent(self._weights)
            or llama.llama_model_is_hybrid(self._weights)
        )
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
    def weights(self) -> Any:
        """llama.cpp's pointer to them."""
        return self._weights

    def lend(self, user: _Closes) -> None:
        """Note that `user` computes with the weights: it is closed before they are freed."""
        self._users.add(user)

    def table(self) -> VocabularyTable:
        """List the vocabulary for llguidance; this takes a while for a large one."""
        library = self._llama._lib
        render = _PIECE(("llama_token_to_piece", library))
        attributes = _ATTRIBUTES(("llama_vocab_get_attr", library))
        buffer = ctypes.create_string_buffer(_ROOM)
        address = ctypes.addressof(buffer)
        texts: list[bytes] = []
        for token in range(self.n_vocab):
            count = render(self._vocabulary, token, address, _ROOM, 0, True)
            if count >= 0:
                text = ctypes.string_at(address, count)
            else:
                text = self._render(token, special=True)
            kind = attributes(self._vocabulary, token)
            bracketed = text.startswith(b"<") and text.endswith(b">")
            control = kind & _CONTROL or (kind & _USER_DEFINED and bracketed)
            if kind & (_NORMAL | _BYTE):
                self._pieces[token] = text
            texts.append(b"\xff" + text if control else text)
        function = ctypes.cast(library.llama_tokenize, ctypes.c_void_p)
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

    def close(self) -> None:
        """Free the memory; the model cannot be used afterwards. Doing it again is harmless."""
        for user in list(self._users):
            user.close()
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


def _load(
    llama: Any,
    header: Header,
    options: EngineOptions,
    stopped: Callable[[], bool],
    kernels: Kernels | None,
) -> tuple[Any, int]:
    """Load the weights; return llama.cpp's pointer to them, and how many bytes the kernels took."""
    parameters = llama.llama_model_default_params()
    if _can_offload(llama):
        parameters.n_gpu_layers = options.n_gpu_layers
    parameters.load_mode = _LOAD[options.load_mode]
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
    with starting():
        system = llama.llama_print_system_info().decode("utf-8", "replace")
    threads = options.threads or default_threads()
    own = kernels is not None and "AMX_INT8 = 1" not in system  # a matrix unit is llama.cpp's
    with (
        starting(),
        kernels.placing(threads) if kernels and own else nullcontext(Placed()) as placed,
    ):
        weights = llama.llama_model_load_from_file(str(header.path).encode(), parameters)
        if not weights and stopped():
            raise ModelError(f"loading {header.path.name!r} was stopped")
        if not weights:
            raise ModelFileError(str(header.path), f"llama.cpp refuses it: {complaint()}")
    return weights, placed.bytes


def _can_offload(llama: Any) -> bool:
    with starting():  # the list of devices has no lock of its own, and may just grow
        return bool(llama.llama_supports_gpu_offload())


def _offloads(llama: Any, options: EngineOptions) -> bool:
    return options.n_gpu_layers != 0 and _can_offload(llama)


def _kernels(llama: Any, options: EngineOptions, stopped: Callable[[], bool]) -> Kernels | None:
    """Find the kernels, if they are to be used: not where GPUs compute."""
    if options.kernels == "off" or (options.kernels == "auto" and _offloads(llama, options)):
        return None
    try:
        return find_kernels(stopped, anew=options.kernels == "on")
    except KernelsUnavailable as reason:
        if options.kernels == "on":
            raise ConfigurationError(
                f"kernels is 'on', and there are none here: {reason}; or set kernels to 'auto'"
            ) from None
        return None
