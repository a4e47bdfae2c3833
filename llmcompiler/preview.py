"""What of a large value is shown, and what is left out?

It does not know who looks at it, nor where the whole value is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, TypeAlias

from llmcompiler.plan import Failed, Json, Ok, Outcome, PathStep, Ref, Star, TaskId

__all__ = ["LeftOut", "Preview", "Unit", "preview", "preview_of", "size_of"]

Unit: TypeAlias = Literal["characters", "elements", "names"]

_LEAST: Final = 24  # characters that anything is given: every number fits, and a word of a text
_FAIR: Final = 40  # characters that the elements of a list are each given, if there is room for all
_DECENT: Final = 100  # those that each of the first is given, if there is not
_DEEPEST: Final = 20  # lists and objects inside each other that are shown
_MOST_NODES: Final = 50_000  # values that are counted of one whose size does not matter any more
_MOST_NOTES: Final = 8
_LONG: Final = 200  # characters of a text whose escapes are not counted
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class LeftOut:
    """At `path` only the first `shown` of `whole` are there: characters, elements or names.

    A path with `Star` stands for several places of one list, and the figures for their sums.
    """

    path: tuple[PathStep, ...]
    shown: int
    whole: int
    unit: Unit

    def __str__(self) -> str:
        where = Ref(TaskId(""), self.path).path_text
        return f"{where and where + ': '}{self.shown:,} of {self.whole:,} {self.unit}"


@dataclass(frozen=True, slots=True)
class Preview:
    """A shortened `value`: the same shape, with less in it.

    Of a long list the first elements are there, of a long text the first characters and "…", of
    a large object the first names; what stands too deep is empty. `left_out` says where, in the
    order of the value; `more` counts the places beyond those. `chars` is the size of the whole,
    in characters as JSON: at least that much, unless `counted`.
    """

    value: Json
    left_out: tuple[LeftOut, ...]
    more: int
    chars: int
    counted: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words: ``.items: 20 of 5,000 elements``."""
        rest = (f"{self.more:,} more places",) if self.more else ()
        return (*map(str, self.left_out), *rest)

    @property
    def shown(self) -> int:
        """The size of the shortened value, in characters as JSON."""
        return len(_ENCODE(self.value))


def preview(value: Json, chars: int) -> Preview | None:
    """Shorten `value` to about `chars` characters as JSON; None where the whole is no longer.

    The shortened value is never longer than `chars`, or 24 where that is more; a number is never
    cut. The work grows with `chars`, not with the value.
    """
    room = max(chars, _LEAST)
    if size_of(value, room)[0] <= room or not isinstance(value, str | Sequence | Mapping):
        return None
    cuts: list[LeftOut] = []
    shown = _shorten(value, room, (), cuts)
    left_out = _together(cuts)
    whole, counted = size_of(value)
    return Preview(
        shown, left_out[:_MOST_NOTES], len(left_out[_MOST_NOTES:]), max(whole, room + 1), counted
    )


def preview_of(outcome: Outcome, chars: int) -> Preview | None:
    """Shorten what a model would read of an outcome; None where it is no longer than `chars`.

    That is a result, what a failed fan-out has of results (a list with null for the others), or
    the message of another failure.
    """
    match outcome:
        case Ok(value):
            return preview(value, chars)
        case Failed(_, message, _, None):
            return preview(message, chars)
        case Failed(_, _, _, elements):
            values = [each.value if isinstance(each, Ok) else None for each in elements or ()]
            return preview(values, chars)
        case _:
            return None


def size_of(value: Json, enough: int | None = None) -> tuple[int, bool]:
    """Return how long a value is as JSON, in characters, and whether all of it was counted.

    Counting ends where there are more than `enough` characters; without that, after fifty
    thousand values, and of long texts the escapes are not counted.
    """
    most = _MOST_NODES if enough is None else math.inf
    exact = _LONG if enough is None else enough
    size = nodes = 0
    open_ones: list[Iterator[object]] = [iter((value,))]
    while open_ones:
        for inner in open_ones[-1]:
            if nodes >= most or (enough is not None and size > enough):
                return size, False
            nodes += 1
            if isinstance(inner, str):
                size += len(inner) + 2 if len(inner) > exact else len(_ENCODE(inner))
            elif inner is None or isinstance(inner, int | float):
                size += len(repr(inner))  # as long in Python as in JSON
            elif isinstance(inner, dict | Mapping):
                size += max(2, 4 * len(inner))  # braces, and commas, colons and blanks
                open_ones.append(_names_and_values(inner))
                break
            elif isinstance(inner, list | Sequence):
                size += max(2, 2 * len(inner))
                open_ones.append(iter(inner))
                break
        else:
            open_ones.pop()
    return size, True


def _names_and_values(value: Mapping[str, Json]) -> Iterator[object]:
    for name, inner in value.items():
        yield name
        yield inner


def _shorten(value: Json, room: int, at: tuple[PathStep, ...], cuts: list[LeftOut]) -> Json:
    """Return what `room` characters hold of a value that they do not hold whole; note it in `cuts`."""
    if isinstance(value, str):
        return _cut(value, room, at, cuts)
    if isinstance(value, Mapping):
        return _fewer_names(value, room, at, cuts)
    if isinstance(value, Sequence):
        return _fewer_elements(value, room, at, cuts)
    return value


def _cut(text: str, room: int, at: tuple[PathStep, ...], cuts: list[LeftOut]) -> str:
    shown = text[: room - 3]  # quotes, and the sign of what is left out
    low, high = 0, len(shown)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_ENCODE(shown[:middle])) <= room - 1:
            low = middle
        else:
            high = middle - 1
    cuts.append(LeftOut(at, low, len(text), "characters"))
    return shown[:low] + "…"


def _fewer_elements(
    value: Sequence[Json], room: int, at: tuple[PathStep, ...], cuts: list[LeftOut]
) -> Json:
    whole, used = _whole_ones(value, room)
    if whole >= 3 and used >= room // 2:
        cuts.append(LeftOut(at, whole, len(value), "elements"))
        return list(value[:whole])
    # Few of them fit as they are: more of them, each shortened, say more.
    each = room // len(value) - 2
    decent = each if each >= _FAIR else min(max(room // 20, _DECENT), room - 2)
    sizes = _first_ones(((2, inner) for inner in value), room, decent)
    if len(at) >= _DEEPEST:
        sizes.clear()
    if len(sizes) < len(value):
        cuts.append(LeftOut(at, len(sizes), len(value), "elements"))
    shown = value[: len(sizes)]
    rooms = _shares(shown, sizes, room - 2 * len(sizes))
    return [
        inner if room >= size else _shorten(inner, room, (*at, index), cuts)
        for index, (inner, size, room) in enumerate(zip(shown, sizes, rooms, strict=True))
    ]


def _fewer_names(
    value: Mapping[str, Json], room: int, at: tuple[PathStep, ...], cuts: list[LeftOut]
) -> Json:
    # Beside each value stand its name, a colon, a comma and two blanks.
    beside = ((len(_ENCODE(name)) + 4, inner) for name, inner in value.items())
    sizes = _first_ones(beside, room, _LEAST)
    if len(at) >= _DEEPEST:
        sizes.clear()
    if len(sizes) < len(value):
        cuts.append(LeftOut(at, len(sizes), len(value), "names"))
    names = list(islice(value, len(sizes)))
    rooms = _shares(
        [value[name] for name in names], sizes, room - sum(len(_ENCODE(name)) + 4 for name in names)
    )
    return {
        name: value[name] if room >= size else _shorten(value[name], room, (*at, name), cuts)
        for name, size, room in zip(names, sizes, rooms, strict=True)
    }


def _whole_ones(value: Sequence[Json], room: int) -> tuple[int, int]:
    """Return how many of the first elements fit into `room` as they are, and what they take of it."""
    used = 0
    for index, inner in enumerate(value):
        size = size_of(inner, room - used)[0] + 2
        if used + size > room:
            return index, used
        used += size
    return len(value), used


def _first_ones(values: Iterable[tuple[int, Json]], room: int, decent: int) -> list[int]:
    """Return the sizes of the first ones that have room together, with at least `decent` for each.

    With each value comes what it takes beside its own size. A size above `room` only says that.
    """
    sizes: list[int] = []
    used = 0
    for beside, inner in values:
        size = size_of(inner, room)[0]
        used += beside + (size if _is_scalar(inner) else min(size, decent))
        if used > room:
            break
        sizes.append(size)
    return sizes


def _shares(values: Sequence[Json], sizes: Sequence[int], room: int) -> list[int]:
    """Share out `room`: those that need less than an equal share leave the rest to the others."""
    rooms = list(sizes)
    left = room - sum(size for value, size in zip(values, sizes, strict=True) if _is_scalar(value))
    others = [i for i, value in enumerate(values) if not _is_scalar(value)]
    others.sort(key=lambda i: sizes[i])
    for taken, i in enumerate(others):
        rooms[i] = min(sizes[i], left // (len(others) - taken))
        left -= rooms[i]
    return rooms


def _is_scalar(value: Json) -> bool:
    return not isinstance(value, str | Sequence | Mapping)


def _together(cuts: Sequence[LeftOut]) -> tuple[LeftOut, ...]:
    """Tell what was left out at the same place of several elements in one sentence."""
    alike: dict[tuple[tuple[PathStep, ...], Unit], list[LeftOut]] = {}
    for cut in cuts:
        starred = tuple(Star() if isinstance(step, int) else step for step in cut.path)
        alike.setdefault((starred, cut.unit), []).append(cut)
    return tuple(
        same[0]
        if len(same) == 1
        else LeftOut(
            path,
            sum(cut.shown for cut in same),
            sum(cut.whole for cut in same),
            unit,
        )
        for (path, unit), same in alike.items()
    )
