"""Is this file a whole GGUF, and what does its header say?

It does not know llama.cpp or what the tensors mean: it reads the header and compares the places
of the tensors with the size of the file, so that a half-downloaded model is named as such.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from llmcompiler.errors import ModelFileError

__all__ = ["Header", "Scalar", "read_header"]

Scalar: TypeAlias = "str | int | float | bool"

_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9

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
class Header:
    """What a GGUF says of itself: its scalar metadata (lists are left out) and its size in bytes."""

    path: Path
    metadata: dict[str, Scalar]
    size: int

    def text(self, key: str) -> str | None:
        """Return a text of the metadata, or None."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None


class _Short(Exception):
    """The file ended inside its header."""


def read_header(path: str | Path) -> Header:
    """Read a GGUF's header and make sure that every tensor lies inside the file.

    Raises:
        ModelFileError: the file is missing, unreadable, not GGUF, or truncated.
    """
    path = Path(path).expanduser()
    name, size = str(path), 0
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            metadata, needed = _read(file, name, size)
    except FileNotFoundError:
        raise ModelFileError(name, "there is no such file: check the path") from None
    except IsADirectoryError:
        raise ModelFileError(name, "it is a directory: name the .gguf file in it") from None
    except OSError as error:
        raise ModelFileError(name, f"it cannot be read: {error.strerror or error}") from None
    except _Short:
        raise ModelFileError(
            name, f"it is truncated: it ends inside its header, at {size} bytes; download it again"
        ) from None
    if size < needed:
        raise ModelFileError(
            name,
            f"it is truncated: its header promises {needed} bytes and it has {size}; "
            f"download it again",
        )
    return Header(path, metadata, size)


def _read(file: BinaryIO, name: str, size: int) -> tuple[dict[str, Scalar], int]:
    """Return the metadata and how many bytes the file must have."""
    if file.read(4) != b"GGUF":
        raise ModelFileError(name, "it is not a GGUF file: convert the model, or download a .gguf")
    version = _scalar(file, "<I")
    if version not in (2, 3):
        raise ModelFileError(name, f"its GGUF version is {version}, and only 2 and 3 can be read")
    tensors, pairs = int(_scalar(file, "<Q")), int(_scalar(file, "<Q"))
    if tensors > size or pairs > size:
        raise ModelFileError(name, "its header is damaged; download it again")
    metadata: dict[str, Scalar] = {}
    for _ in range(pairs):
        key = _string(file, name, size)
        kind = int(_scalar(file, "<I"))
        if kind == _ARRAY:
            _skip_array(file, name, size)
        else:
            metadata[key] = _value(file, name, size, kind)
    ends = [_tensor_end(file, name, size) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ModelFileError(name, "its header is damaged; download it again")
    start = -(-file.tell() // alignment) * alignment
    return metadata, start + max(ends) if ends else file.tell()


def _tensor_end(file: BinaryIO, name: str, size: int) -> int:
    """Read one tensor's entry; return where it ends, in bytes from the start of the data."""
    _string(file, name, size)
    dimensions = int(_scalar(file, "<I"))
    if dimensions > 8:
        raise ModelFileError(name, "its header is damaged; download it again")
    values = math.prod(int(_scalar(file, "<Q")) for _ in range(dimensions))
    block, width = _BLOCKS.get(int(_scalar(file, "<I")), (1, 0))
    return int(_scalar(file, "<Q")) + values // block * width


def _value(file: BinaryIO, name: str, size: int, kind: int) -> Scalar:
    if kind == _STRING:
        return _string(file, name, size)
    if kind not in _SCALARS:
        raise ModelFileError(name, f"its header holds a value of unknown type {kind}")
    return _scalar(file, _SCALARS[kind])


def _skip_array(file: BinaryIO, name: str, size: int) -> None:
    kind, count = int(_scalar(file, "<I")), int(_scalar(file, "<Q"))
    if count > size:
        raise ModelFileError(name, "its header is damaged; download it again")
    if kind in _SCALARS:
        _bytes(file, count * struct.calcsize(_SCALARS[kind]), size)
        return
    for _ in range(count):
        if kind == _STRING:
            _bytes(file, int(_scalar(file, "<Q")), size)
        else:
            raise ModelFileError(name, f"its header holds a list of unknown type {kind}")


def _scalar(file: BinaryIO, form: str) -> int | float | bool:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise _Short
    value: int | float | bool = struct.unpack(form, data)[0]
    return value


def _string(file: BinaryIO, name: str, size: int) -> str:
    try:
        return _bytes(file, int(_scalar(file, "<Q")), size).decode("utf-8")
    except UnicodeDecodeError:
        raise ModelFileError(name, "its header is damaged; download it again") from None


def _bytes(file: BinaryIO, count: int, size: int) -> bytes:
    if count > size:
        raise _Short
    data = file.read(count)
    if len(data) < count:
        raise _Short
    return data
