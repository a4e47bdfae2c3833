"""Which files does a run leave: its events as they happen, its trace and its page at the end?

It does not know what is in them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import ConfigurationError
from llmcompiler.events import Event, event_to_json

if TYPE_CHECKING:
    from llmcompiler.result import Result

__all__ = ["EventFile", "FinalFile", "draw"]


class EventFile:
    """Writes every event to a file as one line, at once; without a path it writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._file = None if path is None else path.open("w", buffering=1, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"cannot write events to {str(path)!r}: {error.strerror or error}"
            ) from None

    def __call__(self, event: Event) -> None:
        """Write the event; on a full disk say so once, and let the run go on."""
        if self._file is None:
            return
        try:
            self._file.write(event_to_json(event) + "\n")
        except OSError as error:
            problem = error.strerror or error
            print(f"llmcompiler: events are lost, {str(self._path)!r}: {problem}", file=sys.stderr)
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()


class FinalFile:
    """A file that is written once, at the end; without a path nothing is.

    Raises `ConfigurationError` at once where it could not be written, before anything has run.
    """

    def __init__(self, path: Path | None, what: str) -> None:
        self._path = path
        self._what = what
        try:
            if path is not None:
                path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {what} to {str(path)!r}: {error.strerror or error}"
            ) from None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be written."""
        return self._path is not None

    def write(self, text: str) -> None:
        """Write it; where that fails say so, for what it tells of is done."""
        if self._path is None:
            return
        try:
            self._path.write_text(text, "utf-8")
        except OSError as error:
            problem = f"{self._what} is lost, {str(self._path)!r}: {error.strerror or error}"
            print(f"llmcompiler: {problem}", file=sys.stderr)


def draw(result: Result[Any], events: list[Event], trace: FinalFile, page: FinalFile) -> None:
    """Write the trace and the page of a run, as far as they are wanted."""
    from llmcompiler.trace import chrome_trace, html_page

    if trace.wanted:
        trace.write(json.dumps(chrome_trace(result, events), ensure_ascii=False) + "\n")
    if page.wanted:
        page.write(html_page(result, events))
