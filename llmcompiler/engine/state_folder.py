"""Which saved sequence states lie in this folder, and is this file one of them, whole and ours?

Several processes may share the folder, so files come and go at any time, and whatever is wrong with
one makes it a miss. It does not know what the states mean, nor which of them RAM holds as well.

A state is a file ``<folder>/<fingerprint>/<key>.state``: a header, the tokens as 32-bit integers,
the data, and a BLAKE2b checksum over all of that; numbers are little-endian. The names are digests
of the fingerprint and the tokens, so equal states are one file.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

__all__ = ["StateFolder", "state_key"]

_log = logging.getLogger("llmcompiler.engine")

_MAGIC: Final = b"LLMCSEQ\n"
_VERSION: Final = 1
_HEAD: Final = struct.Struct("<8sI32sIQ")  # magic, version, fingerprint, tokens, bytes of data
_CHECKSUM: Final = 32
_DIGITS: Final = re.compile(r"[0-9a-f]{32}")
_SUFFIX: Final = ".state"
_UNFINISHED: Final = ".part"
_ABANDONED: Final = 3600.0  # seconds after which nobody is still writing an unfinished file


def state_key(tokens: array[int]) -> str:
    """Return the name of the state behind `tokens`: 32 hexadecimal digits."""
    return blake2b(_packed(tokens), digest_size=16).hexdigest()


class StateFolder:
    """The saved states of one fingerprint, in a folder for those of all.

    `limit` is in bytes and counts the files of all fingerprints; the least recently used go first,
    whosever they are. `index` has the tokens of each state by its key, as of the last `look`.
    Nothing here raises for what is on the disk. Where the disk is full or the folder cannot be
    written to, that is logged once and nothing more is written. One thread may use it while another
    is in `save`.
    """

    def __init__(self, folder: Path, fingerprint: str, limit: int) -> None:
        self.index: dict[str, array[int]] = {}
        self._folder = folder
        self._limit = limit
        self._mark = blake2b(fingerprint.encode(), digest_size=32).digest()
        name = blake2b(self._mark + bytes([_VERSION]), digest_size=16).hexdigest()
        self._home = folder / name
        self._saves = 0
        self._seen: tuple[int, int] | None = None
        self._refused: set[str] = set()
        self._writes = True

    @property
    def used(self) -> int:
        """The bytes of all files of states, unfinished ones and other fingerprints' included."""
        return sum(file.size for file in self._files())

    def look(self) -> None:
        """Bring `index` up to date, reading the headers of new files; cheap if nothing changed."""
        try:
            changed = (self._saves, os.stat(self._home).st_mtime_ns)
            if changed == self._seen:
                return
            names = os.listdir(self._home)
        except OSError:
            self.index.clear()
            self._seen = None
            return
        self._seen = changed
        there = {name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)}
        for key in self.index.keys() - there:
            del self.index[key]
        for key in there - self.index.keys() - self._refused:
            if _DIGITS.fullmatch(key):
                self._read(key, data=False)

    def load(self, key: str) -> bytes | None:
        """Return the data of a state and note the use, or None where it is not there or not whole.

        A file that is not whole, or not what its name says, is removed.
        """
        data = self._read(key, data=True) if _DIGITS.fullmatch(key) else None
        if data is not None:
            self.touch(key)
        return data

    def touch(self, key: str) -> bool:
        """Note a use of a state; False where there is none."""
        now = time.time_ns()
        try:
            os.utime(self._path(key), ns=(now, now))
        except OSError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Remove a state; one that cannot be removed is not found any more."""
        self.index.pop(key, None)
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError:
            self._refused.add(key)

    def save(self, key: str, tokens: array[int], data: bytes) -> bool:
        """Write a state unless it is there; False where it cannot be written.

        It is written under another name first, so that no half a file is ever found under its own.
        """
        size = _HEAD.size + len(tokens) * 4 + len(data) + _CHECKSUM
        if not self._writes or size > self._limit:
            return False
        if not self.touch(key):
            try:
                if not self._make_room(size):
                    return False
                self._write(key, tokens, data)
            except FileNotFoundError:
                return False  # somebody is clearing the folder at this moment
            except OSError as error:
                if not self.touch(key):  # nobody else wrote it at the same time
                    self._give_up(error)
                    return False
        self._refused.discard(key)
        self._saves += 1
        return True

    def _path(self, key: str) -> Path:
        return self._home / (key + _SUFFIX)

    def _write(self, key: str, tokens: array[int], data: bytes) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = _HEAD.pack(_MAGIC, _VERSION, self._mark, len(tokens), len(data)) + _packed(tokens)
        checksum = blake2b(head, digest_size=_CHECKSUM)
        checksum.update(data)
        handle, name = tempfile.mkstemp(suffix=_UNFINISHED, prefix=key + ".", dir=self._home)
        try:
            with open(handle, "wb") as file:
                file.write(head)
                file.write(data)
                file.write(checksum.digest())
            os.replace(name, self._path(key))
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
        self.touch(key)

    def _give_up(self, error: OSError) -> None:
        self._writes = False
        _log.warning(
            "saved states stay in memory, because %s cannot be written to: %s; free some space "
            "there, or choose another folder",
            self._folder,
            error.strerror or error,
        )

    def _read(self, key: str, *, data: bool) -> bytes | None:
        """Read a file into the index, and its data if asked to; a bad one is removed."""
        try:
            with self._path(key).open("rb") as file:
                tokens, head = self._head(file, key)
                found = _data(file, head) if data else b""
        except _Unusable:
            self.remove(key)
            return None
        except OSError as error:
            self.index.pop(key, None)
            if not isinstance(error, FileNotFoundError):
                self._refused.add(key)
            return None
        self.index[key] = tokens
        return found

    def _head(self, file: BinaryIO, key: str) -> tuple[array[int], bytes]:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise _Unusable
        magic, version, mark, count, length = _HEAD.unpack(head)
        size = os.fstat(file.fileno()).st_size
        whole = size == _HEAD.size + count * 4 + length + _CHECKSUM
        if (magic, version, mark) != (_MAGIC, _VERSION, self._mark) or not whole:
            raise _Unusable
        packed = file.read(count * 4)
        if len(packed) < count * 4:
            raise _Unusable
        tokens = _unpacked(packed)
        if state_key(tokens) != key:
            raise _Unusable
        return tokens, head + packed

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used files until `size` more bytes fit."""
        files = sorted(self._files())
        total = size + sum(file.size for file in files)
        oldest = time.time_ns() - _ABANDONED * 1e9
        for file in files:
            unfinished = file.path.endswith(_UNFINISHED)
            if file.used < oldest if unfinished else total > self._limit:
                with suppress(OSError):
                    os.unlink(file.path)
                    total -= file.size
        return total <= self._limit

    def _files(self) -> Iterator[_File]:
        """Give the files of all fingerprints' states; what is not named like one is left alone."""
        with suppress(OSError), os.scandir(self._folder) as homes:
            for home in homes:
                if not _DIGITS.fullmatch(home.name):
                    continue
                with suppress(OSError), os.scandir(home.path) as files:
                    for file in files:
                        if file.name.endswith((_SUFFIX, _UNFINISHED)):
                            with suppress(OSError):
                                found = file.stat()
                                yield _File(found.st_mtime_ns, found.st_size, file.path)


class _File(NamedTuple):
    used: int
    size: int
    path: str


class _Unusable(Exception):
    """The file is not a whole state of ours."""


def _data(file: BinaryIO, head: bytes) -> bytes:
    """Read the data behind a header, and the checksum of both."""
    length: int = _HEAD.unpack_from(head)[-1]
    data = file.read(length)
    checksum = blake2b(head, digest_size=_CHECKSUM)
    checksum.update(data)
    if checksum.digest() != file.read(_CHECKSUM + 1):
        raise _Unusable
    return data


def _packed(tokens: array[int]) -> bytes:
    if sys.byteorder == "big":
        tokens = tokens[:]
        tokens.byteswap()
    return tokens.tobytes()


def _unpacked(packed: bytes) -> array[int]:
    tokens = array("i", packed)
    if sys.byteorder == "big":
        tokens.byteswap()
    return tokens
