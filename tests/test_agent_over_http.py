"""The whole loop over a real HTTP server that behaves well, and badly."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Limits, Result, tool
from llmcompiler.errors import EndpointError
from llmcompiler.events import Event, PlanFinished, StepStarted
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.plan import Ok
from tests.llms.server import (
    Script,
    Server,
    answers,
    breaks_with_error,
    cuts,
    ends_without_reason,
    serve,
    streams,
    web_page,
)

pytestmark = pytest.mark.anyio
calls: list[str] = []


@tool
async def price(item: str) -> int:
    """Look a price up."""
    calls.append(item)
    return len(item)


async def run(*script: Script, **limits: Any) -> tuple[Result[str], list[Event], Server]:
    calls.clear()
    async with serve(*script) as server:
        llm = OpenAILLM("m", server.url, api_key="k")
        agent = Agent(llm, tools=[price], limits=Limits(**limits) if limits else None)
        events: list[Event] = []
        with anyio.fail_after(20):
            async with agent.run_stream("What does it cost?", sinks=[events.append]) as stream:
                async for _ in stream.events():
                    pass
        await llm.aclose()
        return stream.result, events, server


async def test_a_step_runs_while_the_server_is_still_streaming_the_plan() -> None:
    result, events, _ = await run(
        streams('1. price(item="pen")\n', "2. price(", 'item="ruler")\n', "3. join()", delay=0.05),
        streams("Answer: ", "eight"),
    )
    assert result.answer == "eight"
    first = next(event for event in events if isinstance(event, StepStarted))
    sealed = next(event for event in events if isinstance(event, PlanFinished))
    assert first.seq < sealed.seq


async def test_several_lines_in_one_chunk_lose_nothing() -> None:
    await run(
        streams('1. price(item="a")\n2. price(item="b")\n3. price(item="c")\n4. join()'),
        streams("Answer: ok"),
    )
    assert calls == ["a", "b", "c"]


@pytest.mark.parametrize("broken", [cuts, ends_without_reason])
async def test_a_broken_stream_goes_on_and_a_started_tool_never_runs_twice(broken: Any) -> None:
    result, _, server = await run(
        broken('1. price(item="pen")\n', '2. price(item="ru'),
        streams('1. price(item="pen")\n2. price(item="ruler")\n3. join()'),
        streams("Answer: ok"),
    )
    assert calls == ["pen", "ruler"]
    assert result["2"] == Ok(5)
    said = [content for role, content in server.posts[1].messages if role == "user"]
    assert "cut off after line 1" in said[-1]


async def test_an_error_after_a_started_tool_keeps_its_result() -> None:
    result, _, _ = await run(
        breaks_with_error('1. price(item="pen")\n', "2. pri"),
        streams('2. price(item="ruler")\n3. join()'),
        streams("Answer: ok"),
    )
    assert calls.count("pen") == 1
    assert result["1"] == Ok(3)


async def test_three_server_errors_and_then_an_answer_is_an_answer() -> None:
    result, _, server = await run(
        answers(500), answers(500), answers(500), streams("Answer: at last")
    )
    assert result.answer == "at last"
    assert len(server.posts) == 4


async def test_a_web_page_is_a_typed_error_that_says_what_is_wrong() -> None:
    result, _, _ = await run(web_page())
    assert isinstance(result.error, EndpointError)
    assert result.error.kind == "protocol"
    assert result.status == "failed"


async def test_a_server_that_is_not_there_is_a_typed_error_and_nothing_hangs() -> None:
    """Defect 2: with the endpoint down the run hung."""
    llm = OpenAILLM("m", "http://127.0.0.1:9/v1", api_key="k", max_retries=0)
    with anyio.fail_after(20), pytest.raises(EndpointError) as caught:
        await Agent(llm, tools=[price]).run("What does it cost?")
    await llm.aclose()
    assert caught.value.kind == "connection"


async def test_observations_reach_the_server_as_one_message_of_the_user() -> None:
    _, _, server = await run(
        streams('1. price(item="a")\n2. price(item="bb")\n3. join()'), streams("Answer: ok")
    )
    roles = [role for role, _ in server.posts[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.posts[1].messages[-1][1] == "$1 = 1\n$2 = 2"


async def test_what_the_server_reads_only_grows() -> None:
    _, _, server = await run(
        streams('1. price(item="a")\n2. join()'),
        streams('Replan: more\n2. price(item="bb")\n3. join()'),
        streams("Answer: ok"),
    )
    before, after = server.posts[0].messages, server.posts[2].messages
    assert after[: len(before)] == before
