"""How is a plan drawn beside its steps, one row to a step, as git draws its history?

It does not know colours or terminals: steps and what they need go in, lines of text come out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["rails"]

_WIDEST = 12  # lanes; a plan that needs more is drawn as dots alone


def rails(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Draw a row for each step of `needs`, which maps a step to those that it reads.

    Steps come in the order of their rows; a need that stands in no earlier row is left out. Where
    a dot stands right under a line or a dot, it reads that one; else there is room between them.

        ●      geocode("Oslo")
        │ ●    geocode("Lima")
        ├─│─●  time_in($1)
        ●─╯    distance($1, $2)
    """
    row = {step: number for number, step in enumerate(needs)}
    last_reader = {
        need: step
        for step, wanted in needs.items()
        for need in wanted
        if row.get(need, len(row)) < row[step]
    }
    lanes: list[str | None] = []  # whose result each lane carries
    rows: list[str] = []
    own = -1
    for step, wanted in needs.items():
        reads = {lane for lane, carried in enumerate(lanes) if carried in wanted}
        ends = {lane for lane in reads if last_reader[lanes[lane] or ""] == step}
        free = (lane for lane, carried in enumerate(lanes) if carried is None and lane != own)
        own = min(ends) if ends else next(free, len(lanes))
        if own == len(lanes):
            lanes.append(None)
        rows.append(_row(lanes, own, reads, ends))
        for lane in ends:
            lanes[lane] = None
        lanes[own] = step if step in last_reader else None
    return rows if len(lanes) <= _WIDEST else ["●"] * len(rows)


def _row(lanes: list[str | None], own: int, reads: set[int], ends: set[int]) -> str:
    low, high = min(reads | {own}), max(reads | {own})
    cells: list[str] = []
    for lane, carried in enumerate(lanes):
        within = low <= lane < high
        if lane == own:
            sign = "●"
        elif lane in reads:
            going_on = lane not in ends
            if lane == low:
                sign = "├" if going_on else "╰"
            elif lane == high:
                sign = "┤" if going_on else "╯"
            else:
                sign = "┼" if going_on else "┴"
        elif carried is not None:
            sign = "│"
        else:
            sign = "─" if within and lane > low else " "
        cells.append(sign + ("─" if within else " "))
    return "".join(cells).rstrip()
