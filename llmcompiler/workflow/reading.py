"""What does a YAML text hold, and where does each value stand?

It does not know the language of workflows: it gives plain data with positions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from llmcompiler.errors import ConfigurationError
from llmcompiler.workflow.nodes import NOWHERE, Place, Reader, Where, kind_of
from llmcompiler.workflow.problems import Problem, WorkflowError
from llmcompiler.workflow.syntax import describe_syntax, place_of

__all__ = ["BYTES_MOST", "Source", "read", "read_file"]

BYTES_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a file, and where each of its values stands.

    `data` is JSON; what an alias stands for is there once and shared. `problems` are mistakes in
    spite of which the rest could be read: a key that is there twice, one that is no text.
    """

    file: str
    data: dict[str, Any]
    places: Place = field(repr=False)
    problems: tuple[Problem, ...] = ()

    def at(self, path: Sequence[str | int], *, key: bool = False) -> Where:
        """Return the line and column, from 1, of the value at `path`, or of its key.

        An alias stands where it is written, what is inside it where that is. Where there is
        nothing at `path`, this is the position of the nearest value around it.
        """
        here, of_key = self.places, self.places.at
        for step in path:
            inner: Place | None = None
            if here.entries is not None and isinstance(step, str):
                of_key, inner = here.entries.get(step, (of_key, None))
            elif here.elements is not None and isinstance(step, int):
                inner = here.elements[step] if 0 <= step < len(here.elements) else None
                of_key = inner.at if inner else of_key
            if inner is None:
                return of_key if key else here.at
            here = inner
        return of_key if key else here.at

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False) -> Problem:
        """Return what is wrong with the value at `path`, or with its key."""
        return Problem(self.file, *self.at(path, key=key), message)


def read_file(path: str | Path) -> Source:
    """Read a file of UTF-8 text; raise `WorkflowError` as `read` does.

    Raises `ConfigurationError` for a file that is not there or cannot be opened.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MOST + 1)
            size = path.stat().st_size if len(raw) > BYTES_MOST else len(raw)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the workflow {str(path)!r}: {reason}") from None
    if len(raw) > BYTES_MOST:
        raise WorkflowError([Problem(str(path), 1, 1, _too_large(max(size, len(raw))))])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        line, column = place_of(before, len(before))
        said = f"the byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise WorkflowError([Problem(str(path), line, column, said)]) from None
    return read(text, str(path))


def read(text: str, file: str) -> Source:
    """Read a YAML 1.2 text, one mapping of texts to values.

    ``no`` and ``on`` are texts, anchors, aliases and merge keys work. `file` names the text in
    messages. Raises `WorkflowError` for what is no YAML, no mapping, several documents, more than
    1 MB, more than 100,000 values once aliases are written out, nested deeper than 50 levels, or
    an alias inside what it stands for.
    """
    size = len(text) if len(text) > BYTES_MOST else len(text.encode("utf-8", "replace"))
    if size > BYTES_MOST:
        raise WorkflowError([Problem(file, 1, 1, _too_large(size))])
    text = text.removeprefix("\ufeff")
    strange = _UNPRINTABLE.search(text)
    if strange is not None:
        said = f"the character {strange.group()!r} may not stand in YAML"
        raise WorkflowError([Problem(file, *place_of(text, strange.start()), said)])
    reader = Reader(file)
    # A parser's own generator, so that what it holds is let go of when reading stops early.
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        reader.take(events)
    except MarkedYAMLError as error:
        line, column, said = describe_syntax(error, text)
        raise WorkflowError([*reader.problems, Problem(file, line, column, said)]) from None
    finally:
        events.close()
    if not reader.values:
        raise WorkflowError([Problem(file, *NOWHERE, _EMPTY)])
    data, place = reader.values[0], reader.places[0]
    if not isinstance(data, dict):
        said = _EMPTY if data is None else f"{_NO_MAPPING}, not {kind_of(data)}"
        raise WorkflowError([*reader.problems, Problem(file, *place.at, said)])
    return Source(file, data, place, tuple(reader.problems))


_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_NO_MAPPING: Final = "a workflow must be a mapping, as 'steps: …'"
_EMPTY: Final = "the file is empty: a workflow needs at least 'steps: …'"


def _too_large(size: int) -> str:
    return f"the file has {size:,} bytes, and a workflow may have {BYTES_MOST:,}: split it"
