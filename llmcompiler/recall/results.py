"""Which results are there, which are new, and which are to be forgotten?

It does not know which tools are pure, what a run is, or when it is a good time to write.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from llmcompiler.errors import ConfigurationError
from llmcompiler.passes import Durations, call_key
from llmcompiler.plan import Json, Ok
from llmcompiler.recall.file import code_of, open_file
from llmcompiler.toolbox import Tool

__all__ = ["Recall"]

_log = logging.getLogger("llmcompiler.recall")

_ROW: Final = 400  # bytes that a row takes beside its value: keys, names, indexes
_BATCH: Final = 64  # results after which it is worth writing
_MOST_QUEUED: Final = 4096  # results that wait in memory while another process keeps the file
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


@dataclass(frozen=True, slots=True)
class _Result:
    """A result on its way to the file; `made` is in seconds since the epoch."""

    tool: str
    version: str
    value: Json
    made: float


class Recall:
    """Results of pure tools and durations of all tools, kept in an SQLite file.

    A result is found again for the same tool (its name, `version`, and the text of its function)
    and equal arguments; what that function calls is not looked at, so a tool that changed in depth
    needs another `version`. Results older than `max_age` seconds are forgotten, and beyond
    `max_bytes` those that were used longest ago; None is no limit. Several processes may share the
    file.

    `get`, `put` and `due` belong on the thread of the loop: `put` only queues. `flush` waits for
    the disk and belongs on a worker thread, one at a time. Nothing here ever fails a run: what
    cannot be read is a miss; where the disk is full or the file must not be written, writing ends
    with one warning in the log. `clock` gives seconds since the epoch.

    Raises `ConfigurationError` for a path that cannot be opened, or a file of somebody else.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int | None = 256_000_000,
        max_age: float | None = 30 * 86400.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        for name, value in (("max_bytes", max_bytes), ("max_age", max_age)):
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} of a cache must be above 0, not {value!r}")
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._clock = clock
        self._sources: dict[Tool[..., Any], str] = {}
        self._queue_lock = threading.Lock()
        self._queued: dict[str, _Result] = {}
        self._writing: dict[str, _Result] = {}
        self._used: dict[str, float] = {}
        self._bad: set[str] = set()
        self._durations: dict[str, list[float]] = {}
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._writes = True
        self._reads = True
        self._writer, self._reader, problem = open_file(self.path)
        if problem is not None:
            self._stop_writing(problem)

    def __enter__(self) -> Recall:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def due(self) -> bool:
        """Whether so many results are queued that it is worth a `flush`."""
        return len(self._queued) >= _BATCH

    def get(self, tool: Tool[..., Any], args: Mapping[str, Json]) -> Ok | None:
        """Return the result of an earlier call, or None."""
        key = self._key(tool, args)
        now = self._clock()
        with self._queue_lock:
            waiting = self._queued.get(key) or self._writing.get(key)
            if waiting is None and key in self._bad:
                return None
        if waiting is not None:
            return None if self._is_old(waiting.made, now) else Ok(waiting.value)
        row = self._row(key)
        if row is None:
            return None
        try:
            text, made = row
            value: Json = json.loads(text)
            old = self._is_old(made, now)
        except (TypeError, ValueError, RecursionError):
            old, value = True, None
        with self._queue_lock:
            if old:
                self._bad.add(key)
                return None
            self._used[key] = now
        return Ok(value)

    def put(self, tool: Tool[..., Any], args: Mapping[str, Json], value: Json) -> None:
        """Queue a result for the next `flush`; from now on `get` finds it."""
        if not self._writes:
            return
        result = _Result(tool.name, tool.version, value, self._clock())
        key = self._key(tool, args)
        with self._queue_lock:
            self._queued[key] = result
            self._bad.discard(key)
            if len(self._queued) > _MOST_QUEUED:
                del self._queued[next(iter(self._queued))]

    def flush(self) -> bool:
        """Write what is queued and forget what is too old or too much; return whether that was done.

        Where another process keeps the file for more than two seconds, all stays queued.
        """
        with self._write_lock:
            if not self._writes:
                return False
            with self._queue_lock:
                queued, self._queued = self._queued, {}
                used, self._used = self._used, {}
                bad, self._bad = self._bad, set()
                durations, self._durations = self._durations, {}
                self._writing = queued
            done = False
            try:
                if queued or used or bad or durations:
                    self._write(queued, used, bad, durations)
                done = True
            except sqlite3.Error as error:
                if code_of(error) not in _BUSY:
                    self._stop_writing(error)
            finally:
                with self._queue_lock:
                    self._writing = {}
                    if not done and self._writes:
                        self._queued = {**queued, **self._queued}
                        self._used = {**used, **self._used}
                        self._bad |= bad - self._queued.keys()
                        self._durations = {**durations, **self._durations}
            return done

    def save_durations(self, durations: Durations) -> None:
        """Queue what is known of how long tools take, for the next `flush`."""
        if self._writes:
            with self._queue_lock:
                self._durations = durations.as_dict()

    def load_durations(self) -> Durations:
        """Return the durations that were saved last, of every tool."""
        try:
            with self._read_lock:
                rows = self._reader.execute("SELECT tool, seconds FROM durations").fetchall()
        except sqlite3.Error as error:
            self._missed(error)
            rows = []
        found: dict[str, Json] = {}
        for tool, text in rows:
            with suppress(TypeError, ValueError, RecursionError):
                found[tool] = json.loads(text)
        return Durations.from_dict(found)

    def close(self) -> None:
        """Write what is queued and let go of the file; what is asked afterwards is a miss."""
        self.flush()
        with self._write_lock, self._read_lock:
            self._writes = self._reads = False
            for connection in (self._reader, self._writer):
                with suppress(sqlite3.Error):
                    connection.close()

    # ------------------------------------------------------------------ keys and rows

    def _key(self, tool: Tool[..., Any], args: Mapping[str, Json]) -> str:
        source = self._sources.get(tool)
        if source is None:
            source = self._sources[tool] = _source(tool)
        call = f"{source}{call_key(tool.name, args)}"
        return hashlib.sha256(call.encode("utf-8", "surrogatepass")).hexdigest()

    def _row(self, key: str) -> tuple[Any, Any] | None:
        if not self._reads:
            return None
        try:
            with self._read_lock:
                found: tuple[Any, Any] | None = self._reader.execute(
                    "SELECT CAST(value AS BLOB), made FROM results WHERE key = ?", (key,)
                ).fetchone()
                return found
        except sqlite3.Error as error:
            self._missed(error)
            return None

    def _is_old(self, made: float, now: float) -> bool:
        return self._max_age is not None and now - made > self._max_age

    def _missed(self, error: Exception) -> None:
        if self._reads and code_of(error) in _UNREADABLE:
            self._reads = self._writes = False
            _log.warning(
                "the cache %r is damaged and is not used any more: delete it (%s)",
                str(self.path),
                error,
            )

    # ------------------------------------------------------------------ writing

    def _write(
        self,
        queued: Mapping[str, _Result],
        used: Mapping[str, float],
        bad: Iterable[str],
        durations: Mapping[str, list[float]],
    ) -> None:
        rows = [row for key, result in queued.items() if (row := self._written(key, result))]
        run = self._writer.executemany
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            run("DELETE FROM results WHERE key = ?", [(key,) for key in bad])
            run(
                "UPDATE results SET used = ? WHERE key = ?", [(at, key) for key, at in used.items()]
            )
            run("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            run(
                "INSERT OR REPLACE INTO durations VALUES (?, ?)",
                [(tool, json.dumps(seconds)) for tool, seconds in durations.items()],
            )
            self._evict()
            self._writer.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            raise

    def _written(self, key: str, result: _Result) -> tuple[Any, ...] | None:
        """Return a result as a row, None for one that cannot be kept or would be all there is."""
        try:
            text = json.dumps(result.value, ensure_ascii=False, allow_nan=False)
            size = len(text.encode()) + _ROW
        except (TypeError, ValueError, RecursionError):
            return None
        if self._max_bytes is not None and size > self._max_bytes:
            return None
        return (key, result.tool, result.version, size, result.made, result.made, text)

    def _evict(self) -> None:
        execute = self._writer.execute
        if self._max_age is not None:
            execute("DELETE FROM results WHERE made < ?", (self._clock() - self._max_age,))
        if self._max_bytes is None:
            return
        (total,) = execute("SELECT coalesce(sum(bytes), 0) FROM results").fetchone()
        excess = total - self._max_bytes
        leaving: list[tuple[int]] = []
        if excess > 0:
            for row, size in execute("SELECT rowid, bytes FROM results ORDER BY used"):
                leaving.append((row,))
                excess -= size
                if excess <= 0:
                    break
            self._writer.executemany("DELETE FROM results WHERE rowid = ?", leaving)

    def _stop_writing(self, error: Exception) -> None:
        self._writes = False
        _log.warning(
            "the cache %r cannot be written, new results are not kept: %s", str(self.path), error
        )


def _source(tool: Tool[..., Any]) -> str:
    """Say which tool it is, as a hash: its place, its version, its function's text and what it holds."""
    try:
        text = inspect.getsource(tool.fn)
    except (OSError, TypeError):  # built in, or typed at a prompt
        text = ""
    held: list[Any] = []
    for cell in getattr(tool.fn, "__closure__", None) or ():
        with suppress(ValueError):  # a cell that is still empty
            held.append(cell.cell_contents)
    plain = [each for each in held if isinstance(each, str | int | float | bool | None)]
    said = repr((tool.source, tool.version, text, plain))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
