"""Text files below the current directory: how long they are, what is in them, which there are.

It does not write. Which files may be read is decided by `root`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO, Final

from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.root import file_at, files_below

__all__ = [
    "TOOLS",
    "Match",
    "count_lines",
    "count_words",
    "file_size",
    "list_files",
    "read_file",
    "search_files",
]

_LARGEST: Final = 200_000_000  # bytes of a file whose words or lines are counted
_LONGEST: Final = 100_000  # characters that reading gives at once
_MOST_FILES: Final = 1000  # files that listing gives at once
_SEARCHED_SIZE: Final = 5_000_000  # bytes; larger files are not searched
_SEARCHED_FILES: Final = 20_000  # files that one search looks into
_CHUNK: Final = 1 << 20


class Match(TypedDict):
    """A line that holds what was searched for. Lines count from 1."""

    path: str
    line: int
    text: str


@tool
def count_words(path: str) -> int:
    """Count the words of a text file.

    Args:
        path: a file below the current directory
    """
    words = 0
    within = False
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            words += len(chunk.split()) - (within and not chunk[:1].isspace())
            within = not chunk[-1:].isspace()
    return words


@tool
def count_lines(path: str) -> int:
    """Count the lines of a text file.

    Args:
        path: a file below the current directory
    """
    lines = 0
    last = b"\n"
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")


@tool
def file_size(path: str) -> int:
    """Tell the size of a file in bytes.

    Args:
        path: a file below the current directory
    """
    return file_at(path).stat().st_size


@tool(private=True)
def read_file(path: str, first_line: int = 1, lines: int | None = None) -> str:
    """Read a text file, or some lines of it.

    Args:
        path: a file below the current directory
        first_line: the line to begin with, counting from 1
        lines: how many lines to read; all if it is left out
    """
    if first_line < 1 or (lines is not None and lines < 0):
        raise ToolError("first_line must be at least 1 and lines at least 0")
    kept: list[str] = []
    size = 0
    with _open(path) as file:
        last = None if lines is None else first_line - 1 + lines
        for line in islice(_lines(file), first_line - 1, last):
            kept.append(line)
            size += len(line)
            if size > _LONGEST:
                raise ToolError(
                    f"{path!r} has more than {_LONGEST} characters from line {first_line} on: "
                    f"read fewer lines"
                )
    return "".join(kept)


@tool
def list_files(folder: str = ".", pattern: str = "*") -> list[str]:
    """List the files below a directory, however deep.

    Args:
        folder: a directory below the current one
        pattern: which names to list, as "*.md"
    """
    found = [name for name, _ in islice(files_below(folder, pattern), _MOST_FILES + 1)]
    if len(found) > _MOST_FILES:
        raise ToolError(f"there are more than {_MOST_FILES} files: name a folder or a pattern")
    return found


@tool(private=True)
def search_files(text: str, folder: str = ".", pattern: str = "*", limit: int = 100) -> list[Match]:
    """Find the lines of text files that hold a text, whatever its case.

    Args:
        text: what to look for
        folder: a directory below the current one
        pattern: which files to look into, as "*.md"
        limit: how many lines to give at most
    """
    if not text:
        raise ToolError("the text to look for is empty")
    if limit < 1:
        raise ToolError("limit must be at least 1")
    return list(islice(_matches(text.casefold(), folder, pattern), limit))


def _matches(wanted: str, folder: str, pattern: str) -> Iterator[Match]:
    for name, path in islice(files_below(folder, pattern), _SEARCHED_FILES):
        try:
            if path.stat().st_size > _SEARCHED_SIZE:
                continue
            content = path.read_bytes()
        except OSError:
            continue
        if b"\0" in content:
            continue
        for number, line in enumerate(_decoded(content).split("\n"), 1):
            if wanted in line.casefold():
                shown = line.strip()
                yield {"path": name, "line": number, "text": shown[:500]}


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open a text file; raise `ToolError` where it is too large, no text, or may not be read."""
    found = file_at(path)
    size = found.stat().st_size
    if size > _LARGEST:
        raise ToolError(f"{path!r} has {size} bytes; files up to {_LARGEST} are read")
    try:
        with found.open("rb") as file:
            if b"\0" in file.read(8192):
                raise ToolError(f"{path!r} is not a text file")
            file.seek(0)
            yield file
    except OSError as error:
        raise ToolError(f"cannot read {path!r}: {error.strerror or error}") from None


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield lines; one without end comes in pieces, so that it cannot fill the memory."""
    first = True
    while line := file.readline(_LONGEST * 4 + 4):
        text = _decoded(line) if first else line.decode("utf-8", errors="replace")
        first = False
        yield text.replace("\r\n", "\n")


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")


TOOLS: tuple[Tool[..., Any], ...] = (
    count_lines,
    count_words,
    file_size,
    list_files,
    read_file,
    search_files,
)
