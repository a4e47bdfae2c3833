"""How is the course of a run drawn: a bar for each turn of the model and each step, over time?

It does not know what bounded the run, nor the page around the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from llmcompiler.plan import Timing
from llmcompiler.trace.lanes import lanes
from llmcompiler.trace.markup import Child, Html, tag
from llmcompiler.trace.notes import Note
from llmcompiler.trace.picture import STANDINGS, cut, mark
from llmcompiler.trace.timeline import ModelTurn
from llmcompiler.trace.views import StepView
from llmcompiler.trace.words import seconds_text

__all__ = ["timeline_picture"]

_TICKS = 8


@dataclass(frozen=True, slots=True)
class _Rows:
    """How high rows are, in pixels, and whether there is room for words."""

    height: float
    bar: float
    words: bool


def timeline_picture(
    steps: Sequence[StepView], turns: Sequence[ModelTurn], notes: Iterable[Note], seconds: float
) -> Html:
    """Draw turns in the first rows and below a row for each step that ran, by start.

    A thin line before a bar is the time in which the step was ready and did not run. Places along
    the time are in per cent, so that the drawing is as wide as its page.
    """
    numbered = list(enumerate(steps))
    ran = sorted(
        ((number, step, step.timing) for number, step in numbered if step.timing is not None),
        key=lambda each: (each[2].start, each[2].end, each[0]),
    )
    rows = _Rows(24, 14, True) if len(ran) <= 80 else _Rows(7, 5, False)
    end = max([seconds, *(turn.end for turn in turns), *(timing.end for _, _, timing in ran), 1e-6])
    turn_lanes = lanes([(turn.start, turn.end) for turn in turns])
    top = 24.0 * (max(turn_lanes, default=-1) + 1)
    height = top + rows.height * len(ran) + 8
    row_of = {step.id: top + rows.height * place for place, (_, step, _) in enumerate(ran)}
    bars = [_turn(turn, 24.0 * lane, end) for turn, lane in zip(turns, turn_lanes, strict=True)]
    names = [_name("model", 24.0 * lane, None) for lane in sorted(set(turn_lanes))]
    for number, step, timing in ran:
        bars.append(_bar(step, number, timing, row_of[step.id], rows, end))
        if rows.words:
            names.append(_name(f"{step.id} {step.tool}", row_of[step.id], number))
    signs = [_sign(note, row_of, rows, end) for note in notes]
    ticks = _ticks(end)
    axis = [tag("text", _tick(tick, end), x=_at(tick, end), y="15") for tick in ticks]
    lines = [
        tag("line", x1=_at(tick, end), x2=_at(tick, end), y1="0", y2=height, class_="grid")
        for tick in ticks
    ]
    return tag(
        "div",
        tag("div", class_="corner"),
        _svg(axis, 22, "axis"),
        tag("svg", names, class_="names", width="160", height=height, aria_hidden="true"),
        _svg([lines, bars, signs], height, "bars"),
        class_="timeline" if rows.words else "timeline dense",
    )


def _svg(children: Child, height: float, class_: str) -> Html:
    return tag("svg", children, class_=class_, width="100%", height=height)


def _at(seconds: float, end: float) -> str:
    return f"{100 * max(0.0, seconds) / end:.3f}%"


def _name(text: str, y: float, number: int | None) -> Html:
    return tag("text", cut(text, 21), x="150", y=y + 12, data_step=number)


def _turn(turn: ModelTurn, y: float, end: float) -> Html:
    said = f"turn {turn.number}: {turn.purpose}"
    return tag(
        "g",
        tag("title", f"{said}, {seconds_text(turn.seconds)}"),
        _rect(turn.start, turn.end, y + 3, 18, end),
        _inside(said, turn.start, turn.end, y + 12, end),
        class_="turn",
        tabindex="0",
        data_text=f"{said}\n{seconds_text(turn.start)} to {seconds_text(turn.end)}, {seconds_text(turn.seconds)} in all",
    )


def _bar(step: StepView, number: int, timing: Timing, y: float, rows: _Rows, end: float) -> Html:
    middle = y + rows.height / 2
    parts: list[Child] = [tag("title", f"{step.id} {step.tool}: {STANDINGS[step.standing]}")]
    if step.waited > 0:
        parts.append(
            tag(
                "line",
                x1=_at(timing.ready, end),
                x2=_at(timing.start, end),
                y1=middle,
                y2=middle,
                class_="wait",
            )
        )
    parts.append(_rect(timing.start, timing.end, middle - rows.bar / 2, rows.bar, end))
    if rows.words:
        parts.append(_beside(step, timing, middle, end))
    classes = f"bar {step.standing}{' critical' if step.critical else ''}"
    return tag("g", parts, class_=classes, data_step=number, tabindex="0")


def _rect(start: float, stop: float, y: float, height: float, end: float) -> Html:
    wide = 100 * (stop - start) / end
    return tag(
        "rect", x=_at(start, end), y=y, width=f"{max(wide, 0.15):.3f}%", height=height, rx="3"
    )


def _inside(text: str, start: float, stop: float, y: float, end: float) -> Html | None:
    """Write into a bar where there is room: about seven pixels for a letter, of at least 700."""
    if 7 * (stop - start) / end * 100 < 7 * (len(text) + 1):
        return None
    return tag("text", text, x=_at(start, end), dx="6", y=y)


def _beside(step: StepView, timing: Timing, y: float, end: float) -> list[Html]:
    """Write behind the bar how long it took, or before it where the page ends."""
    took = seconds_text(timing.seconds)
    if step.standing == "ok":
        marks: list[Html] = []
    else:
        took = f"{STANDINGS[step.standing]}, {took}"
        marks = [
            tag(
                "svg",
                mark(step.standing, 2, 0),
                x=_at(timing.start, end),
                y=y - 6,
                overflow="visible",
            )
        ]
    if timing.end / end < 0.86:
        return [*marks, tag("text", took, x=_at(timing.end, end), dx="6", y=y)]
    before = min(timing.start, timing.ready)
    if before / end > 0.14:
        return [*marks, tag("text", took, x=_at(before, end), dx="-6", y=y, text_anchor="end")]
    return [
        *marks,
        tag("text", took, x=_at(timing.end, end), dx="-6", y=y, class_="over", text_anchor="end"),
    ]


def _sign(note: Note, row_of: dict[str, float], rows: _Rows, end: float) -> Html | None:
    """Draw a small diamond where something happened to a step that has a row."""
    row = next((row_of[step] for step in note.steps if step in row_of), None)
    if row is None:
        return None
    middle = row + rows.height / 2
    return tag(
        "svg",
        tag("path", tag("title", f"{note.kind}: {note.text}"), d="M0 -4 L4 0 L0 4 L-4 0 Z"),
        x=_at(note.ts, end),
        y=middle,
        overflow="visible",
        class_="sign",
    )


def _ticks(end: float) -> list[float]:
    """Return round times from 0, about `_TICKS` of them."""
    rough = end / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    pitch = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    return [number * pitch for number in _until(end, pitch)]


def _tick(seconds: float, end: float) -> str:
    return f"{seconds:g} s" if end >= 1 else f"{seconds * 1000:g} ms"


def _until(end: float, pitch: float) -> Iterable[int]:
    for number in count():
        if number * pitch > end * 0.97:
            return
        yield number
