"""How is a graph of labelled boxes written down for programs that draw: mermaid and DOT?

It knows ids, labels and edges, not what they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import networkx

__all__ = ["Box", "Edge", "generations", "reduced", "to_dot", "to_mermaid"]

Edge: TypeAlias = "tuple[str, str]"

# What ends a quoted label, or means something inside one: an entity, a comment, markdown, a style.
_FOR_MERMAID = re.compile(r'["<>&#\\`:;%\ufb02]|\$(?=\$)|(?<=\$)\$')
_LIST_MARK = re.compile(r"^([0-9]*)([-*+.)])")  # some versions refuse a label that begins a list
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a drawing: what edges call it, and the text in it, which may be any text."""

    id: str
    label: str


def reduced(ids: Iterable[str], edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return the edges, each once, without those that follow from others; all of a cyclic graph."""
    import networkx

    kept = tuple(dict.fromkeys(edges))
    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    graph.add_nodes_from(ids)
    graph.add_edges_from(kept)
    if not networkx.is_directed_acyclic_graph(graph):
        return kept
    needed = set(networkx.transitive_reduction(graph).edges)
    return tuple(edge for edge in kept if edge in needed)


def generations(ids: Iterable[str], edges: Iterable[Edge]) -> tuple[tuple[str, ...], ...]:
    """Put each id one row behind the last of those with an edge to it; a circle is one last row.

    Edges from or to something that is not in `ids` do not count.
    """
    after: dict[str, list[str]] = {each: [] for each in ids}
    waits = dict.fromkeys(after, 0)
    for first, second in dict.fromkeys(edges):
        if first in after and second in after:
            after[first].append(second)
            waits[second] += 1
    rows: list[tuple[str, ...]] = []
    row = [each for each, count in waits.items() if count == 0]
    while row:
        rows.append(tuple(row))
        following: list[str] = []
        for each in row:
            del waits[each]
            for other in after[each]:
                waits[other] -= 1
                if waits[other] == 0:
                    following.append(other)
        row = following
    return (*rows, tuple(waits)) if waits else tuple(rows)


def to_mermaid(boxes: Iterable[Box], edges: Iterable[Edge]) -> str:
    """Write a mermaid flowchart from left to right; an id that has no box gets one with its name.

    Labels are quoted, with mermaid's ``#34;`` for what it would read as its own; line breaks and
    other control characters become blanks.
    """
    drawn, kept = _all(boxes, edges)
    names = _names(drawn)
    lines = ["flowchart LR"]
    for box in drawn:
        label = _FOR_MERMAID.sub(lambda found: f"#{ord(found[0])};", _one_line(box.label))
        label = _LIST_MARK.sub(lambda found: f"{found[1]}#{ord(found[2])};", label)
        lines.append(f'    {names[box.id]}["{label}"]')
    lines.extend(f"    {names[first]} --> {names[second]}" for first, second in kept)
    return "\n".join(lines) + "\n"


def to_dot(boxes: Iterable[Box], edges: Iterable[Edge]) -> str:
    """Write a graph for Graphviz, from left to right; see `to_mermaid`."""
    drawn, kept = _all(boxes, edges)
    names = _names(drawn)
    lines = ["digraph plan {", "    rankdir=LR", "    node [shape=box]"]
    for box in drawn:
        label = _one_line(box.label).replace("\\", r"\\").replace('"', r"\"")
        lines.append(f'    {names[box.id]} [label="{label.replace("&", "&amp;")}"]')
    lines.extend(f"    {names[first]} -> {names[second]}" for first, second in kept)
    return "\n".join([*lines, "}"]) + "\n"


def _all(boxes: Iterable[Box], edges: Iterable[Edge]) -> tuple[Sequence[Box], Sequence[Edge]]:
    """Return a box for every id that is named, and the edges that matter."""
    edges = tuple(edges)
    drawn = {box.id: box for box in boxes}
    for edge in edges:
        for end in edge:
            drawn.setdefault(end, Box(end, end))
    return tuple(drawn.values()), reduced(drawn, edges)


def _names(boxes: Sequence[Box]) -> dict[str, str]:
    """Give each box a name that is one word everywhere: an id may be any text."""
    return {
        box.id: f"t{box.id}" if _NUMBER.fullmatch(box.id) else f"n{place}"
        for place, box in enumerate(boxes, 1)
    }


def _one_line(text: str) -> str:
    return _SURROGATES.sub("\ufffd", _BLANKS.sub(" ", text)).strip()
