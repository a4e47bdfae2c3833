"""Which data do the parser's events make, and where does each value stand?

It does not know files, workflows, or the grammar of YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias

from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from llmcompiler.errors import did_you_mean
from llmcompiler.workflow.problems import Problem, WorkflowError

__all__ = ["DEEPEST", "NODES_MOST", "NOWHERE", "Place", "Reader", "Where", "kind_of"]

NODES_MOST: Final = 100_000  # counted with every alias written out
DEEPEST: Final = 50
NOWHERE: Final = (1, 1)

Where: TypeAlias = "tuple[int, int]"
_MERGE: Final = "<<"
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MAYBE_NUMBER: Final = frozenset("+-.0123456789")
_LONGEST_NUMBER: Final = 400  # digits; Python refuses to read some thousands
_TAGS: Final = "tag:yaml.org,2002:"
_TOO_DEEP: Final = f"this is nested deeper than {DEEPEST} levels"


@dataclass(slots=True)
class Place:
    """Where a value stands, as (line, column) from 1, and where what is inside it does."""

    at: Where
    entries: dict[str, tuple[Where, Place]] | None = None
    elements: list[Place] | None = None


def kind_of(value: object) -> str:
    """Say what a value is, for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a mapping"


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: Any
    place: Place
    anchor: str | None
    before: int  # how many values there were when it began
    deepest: int  # the level of the deepest value inside
    key: str | None = None  # the key whose value comes next
    key_at: Where = NOWHERE
    waits: bool = False  # whether a value comes next
    merge: bool = False  # whether that value is to be merged
    merged: dict[str, Any] | None = None
    merged_places: dict[str, tuple[Where, Place]] = field(default_factory=dict)


@dataclass(slots=True)
class _Anchored:
    """What an alias stands for; `value` is not there as long as it is being read."""

    value: Any
    place: Place
    size: int = 0
    height: int = 0
    done: bool = False


class Reader:
    """Builds data from the parser's events, with a stack of its own: depth is no recursion."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._count = 0
        self.problems: list[Problem] = []
        self.values: list[Any] = []
        self.places: list[Place] = []

    def take(self, events: Iterator[Event]) -> None:
        """Read all events; stop at what cannot be read on."""
        documents = 0
        for event in events:
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent:
                self._begin(event, {}, Place(_of(event), entries={}))
            elif kind is SequenceStartEvent:
                self._begin(event, [], Place(_of(event), elements=[]))
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._end()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                documents += 1
                self._document(event, documents)

    def _document(self, event: Any, number: int) -> None:
        if number > 1:
            self._stop(_of(event), "a second document begins here: write each into its own file")
        if event.version is not None and tuple(event.version) != (1, 2):
            written = ".".join(map(str, event.version))
            self._stop(NOWHERE, f"workflows are YAML 1.2, not {written}: leave out '%YAML'")

    def _scalar(self, event: Any) -> None:
        at = _of(event)
        self._grow(1, at)
        plain = event.style is None and event.implicit[0]
        here = self._stack[-1] if self._stack else None
        if plain and not event.value and here is not None and here.waits:
            at = here.key_at  # a value that is left out has no place of its own
        if plain and here is not None and event.value == _MERGE and self._key_comes(here):
            here.waits = here.merge = True
            here.key_at = at
            return
        value: Any = event.value
        if event.ctag is not None:
            value = self._tagged(event, at)
        elif plain:
            value = self._resolved(value, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, Place(at), 1, 1, done=True)
        self._put(value, Place(at), event.value)

    def _tagged(self, event: Any, at: Where) -> Any:
        tag = str(event.ctag).removeprefix(_TAGS)
        if tag in ("str", "!"):
            return event.value
        value = self._resolved(event.value, at)
        fits = {"null": value is None, "bool": isinstance(value, bool)}
        fits["int"] = isinstance(value, int) and not isinstance(value, bool)
        fits["float"] = fits["int"] or isinstance(value, float)
        if tag not in fits:
            self._report(at, f"there are no tags as {_tag(event)!r} in a workflow: leave it out")
        elif not fits[tag]:
            self._report(at, f"{event.value!r} is none of the values that '!!{tag}' stands for")
        return float(value) if tag == "float" and fits["int"] else value

    def _resolved(self, text: str, at: Where) -> Any:
        """Return what a plain text stands for in YAML 1.2."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _MAYBE_NUMBER:
            return text
        if _INTEGER.fullmatch(text):
            if len(text) > _LONGEST_NUMBER:
                self._report(at, f"a number of {len(text):,} digits is too long: put it in quotes")
                return 0
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if _NO_NUMBER.fullmatch(text):
            self._report(at, f"{text} is no number in JSON: put it in quotes if it is a text")
        elif _FLOAT.fullmatch(text):
            number = float(text)
            if number not in (float("inf"), float("-inf")):
                return number
            self._report(at, f"the number {text[:60]} is too large")
        return text

    def _begin(self, event: Any, value: Any, place: Place) -> None:
        depth = len(self._stack) + 1
        if depth > DEEPEST:
            self._stop(place.at, _TOO_DEEP)
        self._grow(1, place.at)
        kind = "map" if isinstance(value, dict) else "seq"
        if event.ctag is not None and str(event.ctag) not in ("!", _TAGS + kind):
            self._report(
                place.at, f"there are no tags as {_tag(event)!r} in a workflow: leave it out"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, place)
        self._stack.append(_Open(value, place, event.anchor, self._count - 1, depth))

    def _end(self) -> None:
        done = self._stack.pop()
        if done.merged is not None:
            own = dict(done.value)
            done.value.clear()
            done.value.update(done.merged)
            done.value.update(own)
            done.place.entries = {**done.merged_places, **(done.place.entries or {})}
        if done.anchor is not None:
            known = self._anchors[done.anchor]
            if known.value is done.value:
                known.size = self._count - done.before
                known.height = done.deepest - len(self._stack)
                known.done = True
        if self._stack:
            around = self._stack[-1]
            around.deepest = max(around.deepest, done.deepest)
        self._put(done.value, done.place, None)

    def _alias(self, event: Any) -> None:
        at, name = _of(event), event.anchor
        known = self._anchors.get(name)
        if known is None:
            hint = (
                did_you_mean(name, self._anchors) or "; put a text that begins with '*' in quotes"
            )
            self._stop(at, f"there is no anchor {name!r} above{hint}")
        if not known.done:
            self._stop(at, f"the alias {'*' + name!r} stands inside what it stands for")
        self._grow(known.size, at)
        deepest = len(self._stack) + known.height
        if deepest > DEEPEST:
            self._stop(at, _TOO_DEEP)
        if self._stack:
            self._stack[-1].deepest = max(self._stack[-1].deepest, deepest)
        self._put(known.value, Place(at, known.place.entries, known.place.elements), None)

    def _put(self, value: Any, place: Place, written: str | None) -> None:
        """Put a value where it belongs; `written` is its text where it is one."""
        if not self._stack:
            self.values.append(value)
            self.places.append(place)
            return
        here = self._stack[-1]
        if isinstance(here.value, list):
            here.value.append(value)
            if here.place.elements is not None:
                here.place.elements.append(place)
        elif self._key_comes(here):
            self._key(here, value, place.at, written)
        else:
            self._entry(here, value, place)

    @staticmethod
    def _key_comes(here: _Open) -> bool:
        return not here.waits and isinstance(here.value, dict)

    def _key(self, here: _Open, key: Any, at: Where, written: str | None) -> None:
        here.waits, here.key, here.key_at = True, None, at
        if not isinstance(key, str):
            if not written:
                said = f"a key must be a text, not {kind_of(key)}"
                hint = ': put an expression in quotes, as "${{ … }}"' * isinstance(key, dict)
                self._report(at, said + hint)
                return
            self._report(at, f"a key must be a text: write {written} in quotes")
            key = written
        entries = here.place.entries or {}
        if key in entries:
            line, column = entries[key][0]
            self._report(
                at, f"the key {key!r} is there twice, first at line {line}, column {column}"
            )
            return
        here.key = key

    def _entry(self, here: _Open, value: Any, place: Place) -> None:
        here.waits = False
        if here.merge:
            here.merge = False
            self._merge(here, value, place)
        elif here.key is not None and here.place.entries is not None:
            here.value[here.key] = value
            here.place.entries[here.key] = (here.key_at, place)

    def _merge(self, here: _Open, value: Any, place: Place) -> None:
        if here.merged is not None:
            self._report(here.key_at, "the key '<<' is there twice: give it a list of mappings")
            return
        here.merged = {}
        several = value if isinstance(value, list) else [value]
        places = place.elements if isinstance(value, list) and place.elements else [place]
        for one, at in zip(several, places, strict=False):
            if not isinstance(one, dict):
                said = f"'<<' takes a mapping or a list of mappings, not {kind_of(one)}"
                self._report(at.at, said)
                continue
            for key in one:
                if key not in here.merged and at.entries is not None:
                    here.merged[key] = one[key]
                    here.merged_places[key] = at.entries[key]

    def _grow(self, by: int, at: Where) -> None:
        self._count += by
        if self._count > NODES_MOST:
            self._stop(at, f"the file has more than {NODES_MOST:,} values: split it")

    def _report(self, at: Where, message: str) -> None:
        self.problems.append(Problem(self._file, *at, message))

    def _stop(self, at: Where, message: str) -> NoReturn:
        raise WorkflowError([*self.problems, Problem(self._file, *at, message)])


def _of(event: Any) -> Where:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _tag(event: Any) -> str:
    tag = str(event.ctag)
    return "!!" + tag.removeprefix(_TAGS) if tag.startswith(_TAGS) else tag
