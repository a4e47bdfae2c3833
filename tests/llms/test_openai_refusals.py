"""What OpenAILLM tries again, does without, and says when a real server refuses."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import pytest

from llmcompiler.errors import ContextLengthError, EndpointError, ModelSpecError
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.messages import Usage
from tests.llms.calls import end_of, reply, text_of
from tests.llms.server import (
    Script,
    answers,
    breaks_with_error,
    cuts,
    ends_without_reason,
    serve,
    streams,
    web_page,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def refusal(*script: Script, retries: int = 0, **options: Any) -> EndpointError:
    async with serve(*script, **options) as server:
        llm = OpenAILLM("m", server.url, max_retries=retries)
        with pytest.raises(EndpointError) as caught:
            await reply(llm)
        await llm.aclose()
    assert caught.value.url == server.url
    assert "\n" not in str(caught.value)
    return caught.value


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
        began = anyio.current_time()
        with pytest.raises(EndpointError, match="try again in 30 s") as caught:
            await reply(OpenAILLM("m", server.url), timeout=9)
        assert anyio.current_time() - began < 5
    assert caught.value.kind == "server"
    assert len(server.requests) == 1


async def test_retries_that_outlast_the_timeout_end_in_what_the_server_said() -> None:
    broken = [answers(500, {"error": {"message": "broken"}})] * 9
    async with serve(streams("warm"), *broken) as server:
        llm = OpenAILLM("m", server.url, max_retries=8)
        await reply(llm)
        with pytest.raises(EndpointError, match="500: broken"):
            await reply(llm, timeout=0.3)


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


async def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def knows_nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", knows_nobody)
    with pytest.raises(EndpointError, match=r"cannot be reached \(Name or service") as caught:
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
        began = anyio.current_time()
        with pytest.raises(EndpointError, match=r"no connection within 0\.1 s") as caught:
            await reply(llm)
        assert anyio.current_time() - began < 5
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
    error = await refusal(
        answers(404, {"error": 'model "m" not found, try pulling it'}), models=None
    )
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
