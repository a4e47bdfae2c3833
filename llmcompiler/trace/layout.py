"""Where does each box of a graph stand, and how do its edges run?

It knows ids and edges; it does not know what the boxes hold, nor how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from llmcompiler.drawing import Edge, generations, reduced

__all__ = ["Layout", "Point", "Wire", "placed", "spread"]

Point: TypeAlias = "tuple[float, float]"
_SWEEPS = 8
_MOST_FOR_BENDS = 150  # boxes; with more of them edges run straight, behind the boxes
_WIDEST = 1500.0  # pixels; a graph that is longer and narrow goes down instead


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge, as the points that it runs through from box to box."""

    first: str
    second: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, in pixels: the upper left corner of each box, and the edges.

    `down` says that rows follow each other from top to bottom, else from left to right.
    """

    boxes: Mapping[str, Point]
    wires: tuple[Wire, ...]
    width: float
    height: float
    down: bool


@dataclass(slots=True)
class _Row:
    """One row across the direction of the graph: what stands in it, in order."""

    items: list[str]
    deep: int  # how many boxes stand behind each other in it, because it would be too long


def placed(
    ids: Sequence[str], edges: Iterable[Edge], *, width: float, height: float, gap: float
) -> Layout:
    """Place boxes of one size row by row, each behind all that it has an edge from.

    Rows that are long compared to the graph are folded. Edges that follow from others are left out.
    """
    known = frozenset(ids)
    kept = reduced(ids, [edge for edge in edges if known.issuperset(edge)])
    rows = [list(row) for row in generations(ids, kept)]
    longest = max(10, math.ceil(1.6 * math.sqrt(len(ids))))
    deep = [math.ceil(len(row) / longest) for row in rows]
    alley = gap * 3
    along = sum(deep) * (width + gap) + len(rows) * alley
    across = max((math.ceil(len(row) / of) for row, of in zip(rows, deep, strict=True)), default=0)
    down = along > _WIDEST and along > 4 * across * (height + gap) and across <= 4
    main, cross = (height, width) if down else (width, height)
    graph = [_Row(row, of) for row, of in zip(rows, deep, strict=True)]
    chains = _bend(graph, kept, len(ids))
    places = _across(graph, _neighbours(chains), known, cross, gap)
    corners: dict[str, Point] = {}
    at = gap
    centres: dict[str, tuple[float, float, float]] = {}  # from, to along; the middle across
    for row in graph:
        per = math.ceil(len(row.items) / row.deep)
        end = at + row.deep * (main + gap) - gap
        for place, item in enumerate(row.items):
            begin = at + (place // per) * (main + gap)
            middle = places[item]
            centres[item] = (begin, begin + main, middle) if item in known else (at, end, middle)
            if item in known:
                corners[item] = (begin, middle - cross / 2)
        at = end + alley
    low = min((corner[1] for corner in corners.values()), default=0.0)
    low = min([low, *(middle for _, _, middle in centres.values())]) - gap
    high = max((corner[1] + cross for corner in corners.values()), default=0.0)
    high = max([high, *(middle for _, _, middle in centres.values())]) + gap - low

    def turned(point: Point) -> Point:
        along, across = point[0], point[1] - low
        return (across, along) if down else (along, across)

    wires = tuple(
        Wire(chain[0], chain[-1], tuple(turned(point) for point in _points(chain, centres)))
        for chain in chains
    )
    size = (at - alley + gap, high) if rows else (0.0, 0.0)
    return Layout(
        {each: turned(corner) for each, corner in corners.items()},
        wires,
        size[1] if down else size[0],
        size[0] if down else size[1],
        down,
    )


def spread(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Move values as little as possible so that each is at least its gap behind the one before.

    ``gaps[0]`` does not count. Least squares, by pooling neighbours that are in each other's way.
    """
    offsets: list[float] = []
    total = 0.0
    for place, gap in enumerate(gaps):
        total += gap if place else 0.0
        offsets.append(total)
    pools: list[tuple[float, int]] = []  # mean and number
    for value, offset in zip(wanted, offsets, strict=True):
        mean, number = value - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean = (mean * number + other * count) / (number + count)
            number += count
        pools.append((mean, number))
    flat = [mean for mean, number in pools for _ in range(number)]
    return [value + offset for value, offset in zip(flat, offsets, strict=True)]


def _bend(rows: list[_Row], edges: Sequence[Edge], boxes: int) -> list[tuple[str, ...]]:
    """Give each edge over several rows a place in each of them; return edges as chains of items."""
    row_of = {item: number for number, row in enumerate(rows) for item in row.items}
    chains: list[tuple[str, ...]] = []
    for number, (first, second) in enumerate(edges):
        between: list[str] = []
        if boxes <= _MOST_FOR_BENDS:
            for row in range(row_of[first] + 1, row_of[second]):
                if rows[row].deep == 1:
                    bend = f"{number}.{row}"
                    while bend in row_of:  # an id may be any text
                        bend += "'"
                    rows[row].items.append(bend)
                    between.append(bend)
        chains.append((first, *between, second))
    return chains


def _neighbours(chains: Iterable[Sequence[str]]) -> tuple[dict[str, list[str]], ...]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for chain in chains:
        for first, second in pairwise(chain):
            before.setdefault(second, []).append(first)
            after.setdefault(first, []).append(second)
    return before, after


def _across(
    rows: Sequence[_Row],
    neighbours: tuple[dict[str, list[str]], ...],
    known: frozenset[str],
    size: float,
    gap: float,
) -> dict[str, float]:
    """Order each row by where its neighbours stand, sweeping there and back, and place it so."""
    places: dict[str, float] = {}
    for row in rows:
        _fold(row, places, size + gap)
    for sweep in range(_SWEEPS):
        last = sweep == _SWEEPS - 1
        for row in rows if sweep % 2 == 0 else reversed(rows):
            sides = neighbours if last else (neighbours[sweep % 2],)
            wanted = {item: _mean(item, sides, places) for item in row.items}
            if not last:
                row.items.sort(key=lambda item: wanted[item])
            if row.deep > 1:
                _fold(row, places, size + gap)
                continue
            room = [(size if item in known else 0.0) + gap for item in row.items]
            gaps = [0.0, *((a + b) / 2 for a, b in pairwise(room))]
            found = spread([wanted[item] for item in row.items], gaps)
            places.update(zip(row.items, found, strict=True))
    return places


def _mean(
    item: str, sides: Iterable[Mapping[str, list[str]]], places: Mapping[str, float]
) -> float:
    near = [places[other] for side in sides for other in side.get(item, ())]
    return sum(near) / len(near) if near else places[item]


def _fold(row: _Row, places: dict[str, float], pitch: float) -> None:
    """Stand a row in as many columns as it has, about the middle."""
    per = math.ceil(len(row.items) / row.deep)
    for place, item in enumerate(row.items):
        places[item] = (place % per - (per - 1) / 2) * pitch


def _points(chain: Sequence[str], centres: Mapping[str, tuple[float, float, float]]) -> list[Point]:
    """Leave the first item at its end, pass those between over their whole length, enter the last."""
    points: list[Point] = [(centres[chain[0]][1], centres[chain[0]][2])]
    for item in chain[1:-1]:
        begin, end, middle = centres[item]
        points += [(begin, middle), (end, middle)]
    points.append((centres[chain[-1]][0], centres[chain[-1]][2]))
    return points
