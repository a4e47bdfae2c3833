"""The file of the cache: of others, damaged, full, shared, and left behind by a killed process."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from llmcompiler.errors import ConfigurationError
from llmcompiler.passes import Durations
from llmcompiler.plan import Ok
from llmcompiler.recall import Recall
from tests.recall.writing import anything, double

ROOT = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "results.db"


def _numbers(recall: Recall, count: int) -> list[int]:
    return [n for n in range(count) if recall.get(double, {"n": n}) is not None]


def _writing(path: Path, first: int, batches: int | None = None) -> subprocess.Popen[str]:
    call = f"write_until_stopped({str(path)!r}, {first}, {batches})"
    code = f"from tests.recall.writing import write_until_stopped; {call}"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def _python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("keep me, I am no database at all, and I am long enough to be one\n" * 100)
    with pytest.raises(ConfigurationError, match=r"no SQLite database.*another file, or delete it"):
        Recall(note)
    assert note.read_text().startswith("keep me")


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE results (mine TEXT)")
        database.commit()
    with pytest.raises(ConfigurationError, match=r"something else.*another file"):
        Recall(other)
    with closing(sqlite3.connect(other)) as database:
        names = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("results",)]


def test_a_cache_of_another_schema_is_refused(path: Path) -> None:
    Recall(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="schema 99, and this version knows 1"):
        Recall(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Recall(tmp_path)


def test_a_limit_of_nothing_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="max_bytes of a cache must be above 0"):
        Recall(path, max_bytes=0)
    with pytest.raises(ConfigurationError, match="max_age of a cache must be above 0"):
        Recall(path, max_age=0)


def test_a_full_disk_ends_writing_with_one_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Recall(path) as recall:
        recall.put(double, {"n": 1}, 2)
        assert recall.flush()
        # SQLite's own limit on a file gives the error that a full disk gives.
        recall._writer.execute("PRAGMA max_page_count = 10")
        for _ in range(2):
            recall.put(anything, {"x": 1}, "x" * 100_000)
            assert not recall.flush()
        assert recall.get(double, {"n": 1}) == Ok(2)
        assert recall.get(anything, {"x": 1}) is None
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "database or disk is full"
    ]


LARGEST = """
import resource, signal, sys
from llmcompiler.recall import Recall
from tests.recall.writing import anything, double
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Recall(sys.argv[1]) as recall:
    recall.put(double, {"n": 1}, 2)
    print(recall.flush())
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    recall.put(anything, {"x": 1}, "x" * 1_000_000)
    print(recall.flush())
    recall.put(anything, {"x": 1}, "x" * 1_000_000)
    print(recall.flush())
    print(recall.get(double, {"n": 1}))
"""


def test_a_write_that_the_system_refuses_ends_writing_and_harms_nothing(path: Path) -> None:
    done = _python(LARGEST, str(path))
    assert done.stdout.splitlines() == ["True", "False", "False", "Ok(value=2, status='ok')"]
    assert done.stderr.count("cannot be written, new results are not kept") == 1
    with Recall(path) as recall:
        assert _numbers(recall, 3) == [1]


NOBODY = """
import logging, os, sys
from llmcompiler.recall import Recall
from tests.recall.writing import double
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
with Recall(sys.argv[1]) as recall:
    print(recall.get(double, {"n": 1}))
    recall.put(double, {"n": 2}, 4)
    print(recall.flush())
    recall.put(double, {"n": 2}, 4)
    print(recall.flush())
"""


@pytest.mark.parametrize("folder_too", [True, False])
def test_a_file_that_must_not_be_written_is_read(folder_too: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.db"
        with Recall(path) as recall:
            recall.put(double, {"n": 1}, 2)
        path.chmod(0o444)
        os.chmod(folder, 0o555 if folder_too else 0o777)
        done = _python(NOBODY, str(path))
        os.chmod(folder, 0o755)
    assert done.stdout.splitlines() == ["Ok(value=2, status='ok')", "False", "False"], done.stderr
    assert done.stderr.count("cannot be written, new results are not kept") == 1


def test_a_file_damaged_within_is_a_miss_with_one_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Recall(path) as recall:
        for n in range(300):
            recall.put(double, {"n": n}, "x" * 500)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x07" * (path.stat().st_size - 4096))
    with caplog.at_level(logging.WARNING), Recall(path) as recall:
        assert _numbers(recall, 300) == []
        recall.put(double, {"n": 1}, 2)
        recall.flush()
    assert len(caplog.records) == 1


def test_another_process_that_keeps_the_file_delays_writing_and_not_reading(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Recall(path) as recall:
        recall._writer.execute("PRAGMA busy_timeout = 1")
        recall.put(double, {"n": 1}, 2)
        recall.flush()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            recall.put(double, {"n": 2}, 4)
            durations = Durations()
            durations.learn("a", 1.0)
            recall.save_durations(durations)
            assert recall.flush() is False
            assert _numbers(recall, 3) == [1, 2]
        assert recall.flush() is True
        assert recall.load_durations().as_dict() == {"a": [1.0]}
    assert caplog.records == []
    with Recall(path) as recall:
        assert _numbers(recall, 3) == [1, 2]


def test_reads_go_on_while_a_thread_writes(path: Path) -> None:
    with Recall(path) as recall:
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                recall.flush()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for n in range(1500):
                recall.put(double, {"n": n}, 2 * n)
                assert recall.get(double, {"n": n}) == Ok(2 * n)
                assert recall.get(double, {"n": n // 2}) == Ok(2 * (n // 2))
        finally:
            stop.set()
            writer.join()
    with Recall(path) as recall:
        assert len(_numbers(recall, 1500)) == 1500


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    writers = [_writing(path, first, 30) for first in (0, 1000, 2000)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with Recall(path) as recall:
        expected = [first + n for first in (0, 1000, 2000) for n in range(300)]
        assert _numbers(recall, 3000) == expected


@pytest.mark.parametrize("batches", [1, 7, 20])
def test_a_process_killed_while_it_writes_leaves_a_file_that_can_be_read(
    path: Path, batches: int
) -> None:
    writer = _writing(path, 0)
    assert writer.stdout is not None
    said = 0
    for _ in range(batches):
        said = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    said = max([said, *map(int, rest)])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (text,) in database.execute("SELECT value FROM results"):
            assert json.loads(text)["filler"] == "x" * 3000
    with Recall(path) as recall:
        found = _numbers(recall, 10 * said + 50)
        # What was said to be written is there, and a batch is there as a whole or not at all.
        assert found in [list(range(10 * done)) for done in (said, said + 1)]
        found_value = recall.get(double, {"n": 3})
        assert found_value is not None
        assert found_value.value == {"twice": 6, "filler": "x" * 3000}
        recall.put(double, {"n": -1}, -2)
        assert recall.flush()
