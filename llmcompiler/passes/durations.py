"""How long does a call of a tool usually take?

It does not know the clock: it is told what each call took.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmcompiler.plan import Json

__all__ = ["Durations"]

_KEPT = 64
_ENOUGH = 8


@dataclass(slots=True)
class _Seen:
    """The last durations of one tool, once in the order they came and once by size."""

    latest: deque[float] = field(default_factory=deque)
    ordered: list[float] = field(default_factory=list)


class Durations:
    """The last 64 durations of every tool, in seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def learn(self, tool: str, seconds: float) -> None:
        """Take in what one call of a tool took; what is no duration is ignored."""
        if 0 <= seconds < math.inf:
            seen = self._seen.get(tool)
            if seen is None:
                seen = self._seen[tool] = _Seen()
            latest, ordered = seen.latest, seen.ordered
            if len(latest) == _KEPT:
                del ordered[bisect_left(ordered, latest.popleft())]
            latest.append(seconds)
            insort(ordered, seconds)

    def usual(self, tool: str) -> float | None:
        """Return the median of what is known of a tool, None if that is nothing."""
        seen = self._seen.get(tool)
        if seen is None:
            return None
        ordered = seen.ordered
        middle = len(ordered) // 2
        if len(ordered) % 2:
            return ordered[middle]
        return (ordered[middle - 1] + ordered[middle]) / 2

    def percentile(self, tool: str, share: float) -> float | None:
        """Return what a share (0 to 1) of the calls did not exceed; None below 8 of them."""
        seen = self._seen.get(tool)
        if seen is None or len(seen.ordered) < _ENOUGH:
            return None
        count = len(seen.ordered)
        return seen.ordered[min(count - 1, max(0, math.ceil(share * count) - 1))]

    def as_dict(self) -> dict[str, list[float]]:
        """Return the durations as JSON: for each tool a list, oldest first."""
        return {tool: list(seen.latest) for tool, seen in self._seen.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Durations:
        """Read what `as_dict` gave; what is no list of durations is left out."""
        durations = cls()
        for tool, values in data.items():
            if isinstance(values, Iterable) and not isinstance(values, str):
                for seconds in values:
                    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
                        durations.learn(tool, seconds)
        return durations
