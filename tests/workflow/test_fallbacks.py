"""Fallbacks: what is run in a step's place, and what the result shows of both."""

from __future__ import annotations

from llmcompiler.plan import Failed, Skipped, TaskId
from tests.workflow.trying import ran, told


def test_a_fallback_stands_in_for_a_step_that_failed() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}, fallback: {uses: geocode, with: {place: Rome}}}
          b: {uses: forecast, with: {lat: "${{ steps.a.output.lat }}", lon: 1}}
          c: {uses: geocode, with: {place: Oslo}, fallback: geocode}
          d: {uses: geocode, with: {place: Nowhere}, fallback: {uses: echo, with: {value: "${{ steps.c.output }}"}}}
        outputs: {a: "${{ steps.a.output.lat }}", status: "${{ steps.a.status }}", b: "${{ steps.b.output }}"}
        """
    )
    assert (result.status, dict(result.outputs)) == (
        "finished",
        {"a": 4.0, "status": "ok", "b": 5.0},
    )
    assert list(result.steps) == ["a", "b", "c", "d"]
    assert {step.task.id: step.outcome.status for step in result.result.steps} == {
        "a.try": "failed",
        "a.fallback": "ok",
        "a": "ok",
        "b": "ok",
        "c.try": "ok",
        "c.fallback": "skipped",
        "c": "ok",
        "d.try": "failed",
        "d.fallback": "ok",
        "d": "ok",
    }


def test_where_both_fail_both_are_told_and_the_step_failed() -> None:
    result = ran(
        """\
        steps:
          a:
            uses: geocode
            with: {place: Nowhere}
            retry: {limit: 1, delay: 1s}
            fallback: {uses: slow, with: {seconds: 9}, timeout: 1s, retry: 1}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}}
        """
    )
    assert dict(result.steps) == {
        "a": Failed("ToolTimeoutError", "no such place; and its fallback: timed out after 1 s", 4),
        "b": Skipped("it needs step 'a'", TaskId("a")),
    }
    assert result.error == "step 'a' failed: no such place; and its fallback: timed out after 1 s"


def test_a_step_that_is_skipped_has_no_use_for_its_fallback() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}, on_error: skip}
          b: {uses: echo, with: {value: 1}, if: "${{ steps.c.output > 1 }}", fallback: echo}
          c: {uses: echo, with: {value: 1}}
          d: {uses: echo, with: {value: "${{ steps.a.output }}"}, fallback: {uses: echo, with: {value: 2}}}
        """
    )
    assert (result.status, told(result)) == (
        "finished",
        {
            "a": "ToolError: no such place",
            "b": "skipped: its condition is false",
            "c": 1,
            "d": "skipped: it needs step 'a'",
        },
    )


def test_a_failing_step_with_on_error_continue_and_a_fallback_that_fails_gives_null() -> None:
    result = ran(
        """\
        steps:
          a: {uses: geocode, with: {place: Nowhere}, fallback: geocode, on_error: continue}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}}
        """
    )
    assert (result.status, told(result)["b"]) == ("finished", None)
