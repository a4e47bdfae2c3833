"""What refusals mean, as arithmetic: these words of a server, that sentence for its user."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import ContextLengthError, EndpointError
from llmcompiler.llms.endpoint_errors import (
    Landscape,
    Refusal,
    context_numbers,
    explain,
    refused_parameter,
    shown,
    worth_another_try,
)

URL = "http://host:8000/v1"


def error(refusal: Refusal, around: Landscape | None = None, url: str = URL) -> EndpointError:
    told = explain(url, "m", refusal, around)
    assert isinstance(told, EndpointError)
    return told


@pytest.mark.parametrize(
    ("words", "needed", "holds"),
    [
        (
            "This model's maximum context length is 4097 tokens. However, your messages resulted "
            "in 5000 tokens. Please reduce the length of the messages.",
            *(5000, 4097),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 4500 "
            "tokens (2452 in the messages, 2048 in the completion).",
            *(2452, 4096),
        ),
        (
            "You passed 2500 input tokens and requested 100 output tokens. However, the model's "
            "context length is only 2048 tokens, resulting in a maximum input length of 1948.",
            *(2500, 2048),
        ),
        (
            "This model's maximum context length is 2048 tokens. However, your request has 2500 "
            "input tokens. Please reduce the length of the input messages.",
            *(2500, 2048),
        ),
        ("request (5000 tokens) exceeds the available context size (4096 tokens)", 5000, 4096),
        (
            "Trying to keep the first 4600 tokens when context the overflows. However, the model "
            "is loaded with context length of only 4096 tokens",
            *(4600, 4096),
        ),
        (
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
            "300000 tokens.",
            *(300000, 272000),
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", 210000, 200000),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576).",
            *(1200000, 1048576),
        ),
    ],
)
def test_the_context_is_read_from_what_servers_say(words: str, needed: int, holds: int) -> None:
    refusal = Refusal(400, words)
    assert context_numbers(refusal) == (needed, holds)
    told = explain(URL, "m", refusal)
    assert isinstance(told, ContextLengthError)
    assert (told.needed, told.available) == (needed, holds)
    assert refused_parameter(refusal, {"max_tokens", "temperature"}) is None


def test_a_context_without_numbers_is_told_in_the_servers_words() -> None:
    told = error(Refusal(400, "too many tokens", "context_length_exceeded"))
    assert told.kind == "request"
    assert "shorten the request" in str(told)


@pytest.mark.parametrize(
    ("refusal", "name"),
    [
        (Refusal(400, "Unrecognized request argument supplied: stream_options"), "stream_options"),
        (Refusal(422, "[{'loc': ['body', 'stop'], 'msg': 'Extra inputs'}]"), "stop"),
        (
            Refusal(400, "nothing of use", parameter="stream_options.include_usage"),
            "stream_options",
        ),
        (Refusal(400, "please stop asking"), None),
        (Refusal(500, "stream_options broke me"), None),
        (Refusal(400, "the temperature of the room is unknown"), "temperature"),
        (Refusal(404, "temperature"), None),
        (Refusal(400, "Model temperature-7b not found"), None),
    ],
)
def test_a_refused_parameter_is_found_in_what_servers_say(
    refusal: Refusal, name: str | None
) -> None:
    assert refused_parameter(refusal, {"stream_options", "stop", "temperature"}) == name


def test_a_parameter_that_was_not_sent_is_not_left_out() -> None:
    assert refused_parameter(Refusal(400, "no temperature, please"), {"stop"}) is None


@pytest.mark.parametrize(
    ("refusal", "again"),
    [
        (Refusal(None, "Connection refused"), True),
        (Refusal(None, "certificate", fatal=True), False),
        (Refusal(200, "its stream ended before the first word"), True),
        (Refusal(200, page=True), False),
        (Refusal(200, garbled=True), False),
        (Refusal(429, retry_after=3), True),
        (Refusal(429, retry_after=3600), False),
        (Refusal(429, code="insufficient_quota"), False),
        (Refusal(502, page=True), True),
        (Refusal(503), True),
        (Refusal(501), False),
        (Refusal(400), False),
        (Refusal(401), False),
    ],
)
def test_only_what_may_pass_is_worth_another_try(refusal: Refusal, again: bool) -> None:
    assert worth_another_try(refusal) is again


def test_a_gateways_error_page_is_an_error_of_the_server() -> None:
    assert error(Refusal(502, page=True)).kind == "server"


def test_a_similar_model_is_offered() -> None:
    names = ("mistral-7b", "qwen3-8b", "a", "b", "c", "d", "e")
    told = explain(URL, "qwen3-8B", Refusal(404, "no"), Landscape(names))
    assert "does not have the model 'qwen3-8B'; did you mean 'qwen3-8b'?" in str(told)
    assert "'c' and 2 more" in str(told)


def test_a_model_that_is_there_is_not_what_a_404_is_about() -> None:
    told = error(Refusal(404, "Not Found"), Landscape(("m", "n")))
    assert told.kind == "protocol"
    assert "has no chat completions for 'm'" in str(told)


def test_a_missing_path_is_offered() -> None:
    bare = "http://host:8000"
    assert "is /v1 missing from the URL?" in str(error(Refusal(404, "no"), url=bare))
    found = Landscape(elsewhere=f"{bare}/v1")
    assert f"use '{bare}/v1', where the API is" in str(error(Refusal(404, "no"), found, bare))


@settings(deadline=None)
@given(
    st.builds(
        Refusal,
        status=st.none() | st.integers(200, 599),
        message=st.text() | st.sampled_from(["the model does not exist", "context length 3"]),
        code=st.text() | st.sampled_from(["model_not_found", "insufficient_quota"]),
        retry_after=st.none() | st.floats(0, 1e6),
        page=st.booleans(),
        garbled=st.booleans(),
        fatal=st.booleans(),
    ),
    st.builds(Landscape, st.none() | st.lists(st.text()).map(tuple), st.sampled_from(["", URL])),
)
def test_every_refusal_becomes_one_line(refusal: Refusal, around: Landscape) -> None:
    told = error(refusal, around)
    assert told.kind in {"connection", "auth", "model", "protocol", "server", "request"}
    assert len(str(told).splitlines()) == 1
    worth_another_try(refusal)


def test_addresses_are_shown_without_what_is_secret() -> None:
    assert shown("https://me:secret@host:1/v1/?key=abc#x") == "https://host:1/v1"
