"""Failures: what each of them does to the steps around it, to outputs and to the workflow."""

from __future__ import annotations

from typing import Any

import pytest

from llmcompiler.events import Event, StepRetrying
from llmcompiler.plan import Cancelled, Failed, Skipped, TaskId
from tests.workflow.trying import ran, told

# What on_error says


def test_a_failure_ends_the_workflow_failed_and_others_run_on() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}}
          b: {uses: echo, with: {value: "${{ steps.a.output.lat }}"}}
          c: {uses: say, with: {text: c}}
          d: {uses: geocode, with: {place: Nowhere}, on_error: fail}
        outputs:
          c: ${{ steps.c.output }}
          b: ${{ steps.b.output }}
          status: ${{ steps.a.status }}
          why: ${{ steps.a.error }}
          after: ${{ steps.b.error }}
        """
    )
    assert result.status == "failed"
    assert result.error == "step 'a' failed: no such place; step 'd' failed: no such place"
    assert dict(result.steps) == {
        "a": Failed("ToolError", "no such place"),
        "b": Skipped("it needs step 'a'", TaskId("a")),
        "c": result["c"],
        "d": Failed("ToolError", "no such place"),
    }
    assert dict(result.outputs) == {
        "c": "c",
        "b": None,
        "status": "failed",
        "why": "no such place",
        "after": "it needs step 'a'",
    }
    shown = result.to_json()
    assert (shown["status"], shown["outputs"]["c"]) == ("failed", "c")
    assert shown["error"] == {"type": "WorkflowFailed", "message": result.error}
    assert {step["id"]: step["status"] for step in shown["steps"]} == {
        "a": "failed",
        "b": "skipped",
        "c": "ok",
        "d": "failed",
    }


def test_continue_gives_null_to_whoever_reads_or_needs_the_step() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}, on_error: continue}
          b: {uses: echo, with: {value: ["${{ steps.a.output }}", "${{ steps.a.output.lat }}"]}}
          c: {uses: say, with: {text: c}, needs: a}
          d: {uses: say, with: {text: "found ${{ steps.a.output.lat | default('nothing') }}"}}
          e: {uses: say, with: {text: e}, needs: a, if: failure()}
          f: {for_each: "${{ steps.a.output or [] }}", uses: echo, with: {value: "${{ item }}"}}
        """
    )
    assert (result.status, result.error) == ("finished", None)
    assert told(result) == {
        "a": "ToolError: no such place",
        "b": [None, None],
        "c": "c",
        "d": "found nothing",
        "e": "e",
        "f": [],
    }


def test_skip_skips_what_depends_on_the_step_and_no_more() -> None:
    result = ran(
        """\
        defaults: {on_error: skip}
        steps:
          a: {uses: geocode, with: {place: Nowhere}}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}}
          c: {uses: say, with: {text: c}, needs: b}
        """
    )
    assert (result.status, result.error) == ("finished", None)
    assert told(result) == {
        "a": "ToolError: no such place",
        "b": "skipped: it needs step 'a'",
        "c": "skipped: it needs step 'b'",
    }


# What conditions ask


def test_failure_and_always_run_although_what_was_before_failed() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}}
          far: {uses: say, with: {text: "far: ${{ steps.a.error }}"}, needs: b, if: failure()}
          read: {uses: say, with: {text: "read: ${{ steps.a.error }}"}, if: failure()}
          always: {uses: echo, with: {value: ["${{ steps.b.status }}", "${{ steps.b.output }}"]}, if: always()}
          good: {uses: say, with: {text: good}, needs: a, if: success()}
          fine: {uses: say, with: {text: fine}, needs: c, if: failure()}
          both: {uses: say, with: {text: both}, needs: [a, c], if: failure() and steps.c.output == 'c'}
          c: {uses: say, with: {text: c}}
        """
    )
    assert told(result) == {
        "a": "ToolError: no such place",
        "b": "skipped: it needs step 'a'",
        "far": "far: no such place",
        "read": "read: no such place",
        "always": ["skipped", None],
        "good": "skipped: its condition is false",
        "fine": "skipped: its condition is false",
        "both": "both",
        "c": "c",
    }
    assert result.status == "failed"


def test_a_condition_that_cannot_be_told_fails_its_step() -> None:
    result = ran(
        """\
        steps:
          a: {uses: echo, with: {value: [1]}}
          b: {uses: say, with: {text: b}, if: "${{ steps.a.output[3] }}"}
          c: {uses: say, with: {text: b}, if: "${{ steps.a.output[0] / 0 }}"}
        """
    )
    assert told(result) == {
        "a": [1],
        "b": "BindingError: ${{ steps.a.output[3] }}: steps.a.output has 1 elements and no [3]",
        "c": "BindingError: ${{ steps.a.output[0] / 0 }}: '/' divides by zero",
    }


# What cannot be computed


def test_what_inputs_make_impossible_fails_the_step_that_reads_it_and_no_other() -> None:
    result = ran(
        """\
        inputs: {xs: {type: array}, n: {type: number}, any: {}}
        steps:
          a: {uses: echo, with: {value: "${{ inputs.xs[3] }}"}}
          b: {uses: echo, with: {value: "${{ 1 / inputs.n }}"}, if: "${{ inputs.n }}"}
          c: {uses: forecast, with: {lat: "${{ inputs.any }}", lon: 1}}
          d: {for_each: "${{ inputs.any }}", uses: echo, with: {value: "${{ item }}"}}
          e: {for_each: "${{ inputs.xs }}", uses: forecast, with: {lat: "${{ item }}", lon: 1}}
          f: {uses: echo, with: {value: 1}, if: "${{ inputs.xs[9] }}"}
          g: {for_each: "${{ inputs.xs }}", uses: echo, with: {value: "${{ item.x }}"}}
          h: {uses: echo, with: {value: 1}}
        """,
        {"xs": [1, "b"], "n": 0, "any": "text"},
    )
    assert told(result) == {
        "a": "BindingError: ${{ inputs.xs[3] }}: inputs.xs has 2 elements and no [3]",
        "b": "skipped: its condition is false",
        "c": 'BindingError: ${{ inputs.any }}: forecast: lat must be a number, not "text"',
        "d": "BindingError: ${{ inputs.any }}: 'for_each' goes over a list or an object, not a text",
        "e": "ToolArgumentError: 1 of 2 calls failed: [1] forecast: lat must be a number, and an "
        "element of ${{ item }} is a text",
        "f": "BindingError: ${{ inputs.xs[9] }}: inputs.xs has 2 elements and no [9]",
        "g": "BindingError: ${{ item.x }}: item is a number and has no 'x'",
        "h": 1,
    }


def test_an_output_that_cannot_be_computed_fails_the_workflow_if_its_steps_are_fine() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}, on_error: skip}
          b: {uses: say, with: {text: abc}}
        outputs:
          gone: ${{ steps.a.output | length }}
          wrong: ${{ steps.b.output | int }}
          both: ${{ steps.a.output.lat }}${{ steps.b.output }}
        """
    )
    assert (result.status, result.error) == (
        "failed",
        "the output 'wrong' cannot be computed: ${{ steps.b.output | int }}: "
        "'int' cannot make a whole number of this text",
    )
    assert dict(result.outputs) == {"gone": None, "wrong": None, "both": "nullabc"}
    assert set(result.missing) == {"gone", "wrong"}


# Trying again


@pytest.mark.parametrize(
    ("retry", "times"),
    [
        ("{limit: 3, delay: 1s, backoff: constant}", [0, 1, 2, 3]),
        ("{limit: 3, delay: 1s, backoff: linear}", [0, 1, 3, 6]),
        ("{limit: 3, delay: 1s}", [0, 1, 3, 7]),
        ("{limit: 3, delay: 4s, max_delay: 5s}", [0, 4, 9, 14]),
        ("3", [0, 0.2, 0.6, 1.4]),
        ("{limit: 2, delay: 1s, backoff: constant}", [0, 1, 2]),
        ("{limit: 2, delay: 1s, backoff: constant, on: ToolError}", [0, 1, 2]),
        ("{limit: 2, delay: 1s, on: [TimeoutError, OSError]}", [0]),
        ("0", [0]),
    ],
)
def test_a_step_is_tried_again_as_its_retry_says(retry: str, times: list[float]) -> None:
    calls: list[float] = []
    text = "steps: {a: {uses: stubborn, with: {times: 9}, retry: %s}}\n"
    result = ran(text % retry, deps=calls)
    assert calls == pytest.approx(times)
    assert result["a"] == Failed("ToolError", "not yet", len(times))


def test_a_kind_of_error_is_also_that_of_what_it_is_a_kind_of() -> None:
    calls: list[float] = []
    text = (
        "steps: {a: {uses: stubborn, with: {times: 1, kind: Gone}, retry: {limit: 1, on: OSError}}}"
    )
    assert told(ran(text, deps=calls)) == {"a": 2}


def test_jitter_adds_a_wait_by_chance() -> None:
    calls: list[float] = []
    events: list[Event] = []
    ran(
        "steps: {a: {uses: stubborn, with: {times: 9}, "
        "retry: {limit: 20, delay: 1s, backoff: constant, jitter: 500ms}}}\n",
        deps=calls,
        sinks=[events.append],
    )
    waits = [event.wait for event in events if isinstance(event, StepRetrying)]
    assert len(waits) == 9
    assert all(1 <= wait <= 1.5 for wait in waits)
    assert len(set(waits)) > 1


def test_defaults_hold_for_steps_that_say_nothing_and_writes_are_not_tried_again() -> None:
    calls: list[Any] = []
    result = ran(
        """\
        defaults: {retry: {limit: 2, delay: 1s}, timeout: 3s, on_error: skip}
        steps:
          a: {uses: send, with: {body: refused}}
          b: {uses: geocode, with: {place: Nowhere}}
          c: {uses: geocode, with: {place: Nowhere}, retry: 0}
          d: {uses: slow, with: {seconds: 9}, retry: 0}
          e: {uses: slow, with: {seconds: 9}, retry: 0, timeout: 1m}
        """,
        deps=calls,
    )
    assert {name: getattr(one, "attempts", None) for name, one in result.steps.items()} == {
        "a": 1,
        "b": 3,
        "c": 1,
        "d": 1,
        "e": None,
    }
    assert told(result)["d"] == "ToolTimeoutError: timed out after 3 s"


# Time


def test_the_limit_of_the_run_cuts_what_is_under_way() -> None:
    result = ran(
        """\
        limits: {seconds: 5}
        steps:
          a: {uses: slow, with: {seconds: 1}}
          b: {uses: slow, with: {seconds: 100}}
          c: {uses: echo, with: {value: "${{ steps.b.output }}"}}
          d: {uses: slow, with: {seconds: 100}, timeout: 2s, on_error: continue}
          e: {uses: slow, with: {seconds: 100}, fallback: slow}
        outputs: {a: "${{ steps.a.output }}", b: "${{ steps.b.status }}"}
        """
    )
    assert result.status == "failed"
    assert result.error == (
        "the run's time limit of 5 s passed before there was an answer: "
        "raise it with limits.seconds or --timeout"
    )
    assert dict(result.steps) == {
        "a": result["a"],
        "b": Cancelled("the time is up"),
        "c": Cancelled("the time is up"),
        "d": Failed("ToolTimeoutError", "timed out after 2 s"),
        "e": Cancelled("the time is up"),
    }
    assert dict(result.outputs) == {"a": 1.0, "b": "cancelled"}
    assert result.result.seconds == pytest.approx(5)


def test_used_up_tool_calls_fail_the_steps_that_come_after() -> None:
    result = ran(
        """\
        limits: {tool_calls: 2}
        steps:
          a: {uses: echo, with: {value: 1}}
          b: {uses: echo, with: {value: "${{ steps.a.output + 1 }}"}}
          c: {uses: echo, with: {value: "${{ steps.b.output + 1 }}"}}
        """
    )
    assert result.status == "failed"
    assert {name: one.status for name, one in result.steps.items()} == {
        "a": "ok",
        "b": "ok",
        "c": "failed",
    }
