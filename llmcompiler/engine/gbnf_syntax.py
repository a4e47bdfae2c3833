"""Is this text a grammar that llama.cpp can follow?

It does not know vocabularies or tokens. llama.cpp checks some of that itself, but overflows its
stack on deep nesting, hangs on some left recursion and takes an empty text for no grammar at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from llmcompiler.errors import ConfigurationError

__all__ = ["check_gbnf"]

_DEEPEST = 200  # parentheses, and rules that begin with one another
_MOST_TIMES = 2000  # llama.cpp's own limit of repetitions

_ESCAPED = r"\\(?:[tnr\\\"\[\]]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_TOKEN = re.compile(
    rf"""
      (?P<blank>[ \t]+|\#[^\r\n]*)
    | (?P<newline>\r\n|\r|\n)
    | (?P<name>[A-Za-z0-9-]+)
    | (?P<define>::=)
    | (?P<literal>"(?:[^"\\]|{_ESCAPED})*")
    | (?P<set>\[(?!\]|\^\])\^?(?:[^\]\\]|{_ESCAPED})*\])
    | (?P<any>\.)
    | (?P<repeat>[*+?]|\{{[ ]*(?P<least>[0-9]{{1,9}})[ ]*,?[ ]*(?P<most>[0-9]{{1,9}})?[ ]*\}})
    | (?P<punctuation>[()|])
    """,
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


@dataclass(slots=True)
class _Item:
    """A part of a sequence; `rule` is what it refers to, `empty` that it may be an empty text."""

    rule: str | None = None
    empty: bool = False


@dataclass(slots=True)
class _Rules:
    """What was read: for each rule its alternatives, and where each name was used first."""

    alternatives: dict[str, list[list[_Item]]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)


def check_gbnf(text: str) -> None:
    """Check a grammar in llama.cpp's GBNF, of which the rule ``root`` is the text.

    Raises:
        ConfigurationError: it is not one, or llama.cpp could not follow it.
    """
    tokens = list(_tokens(text))
    rules = _Reader(tokens).read()
    if "root" not in rules.alternatives:
        raise _refusal("it has no rule 'root'")
    for name, line in rules.used.items():
        if name not in rules.alternatives:
            raise _refusal(f"there is no rule {name!r}", line)
    _check_beginnings(rules)


def _tokens(text: str) -> Iterator[_Token]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refusal("it is not Unicode text") from error
    if "\0" in text:
        raise _refusal("it holds a NUL character")
    position, line = 0, 1
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _refusal(f"{text[position : position + 20]!r} cannot be read", line)
        kind = found.lastgroup or ""
        if kind == "repeat":
            _check_times(found, line)
        if kind != "blank":
            yield _Token(kind, found[0], line)
        line += found[0].count("\n")
        position = found.end()


def _check_times(found: re.Match[str], line: int) -> None:
    times = [int(found[name]) for name in ("least", "most") if found[name]]
    if times != sorted(times) or any(count > _MOST_TIMES for count in times):
        raise _refusal(f"{found[0]!r} is no number of times up to {_MOST_TIMES}", line)


class _Reader:
    """Reads rules, one after the other."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._rules = _Rules()

    def read(self) -> _Rules:
        self._skip_newlines()
        while self._place < len(self._tokens):
            name = self._take("name")
            if name.text in self._rules.alternatives:
                raise _refusal(f"the rule {name.text!r} is written twice", name.line)
            self._take("define")
            self._skip_newlines()
            self._rules.alternatives[name.text] = []
            self._alternatives(name.text, 0)
            if self._place < len(self._tokens):
                self._take("newline")
            self._skip_newlines()
        return self._rules

    def _alternatives(self, rule: str, depth: int) -> None:
        while True:
            self._rules.alternatives[rule].append(self._sequence(depth))
            if self._peek().text != "|":
                return
            self._place += 1
            self._skip_newlines()

    def _sequence(self, depth: int) -> list[_Item]:
        items: list[_Item] = []
        while True:
            if depth:
                self._skip_newlines()
            token = self._peek()
            match token.kind:
                case "name":
                    self._rules.used.setdefault(token.text, token.line)
                    items.append(_Item(token.text))
                case "literal" | "set" | "any":
                    items.append(_Item(empty=token.text == '""'))
                case "repeat" if items:
                    if token.text[0] in "*?" or re.match(r"\{ *0+\b", token.text):
                        items[-1].empty = True
                case "punctuation" if token.text == "(":
                    items.append(_Item(self._group(token, depth + 1)))
                    continue
                case "repeat" | "define":
                    raise _refusal(f"{token.text!r} has nothing before it", token.line)
                case _:
                    return items
            self._place += 1

    def _group(self, begin: _Token, depth: int) -> str:
        """Read what is in parentheses as a rule of its own; return its name."""
        if depth > _DEEPEST:
            raise _refusal(f"it is nested more than {_DEEPEST} deep", begin.line)
        rule = f"({self._place}"
        self._rules.alternatives[rule] = []
        self._place += 1
        self._skip_newlines()
        self._alternatives(rule, depth)
        if self._peek().text != ")":
            raise _refusal("a parenthesis is not closed", begin.line)
        self._place += 1
        return rule

    def _peek(self) -> _Token:
        if self._place < len(self._tokens):
            return self._tokens[self._place]
        return _Token("end", "the end", self._tokens[-1].line if self._tokens else 1)

    def _take(self, kind: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            raise _refusal(f"{token.text!r} stands where a {kind} should", token.line)
        self._place += 1
        return token

    def _skip_newlines(self) -> None:
        while self._peek().kind == "newline":
            self._place += 1


def _check_beginnings(rules: _Rules) -> None:
    """Refuse rules that begin with themselves, and long chains of rules that begin with others."""
    empty = _may_be_empty(rules)
    begins: dict[str, set[str]] = {name: set() for name in rules.alternatives}
    waits: defaultdict[str, int] = defaultdict(int)
    for name, alternatives in rules.alternatives.items():
        for items in alternatives:
            for item in items:
                if item.rule is not None and item.rule not in begins[name]:
                    begins[name].add(item.rule)
                    waits[item.rule] += 1
                if not (item.empty or item.rule in empty):
                    break
    depths = {name: 0 for name in begins if not waits[name]}
    ready = list(depths)
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        if depths[name] > 2 * _DEEPEST:
            raise _refusal(f"more than {2 * _DEEPEST} rules begin with one another")
        for other in begins[name]:
            depths[other] = max(depths.get(other, 0), depths[name] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    if done < len(begins):
        left = {name for name in begins if waits[name]}
        raise _refusal(f"left recursion: {_cycle(begins, left)} begins with itself")


def _cycle(begins: dict[str, set[str]], left: set[str]) -> str:
    """Name the rules of a cycle; every rule of `left` is what another of them begins with."""
    before = {other: name for name in sorted(left) for other in begins[name]}
    path = [min(left)]
    while before[path[-1]] not in path:
        path.append(before[path[-1]])
    cycle = path[path.index(before[path[-1]]) :]
    return ", ".join(sorted(name for name in cycle if name[0] != "(")) or "a group"


def _may_be_empty(rules: _Rules) -> set[str]:
    """Return the rules that allow an empty text."""
    empty: set[str] = set()
    while True:
        more = {
            name
            for name, alternatives in rules.alternatives.items()
            if name not in empty
            and any(all(it.empty or it.rule in empty for it in items) for items in alternatives)
        }
        if not more:
            return empty
        empty |= more


def _refusal(problem: str, line: int | None = None) -> ConfigurationError:
    place = "" if line is None else f"line {line}: "
    return ConfigurationError(f"the grammar cannot be used: {place}{problem}")
