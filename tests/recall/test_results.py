"""Results of pure tools across runs, in a real SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.passes import Durations
from llmcompiler.plan import Json, Ok
from llmcompiler.recall import Recall
from tests.recall.writing import Clock, adder, anything, double

ROOT = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "results.db"


@pytest.fixture(scope="module")
def shared() -> Iterator[Recall]:
    with tempfile.TemporaryDirectory() as folder, Recall(Path(folder) / "results.db") as recall:
        yield recall


def _numbers(recall: Recall, count: int) -> list[int]:
    return [n for n in range(count) if recall.get(double, {"n": n}) is not None]


def _python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_a_result_is_found_at_once_and_in_the_next_run(path: Path) -> None:
    with Recall(path) as recall:
        assert recall.get(double, {"n": 2}) is None
        recall.put(double, {"n": 2}, 4)
        assert recall.get(double, {"n": 2}) == Ok(4)
        assert recall.get(double, {"n": 3}) is None
    with Recall(path) as recall:
        assert recall.get(double, {"n": 2}) == Ok(4)
        assert recall.get(double, {"n": 2.0}) is None


def test_a_result_that_is_nothing_is_a_result(path: Path) -> None:
    with Recall(path) as recall:
        recall.put(anything, {"x": 1}, None)
        recall.flush()
        assert recall.get(anything, {"x": 1}) == Ok(None)


def test_another_version_or_other_code_of_a_tool_is_another_tool(path: Path) -> None:
    with Recall(path) as recall:
        recall.put(adder(1), {"n": 2}, 3)
        recall.flush()
        assert recall.get(adder(1), {"n": 2}) == Ok(3)
        assert recall.get(adder(1, version="2"), {"n": 2}) is None
        assert recall.get(adder(10), {"n": 2}) is None


def test_a_function_that_was_edited_is_another_tool(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "edited.py"
    text = (
        "from llmcompiler import tool\n\n\n@tool(pure=True)\n"
        'def plus(n: int) -> int:\n    """Add.\n\n    Args:\n        n: a number\n    """\n'
        "    return n + 1\n"
    )
    probe = (
        "import edited\nfrom llmcompiler.recall import Recall\n"
        "with Recall(sys.argv[1]) as recall:\n"
        "    print(recall.get(edited.plus, {'n': 1}))\n"
        "    recall.put(edited.plus, {'n': 1}, 2)\n"
    )
    shown = []
    for written in (text, text, text.replace("n + 1", "n + 2")):
        source.write_text(written)
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True\n{probe}"
        done = _python(code, str(path))
        shown.append(done.stdout.strip() or done.stderr)
    assert shown == ["None", "Ok(value=2, status='ok')", "None"]


values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(values)
def test_values_come_back_exactly(shared: Recall, value: Json) -> None:
    shared.put(anything, {"x": value}, value)
    assert shared.flush()
    found = shared.get(anything, {"x": value})
    assert found is not None
    assert repr(found.value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [float("nan"), "\ud800", 10**5000, object()],
    ids=["nan", "surrogate", "long", "object"],
)
def test_what_is_no_json_is_not_kept_and_harms_nothing(path: Path, value: Any) -> None:
    with Recall(path) as recall:
        recall.put(anything, {"x": 1}, value)
        recall.put(double, {"n": 1}, 2)
        assert recall.flush()
        assert recall.get(anything, {"x": 1}) is None
        assert recall.get(double, {"n": 1}) == Ok(2)


def test_old_results_are_forgotten_also_before_they_are_deleted(path: Path) -> None:
    clock = Clock()
    with Recall(path, max_age=60, clock=clock) as recall:
        recall.put(double, {"n": 1}, 2)
        recall.flush()
        clock.now += 59
        assert recall.get(double, {"n": 1}) == Ok(2)
        recall.put(double, {"n": 2}, 4)
        clock.now += 2
        assert recall.get(double, {"n": 1}) is None
        assert recall.get(double, {"n": 2}) == Ok(4)
        recall.flush()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM results").fetchone() == (1,)


def test_beyond_the_size_limit_what_was_used_longest_ago_goes_first(path: Path) -> None:
    clock = Clock()
    with Recall(path, max_bytes=4500, clock=clock) as recall:
        for n in range(4):
            clock.now += 1
            recall.put(double, {"n": n}, "x" * 598)
            recall.flush()
        clock.now += 1
        assert recall.get(double, {"n": 0}) is not None
        clock.now += 1
        recall.put(double, {"n": 4}, "x" * 598)
        recall.flush()
        clock.now += 1
        assert _numbers(recall, 5) == [0, 2, 3, 4]


def test_a_result_above_the_limit_drives_nothing_out(path: Path) -> None:
    with Recall(path, max_bytes=4000) as recall:
        recall.put(double, {"n": 1}, 2)
        recall.put(double, {"n": 2}, "x" * 5000)
        recall.flush()
        assert _numbers(recall, 3) == [1]


def test_the_file_itself_stays_near_the_limit(path: Path) -> None:
    with Recall(path, max_bytes=1_000_000) as recall:
        for batch in range(40):
            for n in range(64):
                recall.put(double, {"n": 64 * batch + n}, "x" * (37 * n))
            recall.flush()
    assert path.stat().st_size < 1_500_000


def test_a_batch_of_results_is_due_for_writing(path: Path) -> None:
    with Recall(path) as recall:
        for n in range(64):
            assert not recall.due
            recall.put(double, {"n": n}, 2 * n)
        assert recall.due
        assert recall.flush()
        assert not recall.due


@pytest.mark.parametrize("value", ["{", "", b"\xff\xfe", "NaN]"])
def test_a_damaged_row_is_a_miss_and_is_deleted(path: Path, value: str | bytes) -> None:
    with Recall(path) as recall:
        recall.put(double, {"n": 1}, 2)
        recall.put(double, {"n": 2}, 4)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE results SET value = ? WHERE value = '2'", (value,))
        database.commit()
    with Recall(path) as recall:
        assert recall.get(double, {"n": 1}) is None
        assert recall.get(double, {"n": 2}) == Ok(4)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM results").fetchone() == (1,)


def test_a_damaged_row_is_written_anew(path: Path) -> None:
    with Recall(path) as recall:
        recall.put(double, {"n": 1}, 2)
        recall.flush()
        with closing(sqlite3.connect(path)) as database:
            database.execute("UPDATE results SET value = '{'")
            database.commit()
        assert recall.get(double, {"n": 1}) is None
        recall.put(double, {"n": 1}, 2)
        recall.flush()
        assert recall.get(double, {"n": 1}) == Ok(2)


def test_durations_are_kept_from_run_to_run(path: Path) -> None:
    first, second = Durations(), Durations()
    first.learn("a", 1.0)
    first.learn("b", 2.0)
    second.learn("b", 3.0)
    with Recall(path) as recall:
        assert recall.load_durations().as_dict() == {}
        recall.save_durations(first)
        recall.flush()
        recall.save_durations(second)
    with Recall(path) as recall:
        assert recall.load_durations().as_dict() == {"a": [1.0], "b": [3.0]}
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE durations SET seconds = '{' WHERE tool = 'a'")
        database.commit()
    with Recall(path) as recall:
        assert recall.load_durations().as_dict() == {"b": [3.0]}


def test_after_closing_everything_is_a_miss(path: Path) -> None:
    recall = Recall(path)
    recall.put(double, {"n": 1}, 2)
    recall.close()
    recall.put(double, {"n": 2}, 4)
    assert recall.get(double, {"n": 1}) is None
    assert recall.flush() is False
    assert recall.load_durations().as_dict() == {}
    recall.close()
