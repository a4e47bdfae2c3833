"""What is one line of a plan: where a call begins, where it ends, and what it says.

It does not know what else a turn may hold, nor which tools exist.
"""

from __future__ import annotations

import re

from llmcompiler.errors import PlanError
from llmcompiler.language.references import ID
from llmcompiler.language.values import MAX_DEPTH, NAME, Source, read_arguments
from llmcompiler.plan import Argument, Ref, Task, TaskId, Template

__all__ = [
    "HEAD",
    "JOIN",
    "Brackets",
    "explain",
    "looks_like_a_step",
    "parse_line",
    "read_joins",
]

# `3. search(`, also as `3) search(` and `3: search(`; and `join(`, with or without its number.
# All their parts are bounded, so that a head is known from the first 256 characters of a line.
_GAP = r"[^\S\n]{0,16}+"
_NUMBER = rf"({ID}){_GAP}[.):]{_GAP}"
HEAD = re.compile(rf"\s*+{_NUMBER}({NAME}){_GAP}\(")
JOIN = re.compile(rf"\s*+(?:{_NUMBER})?join{_GAP}\(")

_AFTER = re.compile(r"\s*+[;,.]?\s*+(?:(?:#|//)[^\n]*+)?\s*+")
_NUMBERED = re.compile(r"\s*+(?:[0-9]++\s*+[.):](?![0-9])|[0-9]++\s++[^\W\d][\w.\-]*+\()")
_BARE_CALL = re.compile(
    rf"\s*+(?:[-*•>]\s++)?(?:(?:Step|Task|Action|Call)\b\s*+[0-9]*+\s*+[.):]\s*+|\$?\w++\s*+=\s*+|\$?[0-9]++[.):]?\s*+)?"
    rf"({NAME})\(",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(rf"\s*+(?:{ID}\s*+[.):]\s*+)?(\$?\w++)\s*+=\s*+({NAME})\s*+\(")
_TOO_LONG = re.compile(r"\s*+[0-9]{10}")

_OUTSIDE = re.compile(r"[\"'()\[\]{}#]")
_INSIDE = {'"': re.compile(r'["\\\n]'), "'": re.compile(r"['\\\n]")}
_OPENER = {")": "(", "]": "[", "}": "{"}


class Brackets:
    """Finds where a call ends, fed with its text from the opening parenthesis on, in any pieces.

    `closed` says that the end was found. `broken` says that there can be none any more: a string
    runs over the end of its line, brackets do not match, or they are too deep.
    """

    __slots__ = ("_comment", "_escaped", "_quote", "_stack", "broken", "closed")

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._quote = ""
        self._escaped = False
        self._comment = False
        self.broken = False
        self.closed = False

    @property
    def lacks_one_parenthesis(self) -> bool:
        """Whether one closing parenthesis, outside any text, is all that is missing."""
        return self._stack == ["("] and not self._quote and not self.broken

    def feed(self, text: str, start: int = 0) -> int:
        """Look at the next piece, from `start` on; return how far the call reaches into `text`."""
        position = start
        end = len(text)
        while position < end and not self.broken:
            if self._escaped:
                self._escaped = False
                self.broken = text[position] == "\n"
                position += 1
            elif self._comment:
                newline = text.find("\n", position)
                self._comment = newline < 0
                position = end if newline < 0 else newline + 1
            elif self._quote:
                position = self._in_string(text, position)
            else:
                position = self._outside(text, position)
                if self.closed:
                    return position
        return end

    def _in_string(self, text: str, position: int) -> int:
        found = _INSIDE[self._quote].search(text, position)
        if not found:
            return len(text)
        if found[0] == "\\":
            self._escaped = True
        elif found[0] == "\n":
            self.broken = True
        else:
            self._quote = ""
        return found.end()

    def _outside(self, text: str, position: int) -> int:
        found = _OUTSIDE.search(text, position)
        if not found:
            return len(text)
        sign = found[0]
        if sign in "\"'":
            self._quote = sign
        elif sign == "#":
            self._comment = True
        elif sign in "([{":
            self._stack.append(sign)
            self.broken = len(self._stack) > MAX_DEPTH + 1
        elif self._stack and self._stack[-1] == _OPENER[sign]:
            self._stack.pop()
            self.closed = not self._stack
        else:
            self.broken = True
        return found.end()


def parse_line(text: str, line: int = 1, column: int = 1) -> Task:
    """Read one step, ``1. tool(name=value)``, alone or with a comment behind it.

    `line` and `column` say where the text stands in its turn, counted from 1. A `join()` is not a
    step. Raises `PlanError`.
    """
    source = Source(text, line, column)
    head = HEAD.match(text)
    if not head:
        raise explain(text, line, column)
    number, tool = head.groups()
    task = source.task = TaskId(str(int(number)))
    if tool == "join":
        raise source.error(head.start(2), "join() closes a plan and is not a step of it")
    source.tool = tool
    args, positional, end = read_arguments(source, head.end())
    _check_end(source, end)
    return Task(task, tool, args, positional, line=line)


def read_joins(text: str, line: int = 1, column: int = 1) -> tuple[TaskId, ...] | None:
    """Read ``join()`` as None and ``join($4, $5)`` as the steps it names; raise `PlanError`."""
    source = Source(text, line, column)
    head = JOIN.match(text)
    if not head:
        raise explain(text, line, column)
    if head[1]:
        source.task = TaskId(str(int(head[1])))
    source.tool = "join"
    args, positional, end = read_arguments(source, head.end())
    _check_end(source, end)
    values: tuple[Argument, ...] = (*positional, *args.values())
    if len(values) == 1 and isinstance(values[0], list):
        values = tuple(values[0])
    joins: list[TaskId] = []
    for value in values:
        ref = value.whole if isinstance(value, Template) else value
        if not isinstance(ref, Ref):
            raise source.error(
                head.end(), "join() takes only references to steps, as in join($4, $5)"
            )
        joins.append(ref.task)
    return tuple(dict.fromkeys(joins)) or None


def _check_end(source: Source, end: int) -> None:
    after = _AFTER.match(source.text, end)
    position = after.end() if after else end
    if position < len(source.text):
        raise source.error(
            position, "there is text behind the call: one line holds one call and nothing else"
        )


def looks_like_a_step(text: str) -> bool:
    """Whether a line that is no call was meant as one, so that it may not pass for prose."""
    return bool(_NUMBERED.match(text) or _BARE_CALL.match(text))


def explain(text: str, line: int, column: int = 1) -> PlanError:
    """Say why a line that should be a step is none."""
    source = Source(text, line, column)
    start = len(text) - len(text.lstrip())
    assigned = _ASSIGNED.match(text)
    bare = _BARE_CALL.match(text)
    if assigned:
        return source.error(
            assigned.start(1),
            f"a step has a number and no name: write N. {assigned[2]}(...) and refer to its result with $N",
        )
    if _TOO_LONG.match(text):
        return source.error(start, "a step's number has at most nine digits")
    if bare:
        return source.error(
            start, f"a step begins with its number and a dot: write N. {bare[1]}(...)"
        )
    return source.error(start, "there is no call on this line: write N. tool(name=value)")
