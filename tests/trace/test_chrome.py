"""Does the trace keep to the format that its viewers read?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmcompiler.events import Event
from llmcompiler.plan import Ok
from llmcompiler.result import Result
from llmcompiler.trace import chrome_trace
from tests.trace.sample import large, run_of, small, task

RUNS = {
    "small": small(),
    "large": large(120),
    "nothing": run_of([], lambda _: 0.0),
    "no time": run_of([task("1", "f"), task("2", "g", "1")], lambda _: 0.0, pace=0.0),
}


def of(trace: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


@pytest.mark.parametrize("name", RUNS)
def test_every_event_has_what_its_phase_asks_for(name: str) -> None:
    trace = chrome_trace(*RUNS[name])
    assert json.loads(json.dumps(trace, allow_nan=False)) == trace
    for event in trace["traceEvents"]:
        assert set(event) >= {"ph", "name", "ts", "pid", "tid"}
        assert isinstance(event["ts"], int)
        assert event["ts"] >= 0
        match event["ph"]:
            case "X":
                assert event["dur"] >= 1
            case "M":
                assert event["args"]
            case "i":
                assert event["s"] == "t"
            case "s":
                assert "id" in event
            case "f":
                assert event["bp"] == "e"
            case phase:
                pytest.fail(f"{phase} is not used")


@pytest.mark.parametrize("name", RUNS)
def test_bars_of_one_thread_do_not_overlap_and_threads_have_names(name: str) -> None:
    trace = chrome_trace(*RUNS[name])
    named = {event["tid"] for event in of(trace, "M") if event["name"] == "thread_name"}
    ends: dict[int, int] = {}
    for event in sorted(of(trace, "X"), key=lambda event: event["ts"]):
        assert event["ts"] >= ends.get(event["tid"], 0)
        ends[event["tid"]] = event["ts"] + event["dur"]
    assert {event["tid"] for event in trace["traceEvents"] if event["ph"] != "M"} <= named


@pytest.mark.parametrize("name", RUNS)
def test_arrows_start_and_end_inside_the_bars_that_they_join(name: str) -> None:
    result, events = RUNS[name]
    trace = chrome_trace(result, events)
    bars = of(trace, "X")

    def at(event: dict[str, Any]) -> str:
        (bar,) = (
            bar
            for bar in bars
            if bar["tid"] == event["tid"] and bar["ts"] <= event["ts"] < bar["ts"] + bar["dur"]
        )
        return str(bar["args"]["step"])

    starts = {event["id"]: event for event in of(trace, "s")}
    ends = {event["id"]: event for event in of(trace, "f")}
    assert starts.keys() == ends.keys()
    drawn = {(at(starts[key]), at(ends[key])) for key in starts}
    ran = {bar["args"]["step"] for bar in bars if "step" in bar["args"]}
    assert drawn == {
        (need, task.id)
        for task in result.plan
        if task.id in ran
        for need in task.needs
        if need in ran
    }
    assert all(starts[key]["ts"] <= ends[key]["ts"] for key in starts)


def test_a_bar_tells_arguments_result_and_wait() -> None:
    trace = chrome_trace(*small())
    bars = {bar["args"].get("step"): bar for bar in of(trace, "X")}
    assert bars["3"]["name"] == "3 fetch"
    assert (bars["3"]["ts"], bars["3"]["dur"]) == (500_000, 2_100_000)
    assert bars["1"]["args"]["arguments"] == '{"place": "Oslo"}'
    assert bars["1"]["args"]["output"] == '{"of": "1", "price": 12.5}'
    assert bars["5"]["args"]["error"] == "ToolError: the shop is closed until Monday"
    assert bars["5"]["args"]["status"] == "failed"


def test_what_happened_besides_is_an_instant() -> None:
    names = [event["name"] for event in of(chrome_trace(*small()), "i")]
    assert names == ["refused", "pass merge", "retry", "asked", "approved", "mend", "changed"]


def test_long_values_are_shortened_and_say_so() -> None:
    long: tuple[Result[Any], list[Event]] = run_of(
        [task("1", "f")], lambda _: 1.0, outcomes={"1": Ok("x" * 5000)}
    )
    (bar,) = (bar for bar in of(chrome_trace(*long), "X") if bar["cat"] == "step")
    assert len(bar["args"]["output"]) < 2100
    assert bar["args"]["output"].endswith("(5002 characters in all)")
