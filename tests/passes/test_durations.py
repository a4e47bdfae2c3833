"""Medians and percentiles of the last durations of a tool."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.passes import Durations

seconds = st.lists(st.floats(0, 1e6), max_size=10) | st.lists(
    st.integers(0, 30), min_size=60, max_size=90
).map(lambda values: [float(value) for value in values])


@given(seconds)
def test_usual_is_the_median_of_the_last_64(values: list[float]) -> None:
    durations = Durations()
    for value in values:
        durations.learn("tool", value)
    expected = statistics.median(values[-64:]) if values else None
    assert durations.usual("tool") == expected


def test_what_was_long_ago_is_forgotten() -> None:
    durations = Durations()
    for value in [*[100.0] * 64, *[1.0] * 33]:
        durations.learn("tool", value)
    assert durations.usual("tool") == 1.0
    assert durations.percentile("tool", 0.5) == 1.0
    assert durations.percentile("tool", 0.6) == 100.0


@given(seconds, st.floats(0, 1))
def test_a_percentile_is_the_least_duration_that_the_share_did_not_exceed(
    values: list[float], share: float
) -> None:
    durations = Durations()
    for value in values:
        durations.learn("tool", value)
    found = durations.percentile("tool", share)
    kept = values[-64:]
    if len(kept) < 8:
        assert found is None
        return
    assert found in kept
    within = [value for value in kept if value <= found]
    below = [value for value in kept if value < found]
    assert len(within) >= share * len(kept) - 1e-6
    assert not below or len(below) < share * len(kept) + 1e-6


def test_an_unknown_tool_has_no_usual_duration() -> None:
    assert Durations().usual("tool") is None
    assert Durations().percentile("tool", 0.5) is None


@given(st.dictionaries(st.text(max_size=3), st.lists(st.floats(0, 1e6), min_size=1, max_size=70)))
def test_durations_survive_json_and_go_on_from_there(data: dict[str, list[float]]) -> None:
    durations = Durations()
    for tool, values in data.items():
        for value in values:
            durations.learn(tool, value)
    again = Durations.from_dict(json.loads(json.dumps(durations.as_dict())))
    assert again.as_dict() == durations.as_dict()
    for tool in data:
        assert again.usual(tool) == durations.usual(tool)
        durations.learn(tool, 7.0)
        again.learn(tool, 7.0)
    assert again.as_dict() == durations.as_dict()


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_what_is_no_duration_is_not_learned(value: float) -> None:
    durations = Durations()
    durations.learn("tool", value)
    assert durations.usual("tool") is None


def test_junk_is_left_out_when_read() -> None:
    read = Durations.from_dict({"a": "123", "b": 4, "c": [1, None, "2", True, -1, 3.0], "d": None})
    assert read.as_dict() == {"c": [1, 3.0]}
