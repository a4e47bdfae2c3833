"""Events: a closed union that survives the way to JSON and back."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from llmcompiler.events import (
    EVENT_TYPES,
    AnswerDelta,
    Emitter,
    Event,
    RunStarted,
    StepStarted,
    UsageUpdated,
    event_from_json,
    event_json_schema,
    event_to_json,
)
from llmcompiler.messages import Figures, Usage
from llmcompiler.plan import TaskId


def test_an_event_survives_the_way_to_json_and_back() -> None:
    for event in (
        StepStarted("r", 3, 0.5, TaskId("1"), "tool", {"a": [1, {"b": None}]}, 2),
        UsageUpdated("r", 4, 0.6, Usage(10, 5, 2, 1)),
        UsageUpdated(
            "r", 5, 0.7, Usage(9), "m", Usage(4), Figures(4, steps=2, arrivals=(0.1, 0.3))
        ),
        RunStarted("r", 1, 0.0, "a request — with signs", "model", ("a", "b")),
    ):
        assert event_from_json(event_to_json(event)) == event


def test_a_line_from_before_calls_were_told_apart_can_still_be_read() -> None:
    line = '{"run_id":"r","seq":4,"ts":0.5,"usage":{"prompt_tokens":3},"type":"usage_updated"}'
    assert event_from_json(line) == UsageUpdated("r", 4, 0.5, Usage(3))


def test_the_schema_tells_every_kind_apart_by_its_type() -> None:
    schema = event_json_schema()
    assert set(schema["discriminator"]["mapping"]) == {
        next(f.default for f in dataclasses.fields(kind) if f.name == "type")
        for kind in EVENT_TYPES
    }


def test_every_event_begins_with_run_number_and_time() -> None:
    for kind in EVENT_TYPES:
        assert [f.name for f in dataclasses.fields(kind)][:3] == ["run_id", "seq", "ts"]


def test_events_are_numbered_and_timed_from_the_start_of_the_run() -> None:
    times = iter([100.0, 100.5, 101.5])
    seen: list[Event] = []
    emitter = Emitter("r", lambda: next(times), [seen.append])
    emitter.emit(AnswerDelta, "a")
    emitter.emit(AnswerDelta, "b")
    assert [(event.seq, event.ts) for event in seen] == [(1, 0.5), (2, 1.5)]


def test_a_reader_that_fails_is_dropped_and_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: Event) -> None:
        raise BrokenPipeError("nobody reads")

    seen: list[Event] = []
    emitter = Emitter("r", lambda: 0.0, [broken, seen.append])
    with caplog.at_level(logging.ERROR, logger="llmcompiler"):
        emitter.emit(AnswerDelta, "a")
        emitter.emit(AnswerDelta, "b")
    assert len(seen) == 2
    assert len(caplog.records) == 1
