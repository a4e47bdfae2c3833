"""Which tokens is a conversation, laid out by its template, for this vocabulary?

It does not know the template or the engine. What a model wrote keeps the tokens that it was
written with; what people and tools said is plain text, whatever control tokens it seems to hold.
"""

from __future__ import annotations

import codecs
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from llmcompiler.llms.template import Content, Markup, Part

__all__ = ["Vocabulary", "Written", "assemble"]


class Vocabulary(Protocol):
    """What tokens are made of."""

    @property
    def first_token(self) -> int | None:
        """The token that every prompt begins with, or None."""
        ...

    @property
    def markup(self) -> re.Pattern[str] | None:
        """What matches the texts of control tokens."""
        ...

    def is_control(self, token: int) -> bool:
        """Say whether `token` is markup and not text."""
        ...

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token's text."""
        ...

    def tokenize(self, text: str, *, special: bool, continued: bool = False) -> list[int]:
        """Return the tokens of `text`."""
        ...


class Written:
    """The tokens of the latest texts that the model wrote, by text, at most `capacity` of them."""

    __slots__ = ("_capacity", "_texts", "_vocabulary")

    def __init__(self, vocabulary: Vocabulary, capacity: int = 256) -> None:
        self._vocabulary = vocabulary
        self._capacity = capacity
        self._texts: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def remember(self, tokens: Sequence[int]) -> None:
        """Note that the model wrote `tokens` in one turn."""
        if not tokens:
            return
        text = b"".join(map(self._vocabulary.piece, tokens)).decode("utf-8", "replace")
        self._texts[text] = tuple(tokens)
        self._texts.move_to_end(text)
        while len(self._texts) > self._capacity:
            self._texts.popitem(last=False)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a turn: as they were written, if this model wrote it.

        A turn that was stopped short of what was generated keeps the tokens up to there.
        """
        known = self._texts.get(text)
        if known is not None:
            return list(known)
        for longer in reversed(self._texts):
            if longer.startswith(text):
                tokens, length = self._cut(self._texts[longer], len(text))
                return tokens + self._plain(text[length:], continued=bool(tokens))
        return self._plain(text, continued=False)

    def _cut(self, tokens: Sequence[int], length: int) -> tuple[list[int], int]:
        """Return the tokens that make at most `length` whole characters, and how many they make."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        count = whole = size = 0
        for index, token in enumerate(tokens):
            size += len(decoder.decode(self._vocabulary.piece(token)))
            if size > length:
                break
            if not decoder.getstate()[0]:
                count, whole = index + 1, size
        return list(tokens[:count]), whole

    def _plain(self, text: str, *, continued: bool) -> list[int]:
        return _plain(text, self._vocabulary, continued=continued) if text else []


def assemble(parts: Sequence[Part], vocabulary: Vocabulary, written: Written) -> list[int]:
    """Turn a laid-out conversation into token ids.

    Tokens never span the end of something said, so that a longer conversation begins with the
    tokens of a shorter one. Markup and what follows it are read together, as the model was trained,
    unless the text holds what would be read as control tokens.
    """
    tokens: list[int] = []
    markup = ""

    def read(text: str) -> None:
        if text:
            continued = bool(tokens) and not vocabulary.is_control(tokens[-1])
            tokens.extend(vocabulary.tokenize(text, special=True, continued=continued))

    for part in parts:
        match part:
            case Markup(text):
                markup += text
            case Content(text, turn) if turn or _looks_special(text, vocabulary):
                read(markup)
                markup = ""
                tokens += (
                    written.tokens(text) if turn else _plain(text, vocabulary, continued=False)
                )
            case Content(text):
                read(markup + text)
                markup = ""
    read(markup)
    first = vocabulary.first_token
    if first is not None and tokens[:1] != [first]:
        tokens.insert(0, first)
    return tokens


def _looks_special(text: str, vocabulary: Vocabulary) -> bool:
    return vocabulary.markup is not None and vocabulary.markup.search(text) is not None


def _plain(text: str, vocabulary: Vocabulary, *, continued: bool) -> list[int]:
    """Return the tokens of plain text, none of them a control token.

    Some vocabularies read the text of certain control tokens as these even in plain text, so each
    such text is cut behind its first character.
    """
    cuts = [0]
    if vocabulary.markup is not None:
        cuts += [found.start() + 1 for found in vocabulary.markup.finditer(text)]
    tokens: list[int] = []
    for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
        tokens += vocabulary.tokenize(
            text[start:end], special=False, continued=continued or start > 0
        )
    return tokens
