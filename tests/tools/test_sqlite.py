"""Queries on real databases, which must not change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmcompiler import Tool
from llmcompiler.errors import ToolError
from llmcompiler_tools import sqlite as room
from llmcompiler_tools.sqlite import query, tables


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "shop %3F#1.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE fruit (name TEXT, price REAL, image BLOB)")
        made.execute("CREATE VIEW cheap AS SELECT name FROM fruit WHERE price < 2")
        made.executemany(
            "INSERT INTO fruit VALUES (?, ?, ?)",
            [("apple", 1.5, b"\0\1"), ("pear", 2, None), (None, 1 << 40, b"")],
        )
        made.commit()
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.glob("shop*")] == [path.name]


def call(tool: Tool[..., Any], **args: Any) -> Any:
    return anyio.run(tool.invoke, {"path": "shop %3F#1.db", **args})


def refusal(tool: Tool[..., Any], **args: Any) -> str:
    with pytest.raises(ToolError) as caught:
        call(tool, **args)
    return str(caught.value)


def test_rows_come_as_objects() -> None:
    assert call(query, sql="SELECT * FROM fruit") == [
        {"name": "apple", "price": 1.5, "image": "<2 bytes>"},
        {"name": "pear", "price": 2.0, "image": None},
        {"name": None, "price": float(1 << 40), "image": "<0 bytes>"},
    ]
    assert call(query, sql="SELECT count(*) AS n FROM cheap") == [{"n": 1}]
    assert call(query, sql="SELECT name FROM fruit WHERE price > ?", parameters=[1.7]) == [
        {"name": "pear"},
        {"name": None},
    ]


def test_columns_of_one_name_are_all_kept() -> None:
    assert call(query, sql="SELECT 1 AS a, 2 AS a, 3 AS a_2") == [{"a": 1, "a_2": 2, "a_2_2": 3}]


def test_tables_are_listed_with_their_columns() -> None:
    assert call(tables) == [
        {"name": "cheap", "columns": [{"name": "name", "type": "TEXT"}]},
        {
            "name": "fruit",
            "columns": [
                {"name": "name", "type": "TEXT"},
                {"name": "price", "type": "REAL"},
                {"name": "image", "type": "BLOB"},
            ],
        },
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO fruit VALUES ('plum', 1, NULL)",
        "UPDATE fruit SET price = 0",
        "DELETE FROM fruit",
        "DROP TABLE fruit",
        "CREATE TABLE new (a)",
        "CREATE TEMP TABLE new (a)",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "PRAGMA journal_mode = WAL",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "BEGIN IMMEDIATE",
    ],
)
def test_everything_but_reading_is_refused(sql: str, tmp_path: Path) -> None:
    assert refusal(query, sql=sql) == "only reading is allowed: write a SELECT"
    assert not list(tmp_path.glob("copy*")) + list(tmp_path.glob("other*"))


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELEC 1", 'SQLite says: near "SELEC": syntax error'),
        ("SELECT * FROM furit", "SQLite says: no such table: furit"),
        ("SELECT 1; SELECT 2", "SQLite says: You can only execute one statement at a time."),
        ("", "the statement gives no rows: write a SELECT"),
        ("SELECT ?", "SQLite says: Incorrect number of bindings"),
        ("SELECT hex(randomblob(100000000))", "SQLite says: string or blob too big"),
        ("SELECT readfile('/etc/passwd')", "SQLite says: no such function: readfile"),
    ],
)
def test_a_wrong_statement_is_refused_as_sqlite_says(sql: str, problem: str) -> None:
    assert refusal(query, sql=sql).startswith(problem)


COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{}) SELECT {} FROM n"


def test_a_result_is_refused_rather_than_cut() -> None:
    assert len(call(query, sql=COUNT.format(" WHERE i < 1000", "i"))) == 1000
    assert refusal(query, sql=COUNT.format("", "i")) == (
        "there are more than 1000 rows: add a LIMIT or a sum"
    )
    assert refusal(query, sql=COUNT.format(" WHERE i < 900", "hex(zeroblob(900))")) == (
        "the rows have more than 1000000 characters: choose fewer columns"
    )


def test_a_query_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_SECONDS", 0.1)
    assert refusal(query, sql=COUNT.format("", "count(*)")) == "the query took longer than 0.1 s"


def test_an_infinite_value_is_refused() -> None:
    assert "infinite" in refusal(query, sql="SELECT 9e999 AS x")


def test_text_that_is_none_is_read_all_the_same() -> None:
    assert call(query, sql="SELECT CAST(x'ff41' AS TEXT) AS x") == [{"x": "\ufffdA"}]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("notes.txt", "'notes.txt' is not an SQLite database"),
        ("../x.db", "'../x.db' is not below the current directory"),
        ("missing.db", "there is no file 'missing.db'"),
    ],
)
def test_only_databases_below_here_are_opened(path: str, problem: str) -> None:
    Path("notes.txt").write_text("not a database, but a text that is long enough")
    assert refusal(query, path=path, sql="SELECT 1") == problem
    assert refusal(tables, path=path) == problem
    assert not Path("missing.db").exists()


def test_an_empty_file_is_a_database_without_tables() -> None:
    Path("empty.db").touch()
    assert call(tables, path="empty.db") == []
