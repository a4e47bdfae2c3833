"""Is this a whole GGUF, in one file or in parts, and what does its header say?

It does not know llama.cpp or what the tensors mean: it reads the headers and compares the places
of the tensors with the sizes of the files, so that a half-downloaded model is named as such.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from llmcompiler.errors import ModelFileError

__all__ = ["Header", "Part", "Scalar", "read_header"]

Scalar: TypeAlias = "str | int | float | bool"

_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9
_MOST_DIMENSIONS: Final = 8
_LONGEST_LIST: Final = 1024
_MOST_PARTS: Final = 0xFFFF  # as many as llama.cpp can count
_PART_ENDING: Final = "-{:05d}-of-{:05d}.gguf"  # llama.cpp finds parts by it and no other way

# Values in a block and bytes of a block, by ggml's number of the tensor type.
_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a model; the data of its tensors begins at byte `data_start`."""

    path: Path
    data_start: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF says of itself; `path` is the file that llama.cpp is given, the first of `parts`.

    `metadata` are its scalars and `lists` its short lists of numbers, as of something per layer;
    others are left out. `tensors` are the sizes of the tensors of all parts in bytes, by name, and
    `types` ggml's numbers of their types.
    """

    path: Path
    metadata: dict[str, Scalar]
    lists: dict[str, tuple[Scalar, ...]] = field(default_factory=dict)
    tensors: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    def text(self, key: str) -> str | None:
        """Return a text of the metadata, or None."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None


def read_header(path: str | Path) -> Header:
    """Read a GGUF's header and make sure that every tensor lies inside the file.

    Of a model in parts `path` is the first; the headers of all are read.

    Raises:
        ModelFileError: the file or another part is missing, unreadable, not GGUF, damaged,
            truncated, or not the part that it should be.
    """
    header = _read_file(Path(path).expanduser())
    count = _number(header, "split.count")
    return header if count < 2 else _joined(header, count)


def _joined(first: Header, count: int) -> Header:
    """Add to the header of the first part what the others hold."""
    header = replace(first, tensors={}, types={}, parts=())
    for place, path in enumerate(_parts(first, count)):
        part = _read_file(path) if place else first
        if _number(part, "split.no", -1) != place:
            raise ModelFileError(
                str(path), f"it is not part {place + 1}, which its name says: download it again"
            )
        if not header.tensors.keys().isdisjoint(part.tensors):
            raise ModelFileError(
                str(path), "an earlier part has the same tensors: download all of them again"
            )
        header.tensors.update(part.tensors)
        header.types.update(part.types)
        header = replace(header, parts=(*header.parts, *part.parts))
    promised = _number(first, "split.tensors.count")
    if len(header.tensors) != promised:
        raise ModelFileError(
            str(first.path),
            f"its {count} parts hold {len(header.tensors)} tensors, and {promised} are promised: "
            f"they are of different models; download all of them again",
        )
    return header


def _parts(header: Header, count: int) -> list[Path]:
    """Return where the parts of a model are, if `header` is that of the first and none is missing."""
    path, number = header.path, _number(header, "split.no") + 1
    if not 1 <= number <= count <= _MOST_PARTS:
        raise ModelFileError(str(path), str(_damaged(f"it is part {number} of {count}")))
    ending = _PART_ENDING.format(number, count)
    if not path.name.endswith(ending):
        raise ModelFileError(
            str(path),
            f"it is part {number} of {count}, and the others are found only where its name ends in "
            f"{ending!r}: rename it",
        )
    stem = path.name.removesuffix(ending)
    names = [stem + _PART_ENDING.format(place + 1, count) for place in range(count)]
    if number > 1:
        raise ModelFileError(
            str(path), f"it is part {number} of {count}: name the first, {names[0]!r}"
        )
    parts = [path.with_name(name) for name in names]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelFileError(
            str(path),
            f"it is the first of {count} parts, and {missing[0]!r}{more} should be beside it: "
            f"download what is missing",
        )
    return parts


def _number(header: Header, key: str, default: int = 0) -> int:
    value = header.metadata.get(key)
    return value if isinstance(value, int) else default


def _read_file(path: Path) -> Header:
    """Read the header of one file, which must be whole."""
    try:
        with path.open("rb") as file:
            reader = _Reader(file)
            header, needed = _read(reader, path)
    except FileNotFoundError:
        raise ModelFileError(str(path), "there is no such file: check the path") from None
    except IsADirectoryError:
        raise ModelFileError(str(path), "it is a directory: name the .gguf file in it") from None
    except OSError as error:
        raise ModelFileError(str(path), f"it cannot be read: {error.strerror or error}") from None
    except _Unusable as error:
        raise ModelFileError(str(path), str(error)) from None
    if reader.size < needed:
        raise ModelFileError(
            str(path),
            f"it is truncated: its header promises {needed} bytes and it has {reader.size}; "
            f"download it again",
        )
    return header


class _Unusable(Exception):
    """Why the file cannot be used."""


def _damaged(what: str) -> _Unusable:
    return _Unusable(f"its header is damaged ({what}); download it again")


class _Reader:
    """Reads a GGUF's values, little-endian, from where the file stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        file.seek(0)

    @property
    def place(self) -> int:
        """How many bytes were read."""
        return self._file.tell()

    def bytes(self, count: int) -> bytes:
        data = self._file.read(count) if count <= self.size else b""
        if len(data) < count:
            raise _Unusable(
                f"it is truncated: it ends inside its header, at {self.size} bytes; "
                f"download it again"
            )
        return data

    def number(self, form: str) -> int:
        return int(self.scalar(form))

    def scalar(self, form: str) -> Scalar:
        value: Scalar = struct.unpack(form, self.bytes(struct.calcsize(form)))[0]
        return value

    def count(self) -> int:
        """Read how many of something follow, each of which takes a byte at least."""
        count = self.number("<Q")
        if count > self.size:
            raise _damaged("a count is beyond the file")
        return count

    def text(self) -> str:
        try:
            return self.bytes(self.number("<Q")).decode("utf-8")
        except UnicodeDecodeError:
            raise _damaged("a text is not UTF-8") from None


def _read(reader: _Reader, path: Path) -> tuple[Header, int]:
    """Return the header and how many bytes the file must have."""
    if reader.size < 4 or reader.bytes(4) != b"GGUF":
        raise _Unusable("it is not a GGUF file: convert the model, or download a .gguf")
    version = reader.number("<I")
    if version not in (2, 3):
        raise _Unusable(f"its GGUF version is {version}, and only 2 and 3 can be read")
    tensors, pairs = reader.count(), reader.count()
    header = Header(path, {})
    metadata = header.metadata
    for _ in range(pairs):
        key, kind = reader.text(), reader.number("<I")
        if kind == _ARRAY:
            listed = _read_list(reader, distinct=key == "tokenizer.ggml.tokens")
            if listed:
                header.lists[key] = listed
        elif kind == _STRING:
            metadata[key] = reader.text()
        elif kind in _SCALARS:
            metadata[key] = reader.scalar(_SCALARS[kind])
        else:
            raise _damaged(f"a value has the unknown type {kind}")
    ends = [_tensor_end(reader, header) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _damaged(f"its alignment is {alignment!r}")
    start = -(-reader.place // alignment) * alignment
    header = replace(header, parts=(Part(path, min(start, reader.size)),))
    return header, start + max(ends) if ends else reader.place


def _tensor_end(reader: _Reader, header: Header) -> int:
    """Read one tensor's entry into `header`; return where it ends, from the data's start."""
    name = reader.text()
    dimensions = reader.number("<I")
    if dimensions > _MOST_DIMENSIONS:
        raise _damaged(f"a tensor has {dimensions} dimensions")
    values = math.prod(reader.number("<Q") for _ in range(dimensions))
    kind = header.types[name] = reader.number("<I")
    block, width = _BLOCKS.get(kind, (1, 0))
    size = header.tensors[name] = values // block * width
    return reader.number("<Q") + size


def _read_list(reader: _Reader, *, distinct: bool) -> tuple[Scalar, ...]:
    """Return a short list of numbers, and nothing of any other.

    llama.cpp ends the process where the tokens are not `distinct`.
    """
    kind, count = reader.number("<I"), reader.count()
    if kind in _SCALARS:
        data = reader.bytes(count * struct.calcsize(_SCALARS[kind]))
        if count <= _LONGEST_LIST:
            return struct.unpack(f"<{count}{_SCALARS[kind][1]}", data)
    elif kind == _STRING:
        texts = [reader.bytes(reader.number("<Q")) for _ in range(count)]
        if distinct and len(set(texts)) < count:
            raise _damaged("two tokens have one text")
    else:
        raise _damaged(f"a list has the unknown type {kind}")
    return ()
