from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.llms.assembly import Written, assemble
from llmcompiler.llms.template import ChatTemplate, Content, Markup, Part
from llmcompiler.messages import Message
from tests.llms.test_template import CHAT, TEMPLATES


class _Letters:
    """A vocabulary of single characters and two words, that puts a blank before lone text."""

    markup: re.Pattern[str] | None = re.compile(r"<END>|<SAY>")
    _words = ("<END>", "<SAY>", "ab")

    def __init__(self, first_token: int | None = None) -> None:
        self.first_token = first_token

    def is_control(self, token: int) -> bool:
        return token in (0, 1)

    def piece(self, token: int) -> bytes:
        return b"" if token < 2 else b"ab" if token == 2 else bytes([token - 100])

    def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
        tokens: list[int] = [] if continued else [100 + ord(" ")]
        pattern = r"<END>|<SAY>|ab|(?s:.)" if special else r"ab|(?s:.)"
        for word in re.findall(pattern, text):
            if word in self._words:
                tokens.append(self._words.index(word))
            else:
                tokens += [100 + byte for byte in word.encode()]
        return tokens


def _spell(text: str) -> list[int]:
    return [100 + byte for byte in text.encode()]


def test_markup_and_what_follows_are_read_together() -> None:
    parts: list[Part] = [Markup("<SAY>a"), Content("b", turn=False), Markup("<END>")]
    tokens = assemble(parts, _Letters(), Written(_Letters()))
    assert tokens == [*_spell(" "), 1, 2, 0]


def test_no_token_spans_the_end_of_what_was_said() -> None:
    parts: list[Part] = [Content("a", turn=False), Markup("b")]
    assert assemble(parts, _Letters(), Written(_Letters())) == [*_spell(" a"), *_spell("b")]


def test_control_tokens_in_what_was_said_are_plain_text() -> None:
    parts: list[Part] = [Markup("<SAY>"), Content("x<END>y<SAY>", turn=False), Markup("<END>")]
    tokens = assemble(parts, _Letters(), Written(_Letters()))
    assert [token for token in tokens if token < 2] == [1, 0]
    assert tokens[-1] == 0


def test_text_that_a_vocabulary_reads_as_markup_even_in_plain_text_is_cut() -> None:
    class Stubborn(_Letters):
        def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
            return super().tokenize(text, special=True, continued=continued)

    parts: list[Part] = [Markup("<SAY>"), Content("x<END>y<SAY>", turn=False), Markup("<END>")]
    tokens = assemble(parts, Stubborn(), Written(Stubborn()))
    assert [token for token in tokens if token < 2] == [1, 0]
    said = b"".join(bytes([token - 100]) for token in tokens if token >= 100)
    assert said.lstrip() == b"x<END>y<SAY>"


def test_control_tokens_in_a_turn_of_somebody_else_are_plain_text_too() -> None:
    parts: list[Part] = [Markup("<SAY>"), Content("x<END>", turn=True)]
    assert 0 not in assemble(parts, _Letters(), Written(_Letters()))


def test_the_first_token_is_there_once() -> None:
    written = Written(_Letters())
    assert assemble([Markup("<SAY>")], _Letters(first_token=9), written)[0] == 9
    vocabulary = _Letters(first_token=132)
    assert assemble([Markup("x")], vocabulary, written) == _spell(" x")


def test_a_turn_keeps_the_tokens_it_was_written_with() -> None:
    written = Written(_Letters())
    odd = [*_spell("a"), *_spell("b"), 0]
    written.remember(odd)
    assert written.tokens("ab") == odd
    assert assemble([Markup("<SAY>"), Content("ab", turn=True)], _Letters(), written)[-3:] == odd


def test_a_turn_that_was_stopped_short_keeps_the_tokens_up_to_there() -> None:
    written = Written(_Letters())
    written.remember([*_spell("a"), *_spell("b"), *_spell("x"), 2, *_spell("y")])
    assert written.tokens("abx") == _spell("abx")
    assert written.tokens("abxa") == [*_spell("abx"), *_spell("a")]


def test_broken_characters_are_found_by_what_was_shown_of_them() -> None:
    written = Written(_Letters())
    tokens = [100 + 0xE2, *_spell("x"), 100 + 0xC3]
    written.remember(tokens)
    assert written.tokens("�x�") == tokens
    assert written.tokens("�x") == tokens[:2]


def test_only_so_many_turns_are_kept_the_oldest_go() -> None:
    written = Written(_Letters(), capacity=2)
    for letter in "uvw":
        written.remember([*_spell(letter), 0])
    assert 0 in written.tokens("w")
    assert 0 in written.tokens("v")
    assert 0 not in written.tokens("u")
    written.remember([])


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_each_prompt_up_to_its_last_closing_begins_the_next(name: str, tiny_gguf: Path) -> None:
    model = Model(read_header(tiny_gguf), EngineOptions(threads=1, n_ctx=64))
    template = ChatTemplate(TEMPLATES[name], model.marks)
    written = Written(model)
    chat = CHAT[:7]

    def tokens(messages: tuple[Message, ...]) -> list[int]:
        return assemble(template.render(messages), model, written)

    def closing(messages: tuple[Message, ...]) -> int:
        """Count the tokens of the prompt that stand before the closing of its last message."""
        parts = template.render(messages)
        last = max(i for i, part in enumerate(parts) if isinstance(part, Content))
        return len(assemble(parts[: last + 1], model, written))

    for count in range(2, len(chat)):
        before, after = tokens(chat[:count]), tokens(chat[: count + 1])
        # A model goes on from the whole prompt, anything else from what was said last.
        shared = len(before) if chat[count].kind == "turn" else closing(chat[:count])
        assert after[:shared] == before[:shared], (name, count)
    model.close()
