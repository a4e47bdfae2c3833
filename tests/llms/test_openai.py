"""OpenAILLM against a real server on loopback, well and badly behaved."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import aclosing

import anyio
import pytest

from llmcompiler.errors import EndpointError
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.messages import Finished, Message, Prompt, Sampling, TextDelta, Usage
from tests.llms.calls import PROMPT, end_of, reply, text_of
from tests.llms.server import (
    Connection,
    Script,
    answers,
    answers_late,
    as_event,
    breaks_with_error,
    chunk,
    cuts,
    ends_without_reason,
    hangs,
    serve,
    serve_in_thread,
    streams,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


# What is sent, and what comes back


async def test_pieces_arrive_as_they_are_sent_and_the_end_tells_the_count() -> None:
    async with serve(streams("1. add(a=1", ")\n2. join()", usage=(20, 15, 9))) as server:
        deltas = await reply(OpenAILLM("m", server.url))
    assert deltas == [
        TextDelta("1. add(a=1"),
        TextDelta(")\n2. join()"),
        Finished("stop", Usage(20, 15, 9, 1)),
    ]


async def test_a_piece_is_given_before_the_next_one_is_sent() -> None:
    given = anyio.Event()

    async def waits_for_the_reader(connection: Connection) -> None:
        await connection.head()
        await connection.text("first")
        await given.wait()
        await connection.text("second")
        await connection.event(chunk({}, "stop"))
        await connection.end()

    async with serve(waits_for_the_reader) as server:
        with anyio.fail_after(10):
            async for _ in OpenAILLM("m", server.url).stream(PROMPT, Sampling()):
                given.set()
    assert server.requests[0].left.is_set() is False


async def test_the_conversation_is_sent_as_roles_that_alternate() -> None:
    messages = (
        Message("rules", "Plan."),
        Message("request", "Sum?"),
        Message("turn", "1. add(a=1)\n2. join()"),
        Message("observation", "$1 = 3"),
        Message("observation", "$2 = 4"),
        Message("notice", "The time is up."),
    )
    async with serve(streams("Answer: 3")) as server:
        await reply(OpenAILLM("m", server.url), Prompt(messages))
    assert server.requests[0].messages == [
        ("system", "Plan."),
        ("user", "Sum?"),
        ("assistant", "1. add(a=1)\n2. join()"),
        ("user", "$1 = 3\n$2 = 4\nThe time is up."),
    ]


async def test_sampling_is_sent_and_what_is_not_set_is_left_to_the_server() -> None:
    async with serve(streams("a"), streams("b")) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm)
        await reply(llm, temperature=0.5, top_p=0.9, top_k=40, min_p=0.1, seed=7, stop=("\n\n",))
    always = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
    first, second = (request.body for request in server.requests)
    del first["messages"], second["messages"]
    assert first == {**always, "temperature": 0.0, "max_tokens": 2048}
    assert second == {
        **always,
        "temperature": 0.5,
        "max_tokens": 2048,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "seed": 7,
        "stop": ["\n\n"],
    }


async def test_a_schema_is_asked_for_only_where_there_is_no_grammar() -> None:
    schema: dict[str, object] = {"type": "object"}
    async with serve(streams("{}"), streams("{}")) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm, Prompt(PROMPT.messages, schema=schema))
        await reply(llm, Prompt(PROMPT.messages, grammar="start: /.*/", schema=schema))
    first, second = (request.body for request in server.requests)
    assert first["response_format"]["json_schema"]["schema"] == schema
    assert "response_format" not in second
    assert "grammar" not in second


async def test_a_key_is_sent_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(*[streams("a")] * 3) as server:
        await reply(OpenAILLM("m", server.url))
        await reply(OpenAILLM("m", server.url, "given"))
        monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
        await reply(OpenAILLM("m", server.url))
    keys = [request.headers["authorization"] for request in server.requests]
    assert keys == ["Bearer no-key", "Bearer given", "Bearer from-environment"]


async def test_the_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(streams("hello")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert text_of(await reply(OpenAILLM("m"))) == "hello"


async def test_several_lines_in_one_chunk_and_events_cut_anywhere_come_out_whole() -> None:
    async def reply_in_odd_packets(connection: Connection) -> None:
        await connection.head()
        events = [chunk({"content": "1. a()\n2. b()\n"}), chunk({"content": "Größe 3 °C 🌍"})]
        data = b": a comment\n\n" + b"".join(map(as_event, [*events, chunk({}, "stop")]))
        for start in range(0, len(data), 7):  # through the middle of characters too
            await connection.send(data[start : start + 7])
        await connection.end()

    async with serve(reply_in_odd_packets) as server:
        deltas = await reply(OpenAILLM("m", server.url))
    assert text_of(deltas) == "1. a()\n2. b()\nGröße 3 °C 🌍"
    assert end_of(deltas).reason == "stop"


async def test_thoughts_are_skipped_and_keep_the_reply_alive() -> None:
    async def thinks(connection: Connection) -> None:
        await connection.head()
        for _ in range(8):
            await anyio.sleep(0.05)
            await connection.event(chunk({"reasoning_content": "hm"}))
        await connection.text("Answer: 4")
        await connection.event(chunk({}, "stop"))
        await connection.end()

    async with serve(streams("warm"), thinks) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm)
        assert text_of(await reply(llm, timeout=0.3)) == "Answer: 4"


# Streams that end badly


@pytest.mark.parametrize(
    "script",
    [
        cuts("1. add(a=1)\n", "2. jo"),
        cuts("1. add(a=1)\n", "2. jo", reset=True),
        ends_without_reason("1. add(a=1)\n", "2. jo"),
        ends_without_reason("1. add(a=1)\n", "2. jo", done=False),
        breaks_with_error("1. add(a=1)\n", "2. jo"),
        breaks_with_error("1. add(a=1)\n", "2. jo", code=400, type="BadRequestError"),
        streams("1. add(a=1)\n", "2. jo", reason="content_filter"),
    ],
    ids=["cut", "reset", "no reason", "no reason, no [DONE]", "error", "error 400", "filtered"],
)
async def test_a_reply_that_breaks_off_is_cut_and_never_asked_for_again(script: Script) -> None:
    async with serve(script, streams("never")) as server:
        deltas = await reply(OpenAILLM("m", server.url))
    assert text_of(deltas) == "1. add(a=1)\n2. jo"
    assert end_of(deltas).reason == "cut"
    assert len(server.requests) == 1


async def test_an_event_that_is_no_json_cuts_the_reply() -> None:
    async def garbles(connection: Connection) -> None:
        await connection.head()
        await connection.text("1. a()\n")
        await connection.event("{not json")
        await connection.end()

    async with serve(garbles) as server:
        deltas = await reply(OpenAILLM("m", server.url))
    assert (text_of(deltas), end_of(deltas).reason) == ("1. a()\n", "cut")


async def test_a_reply_that_grew_too_long_says_so() -> None:
    async with serve(streams("Answer: and so", reason="length")) as server:
        assert end_of(await reply(OpenAILLM("m", server.url))).reason == "length"


async def test_a_connection_that_breaks_after_the_reason_is_no_cut() -> None:
    async with serve(streams("Answer: 4", usage=None, end="cut")) as server:
        end = end_of(await reply(OpenAILLM("m", server.url)))
    assert (end.reason, end.usage.estimated) == ("stop", True)


async def test_an_empty_reply_that_came_to_its_end_is_not_asked_for_again() -> None:
    async with serve(streams(usage=None, end="cut"), streams("never")) as server:
        deltas = await reply(OpenAILLM("m", server.url))
    assert [type(delta) for delta in deltas] == [Finished]
    assert end_of(deltas).reason == "stop"
    assert len(server.requests) == 1


async def test_silence_in_the_middle_cuts_the_reply_and_closes_the_connection() -> None:
    async with serve(streams("warm"), hangs("1. add(a=1)\n")) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm)
        deltas = await reply(llm, timeout=0.25)
        with anyio.fail_after(10):
            await server.requests[1].left.wait()
    assert (text_of(deltas), end_of(deltas).reason) == ("1. add(a=1)\n", "cut")


@pytest.mark.parametrize("script", [hangs(), answers_late(5, streams("late"))])
async def test_silence_from_the_start_is_a_timeout(script: Script) -> None:
    async with serve(streams("warm"), script) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm)
        with pytest.raises(EndpointError, match=r"within 0\.25 s") as caught:
            await reply(llm, timeout=0.25)
        with anyio.fail_after(10):
            await server.requests[1].left.wait()
    assert caught.value.kind == "timeout"
    assert len(server.requests) == 2


# Stopping, closing, and one object in several loops


async def test_closing_the_stream_early_closes_the_connection() -> None:
    async with serve(hangs("1. join()\n"), streams("next")) as server:
        llm = OpenAILLM("m", server.url)
        async with aclosing(llm.stream(PROMPT, Sampling())) as stream:
            assert await anext(stream) == TextDelta("1. join()\n")
        with anyio.fail_after(10):
            await server.requests[0].left.wait()
        assert text_of(await reply(llm)) == "next"


@pytest.mark.parametrize("script", [hangs(), hangs("1. a()\n")], ids=["before", "amid"])
async def test_cancelling_the_caller_closes_the_connection(script: Script) -> None:
    asked = anyio.Event()

    async def tells(connection: Connection) -> None:
        asked.set()
        await script(connection)

    async with serve(tells) as server:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(reply, OpenAILLM("m", server.url))
                await asked.wait()
                await anyio.sleep(0.05)
                group.cancel_scope.cancel()
            await server.requests[0].left.wait()


async def test_one_connection_serves_one_call_after_the_other() -> None:
    async with serve(streams("a"), streams("b"), streams("c")) as server:
        llm = OpenAILLM("m", server.url)
        await reply(llm)
        await reply(llm)
        assert server.connections == 1
        await llm.aclose()
        assert text_of(await reply(llm)) == "c"
        assert server.connections == 2


async def test_calls_at_the_same_time_do_not_wait_for_each_other() -> None:
    met = [anyio.Event(), anyio.Event()]

    def meets(mine: int) -> Script:
        async def script(connection: Connection) -> None:
            met[mine].set()
            await met[1 - mine].wait()
            await streams("ok")(connection)

        return script

    async with serve(meets(0), meets(1)) as server, anyio.create_task_group() as group:
        llm = OpenAILLM("m", server.url)
        with anyio.fail_after(10):
            group.start_soon(reply, llm)
            await reply(llm)


def test_one_object_serves_several_event_loops_and_leaves_nothing_open() -> None:
    loops: list[Callable[[], object]] = []
    with serve_in_thread(*[streams("ok")] * 3) as server:
        llm = OpenAILLM("m", server.url)

        async def main() -> str:
            loops.append(weakref.ref(anyio.lowlevel.current_token().native_token))
            return text_of(await reply(llm))

        assert [anyio.run(main) for _ in range(3)] == ["ok"] * 3
        gc.collect()  # an open socket would be a ResourceWarning, and so an error
    assert [loop() for loop in loops] == [None] * 3
    assert server.connections == 3


async def test_a_client_of_ones_own_is_used_and_left_open() -> None:
    import openai

    async with (
        serve(answers(500), streams("ok"), streams("ok"), answers(500)) as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="mine") as client,
    ):
        llm = OpenAILLM("m", client=client, max_retries=1)
        assert text_of(await reply(llm)) == "ok"
        await llm.aclose()
        assert text_of(await reply(llm)) == "ok"
        with pytest.raises(EndpointError):
            await reply(OpenAILLM("m", client=client, max_retries=0))
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer mine"] * 4


def test_importing_the_back_end_does_not_import_the_sdk() -> None:
    code = "import sys, llmcompiler.llms.openai as room; print('openai' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
