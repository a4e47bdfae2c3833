"""Which tokens is a conversation, laid out by its template, for this vocabulary?

It does not know the template or the engine. What a model wrote keeps the tokens that it was
written with; what people and tools said is plain text, whatever control tokens it seems to hold.
"""

from __future__ import annotations

import codecs
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from llmcompiler.llms.template import Content, Markup, Part

__all__ = ["Vocabulary", "Written", "assemble", "lost_tokens"]

_Reading: TypeAlias = tuple[str, str, bool, bool]

_LETTERS: Final = 1_000_000


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
    """The tokens of the latest texts: of the model's turns as it wrote them, of others as read.

    At most `capacity` turns are kept, and a million letters of the rest. Safe to use from several
    threads.
    """

    __slots__ = ("_capacity", "_letters", "_lock", "_read", "_texts", "_vocabulary")

    def __init__(self, vocabulary: Vocabulary, capacity: int = 256) -> None:
        self._vocabulary = vocabulary
        self._capacity = capacity
        self._texts: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._read: OrderedDict[_Reading, tuple[int, ...]] = OrderedDict()
        self._letters = 0
        self._lock = threading.Lock()

    def remember(self, tokens: Sequence[int]) -> None:
        """Note that the model wrote `tokens` in one turn."""
        if not tokens:
            return
        text = b"".join(map(self._vocabulary.piece, tokens)).decode("utf-8", "replace")
        with self._lock:
            # Where it was written before, a conversation stands on the tokens it had then.
            self._texts.setdefault(text, tuple(tokens))
            self._texts.move_to_end(text)
            while len(self._texts) > self._capacity:
                self._texts.popitem(last=False)

    def tokens(self, text: str, *, continued: bool = False) -> tuple[int, ...]:
        """Return the tokens of a turn: as they were written, if this model wrote it.

        A turn that was stopped short of what was generated keeps the tokens up to there. `continued`
        says that other text stands right before.
        """
        with self._lock:
            known = self._texts.get(text)
            if known is not None:
                return known
            longer = next(
                (self._texts[each] for each in reversed(self._texts) if each.startswith(text)), ()
            )
        tokens, length = self._cut(longer, len(text))
        rest = self.read("", text[length:], plain=True, continued=continued or bool(tokens))
        return (*tokens, *rest)

    def read(
        self, markup: str, text: str, *, plain: bool = False, continued: bool = False
    ) -> tuple[int, ...]:
        """Return the tokens of markup and of the text behind it, read together.

        Text that is `plain`, or that would be read as control tokens, is read by itself.
        """
        reading = (markup, text, plain, continued)
        with self._lock:
            known = self._read.get(reading)
            if known is not None:
                self._read.move_to_end(reading)
                return known
        tokens = tuple(_tokens(markup, text, self._vocabulary, plain=plain, continued=continued))
        with self._lock:
            if reading not in self._read:
                self._read[reading] = tokens
                self._letters += len(markup) + len(text)
            while self._letters > _LETTERS:
                (markup, text, *_), _ = self._read.popitem(last=False)
                self._letters -= len(markup) + len(text)
        return tokens

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


def assemble(parts: Sequence[Part], vocabulary: Vocabulary, written: Written) -> list[int]:
    """Turn a laid-out conversation into token ids.

    Tokens never span the end of something said, so that a longer conversation begins with the
    tokens of a shorter one. Markup and what follows it are read together, as the model was trained,
    unless the text holds what would be read as control tokens.
    """
    tokens: list[int] = []
    markup = ""
    for part in (*parts, None):
        match part:
            case Markup(text):
                markup += text
            case Content(text, turn=True):
                tokens += written.read(markup, "", continued=_continued(tokens, vocabulary))
                tokens += written.tokens(text, continued=_continued(tokens, vocabulary))
                markup = ""
            case _:
                text = "" if part is None else part.text
                tokens += written.read(markup, text, continued=_continued(tokens, vocabulary))
                markup = ""
    first = vocabulary.first_token
    if first is not None and tokens[:1] != [first]:
        tokens.insert(0, first)
    return tokens


def lost_tokens(before: Sequence[int], now: Sequence[int]) -> int:
    """Count the tokens of an earlier prompt that the one of `now` does not begin with."""
    shared = 0
    for one, other in zip(before, now, strict=False):
        if one != other:
            break
        shared += 1
    return len(before) - shared


def _continued(tokens: Sequence[int], vocabulary: Vocabulary) -> bool:
    return bool(tokens) and not vocabulary.is_control(tokens[-1])


def _tokens(
    markup: str, text: str, vocabulary: Vocabulary, *, plain: bool, continued: bool
) -> list[int]:
    """Return the tokens of markup and of what was said behind it."""
    if not plain and not (vocabulary.markup is not None and vocabulary.markup.search(text)):
        markup, text = markup + text, ""
    tokens: list[int] = []
    if markup:
        tokens += vocabulary.tokenize(markup, special=True, continued=continued)
        continued = _continued(tokens, vocabulary)
    return tokens + (_plain(text, vocabulary, continued=continued) if text else [])


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
