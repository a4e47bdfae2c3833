"""Complaint: local models need a server, and what parses their tool calls loses or mangles them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Result, tool
from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Context
from llmcompiler.events import Event, PlanFinished, StepPlanned, StepRejected, StepStarted
from llmcompiler.llms.local import LocalLLM
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.plan import Ok
from llmcompiler.registry import bundled_tools
from llmcompiler_planners.embedded import model_path
from tests.gallery.scene import ANSWER, play
from tests.llms.server import serve, streams

pytestmark = pytest.mark.anyio
ASK = "How many kilometers are 3 miles, and how many grams are 2 pounds?"


@pytest.fixture(scope="module")
def embedded() -> Iterator[LocalLLM]:
    """Return the model that comes along, in this process, loaded once for all tests here."""
    llm = LocalLLM(model_path(), {"threads": 1, "chunk": 64})
    yield llm
    anyio.run(llm.aclose)


async def seen_on(llm: Any, request: str, **options: Any) -> tuple[Result[Any], list[Event]]:
    events: list[Event] = []
    async with Agent(llm, **options).run_stream(request, sinks=[events.append]) as stream:
        async for _ in stream.events():
            pass
    return stream.result, events


async def test_pydantic_ai_1801_a_single_file_in_this_process_and_no_server(
    embedded: LocalLLM,
) -> None:
    assert model_path().suffix == ".gguf"
    result, _ = await seen_on(embedded, "How many kilometers are 3 miles?")
    assert result.status == "finished"
    assert "4.82" in (result.answer or "")
    assert [step.task.tool for step in result.steps] == ["convert"]


async def test_llama_cpp_python_1883_1338_pr_1884_and_pr_1503_parallel_calls_are_streamed(
    embedded: LocalLLM,
) -> None:
    result, events = await seen_on(embedded, ASK)
    assert result.status == "finished"
    started = [event.seq for event in events if isinstance(event, StepStarted)]
    planned = [event.seq for event in events if isinstance(event, StepPlanned)]
    (sealed,) = [event.seq for event in events if isinstance(event, PlanFinished)]
    assert len(started) >= 2
    assert started[0] < planned[-1] < sealed, "the first ran while the next was being written"


@pytest.mark.parametrize("names", [("add_days", "average"), ("time_in", "calculate")])
async def test_squeezeailab_llmcompiler_19_a_small_model_cannot_write_what_is_no_plan(
    names: tuple[str, ...], embedded: LocalLLM
) -> None:
    """A few million parameters, asked for what these tools cannot do, and held to their grammar."""
    box = bundled_tools()
    events: list[Event] = []
    agent = Agent(embedded, tools=[box[name] for name in names])
    plan = await agent.plan(
        "How many kilometers are 3 miles, and what time is it in Oslo?", sinks=[events.append]
    )
    assert len(plan) >= 1, "it may be a foolish plan"
    assert {task.tool for task in plan} <= set(names)
    assert [event for event in events if isinstance(event, StepRejected)] == []


async def test_llama_cpp_python_599_pr_733_175_963_a_reply_is_stopped_and_the_next_one_works(
    embedded: LocalLLM,
) -> None:
    async with Agent(embedded).run_stream(ASK) as stream:
        async for event in stream.events():
            if isinstance(event, StepPlanned):
                stream.cancel()
    assert stream.result.status == "cancelled"
    assert len(stream.result.plan.tasks) == 1
    result, _ = await seen_on(embedded, "How many kilometers are 3 miles?")
    assert result.status == "finished"


async def test_llama_cpp_pr_10571_stopping_takes_effect_while_the_prompt_is_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = Context.evaluate
    loop = asyncio.get_running_loop()
    stopped = threading.Event()
    read: list[int] = []
    llm = LocalLLM(model_path(), {"threads": 1, "chunk": 64, "drafts": False})

    def stop_in_the_first(context: Context, batch: Batch) -> None:
        if not read:
            loop.call_soon_threadsafe(scope.cancel)
            stopped.wait(30)
        read.append(batch.size)
        evaluate(context, batch)

    monkeypatch.setattr(Context, "evaluate", stop_in_the_first)
    with anyio.CancelScope() as scope:
        try:
            await Agent(llm).run(ASK * 10)
        finally:
            stopped.set()
    assert scope.cancelled_caught
    assert len((await seen_on(llm, "How many kilometers are 3 miles?"))[0].steps) == 1
    await llm.aclose()
    first, *later = read
    assert first <= 64
    assert sum(later) < 700, "what was left of the long prompt was not read"


@pytest.mark.parametrize("number", [4856, 4116, 667, 2284, 1292])
async def test_pydantic_ai_4856_4116_667_2284_and_1292_no_servers_tool_parser_is_in_the_way(
    number: int,
) -> None:
    """However a server cuts its stream, calls are read from the text, whole and in order."""
    plan = (
        '1. say(value={"a": [1, "}"]})\n2. say(value="New York")\n3. say(value=$1.a[1])\n4. join()'
    )
    size = number % 7 + 1
    pieces = [plan[start : start + size] for start in range(0, len(plan), size)]

    @tool
    async def say(value: Any) -> Any:
        """Return what it is given."""
        return value

    async with serve(streams(*pieces), streams("Answer: ", "ok")) as server:
        llm = OpenAILLM("m", server.url, api_key="k")
        with anyio.fail_after(20):
            result, _ = await seen_on(llm, "Go.", tools=[say])
        await llm.aclose()
        assert "tools" not in server.requests[0].body
        assert "tool_choice" not in server.requests[0].body
    assert result.answer == "ok"
    values = [Ok({"a": [1, "}"]}), Ok("New York"), Ok("}")]
    assert [result[step] for step in "123"] == values


def test_smolagents_1899_several_calls_in_one_turn_are_all_read() -> None:
    lines = [f"{number}. say(value={number})" for number in range(1, 31)]
    seen = play("\n".join([*lines, "31. join()"]), ANSWER)
    assert [step.outcome for step in seen.result.steps] == [Ok(n) for n in range(1, 31)]


def test_langchain_34746_malformed_text_is_repaired_and_does_not_end_the_run() -> None:
    seen = play(
        '1. say(value={"a": 1,, "b"})\n2. say(value="fine")\n3. say(value=$1)\n4. join()',
        '1. say(value={"a": 1})',
        ANSWER,
    )
    assert [event.step for event in seen.of(StepRejected)] == ["1"]
    assert seen.result["3"] == Ok({"a": 1})
    assert seen.result["2"] == Ok("fine")
    assert len(seen.llm.prompts) == 3
