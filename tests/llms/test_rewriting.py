from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from llmcompiler.errors import ConfigurationError
from llmcompiler.llms.rewriting import rewritings
from llmcompiler.llms.template import ChatTemplate
from llmcompiler.messages import Message
from tests.llms.test_template import FAMILIES, MARKS, TEMPLATES

_THEN = ": here the model reads on from what it has read"


@pytest.mark.parametrize(
    ("source", "habits"),
    [
        (FAMILIES["Llama 3"], "print the date anew"),
        (
            FAMILIES["Qwen 3"],
            "open earlier turns otherwise than when it asked for them "
            "and drop the thinking of earlier turns",
        ),
        (FAMILIES["Mistral 3"], "move the rules"),
        (
            "{{ messages | length }}|{% for m in messages %}{{ m.content }}|{% endfor %}",
            "change its words around earlier messages",
        ),
        (
            "{% for m in messages[-3:] %}|{{ m.content }}{% endfor %}",
            "leave out earlier messages",
        ),
        (
            "{% for m in messages | sort(attribute='role', reverse=true) %}|{{ m.content }}{% endfor %}",
            "move earlier messages",
        ),
    ],
)
def test_a_template_that_rewrites_history_is_told(
    source: str, habits: str, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = f"the chat template would {habits}{_THEN}"
    with caplog.at_level(logging.WARNING, "llmcompiler.llms"):
        assert ChatTemplate(source, MARKS).rewrites == sentence
    assert caplog.messages == [sentence]


@pytest.mark.parametrize("name", ["Mistral", "Gemma", "ChatML", "bare ChatML", "embedded"])
def test_a_template_that_only_appends_is_not_blamed(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ChatTemplate(TEMPLATES[name], MARKS).rewrites is None
    assert not caplog.messages


def _lines(messages: Sequence[Message]) -> str:
    return "".join(f"{each.kind}: {each.text}\n" for each in messages)


def test_blanks_that_differ_do_not_count() -> None:
    assert rewritings(lambda messages: _lines(messages).replace("\n", " "), _lines) == ()


def test_what_a_template_refuses_is_passed_over() -> None:
    def short(messages: Sequence[Message]) -> str:
        if len(messages) > 2:
            raise ConfigurationError("too long")
        return _lines(messages)

    assert rewritings(short, _lines) == ()


def test_each_habit_is_listed_once() -> None:
    def counted(messages: Sequence[Message]) -> str:
        return f"{len(messages)}\n" + _lines(messages)

    assert rewritings(counted, _lines) == ("change its words around earlier messages",)
