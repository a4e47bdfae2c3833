"""Was this prefix computed before, and where is what came of it: in RAM, or on the disk?

It keeps the saved states of sequences that the key-value cache has no room for, and those of
earlier processes. It does not know llama.cpp, nor whether it is faster to compute a prefix again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from llmcompiler.engine.cache import common_prefix
from llmcompiler.engine.gguf import Part
from llmcompiler.engine.state_folder import StateFolder, state_key
from llmcompiler.errors import ModelFileError

__all__ = ["StateStore", "StoredMatch", "fingerprint"]

_MOST_WRITES: Final = 2
_SAMPLES: Final = 64
_BLOCK: Final = 4096
_STRIDE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """A saved state of which the first `length` tokens are those of the prompt.

    It holds `count` tokens, and when it is restored the last `count - length` are to be trimmed.
    """

    key: str
    length: int
    count: int


class StateStore:
    """Saved sequence states by their tokens; one thread uses it, and another writes to the disk.

    `fingerprint` names all that a state depends on besides its tokens. `ram_bytes` bounds what is
    kept in RAM, `disk_bytes` the whole of `folder`; data and tokens count, and on the disk the
    headers. What RAM has no room for goes to the folder, or is forgotten where there is none; the
    least recently used first. At most two states more are in RAM while they are being written;
    whoever comes with a third waits. No method raises for what is on the disk: a file that is
    gone, damaged or another model's is a miss.
    """

    def __init__(
        self, fingerprint: str, *, ram_bytes: int, folder: Path | None = None, disk_bytes: int = 0
    ) -> None:
        self._limit = ram_bytes
        self._states: dict[str, tuple[array[int], bytes]] = {}
        self._used = 0
        self._disk = StateFolder(folder, fingerprint, disk_bytes) if folder and disk_bytes else None
        self._writer: ThreadPoolExecutor | None = None
        self._writing: dict[str, _Writing] = {}

    @property
    def lasting(self) -> bool:
        """Whether there is a folder, so that something outlives the process."""
        return self._disk is not None

    @property
    def ram_used(self) -> int:
        """The bytes that RAM holds, those being written aside: data, and four for each token."""
        return self._used

    @property
    def disk_used(self) -> int:
        """The bytes of all files of states in the folder, other models' and processes' included."""
        return self._disk.used if self._disk else 0

    def put(self, tokens: Sequence[int], data: bytes, *, keep: bool = False) -> None:
        """Save the state behind `tokens`; `keep` writes it to the folder at once.

        A state of no tokens or without data is not saved.
        """
        run = array("i", tokens)
        if not run or not data:
            return
        key = state_key(run)
        saved = keep and self._write(key, run, data)
        if not self._hold(key, run, data) and not saved:
            self._write(key, run, data)

    def match(self, tokens: Sequence[int], *, whole: bool = False) -> StoredMatch | None:
        """Find the state with the longest common prefix with `tokens`, without reading its data.

        Of equals one in RAM, then the shortest. `whole` asks for states of which everything is a
        prefix of `tokens`. None where not even one token is common. Finding is not using.
        """
        prompt = array("i", tokens)
        best = (0, False, 0)
        found: StoredMatch | None = None
        for key, run, in_ram in self._known():
            length = _reach(run, prompt, best[0])
            rank = (length, in_ram, -len(run))
            if length and rank > best and not (whole and length < len(run)):
                best, found = rank, StoredMatch(key, length, len(run))
        return found

    def get(self, key: str) -> bytes | None:
        """Return the data of a state, or None where it is not to be had any more.

        What comes from the disk is in RAM from then on, if it fits. After None the state is not
        found again, so that whoever asks may ask for the next best.
        """
        held = self._states.pop(key, None)
        if held:
            self._states[key] = held
            if self._disk:
                self._disk.touch(key)
            return held[1]
        writing = self._writing.get(key)
        if writing:
            self._hold(key, writing.run, writing.data)
            return writing.data
        data = self._disk.load(key) if self._disk else None
        if data is not None and self._disk:
            self._hold(key, self._disk.index[key], data)
        return data

    def discard(self, key: str) -> None:
        """Forget a state that turned out to be of no use, on the disk as well."""
        if key in self._writing:
            self.flush()
        held = self._states.pop(key, None)
        if held:
            self._used -= _size(*held)
        if self._disk:
            self._disk.remove(key)

    def flush(self) -> None:
        """Wait until all that was to be written is."""
        wait([each.done for each in self._writing.values()])
        self._forget_written()

    def close(self, *, spill: bool = False) -> None:
        """Finish writing and forget what is in RAM; `spill` writes what only RAM holds as well."""
        for key, (run, data) in self._states.items():
            if spill:
                self._write(key, run, data)
        self.flush()
        if self._writer:
            self._writer.shutdown()
            self._writer = None
        self._states.clear()
        self._used = 0

    def _known(self) -> Iterator[tuple[str, array[int], bool]]:
        """Give the keys and tokens of all states, and whether they are in RAM."""
        self._forget_written()
        for key, (run, _) in self._states.items():
            yield key, run, True
        for key, writing in self._writing.items():
            if key not in self._states:
                yield key, writing.run, True
        if self._disk:
            self._disk.look()
            for key, run in self._disk.index.items():
                yield key, run, False

    def _hold(self, key: str, run: array[int], data: bytes) -> bool:
        """Keep a state in RAM as the one used last, and make room for it; False if it is too big."""
        old = self._states.pop(key, None)
        if old:
            self._used -= _size(*old)
        if _size(run, data) > self._limit:
            return False
        self._states[key] = (run, data)
        self._used += _size(run, data)
        while self._used > self._limit:
            oldest = next(iter(self._states))
            spilled = self._states.pop(oldest)
            self._used -= _size(*spilled)
            self._write(oldest, *spilled)
        return True

    def _write(self, key: str, run: array[int], data: bytes) -> bool:
        """Begin to write a state that is not on the disk; False where there is no disk."""
        if not self._disk:
            return False
        self._forget_written()
        if key in self._writing or self._disk.touch(key):
            return True
        if len(self._writing) >= _MOST_WRITES:
            wait([each.done for each in self._writing.values()], return_when=FIRST_COMPLETED)
        if not self._writer:
            self._writer = ThreadPoolExecutor(1, "llmcompiler-states")
        done = self._writer.submit(self._disk.save, key, run, data)
        self._writing[key] = _Writing(run, data, done)
        return True

    def _forget_written(self) -> None:
        for key in [key for key, each in self._writing.items() if each.done.done()]:
            self._writing.pop(key).done.result()


@dataclass(frozen=True, slots=True)
class _Writing:
    run: array[int]
    data: bytes
    done: Future[bool]


def fingerprint(
    parts: Iterable[Part],
    *,
    version: str,
    kv_type: str,
    flash_attention: str,
    n_ctx: int,
    unified: bool,
    rope: tuple[float | str, ...] = (),
) -> str:
    """Name all that a saved state depends on besides its tokens.

    Of each file of the GGUF it takes its size, its header, 64 blocks of 4 KiB spread evenly over
    the tensors, and the last block; not its name, place or date. `version` is that of llama.cpp and
    its binding, `rope` what is set besides the model's own.

    Raises:
        ModelFileError: a file cannot be read.
    """
    settings = (version, kv_type, flash_attention, n_ctx, unified, rope)
    digest = blake2b(repr(settings).encode(), digest_size=32)
    for part in parts:
        try:
            for piece in _pieces(part):
                digest.update(piece)
        except OSError as error:
            problem = f"it cannot be read: {error.strerror or error}"
            raise ModelFileError(str(part.path), problem) from None
    return digest.hexdigest()


def _pieces(part: Part) -> Iterator[bytes]:
    """Read what tells a file from others."""
    start = part.data_start
    with part.path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield size.to_bytes(8, "little")
        for place in range(0, start, _STRIDE):
            yield file.read(min(_STRIDE, start - place))
        last = max(size - _BLOCK, start)
        for sample in range(_SAMPLES + 1):
            file.seek(start + (last - start) * sample // _SAMPLES)
            yield file.read(_BLOCK)


def _reach(run: array[int], prompt: array[int], least: int) -> int:
    """Count the tokens in which both agree; 0 where those are fewer than `least`."""
    if run[:least] != prompt[:least]:
        return 0
    if run[least : least + 1] != prompt[least : least + 1]:
        return least
    return least + common_prefix(run[least:], prompt[least:])


def _size(run: array[int], data: bytes) -> int:
    return len(data) + 4 * len(run)
