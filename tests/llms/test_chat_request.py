"""What is asked of a chat endpoint, as values."""

from __future__ import annotations

import itertools
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.llms.chat_request import chat_messages, client_arguments, optional_parameters
from llmcompiler.messages import Kind, Message, Prompt, Sampling

messages = st.lists(st.builds(Message, st.sampled_from(get_args(Kind)), st.text(min_size=1)))


@settings(deadline=None)
@given(messages)
def test_roles_alternate_and_every_text_is_there_in_order(said: list[Message]) -> None:
    sent = chat_messages(said)
    assert all(one["role"] != two["role"] for one, two in itertools.pairwise(sent))
    whole = "".join(message["content"] for message in sent)
    for message in said:
        _, found, whole = whole.partition(message.text)
        assert found


@settings(deadline=None)
@given(messages, messages)
def test_a_conversation_that_grew_keeps_its_beginning(
    said: list[Message], more: list[Message]
) -> None:
    short, long = chat_messages(said), chat_messages([*said, *more])
    assert long[: max(0, len(short) - 1)] == short[:-1]
    for before, after in zip(short[-1:], long[max(0, len(short) - 1) :], strict=False):
        assert after["role"] == before["role"]
        assert after["content"].startswith(before["content"])


def test_notes_are_lines_and_other_neighbours_are_paragraphs() -> None:
    said = [
        Message("observation", "$1 = 3"),
        Message("notice", "The time is up."),
        Message("request", "And Lima?"),
    ]
    content = "$1 = 3\nThe time is up.\n\nAnd Lima?"
    assert chat_messages(said) == [{"role": "user", "content": content}]


def test_a_limit_goes_by_its_second_name_once_the_first_is_refused() -> None:
    prompt, sampling = Prompt(()), Sampling(max_tokens=7)
    assert optional_parameters(prompt, sampling)["max_tokens"] == 7
    renamed = optional_parameters(prompt, sampling, {"max_tokens"})
    assert renamed["max_completion_tokens"] == 7
    both = optional_parameters(prompt, sampling, {"max_tokens", "max_completion_tokens"})
    assert not {"max_tokens", "max_completion_tokens"} & both.keys()


def test_parameters_that_openai_does_not_know_travel_in_the_body() -> None:
    optional = optional_parameters(Prompt(()), Sampling(top_k=40, min_p=0.1, top_p=0.9))
    sent = client_arguments(optional)
    assert sent["extra_body"] == {"top_k": 40, "min_p": 0.1}
    assert sent["top_p"] == 0.9
    assert "extra_body" not in client_arguments(optional_parameters(Prompt(()), Sampling()))
