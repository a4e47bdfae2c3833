"""Files below the current directory, on a real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcompiler import Tool
from llmcompiler.errors import ToolError
from llmcompiler_tools import root
from llmcompiler_tools import text as room
from llmcompiler_tools.text import (
    TOOLS,
    count_lines,
    count_words,
    file_size,
    list_files,
    read_file,
    search_files,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a few files, and a secret beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "here"
    (root / "docs").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / ".hidden" / "key.md").write_text("hidden words")
    (root / "docs" / "report.md").write_bytes("One two  three\nfour é\nlast\r\nEND".encode())
    (root / "notes.txt").write_text("ten\n")
    (root / "empty.txt").write_text("")
    (root / "image.bin").write_bytes(b"\x89\0\1words here\n")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "in").symlink_to("docs/report.md")
    monkeypatch.chdir(root)
    return root


def call(tool: Tool[..., Any], **args: Any) -> Any:
    return anyio.run(tool.invoke, args)


def refusal(tool: Tool[..., Any], **args: Any) -> str:
    with pytest.raises(ToolError) as caught:
        call(tool, **args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "words", "lines", "size"),
    [
        ("docs/report.md", 7, 4, 32),
        ("./docs/../docs/report.md", 7, 4, 32),
        ("in", 7, 4, 32),
        ("notes.txt", 1, 1, 4),
        ("empty.txt", 0, 0, 0),
    ],
)
def test_files_are_counted(path: str, words: int, lines: int, size: int) -> None:
    assert call(count_words, path=path) == words
    assert call(count_lines, path=path) == lines
    assert call(file_size, path=path) == size


def test_a_path_from_the_root_is_fine_where_it_leads_below(here: Path) -> None:
    assert call(count_words, path=str(here / "notes.txt")) == 1


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.text(st.sampled_from("ab \n\té"), max_size=60), chunk=st.integers(1, 7))
def test_counts_do_not_depend_on_how_a_file_is_cut(content: str, chunk: int) -> None:
    Path("random.txt").write_bytes(content.encode())
    whole = room._CHUNK
    room._CHUNK = chunk  # type: ignore[misc]  # a constant of the module, small for once
    try:
        assert count_words("random.txt") == len(content.split())
        assert count_lines("random.txt") == content.count("\n") + (
            not content.endswith("\n") and content != ""
        )
    finally:
        room._CHUNK = whole  # type: ignore[misc]  # as before


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("docs/reprot.md", "there is no file 'docs/reprot.md'; did you mean 'docs/report.md'?"),
        ("report.md", "there is no file 'report.md'; did you mean 'docs/report.md'?"),
        ("missing/ledger.bin", "there is no file 'missing/ledger.bin'"),
        ("../secret.txt", "'../secret.txt' is not below the current directory"),
        ("docs/../../secret.txt", "'docs/../../secret.txt' is not below the current directory"),
        ("/etc/passwd", "'/etc/passwd' is not below the current directory"),
        ("out", "'out' is not below the current directory"),
        ("docs", "'docs' is a directory, not a file"),
        ("a\0b", "there is no file 'a\\x00b'"),
        ("~/x", "there is no file '~/x'"),
    ],
)
@pytest.mark.parametrize("tool", [count_words, count_lines, file_size, read_file])
def test_what_is_no_file_below_here_is_refused(
    tool: Tool[..., Any], path: str, problem: str
) -> None:
    assert refusal(tool, path=path) == problem


def test_a_very_long_name_is_refused_quickly() -> None:
    assert refusal(file_size, path="x" * 5000).startswith("there is no file 'xxx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_for() -> None:
    os.mkfifo("pipe")
    assert refusal(read_file, path="pipe") == "'pipe' is not a regular file"
    assert call(search_files, text="ten") != []


def test_what_is_no_text_is_refused_but_has_a_size() -> None:
    assert refusal(count_words, path="image.bin") == "'image.bin' is not a text file"
    assert refusal(read_file, path="image.bin") == "'image.bin' is not a text file"
    assert call(file_size, path="image.bin") == 14


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be read here")
def test_a_file_that_may_not_be_read_is_refused() -> None:
    Path("notes.txt").chmod(0)
    assert refusal(count_words, path="notes.txt") == "cannot read 'notes.txt': Permission denied"


def test_a_file_is_read_whole_or_in_part() -> None:
    assert call(read_file, path="docs/report.md") == "One two  three\nfour é\nlast\nEND"
    assert call(read_file, path="docs/report.md", first_line=2, lines=2) == "four é\nlast\n"
    assert call(read_file, path="docs/report.md", first_line=9) == ""
    assert refusal(read_file, path="notes.txt", first_line=0).startswith("first_line must be")


def test_a_mark_at_the_beginning_and_broken_text_are_read() -> None:
    Path("marked.txt").write_bytes("\ufeffword".encode())
    Path("broken.txt").write_bytes(b"caf\xe9")
    assert call(read_file, path="marked.txt") == "word"
    assert call(read_file, path="broken.txt") == "caf\ufffd"


def test_too_much_to_read_at_once_is_refused_with_what_to_do() -> None:
    Path("long.txt").write_text("0123456789\n" * 20_000)
    assert refusal(read_file, path="long.txt") == (
        "'long.txt' has more than 100000 characters from line 1 on: read fewer lines"
    )
    assert len(call(read_file, path="long.txt", first_line=19_000, lines=100)) == 1100


def test_files_are_listed_without_hidden_ones_and_links() -> None:
    assert sorted(call(list_files)) == ["docs/report.md", "empty.txt", "image.bin", "notes.txt"]
    assert call(list_files, pattern="*.md") == ["docs/report.md"]
    assert call(list_files, folder="docs") == ["docs/report.md"]
    assert call(list_files, pattern="docs/*") == ["docs/report.md"]
    assert refusal(list_files, folder="..") == "'..' is not below the current directory"
    assert refusal(list_files, folder="nowhere") == "there is no directory 'nowhere'"


def test_too_many_files_are_refused_rather_than_cut() -> None:
    for number in range(1001):
        Path(f"docs/{number}.log").touch()
    assert refusal(list_files) == "there are more than 1000 files: name a folder or a pattern"
    assert len(call(list_files, pattern="1?.log")) == 10


def test_a_tree_without_end_is_not_walked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "_MOST", 3)
    assert refusal(list_files, pattern="*.py") == (
        "there are more than 3 files below '.': name a folder"
    )
    assert call(list_files, folder="docs") == ["docs/report.md"]
    assert refusal(count_words, path="docs/reprot.md") == "there is no file 'docs/reprot.md'"


def test_a_search_finds_lines_whatever_their_case() -> None:
    assert call(search_files, text="end") == [{"path": "docs/report.md", "line": 4, "text": "END"}]
    assert call(search_files, text="É", pattern="*.md")[0]["line"] == 2
    assert call(search_files, text="words") == []
    assert len(call(search_files, text="e", limit=2)) == 2
    assert refusal(search_files, text="") == "the text to look for is empty"
    assert refusal(search_files, text="a", limit=0) == "limit must be at least 1"


def test_work_on_files_is_done_in_threads() -> None:
    assert not any(tool.is_async or tool.pure for tool in TOOLS)
