"""Complaints: workflow files run nothing in parallel, hide typing mistakes, and lag behind Python."""

from __future__ import annotations

import inspect
from typing import Any

import anyio
import pytest

from llmcompiler import Toolbox, tool
from llmcompiler.plan import Ok, Policy
from llmcompiler.testing import run_virtual
from llmcompiler.workflow import InputError, Workflow, WorkflowError, WorkflowResult
from llmcompiler.workflow.model import StepSpec
from llmcompiler.workflow.schema import json_schema

HEAD = "version: 1\ntools: [llmcompiler_tools.arithmetic]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(WorkflowError) as caught:
        Workflow.loads(text, "flow.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_agent_framework_4429_and_2765_steps_of_a_file_run_in_parallel() -> None:
    text = f"""{HEAD}steps:
  left: {{uses: calculate, repeat: {{until: "${{{{ output == 2 }}}}", limit: 2, delay: 1s}}, with: {{expression: "1 + 1"}}}}
  right: {{uses: calculate, with: {{expression: "2 + 2"}}}}
  both: {{uses: total, with: {{values: ["${{{{ steps.left.output }}}}", "${{{{ steps.right.output }}}}"]}}}}
outputs: {{sum: "${{{{ steps.both.output }}}}"}}
"""
    started: dict[str, float] = {}

    async def main() -> WorkflowResult:
        def note(event: Any) -> None:
            if event.type == "step_started":
                started[event.step] = event.ts

        return await Workflow.loads(text).run(sinks=[note])

    result = run_virtual(main)
    assert result.outputs == {"sum": 6}
    assert started["left"] == started["right"]


def test_agent_framework_4188_and_haystack_7443_files_have_a_published_schema() -> None:
    schema = json_schema(Toolbox([tool(add)]))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "add" in str(schema)
    assert "additionalProperties" in str(schema)


def test_hayhooks_156_inputs_and_outputs_are_declared_and_checked() -> None:
    text = f"""{HEAD}inputs: {{number: {{type: integer}}}}
steps:
  twice: {{uses: calculate, with: {{expression: "2 * ${{{{ inputs.number }}}}"}}}}
outputs: {{double: "${{{{ steps.twice.output }}}}"}}
"""
    flow = Workflow.loads(text)
    assert flow.run_sync({"number": 4}).outputs == {"double": 8}
    with pytest.raises(InputError, match="the input 'number' is missing"):
        flow.run_sync({})
    with pytest.raises(InputError, match="number must be a whole number"):
        flow.run_sync({"number": "four"})


def test_adk_4098_and_3905_what_a_step_of_a_plan_has_a_step_of_a_file_has_too() -> None:
    said = set(StepSpec.model_fields)
    assert {"timeout", "retry", "approve", "cache", "if_", "fallback"} <= said
    stamped = {"effects", "resource"}  # by the tool
    assert set(inspect.signature(Policy).parameters) - stamped <= said | {"limit", "retries"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "uess: calculate",
            "flow.yaml:5:5: there is no key 'uess' in a step; did you mean 'uses'?",
        ),
        (
            "uses: calculat",
            "flow.yaml:5:11: there is no tool 'calculat'; did you mean 'calculate'?",
        ),
    ],
)
def test_praisonai_1628_2125_and_conductor_140_a_typing_mistake_is_found_before_anything_runs(
    line: str, message: str
) -> None:
    said = problems(f'{HEAD}steps:\n  one:\n    {line}\n    with: {{expression: "1"}}\n')
    assert message in said


def test_wish_a_workflow_is_a_tool_like_any_other() -> None:
    text = f"""{HEAD}name: twice
inputs: {{number: {{type: number}}}}
steps:
  sum: {{uses: calculate, with: {{expression: "2 * ${{{{ inputs.number }}}}"}}}}
outputs: {{double: "${{{{ steps.sum.output }}}}"}}
"""

    async def main() -> None:
        from llmcompiler import Agent
        from llmcompiler.testing import ScriptedLLM

        plan = "1. twice(number=4)\n2. join()"
        agent = Agent(ScriptedLLM([plan, "Answer: 8"]), tools=[Workflow.loads(text).as_tool()])
        result = await agent.run("What is twice 4?")
        assert result["1"] == Ok({"double": 8})
        await anyio.lowlevel.checkpoint()

    run_virtual(main)


def add(left: float, right: float) -> float:
    """Add two numbers."""
    return left + right
