"""Does a plan that was written down as a workflow come to the same?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given

from llmcompiler import Agent
from llmcompiler.errors import PlanError
from llmcompiler.language import parse_plan
from llmcompiler.plan import Each, Failed, Json, Ok, Outcome, Plan, Policy, Ref, Task, TaskId
from llmcompiler.registry import load_tools
from llmcompiler.result import Result
from llmcompiler.retry import Retry
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.workflow import Workflow, WorkflowResult
from llmcompiler.workflow.freezing import to_yaml
from llmcompiler.workflow.reading import read
from llmcompiler.workflow.writing import write
from tests.workflow.drawn_plans import plans, policies, values

TOOLS: Final = str(Path(__file__).parent / "standing_in.py")
TOOLBOX: Final = load_tools([TOOLS])


def executed(plan: Plan) -> Result[str]:
    async def main() -> Result[str]:
        agent = Agent(ScriptedLLM([]), tools=TOOLBOX)
        return await agent.execute(replace(plan, request=None))

    return run_virtual(main)


def ran(workflow: Workflow) -> WorkflowResult:
    async def main() -> WorkflowResult:
        return await workflow.run()

    return run_virtual(main)


def told(outcomes: dict[str, Outcome]) -> list[str]:
    """Write outcomes so that 1, 1.0 and true differ."""
    return [
        json.dumps(one.value) if isinstance(one, Ok) else f"{one.status}"
        for one in outcomes.values()
    ]


@given(plans())
def test_a_frozen_plan_comes_to_the_same(drawn: tuple[Plan, dict[str, Json]]) -> None:
    plan, expected = drawn
    before = executed(replace(plan, joins=None))  # with names, what they do not need is not run
    outcomes: dict[str, Outcome] = {step.task.id: step.outcome for step in before.steps}
    assert told({task.id: outcomes[task.id] for task in plan}) == list(
        map(json.dumps, expected.values())
    )
    workflow = Workflow.from_plan(plan, tools=[TOOLS])
    after = ran(workflow)
    assert (after.status, after.error, after.missing) == ("finished", None, {})
    assert told({name: after.steps[name] for name in workflow.file.steps}) == list(
        map(json.dumps, expected.values())
    )
    if plan.joins is not None:
        wanted = [expected[task] for task in plan.joins]
        assert json.dumps(list(after.outputs.values())) == json.dumps(wanted)
    assert workflow.file.description == (plan.request or None)


@given(plans())
def test_freezing_again_changes_nothing_but_comments(drawn: tuple[Plan, dict[str, Json]]) -> None:
    plan = replace(drawn[0], joins=None)
    first = to_yaml(plan, tools=[TOOLS])
    workflow = Workflow.loads(first)
    assert workflow.to_yaml() == first
    second = to_yaml(workflow.plan(), description=plan.request, tools=[TOOLS])
    assert second == "".join(
        line for line in first.splitlines(keepends=True) if not line.startswith("  # ")
    )


@given(values, values)
def test_data_is_read_as_it_was_written(one: Json, two: Json) -> None:
    data: dict[str, Any] = {"one": one, "two": two}
    assert json.dumps(read(write(data), "x").data) == json.dumps(data)


def test_a_failure_is_the_same_and_ends_the_workflow() -> None:
    plan = parse_plan('1. refuse(value="x")\n2. echo(value=$1)\n3. echo(value=1)\n4. join($2, $3)')
    after = ran(Workflow.from_plan(plan, tools=[TOOLS]))
    assert after.steps["refuse"] == Failed("ToolError", "no: x")
    assert told(dict(after.steps)) == ["failed", "skipped", "1"]
    assert (after.status, after.error) == ("failed", "step 'refuse' failed: no: x")
    assert after.outputs == {"echo": None, "echo_2": 1}


@given(policies)
def test_how_a_step_is_run_is_read_back(policy: Policy) -> None:
    each = Each(Ref(TaskId("1")))
    plan = Plan(
        (
            Task(TaskId("1"), "echo", {"value": [1]}),
            Task(TaskId("2"), "echo", {"value": each}, policy=policy),
        )
    )
    read_back = Workflow.from_plan(plan, tools=[TOOLS]).plan()["echo_2"].policy
    if policy.retries is not None and policy.retry is None:
        assert read_back.retry is not None
        assert read_back.retry.attempts == policy.retries
        read_back = replace(read_back, retry=None)
    assert (read_back.approve is None) == (policy.approve is None)
    assert replace(read_back, retries=policy.retries, approve=policy.approve) == policy


def test_waits_that_no_workflow_can_say_are_refused() -> None:
    steep = Policy(retry=Retry(2, factor=3.0))
    with pytest.raises(PlanError) as caught:
        to_yaml(Plan((Task(TaskId("1"), "echo", {"value": 1}, policy=steep),)))
    assert str(caught.value) == "step 1: its waits grow by 3, and a workflow's by 1 or 2"


def test_a_tool_called_like_a_word_of_the_language_works() -> None:
    plan = parse_plan("1. not(value=true)\n2. not(value=$1)\n3. join($2)")
    after = ran(Workflow.from_plan(plan, tools=[TOOLS]))
    assert after.outputs == {"not_2": True}


def test_lists_of_different_lengths_fail_as_in_the_plan() -> None:
    plan = parse_plan(
        "1. echo(value=[1, 2])\n2. echo(value=[3])\n3. pair(left=each $1, right=each $2)\n4. join()"
    )
    before = {str(step.task.id): step.outcome.status for step in executed(plan).steps}
    after = ran(Workflow.from_plan(plan, tools=[TOOLS]))
    assert before["3"] == "failed"
    assert after.error == (
        "step 'pair' failed: ${{ steps.echo.output | zip(steps.echo_2.output) }}: "
        "'zip' needs lists of one length, not 2 and 1"
    )


def test_a_workflow_that_needs_no_inputs_can_be_frozen_by_its_plan() -> None:
    text = (
        "version: 1\n"
        f"tools: [{json.dumps(TOOLS)}]\n"
        "steps:\n"
        "  first: {uses: echo, with: {value: [1, 2]}}\n"
        "  each:\n"
        "    for_each: ${{ steps.first.output }}\n"
        "    uses: echo\n"
        '    with: {value: "${{ item + 1 }}"}\n'
        "  last:\n"
        "    needs: [first]\n"
        "    if: ${{ steps.each.output | length > 1 }}\n"
        "    uses: say\n"
        '    with: {text: "a ${{ steps.each.output | sum }}"}\n'
        'outputs: {text: "${{ steps.last.output }}"}\n'
    )
    plan = Workflow.loads(text).plan()
    again = Workflow.from_plan(plan, tools=[TOOLS])
    assert again.plan() == plan
    assert ran(again).outputs == {"last": "a 5"}


def test_what_reads_inputs_cannot_be_frozen_by_its_plan() -> None:
    text = (
        f"tools: [{json.dumps(TOOLS)}]\n"
        "inputs: {n: {type: integer}}\n"
        'steps: {one: {uses: echo, with: {value: "${{ inputs.n + 1 }}"}}}\n'
    )
    with pytest.raises(PlanError) as caught:
        to_yaml(Workflow.loads(text).plan())
    assert str(caught.value) == (
        "step one: there is no input 'n': a plan has no more than its steps"
    )
    assert "value: 3" in to_yaml(Workflow.loads(text).plan({"n": 2}))


def test_a_fallback_cannot_be_frozen_by_its_plan() -> None:
    text = (
        f"tools: [{json.dumps(TOOLS)}]\n"
        "steps: {one: {uses: refuse, with: {value: 1}, fallback: echo}}\n"
    )
    with pytest.raises(PlanError, match="cannot be written in a workflow file"):
        to_yaml(Workflow.loads(text).plan())
