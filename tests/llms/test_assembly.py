from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.llms.assembly import Written, assemble, lost_tokens
from llmcompiler.llms.template import ChatTemplate, Content, Markup, Part
from llmcompiler.messages import Message
from tests.engine.tiny_model import CONTROL, byte_alphabet, write_tiny_model
from tests.llms.test_template import CHATS, MARKS, NOTES, TEMPLATES, said


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
    assert written.tokens("ab") == tuple(odd)
    assert assemble([Markup("<SAY>"), Content("ab", turn=True)], _Letters(), written)[-3:] == odd


def test_a_turn_that_was_stopped_short_keeps_the_tokens_up_to_there() -> None:
    written = Written(_Letters())
    written.remember([*_spell("a"), *_spell("b"), *_spell("x"), 2, *_spell("y")])
    assert written.tokens("abx") == tuple(_spell("abx"))
    assert written.tokens("abxa") == tuple(_spell("abxa"))


def test_broken_characters_are_found_by_what_was_shown_of_them() -> None:
    written = Written(_Letters())
    tokens = [100 + 0xE2, *_spell("x"), 100 + 0xC3]
    written.remember(tokens)
    assert written.tokens("�x�") == tuple(tokens)
    assert written.tokens("�x") == tuple(tokens[:2])


def test_only_so_many_turns_are_kept_the_oldest_go() -> None:
    written = Written(_Letters(), capacity=2)
    for letter in "uvw":
        written.remember([*_spell(letter), 0])
    assert 0 in written.tokens("w")
    assert 0 in written.tokens("v")
    assert 0 not in written.tokens("u")
    written.remember([])


def test_a_turn_written_twice_keeps_the_tokens_it_had_first() -> None:
    written = Written(_Letters())
    written.remember([*_spell("a"), *_spell("b")])
    written.remember([2])
    assert written.tokens("ab") == tuple(_spell("ab"))


def test_text_right_behind_other_text_has_no_blank_put_before_it() -> None:
    parts: list[Part] = [Markup("<SAY>x"), Content("yes", turn=True), Markup("<END>")]
    tokens = assemble(parts, _Letters(), Written(_Letters()))
    assert tokens == [*_spell(" "), 1, *_spell("xyes"), 0]
    parts = [Markup("<SAY>x"), Content("<END>", turn=False)]
    assert assemble(parts, _Letters(), Written(_Letters())) == [*_spell(" "), 1, *_spell("x<END>")]


class _Counting(_Letters):
    """Counts the letters that were read."""

    letters = 0

    def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
        self.letters += len(text)
        return super().tokenize(text, special=special, continued=continued)


def test_only_what_is_new_is_read() -> None:
    vocabulary = _Counting()
    written = Written(vocabulary)
    parts: list[Part] = [
        *(Markup("<SAY>"), Content("x<END>", turn=False), Markup("<SAY>")),
        *(Content("of somebody else", turn=True), Markup("<END>")),
    ]
    first = assemble(parts, vocabulary, written)
    read = vocabulary.letters
    assert assemble(parts, vocabulary, written) == first
    assert vocabulary.letters == read
    assert assemble([*parts, Content("more", turn=False)], vocabulary, written)[:-4] == first
    assert vocabulary.letters == read + len("<END>more")


def test_what_was_read_long_ago_is_read_again() -> None:
    vocabulary = _Counting()
    written = Written(vocabulary)
    for letter in "uvwu":
        assemble([Content(letter * 400_000, turn=False)], vocabulary, written)
    assert vocabulary.letters == 4 * 400_000
    assemble([Content("u" * 400_000, turn=False)], vocabulary, written)
    assert vocabulary.letters == 4 * 400_000


def test_a_turn_that_was_read_first_has_its_own_tokens_once_it_was_written() -> None:
    written = Written(_Letters())
    assert written.tokens("ab", continued=True) == (2,)
    written.remember(_spell("ab"))
    assert written.tokens("ab", continued=True) == tuple(_spell("ab"))


def test_lost_tokens_are_those_behind_what_is_shared() -> None:
    assert lost_tokens([1, 2, 3, 4], [1, 2, 5]) == 2
    assert lost_tokens([1, 2], [1, 2, 5]) == 0
    assert lost_tokens([1, 2, 3], [1, 2]) == 1


_CONTROL = [
    *("<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<start_of_turn>"),
    *("<end_of_turn>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
]


class _Trained:
    """A byte-level vocabulary with the control tokens of all families, trained on a little text."""

    first_token: int | None = 0
    markup: re.Pattern[str] | None = re.compile("|".join(map(re.escape, _CONTROL)))

    def __init__(self) -> None:
        self._tokenizer = Tokenizer(models.BPE())
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=900,
            special_tokens=_CONTROL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        self._tokenizer.train_from_iterator([_CORPUS], trainer)
        self._bytes = {letter: byte for byte, letter in byte_alphabet().items()}

    def is_control(self, token: int) -> bool:
        return token < len(_CONTROL)

    def piece(self, token: int) -> bytes:
        if self.is_control(token):
            return b""
        return bytes(self._bytes[letter] for letter in self._tokenizer.id_to_token(token) or "")

    def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
        self._tokenizer.encode_special_tokens = not special
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


_CORPUS = Path(__file__).read_text(encoding="utf-8") + "\n\n\n  \t\t" * 50


class _SentencePiece(gguf.GGUFWriter):
    """Writes the tiny model with a vocabulary of pieces, which begin words with a blank."""

    def add_tokenizer_model(self, model: str) -> None:
        super().add_tokenizer_model("llama")

    def add_tokenizer_pre(self, pre: str) -> None: ...

    def add_token_merges(self, merges: Any) -> None: ...

    def add_token_list(self, tokens: Any) -> None:
        byte_of = {letter: byte for byte, letter in byte_alphabet().items()}
        first, words = len(CONTROL), len(CONTROL) + len(byte_of)
        spelled = [bytes(byte_of[letter] for letter in word).decode() for word in tokens[words:]]
        byte_tokens = [f"<0x{byte_of[letter]:02X}>" for letter in tokens[first:words]]
        pieces = [word.replace(" ", "▁") for word in spelled]
        super().add_token_list([*tokens[:first], *byte_tokens, *pieces])
        super().add_token_scores([0.0] * words + [-float(place) for place in range(len(pieces))])

    def add_token_types(self, types: Any) -> None:
        kinds, first = gguf.TokenType, len(CONTROL)
        words = len(types) - first - 256
        super().add_token_types(
            [kinds.CONTROL] * first + [kinds.BYTE] * 256 + [kinds.NORMAL] * words
        )


@pytest.fixture(scope="module")
def vocabularies(
    tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Model | _Trained, ...]]:
    path = tmp_path_factory.mktemp("model") / "pieces.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "GGUFWriter", _SentencePiece)
        write_tiny_model(path)
    options = EngineOptions(threads=1, n_ctx=64)
    model, pieces = (Model(read_header(each), options) for each in (tiny_gguf, path))
    yield model, pieces, _Trained()
    model.close()
    pieces.close()


def _begins(tokens: list[int], shorter: list[int]) -> bool:
    return tokens[: len(shorter)] == shorter


@pytest.mark.parametrize("name", list(TEMPLATES))
@settings(max_examples=40, deadline=None)
@given(chat=CHATS, at=st.integers(0, 5))
def test_each_prompt_up_to_the_end_of_its_last_text_begins_the_next(
    name: str, chat: list[Message], at: int, vocabularies: tuple[Model | _Trained, ...]
) -> None:
    for vocabulary in vocabularies:
        template = _template(name, vocabulary)
        written = Written(vocabulary)
        _write(chat, vocabulary, written, at)

        def tokens(
            parts: tuple[Part, ...],
            vocabulary: Model | _Trained = vocabulary,
            written: Written = written,
        ) -> list[int]:
            return assemble(parts, vocabulary, written)

        for count in range(1, len(chat)):
            anew = name == "embedded" and chat[count].kind == "request"
            if chat[count - 1].kind == "rules" or anew:
                continue
            shown, longer = template.render(chat[:count]), template.render(chat[: count + 1])
            if chat[count].kind != "turn":
                shown = said(shown)
            assert _begins(tokens(longer), tokens(shown))


@pytest.mark.parametrize("name", list(TEMPLATES))
@settings(max_examples=40, deadline=None)
@given(chat=CHATS, at=st.integers(0, 5), note=NOTES)
def test_an_open_conversation_begins_whatever_comes_of_it(
    name: str,
    chat: list[Message],
    at: int,
    note: Message,
    vocabularies: tuple[Model | _Trained, ...],
) -> None:
    for vocabulary in vocabularies:
        template = _template(name, vocabulary)
        written = Written(vocabulary)
        _write(chat, vocabulary, written, at)
        for count in range(1, len(chat) + 1):
            known = assemble(template.prefix(chat[:count]), vocabulary, written)
            follows: list[list[Message]] = []
            if chat[count - 1].kind in ("rules", "turn"):
                follows += [[Message("request", note.text)]]
            if chat[count - 1].kind not in ("rules", "request"):
                follows += [[note], [note, note]]
            if chat[count - 1].kind not in ("rules", "turn"):
                follows += [[], [Message("turn", note.text), note]]
            for more in follows:
                prompt = template.render([*chat[:count], *more])
                assert _begins(assemble(prompt, vocabulary, written), known)


def _template(name: str, vocabulary: Model | _Trained) -> ChatTemplate:
    return _load(name, (vocabulary.marks if isinstance(vocabulary, Model) else MARKS)["bos_token"])


@functools.cache
def _load(name: str, first: str) -> ChatTemplate:
    return ChatTemplate(TEMPLATES[name], {**MARKS, "bos_token": first})


def _write(chat: list[Message], vocabulary: Model | _Trained, written: Written, at: int) -> None:
    """Let the model have written its turns with a border between tokens where nobody would put it."""
    for message in chat:
        if message.kind == "turn":
            halves = message.text[:at], message.text[at:]
            written.remember(
                [t for half in halves for t in vocabulary.tokenize(half, special=False)]
            )
