"""OpenAILLM against a real server on loopback, well and badly behaved."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from llmcompiler.errors import ContextLengthError, EndpointError, ModelSpecError
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.messages import Delta, Finished, Message, Prompt, Sampling, TextDelta, Usage
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
    web_page,
)

pytestmark = pytest.mark.anyio

PROMPT = Prompt((Message("rules", "Be brief."), Message("request", "How warm is Oslo?")))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def reply(llm: OpenAILLM, prompt: Prompt = PROMPT, **sampling: Any) -> list[Delta]:
    return [delta async for delta in llm.stream(prompt, Sampling(**sampling))]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def end_of(deltas: list[Delta]) -> Finished:
    assert [type(delta) for delta in deltas[:-1]] == [TextDelta] * (len(deltas) - 1)
    assert isinstance(deltas[-1], Finished)
    return deltas[-1]


async def refusal(*script: Script, retries: int = 0, **options: Any) -> EndpointError:
    async with serve(*script, **options) as server:
        llm = OpenAILLM("m", server.url, max_retries=retries)
        with pytest.raises(EndpointError) as caught:
            await reply(llm)
        await llm.aclose()
    assert caught.value.url == server.url
    assert "\n" not in str(caught.value)
    return caught.value


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
        with anyio.fail_after(5):
            async for delta in OpenAILLM("m", server.url).stream(PROMPT, Sampling()):
                given.set()
    assert isinstance(delta, Finished)


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
        **{"temperature": 0.5, "max_tokens": 2048, "top_p": 0.9, "top_k": 40, "min_p": 0.1},
        **{"seed": 7, "stop": ["\n\n"]},
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
        for _ in range(6):
            await anyio.sleep(0.05)
            await connection.event(chunk({"reasoning_content": "hm"}))
        await connection.text("Answer: 4")
        await connection.event(chunk({}, "stop"))
        await connection.end()

    async with serve(thinks) as server:
        deltas = await reply(OpenAILLM("m", server.url), timeout=0.2)
    assert text_of(deltas) == "Answer: 4"


# Parameters that a server will not have


async def test_a_server_that_cannot_count_is_asked_without_and_the_figures_are_guesses() -> None:
    no = answers(400, {"error": {"message": "Unrecognized argument: stream_options"}})
    async with serve(no, streams("12345678"), streams("1234")) as server:
        llm = OpenAILLM("m", server.url, max_retries=0)
        first, second = end_of(await reply(llm)), end_of(await reply(llm))
    assert first.usage == Usage(len("Be brief.How warm is Oslo?") // 4, 0, 2, 1, estimated=True)
    assert second.usage.completion_tokens == 1
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False]


async def test_refused_parameters_are_left_out_or_renamed() -> None:
    rename = {
        "message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "param": "max_tokens",
    }
    cold = {"message": "temperature does not support 0 with this model", "param": "temperature"}
    strict = {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}
    script = [answers(400, {"error": rename}), answers(400, {"error": cold}), answers(422, strict)]
    async with serve(*script, streams("ok")) as server:
        llm = OpenAILLM("m", server.url, max_retries=0)
        assert text_of(await reply(llm, seed=1)) == "ok"
    last = server.requests[-1].body
    assert last["max_completion_tokens"] == 2048
    assert not {"max_tokens", "temperature", "seed"} & last.keys()


async def test_a_prompt_that_fits_without_the_longest_reply_is_sent_without_that_limit() -> None:
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 2048. This model's maximum context "
        "length is 2048 tokens and your request has 30 input tokens (2048 > 2048 - 30)."
    )
    async with serve(answers(400, {"message": message}), streams("ok"), streams("ok")) as server:
        llm = OpenAILLM("m", server.url, max_retries=0)
        assert text_of(await reply(llm)) == "ok"
        await reply(llm)
    assert ["max_tokens" in request.body for request in server.requests] == [True, False, True]


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


async def test_silence_in_the_middle_cuts_the_reply_and_closes_the_connection() -> None:
    async with serve(hangs("1. add(a=1)\n")) as server:
        deltas = await reply(OpenAILLM("m", server.url), timeout=0.1)
        with anyio.fail_after(5):
            await server.requests[0].left.wait()
    assert (text_of(deltas), end_of(deltas).reason) == ("1. add(a=1)\n", "cut")


async def test_silence_from_the_start_is_a_timeout() -> None:
    for script in (hangs(), answers_late(1, streams("late"))):
        async with serve(script) as server:
            with pytest.raises(EndpointError, match=r"within 0\.1 s") as caught:
                await reply(OpenAILLM("m", server.url), timeout=0.1)
            with anyio.fail_after(5):
                await server.requests[0].left.wait()
        assert caught.value.kind == "timeout"
        assert len(server.requests) == 1


# What is tried again, and what is not


async def test_a_server_that_fails_three_times_and_then_works_is_not_noticed() -> None:
    failing = [answers(500, {"error": {"message": "warming up"}})] * 3
    async with serve(*failing, streams("Answer: 4")) as server:
        assert text_of(await reply(OpenAILLM("m", server.url))) == "Answer: 4"
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "failing",
    [
        answers(408),
        answers(409),
        answers(429),
        answers(503, "<html>", "text/plain"),
        cuts(),
        ends_without_reason(),
        breaks_with_error(message="overloaded", type="server_error"),
        breaks_with_error(message="bad gateway", code=502),
    ],
)
async def test_whatever_fails_before_the_first_piece_is_tried_again(failing: Script) -> None:
    async with serve(failing, streams("ok")) as server:
        assert text_of(await reply(OpenAILLM("m", server.url, max_retries=1))) == "ok"
    assert len(server.posts) == 2


async def test_retries_end_in_what_the_server_said_last() -> None:
    error = await refusal(answers(500, {"error": {"message": "CUDA\nout of memory"}}), answers(503))
    assert error.kind == "server"
    assert "500: CUDA out of memory" in str(error)


async def test_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    busy = answers(429, {"error": {"message": "slow down"}}, retry_after_ms="280")
    async with serve(busy, streams("ok")) as server:
        began = anyio.current_time()
        assert text_of(await reply(OpenAILLM("m", server.url))) == "ok"
    assert anyio.current_time() - began >= 0.28


async def test_a_wait_beyond_the_time_allowed_is_not_begun() -> None:
    busy = answers(429, {"error": {"message": "slow down"}}, retry_after="30")
    async with serve(busy, streams("never")) as server:
        with pytest.raises(EndpointError, match="try again in 30 s") as caught:
            await reply(OpenAILLM("m", server.url), timeout=5)
    assert caught.value.kind == "server"
    assert len(server.requests) == 1


async def test_retries_that_outlast_the_timeout_end_in_what_the_server_said() -> None:
    async with serve(*[answers(500, {"error": {"message": "broken"}})] * 9) as server:
        with pytest.raises(EndpointError, match="500: broken"):
            await reply(OpenAILLM("m", server.url, max_retries=8), timeout=0.1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
async def test_what_will_not_mend_itself_is_not_tried_again(status: int) -> None:
    async with serve(answers(status), streams("never")) as server:
        with pytest.raises(EndpointError):
            await reply(OpenAILLM("m", server.url))
    assert len(server.posts) == 1


# What a caller is told


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match="cannot be reached") as caught:
            await reply(OpenAILLM("m", url, max_retries=1))
    assert caught.value.kind == "connection"
    assert "is it running" in str(caught.value)


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(EndpointError, match="cannot be reached") as caught:
        await reply(OpenAILLM("m", "http://no-such-host.invalid/v1", max_retries=0))
    assert caught.value.kind == "connection"


async def test_a_server_that_never_accepts_is_given_up_after_the_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        llm = OpenAILLM("m", f"http://127.0.0.1:{port}/v1", max_retries=0, connect_timeout=0.1)
        with pytest.raises(EndpointError, match=r"no connection within 0\.1 s") as caught:
            await reply(llm)
        for filler in fillers:
            filler.close()
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key(status: int) -> None:
    error = await refusal(answers(status, {"error": {"message": "Incorrect API key"}}))
    assert error.kind == "auth"
    assert "OPENAI_API_KEY" in str(error)


async def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(EndpointError, match="set OPENAI_API_KEY") as caught:
        await reply(OpenAILLM("gpt"))
    assert caught.value.kind == "auth"


async def test_an_unknown_model_is_told_with_those_there_are() -> None:
    no = answers(404, {"error": {"message": "The model `m` does not exist", "param": "model"}})
    error = await refusal(no, models=("mm-7b", "other"))
    assert error.kind == "model"
    assert "does not have the model 'm'" in str(error)
    assert "('mm-7b', 'other')" in str(error)


async def test_an_unknown_model_of_a_server_that_tells_no_names() -> None:
    error = await refusal(answers(404, {"error": 'model "m" not found, try pulling it'}), models=None)
    assert error.kind == "model"


async def test_a_wrong_path_is_told_with_the_right_one() -> None:
    async with serve(streams("never")) as server:
        llm = OpenAILLM("m", server.url.removesuffix("/v1"), max_retries=0)
        with pytest.raises(EndpointError) as caught:
            await reply(llm)
    assert caught.value.kind == "protocol"
    assert f"use {server.url!r}" in str(caught.value)


async def test_a_web_page_is_no_api() -> None:
    error = await refusal(web_page(), retries=3, models=None, root="")
    assert error.kind == "protocol"
    assert str(error).endswith("answers with a web page, not the API: is /v1 missing from the URL?")


async def test_an_answer_that_is_no_stream() -> None:
    error = await refusal(answers(200, {"choices": [{"message": {"content": "hi"}}]}))
    assert error.kind == "protocol"
    error = await refusal(answers(200, {"error": {"message": "not today"}}))
    assert "not today" in str(error)


async def test_a_prompt_longer_than_the_context() -> None:
    message = "request (5000 tokens) exceeds the available context size (4096 tokens)"
    told = {"message": message, "n_prompt_tokens": 5000, "n_ctx": 4096}
    async with serve(answers(400, {"error": told})) as server:
        with pytest.raises(ContextLengthError) as caught:
            await reply(OpenAILLM("m", server.url))
    assert (caught.value.needed, caught.value.available) == (5000, 4096)


@pytest.mark.parametrize(("url", "model"), [("localhost:80/v1", "m"), ("http://h/v1", "")])
def test_a_malformed_address_or_name_is_refused_at_once(url: str, model: str) -> None:
    with pytest.raises(ModelSpecError):
        OpenAILLM(model, url)


async def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(EndpointError) as caught:
        await reply(OpenAILLM("m", "http://me:secret@127.0.0.1:9/v1", max_retries=0))
    assert "secret" not in str(caught.value)


# Stopping, closing, and one object in several loops


async def test_closing_the_stream_early_closes_the_connection() -> None:
    async with serve(hangs("1. join()\n"), streams("next")) as server:
        llm = OpenAILLM("m", server.url)
        async with aclosing(llm.stream(PROMPT, Sampling())) as stream:
            assert await anext(stream) == TextDelta("1. join()\n")
        with anyio.fail_after(5):
            await server.requests[0].left.wait()
        assert text_of(await reply(llm)) == "next"


@pytest.mark.parametrize("script", [hangs(), hangs("1. a()\n")], ids=["before", "amid"])
async def test_cancelling_the_caller_closes_the_connection(script: Script) -> None:
    async with serve(script) as server:
        with anyio.move_on_after(0.1) as scope:
            await reply(OpenAILLM("m", server.url))
        assert scope.cancelled_caught
        with anyio.fail_after(5):
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
        with anyio.fail_after(5):
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

    async with serve(answers(500), streams("ok"), streams("ok")) as server:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="mine") as client:
            llm = OpenAILLM("m", client=client, max_retries=1)
            assert text_of(await reply(llm)) == "ok"
            await llm.aclose()
            assert text_of(await reply(llm)) == "ok"
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer mine"] * 3


def test_importing_the_back_end_does_not_import_the_sdk() -> None:
    code = "import sys, llmcompiler.llms.openai as room; print('openai' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
