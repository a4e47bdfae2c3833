"""What is wrong in a file is collected here, each mistake with the line and column it is about.

It does not know what can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llmcompiler.workflow.problems import Problem
from llmcompiler.workflow.reading import Source
from llmcompiler.workflow.written import Mistake

__all__ = ["Report", "place_in"]


class Report:
    """The problems of one file; `text` is all of it, as it was read."""

    def __init__(self, source: Source, text: str) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._text = text
        self._lines: list[str] | None = None

    def say(self, path: Sequence[str | int], message: str, *, key: bool = False) -> None:
        """Report what is wrong with the value at `path`, or with its key."""
        self.problems.append(self._source.problem(path, message, key=key))

    def mistakes(self, found: Iterable[Mistake]) -> None:
        """Report what is wrong at a character of a text."""
        for mistake in found:
            line, column = self._source.at(mistake.path)
            if mistake.offset:
                line, column = self._inside(mistake, line, column)
            self.problems.append(Problem(self._source.file, line, column, mistake.message))

    def add(self, problems: Iterable[Problem]) -> None:
        """Take in problems of another file."""
        self.problems.extend(problems)

    def raw(self, path: Sequence[str | int]) -> Any:
        """Return what stands in the file at `path`; None where nothing does."""
        here: Any = self._source.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def _inside(self, mistake: Mistake, line: int, column: int) -> tuple[int, int]:
        value = self.raw(mistake.path)
        if not isinstance(value, str):
            return line, column
        if self._lines is None:
            self._lines = self._text.removeprefix("\ufeff").splitlines()
        return place_in(self._lines, line, column, value, mistake.offset)


_ESCAPED = {"x": 3, "u": 5, "U": 9}  # characters of an escape, after its backslash


def place_in(
    lines: Sequence[str], line: int, column: int, value: str, offset: int
) -> tuple[int, int]:
    """Return the line and column of the character at `offset` of a text in a file.

    `line` and `column` are where the text begins, as a plain one, in quotes or as a block: breaks
    of lines, indents and escapes are gone in the `value`. Where they cannot be followed, this is
    the last place that could.
    """
    row, at = line - 1, column - 1
    if row >= len(lines) or at >= len(lines[row]):
        return line, column
    opened = lines[row][at]
    if opened in "|>":
        row, at = row + 1, 0
    elif opened in "'\"":
        at += 1
    place = (row, at)
    for char in value[:offset]:
        place = _passed(lines, *place, char, opened)
    row, at = place
    if row < len(lines) and value[offset : offset + 1] not in (" ", "\n", ""):
        row, at = _next(lines, row, at)
    return (row + 1, at + 1) if row < len(lines) else (line, column)


def _next(lines: Sequence[str], row: int, at: int) -> tuple[int, int]:
    """Skip what is between two words in the file: blanks, and ends of lines."""
    while row < len(lines):
        rest = lines[row][at:]
        if rest.strip():
            return row, at + len(rest) - len(rest.lstrip())
        row, at = row + 1, 0
    return row, at


def _passed(lines: Sequence[str], row: int, at: int, char: str, opened: str) -> tuple[int, int]:
    """Return where the file goes on behind a character of a text."""
    if row >= len(lines):
        return row, at
    escape = opened == '"' and lines[row].startswith("\\", at) and len(lines[row]) > at + 1
    if char.isspace() and not escape:
        # One blank stands for itself, or for the end of a line with what is around it.
        if at < len(lines[row]) and lines[row][at] == char and lines[row][at:].strip():
            return row, at + 1
        return (row, at) if at == 0 else (row + 1, 0)
    row, at = _next(lines, row, at)
    if row >= len(lines):
        return row, at
    if opened == '"' and lines[row][at] == "\\":
        kind = lines[row][at + 1 : at + 2]
        if not kind:  # the backslash at the end of a line joins it with the next
            return _passed(lines, row + 1, 0, char, opened)
        return row, at + 1 + _ESCAPED.get(kind, 1)
    if opened == "'" and lines[row].startswith("''", at):
        return row, at + 2
    return row, at + 1
