"""Which paths into a result may stand where a type is expected?

It does not know which results there are; it is the same rule as `check` goes by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmcompiler.grammar.notation import (
    EMPTY,
    Chars,
    Name,
    Node,
    Text,
    choice,
    many,
    optional,
    sequence,
)
from llmcompiler.grammar.terminals import NAMED, NAMED_IN_TEXT, PLACE
from llmcompiler.plan import Ref, TaskId
from llmcompiler.types import PathProblem, Step, Type, at_path, element_of, may_fit
from llmcompiler.types.schema import branches

__all__ = ["Place", "anything", "elements_fit", "explore", "fits", "paths"]

DEEPEST: Final = 6  # steps of a path into a result whose type is known
WIDEST: Final = 300  # places in such a result; only the first two levels may be wider
_ALWAYS: Final = 2
MAX_INDEX: Final = 64  # positions of a list of bounded length that are listed

_ANY_NAME: Final = "\x00"
_ANY_INDEX: Final = 10**6
_PROBES: Final[tuple[Step, ...]] = (0, None, _ANY_NAME)


@dataclass(slots=True)
class Place:
    """A place in a result: what is there, and the places one step further.

    `found` is None where nothing is known of it. Below a `free` place any path leads to the same
    type. A step comes as it is written in an argument and as it is written inside a text.
    """

    path: tuple[Step, ...]
    found: Type | None
    free: bool
    further: list[tuple[Node, Node, Place]] = field(default_factory=list)


def explore(source: Type | None) -> Place:
    """List the places in a result, level by level, while there are not too many."""
    root = Place((), source, source is None)
    if source is None:
        return root
    root.free = _is_free(source, root)
    level, count = [root], 1
    for depth in range(DEEPEST):
        below = [(place, list(_steps(source, place))) for place in level if not place.free]
        count += sum(len(steps) for _, steps in below)
        if count > WIDEST and depth >= _ALWAYS:
            break
        for place, steps in below:
            place.further = steps
        level = [step[2] for _, steps in below for step in steps]
        if not level:
            break
    return root


def paths(
    place: Place, fitting: Callable[[Type | None], bool], *, in_text: bool = False
) -> Node | None:
    """Write the paths from a place on that lead to what is `fitting`; None if none does."""
    here = fitting(place.found)
    if place.free:
        return Name("INPATH" if in_text else "PATH") if here else None
    ways: list[Node] = []
    for step, step_in_text, further in place.further:
        rest = paths(further, fitting, in_text=in_text)
        if rest is not None:
            ways.append(sequence(step_in_text if in_text else step, rest))
    if not ways:
        return EMPTY if here else None
    return optional(choice(*ways)) if here else choice(*ways)


def anything(found: Type | None) -> bool:
    """Say yes: inside a text any result may be put."""
    del found
    return True


def fits(expected: Type) -> Callable[[Type | None], bool]:
    """Return the question whether a result may be a value of `expected`."""
    return _Remembered(lambda found: may_fit(found, expected))


def elements_fit(expected: Type) -> Callable[[Type | None], bool]:
    """Return the question whether the elements of a result may be values of `expected`."""

    def fitting(found: Type) -> bool:
        element = element_of(found)
        return not isinstance(element, PathProblem) and (
            element is None or may_fit(element, expected)
        )

    return _Remembered(fitting)


class _Remembered:
    """Answers for each type once; nothing known is no objection."""

    __slots__ = ("_answers", "_ask")

    def __init__(self, ask: Callable[[Type], bool]) -> None:
        self._ask = ask
        self._answers: dict[str, bool] = {}

    def __call__(self, found: Type | None) -> bool:
        if found is None:
            return True
        key = json.dumps([found.schema, found.defs], default=str)
        if key not in self._answers:
            self._answers[key] = self._ask(found)
        return self._answers[key]


def _is_free(source: Type, place: Place) -> bool:
    """Whether every path from here on leads to what is here."""
    if place.found is None:
        return True
    return all(at_path(source, (*place.path, probe)) == place.found for probe in _PROBES)


def _steps(source: Type, place: Place) -> Iterator[tuple[Node, Node, Place]]:
    """Yield the steps that may be taken from a place, and where each leads."""
    for step, written, in_text in _candidates(source, place.path):
        path = (*place.path, step)
        found = at_path(source, path)
        if not isinstance(found, PathProblem):
            further = Place(path, found, free=False)
            further.free = _is_free(source, further)
            yield written, in_text, further


def _candidates(source: Type, path: tuple[Step, ...]) -> Iterator[tuple[Step, Node, Node]]:
    names: dict[str, None] = {}
    listed, most = 0, 0
    endless = False
    for kind, schema in _branches_at(source, path):
        if kind == "object":
            names.update(dict.fromkeys(schema.get("properties", ())))
        elif kind == "array":
            listed = max(listed, len(schema.get("prefixItems", ())))
            endless = endless or schema.get("maxItems") is None
            most = max(most, schema.get("maxItems") or 0)
    for name in names:
        written = Ref(TaskId("0"), (name,)).path_text
        yield name, Text(written), Text(json.dumps(written, ensure_ascii=False)[1:-1])
    if not names:
        yield _ANY_NAME, NAMED, NAMED_IN_TEXT
    yield None, Text("[*]"), Text("[*]")
    most = min(most, MAX_INDEX)
    for index in range(listed if endless else min(listed, most)):
        yield index, Text(f"[{index}]"), Text(f"[{index}]")
    if endless and listed <= 9:
        yield _ANY_INDEX, _from(listed), _from(listed)
    elif not endless and listed < most:
        node = sequence("[", choice(*(str(index) for index in range(listed, most))), "]")
        yield listed, node, node


def _from(least: int) -> Node:
    """Write a position that is `least` or more, and at most nine digits long."""
    if not least:
        return PLACE
    longer = sequence(Chars("1-9"), many(Chars("0-9"), 1, 8))
    return sequence("[", choice(Chars(f"{least}-9"), longer), "]")


def _branches_at(source: Type, path: tuple[Step, ...]) -> list[tuple[str, Mapping[str, Any]]]:
    """List the kinds of value at a path; behind ``[*]``, of those of the elements."""
    found = at_path(source, path)
    if not isinstance(found, Type):
        return []
    here = list(branches(found))
    for _ in range(path.count(None)):
        here = [
            inner
            for kind, schema in here
            if kind == "array"
            for inner in branches(Type(schema.get("items", True), found.defs))
        ]
    return here
