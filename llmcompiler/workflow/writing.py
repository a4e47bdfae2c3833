"""How is data written as a YAML text that is pleasant to read, and reads back as the same data?

It does not know what the data means.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

__all__ = ["write"]

_INDENT: Final = 2
_FLOW: Final = 60  # how many characters of a list stand in one line
_LONGEST_NOTE: Final = 160
# Texts of these signs need no quotes; none begins like a number but durations.
_PLAIN: Final = re.compile(
    r"(?:[^\W\d_]|\$|\.{1,2}/|(?:[0-9]+(?:ms|[smh]))+\Z)"
    r"(?:[\w .,/()+=@~;'\"|$\[\]{}*<>?!&%-]|:(?=\w|/))*"
)
_WORD: Final = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_OTHER_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def write(data: Mapping[str, Any], notes: Mapping[tuple[str, ...], str] | None = None) -> str:
    """Write JSON as YAML; `notes` are comments of one line each, above the key at a path."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _Representer
    yaml.width = sys.maxsize
    yaml.indent(mapping=_INDENT, sequence=2 * _INDENT, offset=_INDENT)
    out = io.StringIO()
    yaml.dump(_mapping(data, notes or {}, ()), out)
    return out.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes null as a word: a key without a value is taken for a mistake."""

    def represent_none(self, data: Any) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _mapping(
    data: Mapping[str, Any], notes: Mapping[tuple[str, ...], str], path: tuple[str, ...]
) -> CommentedMap:
    made = CommentedMap()
    for key, value in data.items():
        here = (*path, key)
        made[_scalar(key)] = _node(value, notes, here)
        if here in notes:
            made.yaml_set_comment_before_after_key(
                key, before=_note(notes[here]), indent=_INDENT * len(path)
            )
    return made


def _node(value: Any, notes: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> Any:
    match value:
        case str():
            return LiteralScalarString(value) if _lines(value) else _scalar(value)
        case Mapping():
            return _mapping(cast("Mapping[str, Any]", value), notes, path)
        case list() | tuple():
            return _sequence(cast("Sequence[Any]", value))
        case _:
            return value


def _sequence(values: Sequence[Any]) -> CommentedSeq:
    made = CommentedSeq([_node(value, {}, ()) for value in values])
    short = sum(len(str(value)) + 2 for value in values) <= _FLOW
    if short and all(not isinstance(value, str) or _word(value) for value in values):
        simple = not any(isinstance(value, Mapping | list | tuple) for value in values)
        if simple:
            made.fa.set_flow_style()
    return made


def _scalar(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text[-1] != " " and _shown(text)
    return text if plain and text.lower() not in _OTHER_WORDS else DoubleQuotedScalarString(text)


def _lines(text: str) -> bool:
    """Whether a text is several lines that can stand as they are."""
    lines = text.removesuffix("\n").split("\n")
    ends = bool(lines[0] and lines[-1]) and "\n" in text and not lines[0][0].isspace()
    return ends and all(_shown(line) and line == line.rstrip() for line in lines)


def _word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and text.lower() not in _OTHER_WORDS


def _shown(text: str) -> bool:
    """Whether a text holds nothing that an editor would not show, or show as something else."""
    return text.isprintable()


def _note(text: str) -> str:
    """Write a text as one line of a comment."""
    line = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
    return line if len(line) <= _LONGEST_NOTE else line[: _LONGEST_NOTE - 1] + "…"
