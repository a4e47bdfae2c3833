"""How is the graph of a plan drawn: boxes for steps, arrows for what they read?

It does not know why a step stands as it does, nor the page around the picture.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from llmcompiler.trace.layout import Layout, Point, placed
from llmcompiler.trace.markup import Html, tag
from llmcompiler.trace.views import Standing, StepView
from llmcompiler.trace.words import counted

__all__ = ["STANDINGS", "cut", "graph_picture", "mark", "symbols"]

STANDINGS: Final[dict[Standing, str]] = {
    "ok": "done",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "stopped",
    "planned": "not run",
}

# Drawn in a square of 12, so that the marks do not depend on fonts.
_MARKS: Final[dict[Standing, str]] = {
    "ok": "M2 6.5 L5 9.5 L10 3",
    "failed": "M3 3 L9 9 M9 3 L3 9",
    "skipped": "M2 3 L6 6 L2 9 M6 3 L10 6 L6 9",
    "cancelled": "M3.5 3.5 H8.5 V8.5 H3.5 Z",
    "planned": "M6 2.5 A3.5 3.5 0 1 1 5.99 2.5 Z",
}


_WIDE: Final = 2000.0  # pixels; up to here a graph is shrunk to the page, beyond it is moved about


@dataclass(frozen=True, slots=True)
class _Size:
    """How large boxes are: pixels, and how many columns of text fit."""

    width: float
    height: float
    gap: float
    letters: int


_LARGE = _Size(168, 38, 14, 17)
_MIDDLE = _Size(124, 28, 10, 12)
_SMALL = _Size(54, 22, 8, 4)


def symbols() -> Html:
    """Return the marks of all standings, to be used by `mark` anywhere in the page."""
    marks = (
        tag("symbol", tag("path", d=path), id=f"mark-{name}", viewBox="0 0 12 12")
        for name, path in _MARKS.items()
    )
    return tag(
        "svg", tag("defs", marks), class_="symbols", width="0", height="0", aria_hidden="true"
    )


def mark(standing: Standing, x: float = 0, y: float = 0, size: float = 12) -> Html:
    """Return the mark of a standing, for use inside an svg."""
    return tag(
        "use",
        href=f"#mark-{standing}",
        x=x,
        y=y,
        width=size,
        height=size,
        class_=f"mark {standing}",
    )


def graph_picture(steps: Sequence[StepView]) -> Html:
    """Draw the steps as a graph. Each box and bar carries its step's place as ``data-step``."""
    size = _LARGE if len(steps) <= 40 else _MIDDLE if len(steps) <= 120 else _SMALL
    place = {step.id: number for number, step in enumerate(steps)}
    layout = placed(
        [step.id for step in steps],
        [(need, step.id) for step in steps for need in step.needs],
        width=size.width,
        height=size.height,
        gap=size.gap,
    )
    critical = [step for step in steps if step.critical]
    chain = {(first.id, second.id) for first, second in pairwise(critical)}
    faint = len(layout.wires) > 150
    wires = [
        tag(
            "path",
            d=_path(wire.points, layout),
            class_="wire critical" if (wire.first, wire.second) in chain else "wire",
            data_from=place[wire.first],
            data_to=place[wire.second],
        )
        for wire in sorted(layout.wires, key=lambda wire: (wire.first, wire.second) in chain)
    ]
    return tag(
        "svg",
        tag("g", wires, class_="wires faint" if faint else "wires"),
        tag("g", (_box(step, place[step.id], layout.boxes[step.id], size) for step in steps)),
        class_="graph wide" if layout.width > _WIDE else "graph",
        width=layout.width,
        height=layout.height,
        viewBox=f"0 0 {layout.width:.0f} {layout.height:.0f}",
        role="group",
        aria_label=f"graph of {counted(len(steps), 'step')}",
    )


def cut(text: str, letters: int) -> str:
    """Shorten a text to so many columns, counting wide letters as two."""
    used = 0
    for place, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > letters:
            return text[: max(0, place - 1)] + "…"
    return text


def _box(step: StepView, number: int, corner: Point, size: _Size) -> Html:
    x, y = corner
    middle = size.height / 2
    inner: list[Html] = []
    if step.fan:
        inner.append(_frame(size, 4))
    inner.append(_frame(size, 0))
    if step.write:
        inner.append(_frame(size, 0, inset=3))
    if size is _SMALL:
        inner.append(mark(step.standing, 5, middle - 5, 10))
        inner.append(_text(cut(step.id, size.letters), 19, middle))
    else:
        inner.append(mark(step.standing, 9, middle - 6))
        left = size.letters - len(step.id) - (len(step.fan) + 1 if step.fan else 0)
        tool = f" {cut(step.tool, left)}" if left > 2 else ""
        named = tag("tspan", cut(step.id, size.letters), class_="id")
        inner.append(tag("text", named, tool, x=27.0, y=middle))
        if step.fan:
            inner.append(_text(step.fan, size.width - 8, middle, class_="fan"))
    classes = f"step {step.standing}"
    classes += " critical" if step.critical else ""
    return tag(
        "g",
        tag("title", f"{step.id} {step.tool}: {STANDINGS[step.standing]}"),
        inner,
        class_=classes,
        transform=f"translate({x:.1f} {y:.1f})",
        data_step=number,
        tabindex="0",
    )


def _frame(size: _Size, shift: float, inset: float = 0) -> Html:
    return tag(
        "rect",
        x=shift + inset,
        y=inset - shift,
        width=size.width - 2 * inset,
        height=size.height - 2 * inset,
        rx=6 - inset,
        class_="inner" if inset else None,
    )


def _text(text: str, x: float, y: float, class_: str | None = None) -> Html:
    return tag("text", text, x=x, y=y, class_=class_)


def _path(points: Sequence[Point], layout: Layout) -> str:
    """Curve from box to row, run straight through rows, and curve on."""
    (x, y), *rest = points
    written = [f"M{x:.1f} {y:.1f}"]
    for place, (to_x, to_y) in enumerate(rest):
        if place % 2 == 1:
            written.append(f"L{to_x:.1f} {to_y:.1f}")
        elif layout.down:
            half = (y + to_y) / 2
            written.append(f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}")
        else:
            half = (x + to_x) / 2
            written.append(f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(written)
