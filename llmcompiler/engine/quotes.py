"""May this text follow, where values are to be quoted from what the model was told?

It does not know tokens, scores or a model. It reads plan lines and answers as they are written and
holds the values of some arguments to spans of the source texts; a model asks for that in its own
metadata, because it was trained to copy and nothing else.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

__all__ = ["ANSWER_NUMBERS", "METADATA_KEY", "Quotes"]

METADATA_KEY = "llmcompiler.quotes"
ANSWER_NUMBERS = "answer.numbers"

_CALL = re.compile(r"\s*\d+[.)]\s*([\w.-]+)\s*")
_NOTE_LABEL = re.compile(r"(?m)^\$\d+(?= (?:=|failed|skipped|cancelled))")
_RUN = re.compile(r"\d+(?:[.:\-]\d+)*", re.ASCII)
_NUMBER = re.compile(
    r"(?P<minus>(?<![\w)\]])[-−–]\s?|\bminus )?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*)",
    re.ASCII,
)
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\",
}  # fmt: skip
_ESCAPED = frozenset(_ESCAPES.values())
_DIGITS = frozenset("0123456789")
_NUMERIC = frozenset("0123456789.eE+-")
_JOINTS = frozenset(".:-")
_EDGE = "\x00"


class _Mode(enum.Enum):
    HEAD = enum.auto()  # at the head of a line: a number and a tool, "Answer", "Replan"
    NAME = enum.auto()  # in a call, before the equals sign of an argument
    VALUE = enum.auto()  # in a value, outside strings and numbers
    NUMBER = enum.auto()
    STRING = enum.auto()
    ESCAPE = enum.auto()  # in a string, after a backslash
    REFERENCE = enum.auto()
    INDEX = enum.auto()  # in the brackets of a reference's path
    INSIDE = enum.auto()  # in a string, inside the braces of a reference
    PROSE = enum.auto()  # in an answer or a reason
    REST = enum.auto()  # nothing more to watch on this line


class _State(NamedTuple):
    """Where the writing is.

    `text` is the head, name, number or escape so far, `tool` the tool of the line or the word that
    began the prose. `held` says that the value is held to the sources. `places` are where in the
    sources a string may go on; None before its first character, and between the words of a mixed
    one. `dollar` says that the last character of a string was a dollar sign, which may begin a
    reference, `mixed` that the string has held one.
    """

    mode: _Mode
    text: str = ""
    tool: str = ""
    held: bool = False
    depth: int = 0
    places: tuple[int, ...] | None = None
    dollar: bool = False
    mixed: bool = False


_LINE = _State(_Mode.HEAD)
_IGNORED = _State(_Mode.REST)


class Quotes:
    """Holds the values of some arguments, and the numbers of answers, to spans of source texts.

    `wanted` names arguments as ``tool.argument``; ``answer.numbers`` asks that numbers in answers
    and reasons are whole numbers of the sources. A string must be a span that begins and ends at
    the edge of a word, a number a whole number. References are always allowed; in a string, what
    follows one need not be a single span, but its words must be words of the sources.
    """

    __slots__ = (
        "_arguments",
        "_numbers",
        "_pending",
        "_prose",
        "_runs",
        "_starts",
        "_state",
        "_text",
    )

    def __init__(self, wanted: Iterable[str], sources: Sequence[str]) -> None:
        names = {name.strip() for name in wanted}
        texts = [_NOTE_LABEL.sub("", text) for text in sources]
        texts += [_unescape(text) for text in texts if "\\" in text]
        self._arguments = frozenset(names - {ANSWER_NUMBERS, ""})
        self._prose = ANSWER_NUMBERS in names
        self._text = _EDGE + _EDGE.join(texts) + _EDGE
        self._runs = frozenset(run for text in texts for run in _RUN.findall(text))
        self._numbers = frozenset(number for text in texts for number in _numbers(text))
        self._starts: dict[str, tuple[int, ...]] = {}
        for place in range(1, len(self._text) - 1):
            if self._is_start(place):
                first = self._text[place]
                self._starts[first] = (*self._starts.get(first, ()), place)
        self._state = _LINE
        self._pending = b""

    def admits(self, piece: bytes) -> bool:
        """Say whether `piece`, a token's bytes, may follow what was written."""
        text, pending = _decode(self._pending + piece)
        state = self._state
        for character in text:
            after = self._after(state, character)
            if after is None:
                return False
            state = after
        return not pending or self._may_begin(state, pending)

    def admits_end(self) -> bool:
        """Say whether the turn may end here: not inside a number that is not whole."""
        state = self._state
        return state.mode is not _Mode.PROSE or self._whole_run(state.text)

    def admitted(self, pieces: Iterable[bytes]) -> int:
        """Count how many of `pieces`, one after the other, may follow; none is written by that."""
        state, pending = self._state, self._pending
        count = 0
        for piece in pieces:
            if not self.admits(piece):
                break
            self.advance(piece)
            count += 1
        self._state, self._pending = state, pending
        return count

    def advance(self, piece: bytes) -> None:
        """Note that `piece` was written, admitted or not."""
        text, self._pending = _decode(self._pending + piece)
        for character in text:
            after = self._after(self._state, character)
            self._state = after or self._after(_relaxed(self._state), character) or _IGNORED

    def _after(self, state: _State, character: str) -> _State | None:
        """Return where the writing is after `character`, or None if it may not follow."""
        match state.mode:
            case _Mode.STRING:
                return self._in_string(state, character)
            case _Mode.ESCAPE:
                return self._in_escape(state, character)
            case _Mode.NUMBER:
                return self._in_number(state, character)
            case _Mode.PROSE:
                return self._in_prose(state, character)
            case _Mode.VALUE:
                return self._in_value(state, character)
            case _Mode.NAME:
                return self._in_name(state, character)
            case _Mode.HEAD:
                return self._in_head(state, character)
            case _Mode.REST:
                return _LINE if character == "\n" else state
            case _Mode.REFERENCE:
                if character == "[":
                    return state._replace(mode=_Mode.INDEX)
                if character in "])},\n ":
                    return self._in_value(state._replace(mode=_Mode.VALUE), character)
                return state
            case _Mode.INDEX:
                return state._replace(mode=_Mode.REFERENCE) if character == "]" else state
            case _Mode.INSIDE:
                return _in_braces(state, character)

    def _in_head(self, state: _State, character: str) -> _State:
        if character == "\n":
            return _LINE
        if character == "(":
            call = _CALL.fullmatch(state.text)
            return _State(_Mode.NAME, tool=call[1]) if call else _IGNORED
        if character == ":" and state.text.strip() in ("Answer", "Replan"):
            return _State(_Mode.PROSE, tool=state.text.strip(), held=self._prose)
        return state._replace(text=state.text + character)

    def _in_name(self, state: _State, character: str) -> _State | None:
        if character == "=":
            held = f"{state.tool}.{state.text.strip()}" in self._arguments
            return _State(_Mode.VALUE, tool=state.tool, held=held)
        if character in ")\n":
            return _IGNORED if character == ")" else _LINE
        if character in ", ":
            return state._replace(text="")
        if not state.text and character in '"[{$-0123456789':
            return self._in_value(_State(_Mode.VALUE, tool=state.tool), character)
        return state._replace(text=state.text + character)

    def _in_value(self, state: _State, character: str) -> _State | None:
        match character:
            case '"':
                return state._replace(mode=_Mode.STRING, places=None, dollar=False, mixed=False)
            case "[":
                return state._replace(depth=state.depth + 1)
            case "{":
                return state._replace(depth=state.depth + 1, held=False)
            case "]" | "}":
                return state._replace(depth=max(state.depth - 1, 0))
            case "$":
                return state._replace(mode=_Mode.REFERENCE)
            case ",":
                return state if state.depth else _State(_Mode.NAME, tool=state.tool)
            case ")":
                return state if state.depth else _IGNORED
            case "\n":
                return _LINE
            case _ if character == "-" or character in _DIGITS:
                return self._in_number(state._replace(mode=_Mode.NUMBER, text=""), character)
            case _:
                return state

    def _in_number(self, state: _State, character: str) -> _State | None:
        if character in _NUMERIC:
            text = state.text + character
            if state.held and not any(number.startswith(text) for number in self._numbers):
                return None
            return state._replace(text=text)
        if state.held and state.text not in self._numbers:
            return None
        return self._in_value(state._replace(mode=_Mode.VALUE, text=""), character)

    def _in_string(self, state: _State, character: str) -> _State | None:
        if character == "\\":
            return state._replace(mode=_Mode.ESCAPE, text="") if self._may_escape(state) else None
        if character == '"':
            return state._replace(mode=_Mode.VALUE) if self._may_close(state) else None
        if state.held and state.dollar and character == "{":
            return state._replace(mode=_Mode.INSIDE, text="")
        return self._written(state, character)

    def _may_close(self, state: _State) -> bool:
        if not state.held or (state.places is None and state.mixed):
            return True
        return any(self._is_end(place) for place in state.places or ())

    def _written(self, state: _State, character: str, *, escaped: bool = False) -> _State | None:
        """Return where a string is after one more character of its text."""
        if not state.held:
            return state
        dollar = character == "$" and not escaped
        if state.mixed and not _in_word(character):
            if not self._may_close(state):
                return None
            return state._replace(places=None, dollar=dollar)
        if state.places is None:
            places = tuple(place + 1 for place in self._starts.get(character, ()))
        else:
            places = tuple(at + 1 for at in state.places if self._text[at] == character)
        if (not places and not dollar) or character == _EDGE:
            return None
        return state._replace(places=places, dollar=dollar)

    def _in_escape(self, state: _State, character: str) -> _State | None:
        """Read the character after a backslash; a code point is no canonical way to quote."""
        back = state._replace(mode=_Mode.STRING)
        if not state.held:
            return back
        meant = _ESCAPES.get(character)
        return None if meant is None else self._written(back, meant, escaped=True)

    def _may_escape(self, state: _State) -> bool:
        """Say whether what may come next is ever written with a backslash."""
        if not state.held or (state.mixed and self._may_close(state)):
            return True
        return not _ESCAPED.isdisjoint(self._following(state))

    def _following(self, state: _State) -> Collection[str]:
        """Return the characters with which a string may go on."""
        if state.places is None:
            return self._starts.keys()
        return {self._text[at] for at in state.places}

    def _in_prose(self, state: _State, character: str) -> _State | None:
        if not state.held:
            ended = character == "\n" and state.tool == "Replan"
            return _LINE if ended else state
        text = state.text + character
        if character in _DIGITS:
            if text[0] == "$" or any(run.startswith(text) for run in self._runs):
                return state._replace(text=text)
            return None
        if character in _JOINTS and state.text[-1:] in _DIGITS:
            begins = text[0] == "$" or any(run.startswith(text) for run in self._runs)
            if begins or state.text in self._runs:
                return state._replace(text=text)
            return None
        if not self._whole_run(state.text):
            return None
        if character == "\n" and state.tool == "Replan":
            return _LINE
        # What follows a letter is part of a name, as in "v1", and no number.
        free = character == "$" or character.isalpha()
        return state._replace(text="$" if free else "")

    def _whole_run(self, text: str) -> bool:
        """Say whether a number in prose may end here; a joint at its end is punctuation."""
        return text[:1] in ("", "$") or text.rstrip(".:-") in self._runs

    def _may_begin(self, state: _State, pending: bytes) -> bool:
        """Say whether the unfinished bytes of a character may follow."""
        if state.mode is not _Mode.STRING or not state.held:
            return True
        following = self._following(state)
        return any(each.encode("utf-8", "replace").startswith(pending) for each in following)

    def _is_start(self, place: int) -> bool:
        here, before = self._text[place], self._text[place - 1]
        return not here.isspace() and here != _EDGE and not (_in_word(before) and _in_word(here))

    def _is_end(self, place: int) -> bool:
        before, here = self._text[place - 1], self._text[place]
        return not before.isspace() and not (_in_word(before) and _in_word(here))


def _in_braces(state: _State, character: str) -> _State | None:
    """Read the inside of a reference in a string: a number, then perhaps a path."""
    if character == "}" and state.text:
        return state._replace(mode=_Mode.STRING, places=None, dollar=False, mixed=True, text="")
    fits = character in _DIGITS or (state.text and (_in_word(character) or character in ".[]*"))
    return state._replace(text=state.text + character) if fits else None


def _relaxed(state: _State) -> _State:
    """Let go of the value being written, because no token could go on within the sources."""
    if state.mode is _Mode.PROSE:
        return state._replace(text="$")
    if state.mode is _Mode.INSIDE:
        return state._replace(mode=_Mode.STRING, held=False)
    return state._replace(held=False)


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _unescape(text: str) -> str:
    """Read a JSON text's escapes, roughly: a value in an observation is quoted as it reads."""
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)


def _numbers(text: str) -> Iterable[str]:
    """Give the numbers in `text` as JSON would write them, whole ones only."""
    for found in _NUMBER.finditer(text):
        digits = found["digits"].replace(",", "")
        yield digits
        if found["minus"]:
            yield "-" + digits


def _decode(data: bytes) -> tuple[str, bytes]:
    """Split bytes into whole characters and the bytes of one that has only begun."""
    for held in range(min(3, len(data)) + 1):
        head = data[: len(data) - held]
        try:
            return head.decode("utf-8"), data[len(data) - held :]
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace"), b""
