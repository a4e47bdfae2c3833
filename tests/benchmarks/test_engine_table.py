"""Tests of the table of the engine's benchmark: what is met, and how it reads."""

from __future__ import annotations

import json

import pytest

from benchmarks import engine, engine_peers
from benchmarks.engine_peers import MissingPeer, require
from benchmarks.engine_table import Bench, Reach, Row, as_json, as_table


@pytest.mark.parametrize(
    ("reach", "met", "missed", "said"),
    [
        (Reach(">=", 1.45), 1.45, 1.44, "≥ 1.45x"),
        (Reach("<=", 0.2, "ms"), 0.2, 0.21, "≤ 0.2 ms"),
        (Reach("=", 0, ""), 0.0, 1.0, "0"),
    ],
)
def test_a_reach_is_met_or_missed(reach: Reach, met: float, missed: float, said: str) -> None:
    assert reach.met(met)
    assert not reach.met(missed)
    assert str(reach) == said


def test_a_table_says_what_was_measured_and_whether_it_reaches() -> None:
    rows = [
        Row("faster", "44M", 25.04, "x", Reach(">=", 20), "10 ms", "250 ms"),
        Row("steps", "44M", 2.5, "", Reach(">=", 3, "")),
        Row("counted", "44M", 0.0, ""),
        Row("peer", "", None, "", Reach(">=", 1), theirs="not installed"),
    ]
    lines = as_table(rows).splitlines()
    assert lines[2] == "| faster | 44M | 25.0x | ≥ 20x | met | 10 ms | 250 ms |"
    assert "| 2.50 | ≥ 3 | missed |" in lines[3]
    assert lines[4] == "| counted | 44M | 0 |  |  |  |  |"
    assert "| – |" in lines[5]
    assert json.loads(json.dumps(as_json(rows)))[1]["met"] is False


def test_a_missing_peer_makes_a_row_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(engine_peers.PEERS, "xllamacpp", "no_such_module")
    monkeypatch.setitem(engine.MEASURES, "burst", lambda bench: iter([require("xllamacpp")]))
    said: list[str] = []
    [row] = engine.measured("burst", Bench(say=said.append))
    assert row.value is None
    assert row.theirs == "xllamacpp is not installed: pip install '.[local,bench]'"
    assert any("xllamacpp" in line for line in said)


def test_an_installed_peer_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_peers.PEERS, "pytest", "pytest")
    assert require("pytest") == pytest.__version__
    monkeypatch.setitem(engine_peers.PEERS, "pytest", "no_such_module")
    with pytest.raises(MissingPeer, match="bench"):
        require("pytest")


def test_a_named_model_takes_the_place_of_a_rows_own() -> None:
    assert Bench().models("44M", "213M") == ("44M", "213M")
    assert Bench(model="1B").models("44M", "213M") == ("1B",)


def test_what_is_to_be_reached_is_stated_for_one_kind_of_weights() -> None:
    assert Bench().reach("213M", ">=", 2.5) == Reach(">=", 2.5)
    assert Bench().reach("213M Q4_0", ">=", 2.5) is None
