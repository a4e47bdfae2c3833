"""What stands in this part of a value that is too long to be read whole?

It does not know where the value comes from, nor how much of it somebody has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler.preview import preview, size_of

__all__ = ["TOOLS", "Part", "look"]

_MOST: Final = 6000  # characters that are given at once


class Part(TypedDict):
    """A part of a value: from `start` to before `end`, of `of` in all.

    They count characters of a text, elements of a list and names of an object. `left_out` says
    what is missing where an element alone was too long.
    """

    part: Any
    start: int
    end: int
    of: int
    left_out: list[str]


@tool(pure=True)
async def look(value: Any, start: int = 0, length: int = 4000) -> Part:
    """Read a part of a long value: characters of a text, elements of a list, names and sizes of an object.

    Args:
        value: what to look into, as $3.text
        start: where to begin, counting from 0
        length: how many characters to give, at most 6000
    """
    if start < 0:
        raise ToolError("start must be 0 or more")
    if length < 1:
        raise ToolError("length must be at least 1")
    if not isinstance(value, str | Sequence | Mapping):
        return _part(value, 0, 1, 1)
    if start and start >= len(value):
        raise ToolError(f"start is {start}, and there are only {_count(value)}")
    room = min(length, _MOST)
    if isinstance(value, str):
        return _characters(value, start, room)
    if isinstance(value, Mapping):
        return _names(value, start, room)
    return _elements(value, start, room)


def _characters(text: str, start: int, room: int) -> Part:
    shown = text[start : start + room]
    while len(shown) > 1 and size_of(shown, 6 * room)[0] > room + 2:
        shown = shown[: len(shown) * 9 // 10]  # line ends and quotes take more room than one
    return _part(shown, start, start + len(shown), len(text))


def _elements(value: Sequence[Any], start: int, room: int) -> Part:
    shown: list[Any] = []
    used = 0
    for inner in value[start : start + room]:
        used += size_of(inner, room)[0] + 2
        if used > room:
            break
        shown.append(inner)
    if shown or start == len(value):
        return _part(shown, start, start + len(shown), len(value))
    short = preview([value[start]], room)
    if short is None:
        return _part([value[start]], start, start + 1, len(value))
    return _part(short.value, start, start + 1, len(value), *short.notes)


def _names(value: Mapping[str, Any], start: int, room: int) -> Part:
    shown: dict[str, str] = {}
    used = 0
    for name in islice(value, start, None):
        said = _count(value[name])
        used += len(name) + len(said) + 8
        if shown and used > room:
            break
        shown[name] = said
    return _part(shown, start, start + len(shown), len(value))


def _count(value: Any) -> str:
    """Say how large a value is: ``5,000 elements``; or what it is, where it has no size."""
    match value:
        case str():
            return f"{len(value):,} characters"
        case Mapping():
            return f"{len(value):,} names"
        case bool():
            return "true or false"
        case None:
            return "null"
        case Sequence():
            return f"{len(value):,} elements"
        case _:
            return "a number"


def _part(part: Any, start: int, end: int, of: int, *left_out: str) -> Part:
    return {"part": part, "start": start, "end": end, "of": of, "left_out": list(left_out)}


TOOLS: tuple[Tool[..., Any], ...] = (look,)
