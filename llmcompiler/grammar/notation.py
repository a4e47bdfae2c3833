"""How is a rule written down: in llguidance's Lark dialect, and in llama.cpp's GBNF?

It does not know plans, tools or types; it prints expressions over texts, characters and names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

__all__ = [
    "EMPTY",
    "Chars",
    "Choice",
    "Gbnf",
    "Lark",
    "Name",
    "Node",
    "Notation",
    "Repeat",
    "Sequence",
    "Text",
    "choice",
    "many",
    "names_in",
    "optional",
    "sequence",
]


@dataclass(frozen=True, slots=True)
class Text:
    """These very characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set, written as between the brackets of a regular expression."""

    members: str


@dataclass(frozen=True, slots=True)
class Name:
    """What the rule of this name says."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times the same; no end to it where `most` is None."""

    node: Node
    least: int
    most: int | None


Node: TypeAlias = "Text | Chars | Name | Sequence | Choice | Repeat"

EMPTY: Final = Text("")


def sequence(*parts: Node | str) -> Node:
    """Put parts one after the other; texts that meet become one."""
    flat: list[Node] = []
    for part in parts:
        node = Text(part) if isinstance(part, str) else part
        for inner in node.parts if isinstance(node, Sequence) else (node,):
            last = flat[-1] if flat else None
            if isinstance(inner, Text) and isinstance(last, Text):
                flat[-1] = Text(last.text + inner.text)
            elif inner != EMPTY:
                flat.append(inner)
    return EMPTY if not flat else flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def choice(*options: Node | str) -> Node:
    """Leave the choice between options, of which there is at least one."""
    nodes = [Text(option) if isinstance(option, str) else option for option in options]
    kept = tuple(dict.fromkeys(nodes))
    return kept[0] if len(kept) == 1 else Choice(kept)


def optional(node: Node) -> Node:
    """Allow `node` or nothing."""
    return many(node, 0, 1)


def many(node: Node, least: int = 0, most: int | None = None) -> Node:
    """Allow `node` from `least` to `most` times, any number of times where `most` is None."""
    if node == EMPTY or most == 0:
        return EMPTY
    return node if least == most == 1 else Repeat(node, least, most)


def names_in(node: Node) -> frozenset[str]:
    """Return the names of the rules that an expression refers to."""
    match node:
        case Name(name):
            return frozenset((name,))
        case Sequence(parts) | Choice(parts):
            return frozenset().union(*map(names_in, parts))
        case Repeat(inner, _, _):
            return names_in(inner)
        case _:
            return frozenset()


class Notation(Protocol):
    """A way to write rules. Both write texts, groups and alternatives alike."""

    @property
    def start(self) -> str:
        """The name of the rule that a grammar begins with."""
        ...

    def name(self, name: str) -> str:
        """Write the name of a rule."""
        ...

    def expression(self, node: Node) -> str:
        """Write an expression, without brackets around it."""
        ...

    def rule(self, name: str, written: str) -> str:
        """Write a rule, with the newline that ends it, from an expression as written."""
        ...


class Lark:
    """llguidance's dialect. Rules are regular expressions, save those named `recursive`.

    llguidance compiles a line as one regular expression in less time than as rules.
    """

    @property
    def start(self) -> str:
        """The name that llguidance's grammars begin with."""
        return "start"

    def __init__(self, recursive: frozenset[str] = frozenset()) -> None:
        self._recursive = recursive

    def name(self, name: str) -> str:
        """Write a name: in capitals, unless its rule is recursive."""
        return name.lower() if name in self._recursive else name

    def expression(self, node: Node) -> str:
        """Write what holds no name as one regular expression."""
        return self._shown(self._piece(node)).written

    def rule(self, name: str, written: str) -> str:
        """Write ``NAME: …``."""
        return f"{self.name(name)}: {written}\n"

    def _piece(self, node: Node) -> _Piece:
        match node:
            case Text(text):
                tight = _ATOM if len(text) == 1 else _SEQUENCE
                written = "".join(map(_regex_character, text))
                return _Piece(written, tight, json.dumps(text, ensure_ascii=False))
            case Chars(members):
                return _Piece(f"[{members}]", _ATOM, "")
            case Name(name):
                return _Piece(self.name(name), _ATOM)
            case Sequence(parts):
                return self._joined(parts, _SEQUENCE)
            case Choice(options):
                return self._joined(options, _CHOICE)
            case Repeat(inner, least, most):
                piece = self._piece(inner)
                if piece.literal is None:
                    return _repeated(piece, least, most)
                return _repeated(piece, least, most, literal="")

    def _joined(self, nodes: tuple[Node, ...], tight: int) -> _Piece:
        pieces = [self._piece(node) for node in nodes]
        if all(piece.literal is not None for piece in pieces):
            between = "" if tight == _SEQUENCE else "|"
            return _Piece(between.join(_bracketed(pieces, tight)), tight, "")
        between = " " if tight == _SEQUENCE else " | "
        return _Piece(between.join(_bracketed(map(self._shown, pieces), tight)), tight)

    def _shown(self, piece: _Piece) -> _Piece:
        """Write a regular expression, or a text, as a part of a rule."""
        if piece.literal is None:
            return piece
        return _Piece(piece.literal or f"/{piece.written}/", _ATOM)


class Gbnf:
    """llama.cpp's own grammars."""

    @property
    def start(self) -> str:
        """The name that llama.cpp's grammars begin with."""
        return "root"

    def name(self, name: str) -> str:
        """Write a name as it is."""
        return name

    def expression(self, node: Node) -> str:
        """Write an expression of texts, brackets and names."""
        return self._piece(node).written

    def rule(self, name: str, written: str) -> str:
        """Write ``name ::= …``."""
        return f"{name} ::= {written}\n"

    def _piece(self, node: Node) -> _Piece:
        match node:
            case Text(text):
                return _Piece('"' + "".join(map(_gbnf_character, text)) + '"', _ATOM)
            case Chars(members):
                return _Piece(f"[{members}]", _ATOM)
            case Name(name):
                return _Piece(name, _ATOM)
            case Sequence(parts):
                pieces = map(self._piece, parts)
                return _Piece(" ".join(_bracketed(pieces, _SEQUENCE)), _SEQUENCE)
            case Choice(options):
                pieces = map(self._piece, options)
                return _Piece(" | ".join(_bracketed(pieces, _CHOICE)), _CHOICE)
            case Repeat(inner, least, most):
                return _repeated(self._piece(inner), least, most)


# How tightly the parts of an expression hold together.
_CHOICE, _SEQUENCE, _REPEAT, _ATOM = range(4)


@dataclass(frozen=True, slots=True)
class _Piece:
    """An expression as written, and how tightly it holds together.

    In Lark it is a regular expression where `literal` is not None: that is then how it is written
    as a part of a rule if it is a mere text, else empty.
    """

    written: str
    tight: int
    literal: str | None = None


def _bracketed(pieces: Iterable[_Piece], tight: int) -> Iterator[str]:
    for piece in pieces:
        yield piece.written if piece.tight >= tight else f"({piece.written})"


def _repeated(piece: _Piece, least: int, most: int | None, literal: str | None = None) -> _Piece:
    match least, most:
        case 0, None:
            times = "*"
        case 1, None:
            times = "+"
        case 0, 1:
            times = "?"
        case _ if least == most:
            times = f"{{{least}}}"
        case _:
            times = f"{{{least},{'' if most is None else most}}}"
    (written,) = _bracketed((piece,), _ATOM)
    return _Piece(written + times, _REPEAT, literal)


_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$/#&-~")


def _regex_character(character: str) -> str:
    if character < " ":
        return f"\\x{ord(character):02x}"
    return f"\\{character}" if character in _SPECIAL else character


def _gbnf_character(character: str) -> str:
    match character:
        case '"' | "\\":
            return f"\\{character}"
        case "\n":
            return "\\n"
        case _ if character < " ":
            return f"\\x{ord(character):02X}"
        case _:
            return character
