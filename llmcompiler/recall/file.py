"""Is this file a cache of ours, and may it be written?

It does not know what results are or when they are written.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from llmcompiler.errors import ConfigurationError

__all__ = ["code_of", "open_file"]

_APPLICATION: Final = 0x4C4C4352  # SQLite's application_id: this file is ours
_SCHEMA: Final = 1
_TABLES: Final = (
    # The value stands last, so that reading another column of a large row does not read it.
    "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, tool TEXT NOT NULL,"
    " version TEXT NOT NULL, bytes INTEGER NOT NULL, made REAL NOT NULL, used REAL NOT NULL,"
    " value TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS results_by_use ON results (used, bytes)",
    "CREATE INDEX IF NOT EXISTS results_by_age ON results (made)",
    "CREATE TABLE IF NOT EXISTS durations (tool TEXT PRIMARY KEY, seconds TEXT NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_SCHEMA}",
)
_WRITER_WAITS: Final = 2.0  # seconds
_READER_WAITS: Final = 0.02


def open_file(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection, Exception | None]:
    """Return a connection to write, one to read, and why the file cannot be written, if it cannot.

    A file that is missing or empty is made ours. Raises `ConfigurationError` for one that cannot
    be opened at all, and for one of somebody else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = _checked(path, _connect(str(path), _WRITER_WAITS))
    except (sqlite3.Error, OSError) as error:
        code = code_of(error)
        if code == sqlite3.SQLITE_NOTADB:
            raise _not_ours(path, "is no SQLite database") from None
        if code not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise _cannot_open(path, error) from None
        try:
            # Whoever had the file last left nothing beside it, else it could be opened as it is.
            found = _connect(f"{path.as_uri()}?mode=ro&immutable=1", _READER_WAITS, uri=True)
            return (found := _checked(path, found)), found, error
        except sqlite3.Error:
            raise _cannot_open(path, error) from None
    return writer, _connect(str(path), _READER_WAITS), None


def code_of(error: Exception) -> int:
    """Return SQLite's primary code of an error, -1 if it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def _connect(path: str, waits: float, *, uri: bool = False) -> sqlite3.Connection:
    # Whoever holds a connection sees to it that no two threads use it at a time.
    return sqlite3.connect(
        path, timeout=waits, isolation_level=None, check_same_thread=False, uri=uri
    )


def _checked(path: Path, connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection to a file of ours, made ours if it was new; else close it and raise."""
    try:
        application, schema, tables = _marks(connection)
        if application == _APPLICATION and schema != _SCHEMA:
            raise _not_ours(path, f"has schema {schema}, and this version knows {_SCHEMA}")
        if application != _APPLICATION:
            if application or schema or tables:
                raise _not_ours(path, "is a database of something else")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:  # another process may have been faster
                connection.execute(statement)
            connection.execute("COMMIT")
        with suppress(sqlite3.OperationalError):  # another process is about to do it, too
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 4000000")
    except BaseException:
        connection.close()
        raise
    return connection


def _marks(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return application, schema and number of tables as they were at one moment."""
    connection.execute("BEGIN")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    return application, schema, tables


def _not_ours(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{str(path)!r} cannot be used as a cache, it {problem}: name another file, or delete it"
    )


def _cannot_open(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the cache {str(path)!r} cannot be opened: {error}; name a file that can be written"
    )
