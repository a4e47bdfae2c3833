"""The public face: transcripts, outputs, plans by hand, overrides, JSON."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from llmcompiler import Agent, Limits, Plan, RunContext, tool
from llmcompiler.errors import (
    EmptyRequestError,
    PlanError,
)
from llmcompiler.plan import Ok, Ref, Task, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.agent.scenario import PLAN, TOOLS, calls, run


def test_output_of_a_type_is_read_from_the_answer() -> None:
    class Sum(BaseModel):
        total: float

    done = run(PLAN, 'Answer: {"total": 8}', output_type=Sum)
    assert done.result.output == Sum(total=8)


def test_output_that_is_not_of_the_type_is_asked_for_once_more() -> None:
    done = run('Answer: "many"', "Answer: 3", output_type=int)
    assert done.result.output == 3
    assert done.result.answer == "3"
    assert "not of the type asked for" in done.last_texts()[-1]


def test_the_conversation_only_grows_and_each_prompt_continues_the_one_before() -> None:
    done = run(
        '1. price(item="ghost")\n2. prize(item="b")\n3. join()',
        '2. price(item="b")',
        'Replan: again\n3. price(item="c")\n4. join()',
        "Answer: ok",
    )
    for before, after in pairwise(done.prompts):
        assert after.messages[: len(before.messages)] == before.messages


def test_what_stands_before_the_first_request_is_the_same_for_every_request() -> None:
    first = run("Answer: a", request="One?")
    second = run("Answer: b", request="Two?")
    assert first.prompts[0].messages[0] == second.prompts[0].messages[0]
    assert first.prompts[0].messages[0].kind == "rules"


def test_a_chat_goes_on_from_the_transcript_and_numbers_begin_at_one_again() -> None:
    async def main() -> None:
        llm = ScriptedLLM(
            [
                '1. price(item="pen")\n2. join()',
                "Answer: 3",
                '1. price(item="ruler")\n2. join()',
                "Answer: 5",
            ]
        )
        agent = Agent(llm, tools=TOOLS)
        first = await agent.run("The pen?")
        second = await agent.run("And the ruler?", history=first.transcript)
        assert second["1"] == Ok(5.0)
        texts = [message.text for message in llm.prompts[2].messages]
        assert texts[-1] == "And the ruler?"
        assert "Answer: 3" in texts

    run_virtual(main)


def test_what_a_tool_asks_of_the_model_counts_in_the_runs_usage() -> None:
    @tool
    async def summarise(ctx: RunContext[None], text: str) -> str:
        """Summarise."""
        return await ctx.ask(f"Summarise: {text}")

    async def main() -> None:
        llm = ScriptedLLM(['1. summarise(text="long")\n2. join()', "short", "Answer: done"])
        result = await Agent(llm, tools=[summarise]).run("Summarise it")
        assert result["1"] == Ok("short")
        assert result.usage.model_calls == 3

    run_virtual(main)


def test_a_joiner_of_its_own_reads_the_results() -> None:
    async def main() -> None:
        planner = ScriptedLLM(['1. price(item="pen")\n2. join()'])
        joiner = ScriptedLLM(["Answer: 3"])
        result = await Agent(planner, joiner=joiner, tools=TOOLS).run("The pen?")
        assert result.answer == "3"
        joiner.assert_complete()

    run_virtual(main)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([("a", "add", {"left": Ref(TaskId("b")), "right": 1.0}), ("b", "add", {"left": Ref(TaskId("a")), "right": 1.0})], "circle"),
        ([("a", "add", {"left": Ref(TaskId("c")), "right": 1.0})], "no task 'c'"),
        ([("a", "prize", {"item": "x"})], "did you mean 'price'"),
        ([("a", "price", {"item": "x"}), ("a", "price", {"item": "y"})], "two tasks"),
    ],
)  # fmt: skip
def test_an_illegal_plan_is_refused_before_anything_runs(
    tasks: list[tuple[str, str, dict[str, Any]]], message: str
) -> None:
    plan = Plan(tuple(Task(TaskId(key), name, args) for key, name, args in tasks))

    async def main() -> None:
        await Agent(ScriptedLLM([]), tools=TOOLS).execute(plan)

    with pytest.raises(PlanError, match=message):
        run_virtual(main)
    assert calls == []


def test_override_holds_for_the_block_alone() -> None:
    async def main() -> None:
        agent = Agent(ScriptedLLM(["Answer: real"]), tools=TOOLS)
        with agent.override(model=ScriptedLLM(["Answer: double"]), tools=[]):
            assert (await agent.run("x")).answer == "double"
        assert (await agent.run("x")).answer == "real"
        assert len(agent.tools) == 3

    run_virtual(main)


def test_an_empty_request_is_refused_before_the_model_is_asked() -> None:
    async def main() -> None:
        await Agent(ScriptedLLM([]), tools=TOOLS).run("  ")

    with pytest.raises(EmptyRequestError):
        run_virtual(main)


def test_two_runs_of_one_agent_do_not_mix() -> None:
    async def main() -> None:
        llm = ScriptedLLM(
            {
                "pens": '1. price(item="pen")\n2. join()',
                "rulers": '1. price(item="ruler")\n2. join()',
                "$1 = 3.0": "Answer: 3",
                "$1 = 5.0": "Answer: 5",
            }
        )
        agent = Agent(llm, tools=TOOLS)
        answers: dict[str, str | None] = {}

        async def ask(request: str) -> None:
            answers[request] = (await agent.run(request)).answer

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "pens")
            tasks.start_soon(ask, "rulers")
        assert answers == {"pens": "3", "rulers": "5"}

    run_virtual(main)


def test_the_json_of_a_result_has_every_part_of_the_contract() -> None:
    shown = run(
        '1. price(item="ghost")\n2. price(item="pen")\n3. price(item="is ${2}")\n4. join()',
        "Answer: some",
        limits=Limits(mends=0),
    ).result.to_json()
    assert shown["answer"] == "some"
    assert shown["status"] == "finished"
    assert shown["error"] is None
    assert shown["plans"][0][2] == {
        "id": "3",
        "tool": "price",
        "args": {"item": {"template": "is ${2}"}},
        "needs": ["2"],
    }
    by_id = {step["id"]: step for step in shown["steps"]}
    assert by_id["1"]["status"] == "failed"
    assert by_id["1"]["error"] == {
        "type": "ValueError",
        "message": "ValueError: there is no such item",
    }
    assert by_id["3"]["args"] == {"item": "is 3.0"}
    assert (by_id["3"]["output"], by_id["3"]["start"], by_id["3"]["end"]) == (6.0, 1.0, 2.0)
    assert set(shown["usage"]) == {
        "prompt_tokens",
        "reused_tokens",
        "completion_tokens",
        "model_calls",
        "cost",
    }
    assert shown["timing"] == {"total": 2.0, "critical_path": 2.0, "sum_of_steps": 3.0}
