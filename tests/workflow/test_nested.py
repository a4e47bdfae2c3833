"""Nesting: a workflow as a step, as a tool of an agent, and what goes through from one to the other."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from llmcompiler import Agent
from llmcompiler.events import Event
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.workflow import Workflow, WorkflowError, WorkflowResult
from tests.workflow.trying import HERE, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(HERE / "deeds.py", tmp_path / "deeds.py")
    return tmp_path


def written(folder: Path, name: str, text: str) -> Workflow:
    (folder / name).write_text("tools: [./deeds.py]\n" + dedent(text))
    return Workflow.load(folder / name)


def ran(workflow: Workflow, inputs: dict[str, Any] | None = None, **options: Any) -> WorkflowResult:
    async def main() -> WorkflowResult:
        return await workflow.run(inputs, **options)

    return run_virtual(main)


PLACE = """\
name: whereabouts
description: Where a place is
inputs: {place: {type: string}, loud: {type: boolean, default: false}}
steps:
  a: {uses: geocode, with: {place: "${{ inputs.place }}"}}
outputs: {lat: "${{ steps.a.output.lat }}", loud: "${{ inputs.loud }}"}
"""


def test_a_workflow_is_a_step_with_inputs_and_outputs_of_its_own(folder: Path) -> None:
    written(folder, "place.yaml", PLACE)
    outer = written(
        folder,
        "w.yaml",
        """\
        steps:
          a: {for_each: [Oslo, Rome, Lillehammer], uses: ./place.yaml, with: {place: "${{ item }}"}}
          b: {uses: ./place.yaml, with: {place: Nowhere, loud: true}, on_error: continue}
          c: {uses: echo, with: {value: "${{ steps.a.output[2].lat + 1 }}"}}
        outputs: {why: "${{ steps.b.error }}"}
        """,
    )
    result = ran(outer)
    assert told(result) == {
        "a": [
            {"lat": 4.0, "loud": False},
            {"lat": 4.0, "loud": False},
            {"lat": 11.0, "loud": False},
        ],
        "b": "ToolError: the workflow 'whereabouts' failed: step 'a' failed: no such place",
        "c": 12.0,
    }
    assert (result.status, result.name) == ("finished", "w")


def test_a_workflow_is_a_tool_of_an_agent(folder: Path) -> None:
    tool = written(folder, "place.yaml", PLACE).as_tool()
    assert (tool.name, tool.description, tool.effects) == (
        "whereabouts",
        "Where a place is",
        "read",
    )
    assert tool.parameters["required"] == ["place"]
    model = ScriptedLLM(
        [("where", '1. whereabouts(place="Oslo")\n2. join($1)'), ('"lat"', "Answer: at 4")]
    )

    async def main() -> Any:
        return await Agent(model, tools=[tool]).run("where is it")

    result = run_virtual(main)
    assert result.answer == "at 4"
    assert result["1"].value == {"lat": 4.0, "loud": False}


def test_what_a_workflow_does_is_owned_up_to_by_its_tool(folder: Path) -> None:
    send = written(folder, "send.yaml", "steps: {a: {uses: send, with: {body: a}}}\n")
    once = written(folder, "put.yaml", "steps: {a: {uses: put, with: {body: a}}}\n")
    outer = written(folder, "w.yaml", "name: a-b c\nsteps: {a: {uses: ./send.yaml}}\n")
    assert (send.as_tool().effects, send.as_tool().repeatable) == ("write", False)
    assert (once.as_tool().effects, once.as_tool().repeatable) == ("write", True)
    assert (outer.as_tool().effects, outer.as_tool().name) == ("write", "a_b_c")
    assert outer.as_tool("other").name == "other"


def test_approvals_inside_are_put_to_who_is_asked_outside(folder: Path) -> None:
    written(
        folder,
        "ask.yaml",
        "steps: {do: {uses: guarded, with: {body: x}}}\noutputs: {did: '${{ steps.do.output }}'}\n",
    )
    outer = written(folder, "w.yaml", "steps: {a: {uses: ./ask.yaml}}\n")
    assert told(ran(outer)) == {
        "a": "ToolError: the workflow 'ask' waits for the approval of 'do', "
        "and nobody was there to ask"
    }
    asked: list[str] = []

    def agree(request: Any) -> bool:
        asked.append(request.step)
        return True

    assert told(ran(outer, approver=agree)) == {"a": {"did": "did x"}}
    assert asked == ["do"]


def test_models_environment_deps_and_secrets_go_through(folder: Path) -> None:
    written(
        folder,
        "inner.yaml",
        """\
        env: [MOOD]
        secrets: [PIN]
        inputs: {key: {type: string}}
        models: {m: embedded}
        steps:
          a: {uses: llm, with: {prompt: "in ${{ env.MOOD }} mood with ${{ inputs.key }}"}}
          b: {uses: send, with: {body: "${{ secrets.PIN }}/${{ inputs.key }}"}}
        outputs: {a: "${{ steps.a.output }}", b: "${{ steps.b.output }}"}
        """,
    )
    outer = written(
        folder,
        "w.yaml",
        """\
        secrets: [KEY]
        models: {m: embedded}
        steps:
          a: {uses: ./inner.yaml, with: {key: "${{ secrets.KEY }}"}}
          b: {uses: llm, with: {prompt: outside}}
        outputs: {a: "${{ steps.a.output }}"}
        """,
    )
    model = ScriptedLLM({"in good mood": "fine", "outside": "out"})
    sent: list[Any] = []
    events: list[Event] = []
    result = ran(
        outer,
        models={"m": model},
        environment={"MOOD": "good", "KEY": "k3y-value", "PIN": "p1n-value"},
        deps=sent,
        sinks=[events.append],
    )
    assert sent == ["p1n-value/k3y-value"]
    assert told(result) == {"a": {"a": "fine", "b": "sent ***/***"}, "b": "out"}
    assert result.result.usage.model_calls == 2
    prompts = [message.text for prompt in model.prompts for message in prompt.messages]
    assert sorted(prompts) == ["in good mood with ***", "outside"]
    assert "-value" not in repr(events) + repr(result)


def test_calls_of_models_inside_count_in_the_limits_outside(folder: Path) -> None:
    written(
        folder,
        "inner.yaml",
        "models: {m: embedded}\nsteps: {a: {uses: llm, with: {prompt: x}}}\n"
        "outputs: {a: '${{ steps.a.output }}'}\n",
    )
    outer = written(
        folder,
        "w.yaml",
        """\
        limits: {model_calls: 2}
        models: {m: embedded}
        steps:
          a: {uses: ./inner.yaml}
          b: {uses: ./inner.yaml, needs: a}
          c: {uses: ./inner.yaml, needs: b}
        """,
    )
    result = ran(outer, models={"m": ScriptedLLM({"x": "y"})})
    assert [one.status for one in result.steps.values()] == ["ok", "ok", "failed"]


def test_the_limit_of_the_run_outside_cuts_what_runs_inside(folder: Path) -> None:
    written(folder, "inner.yaml", "steps: {a: {uses: slow, with: {seconds: 100}}}\n")
    outer = written(
        folder,
        "w.yaml",
        "limits: {seconds: 9}\nsteps: {a: {uses: ./inner.yaml, timeout: 2}, b: {uses: ./inner.yaml}}\n",
    )
    result = ran(outer)
    assert told(result) == {
        "a": "ToolTimeoutError: timed out after 2 s",
        "b": "cancelled: the time is up",
    }


TWICE = """\
name: twice
description: Double a number
inputs: {number: {type: number}}
steps:
  sum: {uses: forecast, with: {lat: "${{ inputs.number }}", lon: "${{ inputs.number }}"}}
outputs: {double: "${{ steps.sum.output }}"}
"""


def test_a_workflow_among_the_tools_is_called_by_steps_and_by_agents(folder: Path) -> None:
    written(folder, "twice.yaml", TWICE)
    (folder / "top.yaml").write_text(
        "tools: [./deeds.py, ./twice.yaml]\n"
        "models: {m: embedded}\n"
        "steps:\n"
        "  a: {uses: twice, with: {number: 4}}\n"
        "  b: {uses: agent, with: {request: Twice five?, tools: [twice]}}\n"
        'outputs: {x: "${{ steps.a.output.double }}", y: "${{ steps.b.output }}"}\n'
    )
    model = ScriptedLLM(["1. twice(number=5)\n2. join()", "Answer: ten"])
    result = ran(Workflow.load(folder / "top.yaml"), models={"m": model})
    assert result.outputs == {"x": 8.0, "y": "ten"}


def test_a_workflow_among_the_tools_that_cannot_be_used_is_told_with_its_own_problems(
    folder: Path,
) -> None:
    (folder / "twice.yaml").write_text(TWICE)  # nobody gives it its tools
    (folder / "top.yaml").write_text("tools: [./twice.yaml]\nsteps: {a: {uses: twice}}\n")
    with pytest.raises(WorkflowError) as raised:
        Workflow.load(folder / "top.yaml")
    assert [str(one).removeprefix(f"{folder}/") for one in raised.value.problems] == [
        "top.yaml:1:9: './twice.yaml' cannot be used: it has problems",
        "twice.yaml:5:15: there is no tool 'forecast'; did you mean 'least'?",
    ]


def test_a_workflow_among_the_tools_runs_as_a_part_of_the_run_that_calls_it(folder: Path) -> None:
    asking = TWICE.replace("sum: {uses: forecast,", "sum: {uses: forecast, approve: always,")
    written(folder, "twice.yaml", asking)
    (folder / "top.yaml").write_text(
        "tools: [./deeds.py, ./twice.yaml]\n"
        "steps: {a: {uses: twice, with: {number: 4}}}\n"
        'outputs: {x: "${{ steps.a.output.double }}"}\n'
    )
    result = ran(Workflow.load(folder / "top.yaml"), approver=lambda request: True)
    assert (result.status, result.outputs) == ("finished", {"x": 8.0})
