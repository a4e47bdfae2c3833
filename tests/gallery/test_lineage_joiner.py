"""Defects 23 to 31 of the original that apply: the joiner, back ends, counting, and one `eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Limits, Result, RunContext, tool
from llmcompiler.errors import LLMCompilerError, ReplyError
from llmcompiler.events import AnswerDelta, ReplanStarted, UsageUpdated
from llmcompiler.plan import Failed, Ok
from llmcompiler.registry import bundled_tools
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.architecture.test_dependencies import PROJECT
from tests.gallery.scene import ANSWER, LEAVE, TOOLS, play


@pytest.mark.parametrize(
    "text",
    ["Arthur (magazine) Co", "first line\nsecond line.", "Replan the trip (really)", "Finish(x)"],
)
def test_lineage_23_an_answer_arrives_whole(text: str) -> None:
    seen = play("1. say(value=1)\n2. join()", f"Answer: {text}")
    assert seen.result.answer == text
    assert seen.of(ReplanStarted) == []


def test_lineage_23_a_reply_without_an_answer_is_never_an_empty_answer() -> None:
    again = play("1. say(value=1)\n2. join()", "Action: none", "Answer: something")
    assert again.result.answer == "something"
    never = play("1. say(value=1)\n2. join()", "Action: none", "Action: none")
    assert never.result.status == "failed"
    assert isinstance(never.result.error, ReplyError)
    assert never.result.error.text == "Action: none"


def test_lineage_24_no_replans_means_one_plan_and_an_answer() -> None:
    seen = play("1. say(value=1)\n2. join()", ANSWER, limits=Limits(replans=0))
    assert seen.result.answer == "done"
    assert "No replans are left: answer with what there is." in seen.read()


def test_lineage_24_the_answer_is_streamed() -> None:
    seen = play("Answer: one two three", chunk=4, delay=1.0)
    deltas = seen.of(AnswerDelta)
    assert len(deltas) > 2
    assert deltas[-1].ts - deltas[0].ts >= 2.0


@pytest.mark.parametrize("chunk", [None, 1])
def test_lineage_25_a_model_that_cannot_stream_gives_the_same_run(chunk: int | None) -> None:
    plan = '1. work(name="a")\n2. say(value=$1)\n3. join()'
    seen = play(plan, "Answer: x", chunk=chunk, delay=0.01)
    assert [step.outcome for step in seen.result.steps] == [Ok("a"), Ok("a")]
    assert seen.result.answer == "x"


def test_lineage_28_what_tools_ask_of_the_model_is_counted_too() -> None:
    @tool
    async def think(ctx: RunContext[None], about: str) -> str:
        """Ask the model."""
        return await ctx.ask(about)

    seen = play('1. think(about="it")\n2. join()', "a thought", ANSWER, tools=[think])
    assert seen.result["1"] == Ok("a thought")
    assert seen.result.usage.model_calls == 3
    assert len(seen.result.calls) == 3
    assert len(seen.of(UsageUpdated)) == 3
    assert seen.result.usage.prompt_tokens == sum(
        call.usage.prompt_tokens for call in seen.result.calls
    )


@pytest.mark.parametrize(
    "expression",
    ["__import__('os').getcwd()", "open('/etc/passwd').read()", "(1).__class__", "9**9**9**9"],
)
def test_lineage_29_an_expression_of_the_model_is_not_evaluated_as_python(
    expression: str,
) -> None:
    tools = bundled_tools().values()
    seen = play(f'1. calculate(expression="{expression}")\n2. join()', LEAVE, ANSWER, tools=tools)
    failed = seen.result["1"]
    assert isinstance(failed, Failed)
    assert str(Path.cwd()) not in failed.message
    assert "root:" not in failed.message


def test_lineage_30_no_framework_of_others_is_underneath() -> None:
    everything = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["local"]]
    assert not [line for line in everything if line.lower().startswith("langchain")]
    assert not [line for line in everything if "==" in line], "nothing is pinned to one version"


def test_lineage_31_runs_at_the_same_time_share_no_state() -> None:
    replies = {
        f"Request {number}.": f"1. say(value={number})\n2. say(value=[$1])\n3. join()"
        for number in range(20)
    }
    script: Any = list(replies.items())
    script += [(f"$2 = [{number}]", f"Answer: {number}") for number in range(20)]
    agent = Agent(ScriptedLLM(script, chunk=3, delay=0.1), tools=TOOLS)
    results: dict[int, Result[Any]] = {}

    async def one(number: int) -> None:
        await anyio.sleep(number * 0.07)
        results[number] = await agent.run(f"Request {number}.")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)

    run_virtual(main)
    assert {number: result.answer for number, result in results.items()} == {
        number: str(number) for number in range(20)
    }
    assert all(result["2"] == Ok([number]) for number, result in results.items())


def test_lineage_31_no_error_is_swallowed() -> None:
    llm = ScriptedLLM([])
    with pytest.raises(LLMCompilerError, match="no reply"):
        run_virtual(Agent(llm, tools=TOOLS).run, "Go.")
