"""Does the table of the benchmark of plans say what was measured, and what is missing?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import plans, plans_data
from benchmarks.plans_agent import NOTHING
from benchmarks.plans_data import MissingData, records
from benchmarks.plans_passes import calls_made, requests
from benchmarks.plans_table import Row, as_json, as_table
from llmcompiler.language import TurnReader
from llmcompiler.passes import Passes
from llmcompiler.roles import Read, Sealed


def test_a_table_says_what_was_measured_and_whether_it_reaches() -> None:
    rows = [
        Row("all", 24, "of 24", bound=24, note="exactly"),
        Row("over", 1.333, "x", "<=", 1.05),
        Row("told", 12.3456, "%"),
        Row("pending", None, bound=1, note="not yet"),
    ]
    lines = as_table(rows).splitlines()
    assert lines[2] == "| all | 24 of 24 | 24 of 24 | met | exactly |"
    assert lines[3] == "| over | 1.333 x | ≤ 1.05 x | **missed** |  |"
    assert lines[4] == "| told | 12.35 % |  |  |  |"
    assert lines[5] == "| pending | – | 1 |  | not yet |"
    assert [row["met"] for row in json.loads(json.dumps(as_json(rows)))] == [
        True,
        False,
        None,
        None,
    ]


def test_data_that_are_not_there_make_a_row_that_says_where_they_belong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plans_data, "DATA", tmp_path)
    with pytest.raises(MissingData, match="no_such_set"):
        records("no_such_set/data.jsonl")
    monkeypatch.setitem(
        plans.MEASURES, "gold", lambda say, repeat: iter([Row("", len(records("nothing.jsonl")))])
    )
    said: list[str] = []
    [row] = plans.measured("gold", said.append, 1)
    assert row.value is None
    assert "nothing.jsonl is not there" in row.note
    assert any("nothing.jsonl" in line for line in said)


def test_the_workload_of_the_passes_is_100_plans_of_10_steps() -> None:
    turns = [turn for request in requests() for turn in request[:-1]]
    assert len(turns) == 100
    for number, turn in enumerate(turns):
        items = [*(reader := TurnReader()).feed(turn), *reader.close("stop")]
        tasks = [item.task for item in items if isinstance(item, Read)]
        assert len(tasks) == 10
        assert int(tasks[0].id) == 10 * (number % 5) + 1
        [sealed] = [item for item in items if isinstance(item, Sealed)]
        assert sealed.joins == tuple(task.id for task in tasks[:9])
    assert requests() == requests()


def test_the_passes_save_calls_of_every_tool_of_the_workload(tmp_path: Path) -> None:
    plain = calls_made(NOTHING)
    assert plain.calls == {"price": 400, "review": 200, "weight": 200, "compare": 200}
    saved = calls_made(Passes(), tmp_path / "cache.db")
    assert all(saved.calls[name] < count for name, count in plain.calls.items())
    assert saved.total < 0.6 * plain.total
