"""Which bars can share a lane without touching each other?

It knows spans of time and nothing about what took it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

__all__ = ["lanes"]


def lanes(spans: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Give each span (from, to) the first lane, from 0, that is free; no two in a lane overlap.

    By start, so that there are no more lanes than spans at the busiest moment.
    """
    given = [0] * len(spans)
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    opened = 0
    for place in sorted(range(len(spans)), key=lambda place: spans[place]):
        start, end = spans[place]
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, opened = opened, opened + 1
        given[place] = lane
        heapq.heappush(busy, (end, lane))
    return tuple(given)
