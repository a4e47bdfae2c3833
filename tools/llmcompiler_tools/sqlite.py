"""SQLite databases below the current directory: which tables there are, what a query gives.

It does not write: the file is opened for reading, and an authorizer refuses all else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.root import file_at

__all__ = ["TOOLS", "Column", "Table", "query", "tables"]

_MOST_ROWS: Final = 1000
_MOST_CHARACTERS: Final = 1_000_000  # of all the texts in a result
_SECONDS: Final = 10.0  # a query may run
_STEPS: Final = 10_000  # instructions of SQLite's machine between two looks at the clock
_LARGEST_VALUE: Final = 10_000_000  # bytes of one text or blob
_HEADER: Final = b"SQLite format 3\0"
_ALLOWED: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


class Column(TypedDict):
    """A column as it was declared; `type` may be empty."""

    name: str
    type: str


class Table(TypedDict):
    """A table or a view."""

    name: str
    columns: list[Column]


@tool(private=True)
def query(
    path: str, sql: str, parameters: list[str | int | float | None] | None = None
) -> list[dict[str, str | int | float | None]]:
    """Read rows from an SQLite database with one SELECT.

    Args:
        path: a database file below the current directory
        sql: the statement; a ? stands for a parameter
        parameters: what the question marks stand for
    """
    with _open(path) as database:
        database.set_authorizer(_authorize)
        cursor = database.execute(sql, parameters or ())
        if cursor.description is None:
            raise ToolError("the statement gives no rows: write a SELECT")
        names = _distinct([column[0] for column in cursor.description])
        rows: list[dict[str, str | int | float | None]] = []
        size = 0
        for row in cursor:
            if len(rows) == _MOST_ROWS:
                raise ToolError(f"there are more than {_MOST_ROWS} rows: add a LIMIT or a sum")
            values = [f"<{len(v)} bytes>" if isinstance(v, bytes) else v for v in row]
            size += sum(len(value) for value in values if isinstance(value, str))
            if size > _MOST_CHARACTERS:
                raise ToolError(
                    f"the rows have more than {_MOST_CHARACTERS} characters: choose fewer columns"
                )
            rows.append(dict(zip(names, values, strict=True)))
        return rows


@tool
def tables(path: str) -> list[Table]:
    """List the tables of an SQLite database with their columns.

    Args:
        path: a database file below the current directory
    """
    with _open(path) as database:
        found = database.execute(
            "SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
            "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid"
        )
        columns: dict[str, list[Column]] = {}
        for table, name, kind in found:
            columns.setdefault(table, []).append({"name": name, "type": kind})
    return [{"name": name, "columns": of} for name, of in columns.items()]


@contextmanager
def _open(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; its errors, and time run out, become `ToolError`."""
    found = file_at(path)
    deadline = time.monotonic() + _SECONDS
    try:
        with found.open("rb") as file:
            if file.read(len(_HEADER)) not in (_HEADER, b""):
                raise ToolError(f"{path!r} is not an SQLite database")
        uri = f"{found.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_SECONDS / 2)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
            database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            database.text_factory = _decoded
            yield database
    except OSError as error:
        raise ToolError(f"cannot read {path!r}: {error.strerror or error}") from None
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
        raise ToolError(_explained(error, deadline)) from None


def _authorize(action: int, _: str | None, name: str | None, *__: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (name or "").lower() == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", errors="replace")


def _explained(error: Exception, deadline: float) -> str:
    text = str(error)
    if "interrupted" in text and time.monotonic() > deadline:
        return f"the query took longer than {_SECONDS:g} s"
    if any(word in text for word in ("not authorized", "authorization denied", "prohibited")):
        return "only reading is allowed: write a SELECT"
    return f"SQLite says: {text}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that occur twice, so that no column is lost."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in found:
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return found


TOOLS: tuple[Tool[..., Any], ...] = (query, tables)
