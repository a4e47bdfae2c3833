"""Running: what runs when, how often and at once, who is asked, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmcompiler.approval import ApprovalRequest, Verdict
from llmcompiler.events import Event, StepStarted
from llmcompiler.plan import Failed
from tests.workflow.trying import loaded, ran, told

# Order


def test_the_order_in_the_file_means_nothing_and_what_can_runs_at_once() -> None:
    result = ran(
        """\
        steps:
          last: {uses: echo, with: {value: ["${{ steps.a.output }}", "${{ steps.b.output }}"]}}
          after: {uses: slow, with: {seconds: 1}, needs: [a, b]}
          b: {uses: slow, with: {seconds: 2}}
          a: {uses: slow, with: {seconds: 3}}
        outputs: {after: "${{ steps.after.output }}", all: "${{ steps.last.output }}"}
        """
    )
    assert dict(result.outputs) == {"after": 4.0, "all": [3.0, 2.0]}
    assert list(result.steps) == ["last", "after", "b", "a"]
    assert result.result.seconds == pytest.approx(4)


def test_at_most_so_many_steps_run_at_once() -> None:
    text = "limits: {concurrency: 2}\nsteps:\n" + "".join(
        f"  s{number}: {{uses: slow, with: {{seconds: 1, name: n{number}}}}}\n"
        for number in range(6)
    )
    assert ran(text).result.seconds == pytest.approx(3)


# For each


def test_a_step_runs_for_each_element_in_parallel_and_gives_a_list_in_order() -> None:
    result = ran(
        """\
        inputs: {times: {type: array, items: {type: number}}}
        steps:
          a: {for_each: "${{ inputs.times }}", uses: slow, with: {seconds: "${{ item }}"}}
          b: {for_each: "${{ steps.a.output }}", uses: echo, with: {value: "t${{ item }}"}}
        outputs: {b: "${{ steps.b.output }}"}
        """,
        {"times": [3, 1, 2]},
    )
    assert result.outputs["b"] == ["t3.0", "t1.0", "t2.0"]
    assert result.result.seconds == pytest.approx(3)


def test_a_limit_bounds_how_many_elements_run_at_once_and_no_other_step() -> None:
    log: list[Any] = []
    result = ran(
        """\
        steps:
          a:
            for_each: {in: [e1, e2, e3, e4, e5], limit: 2}
            uses: slow
            with: {seconds: 1, name: "${{ item }}"}
          b: {uses: slow, with: {seconds: 3}}
        """,
        deps=log,
    )
    assert result.result.seconds == pytest.approx(3)
    inside = most = 0
    for what, name in log:
        if name:
            inside += 1 if what == "begins" else -1
            most = max(most, inside)
    assert most == 2


def test_a_map_gives_keys_and_values_and_nothing_gives_nothing() -> None:
    result = ran(
        """\
        inputs: {m: {type: object}, none: {type: array}}
        steps:
          a: {for_each: "${{ inputs.m }}", uses: echo, with: {value: "${{ item.key }}=${{ item.value }}"}}
          b: {for_each: {in: {x: 1, y: [2]}}, uses: echo, with: {value: "${{ item.value }}"}}
          c: {for_each: "${{ inputs.none }}", uses: geocode, with: {place: Nowhere}}
          d: {for_each: [1, 2, 3], uses: echo, with: {value: same}}
          e: {for_each: "${{ steps.c.output }}", uses: echo, with: {value: "${{ item }}"}}
        """,
        {"m": {"k": 1, "l": None}, "none": []},
    )
    assert told(result) == {
        "a": ["k=1", "l=null"],
        "b": [1, [2]],
        "c": [],
        "d": ["same", "same", "same"],
        "e": [],
    }


def test_elements_that_fail_fail_the_step_and_the_others_are_kept() -> None:
    result = ran(
        """\
        steps:
          a: {for_each: [Oslo, Nowhere, Rome], uses: geocode, with: {place: "${{ item }}"}}
          b: {uses: echo, with: {value: {x: 1}}}
          c: {for_each: "${{ steps.b.output.x }}", uses: echo, with: {value: "${{ item }}"}}
        """
    )
    failed = result["a"]
    assert isinstance(failed, Failed)
    assert failed.message == "1 of 3 calls failed: [1] no such place"
    assert [one.status for one in failed.elements or ()] == ["ok", "failed", "ok"]
    assert told(result)["c"] == (
        "BindingError: ${{ steps.b.output.x }}: "
        "'for_each' goes over a list or an object, not a number"
    )


# Repeat


def test_a_step_is_repeated_until_its_condition_holds() -> None:
    calls: list[float] = []
    events: list[Event] = []
    result = ran(
        """\
        inputs: {most: {type: integer, default: 2}}
        steps:
          a:
            uses: poll
            with: {after: 9}
            repeat: {until: "${{ output.count > inputs.most }}", limit: 5, delay: 10s}
        outputs: {count: "${{ steps.a.output.count }}"}
        """,
        deps=calls,
        sinks=[events.append],
    )
    assert (calls, dict(result.outputs)) == ([0, 10, 20], {"count": 3})
    assert [event.tool for event in events if isinstance(event, StepStarted)] == ["a:poll"]


def test_a_condition_that_never_holds_fails_the_step_at_its_limit() -> None:
    calls: list[float] = []
    text = "steps: {a: {uses: poll, with: {after: 9}, repeat: {until: output.done, limit: %s}}}\n"
    result = ran(text % 2, deps=calls)
    assert told(result)["a"] == (
        "ToolError: after 2 runs output.done does not hold; "
        'the last output was {"done": false, "count": 2}'
    )
    assert "after 1 run output.done" in told(ran(text % 1, deps=[]))["a"]


def test_the_timeout_of_a_repeated_step_is_that_of_each_run() -> None:
    result = ran(
        """\
        defaults: {timeout: 3s}
        steps:
          a: {uses: slow, with: {seconds: 2}, repeat: {until: "${{ output > 7 }}", limit: 9}}
          b: {uses: slow, with: {seconds: 2}, repeat: {until: true, limit: 9}, timeout: 1s}
        """
    )
    assert told(result) == {"a": 8.0, "b": "ToolTimeoutError: timed out after 1 s"}


# Cache


def test_results_are_kept_across_runs_where_the_step_or_its_tool_says_so(tmp_path: Path) -> None:
    text = """\
        inputs: {n: {type: integer}}
        steps:
          pure: {uses: counted, with: {value: "${{ inputs.n }}"}}
          kept: {uses: impure, with: {value: "${{ inputs.n + 1 }}"}, cache: true}
          never: {uses: counted, with: {value: "${{ inputs.n + 2 }}"}, cache: false}
          plain: {uses: impure, with: {value: "${{ inputs.n + 3 }}"}}
        """
    for expected in ([0, 1, 2, 3], [2, 3]):
        calls: list[int] = []
        result = ran(text, {"n": 0}, deps=calls, cache=tmp_path / "kept.db")
        assert sorted(calls) == expected
        assert told(result) == {"pure": 0, "kept": 3, "never": 4, "plain": 9}


# Approval

GUARDED = """\
steps:
  a: {uses: guarded, with: {body: a}}
  b: {uses: guarded, with: {body: b}, approve: false}
  c: {uses: say, with: {text: c}, approve: always}
  d: {uses: say, with: {text: "${{ steps.c.output }}"}}
outputs: {a: "${{ steps.a.output }}", b: "${{ steps.b.output }}"}
"""


def test_where_nobody_is_asked_the_workflow_waits() -> None:
    result = ran(GUARDED)
    assert (result.status, result.error) == ("pending", None)
    assert [(one.step, one.reason) for one in result.pending] == [
        ("a", "guarded always needs approval"),
        ("c", "the workflow asks for it"),
    ]
    assert told(result) == {"b": "did b"}
    assert dict(result.outputs) == {"a": None, "b": "did b"}
    assert [one["step"] for one in result.to_json()["pending"]] == ["a", "c"]


def test_an_approver_decides() -> None:
    asked: list[ApprovalRequest] = []

    async def decide(request: ApprovalRequest) -> bool | Verdict:
        asked.append(request)
        return request.deny("too late") if request.step == "c" else True

    result = ran(GUARDED, approver=decide)
    assert result.error == "step 'c' failed: it was not approved: too late"
    assert told(result) == {
        "a": "did a",
        "b": "did b",
        "c": "ApprovalDenied: it was not approved: too late",
        "d": "skipped: it needs step 'c'",
    }
    assert [dict(one.args) for one in asked] == [{"body": "a"}, {"text": "c"}]


def test_what_stands_in_for_a_denied_step_is_asked_about_as_well() -> None:
    text = "steps: {a: {uses: say, with: {text: a}, approve: true, fallback: say}}\n"
    result = ran(text, approver=lambda request: request.step == "a.fallback")
    assert told(result) == {"a": "a"}


# The plan


def test_a_plan_is_shown_without_running_and_with_inputs_as_it_will_run() -> None:
    workflow = loaded(
        """\
        inputs: {n: {type: integer}}
        steps:
          a: {uses: echo, with: {value: "${{ inputs.n + 1 }}"}}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}, needs: [a]}
        """
    )
    assert str(workflow.plan()["a"].args["value"]) == "${{ inputs.n + 1 }}"
    assert workflow.plan({"n": 1})["a"].args["value"] == 2
    assert workflow.plan()["b"].needs == ("a",)


@pytest.mark.slow
def test_a_workflow_of_two_thousand_steps_costs_what_its_plan_costs() -> None:
    """Measured with room to spare: both run on one executor."""
    import time

    import anyio

    from llmcompiler import Agent
    from llmcompiler.testing import ScriptedLLM

    steps = "".join(
        f"  s{n}: {{uses: echo, with: {{value: {n}}}}}\n"
        if n % 10 == 0
        else f'  s{n}: {{uses: echo, with: {{value: "${{{{ steps.s{n - 1}.output }}}}"}}}}\n'
        for n in range(2000)
    )
    workflow = loaded("steps:\n" + steps)
    plan = workflow.plan()
    agent = Agent(ScriptedLLM([]), tools=workflow.tools)

    async def bare() -> None:
        await agent.execute(plan)

    def cost(run: Any) -> float:
        begun = time.process_time()
        run()
        return time.process_time() - begun

    workflow.run_sync()
    whole = min(cost(workflow.run_sync) for _ in range(3))
    alone = min(cost(lambda: anyio.run(bare)) for _ in range(3))
    assert whole < 4 * alone + 0.5
