"""What has one request cost so far, and when did its tokens come?

It does not know what a step is made of: the counts and times are told to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from llmcompiler.messages import Figures

__all__ = ["Meter", "Step"]


class Step(NamedTuple):
    """The seconds of the parts of one forward pass, and when its tokens came, by a meter's clock."""

    decode: float = 0.0
    constraint: float = 0.0
    python: float = 0.0
    came: float = 0.0


class Meter:
    """Records one request from the moment it is made; `clock` gives seconds.

    The counts are added to by whoever knows them: `evaluated` and `reused` prompt tokens, `forced`,
    `drafted` and `accepted` tokens of the reply, and `prefills`, the steps that chose no token. All
    who take part in a step are told of it by the same value; it is added up when it is asked for.
    """

    __slots__ = (
        "_ahead",
        "_begun",
        "_clock",
        "_steps",
        "_written",
        "accepted",
        "drafted",
        "evaluated",
        "forced",
        "prefills",
        "reused",
    )

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begun = clock()
        self._ahead = 0.0
        self._steps: list[Step] = []
        self._written = [0]  # tokens of the reply: before the first step, and after each
        self.evaluated = self.reused = 0
        self.forced = self.drafted = self.accepted = 0
        self.prefills = 0

    def ahead(self, count: int) -> None:
        """Note that the first `count` tokens of the reply came just now, before any step."""
        self._ahead = self._clock()
        self._written = [count]

    def step(self, step: Step, written: int) -> None:
        """Note a forward pass that the request took part in; its reply has `written` tokens now."""
        self._steps.append(step)
        self._written.append(written)

    def figures(self) -> Figures:
        """Return what was recorded so far; recording may go on."""
        times = [self._ahead, *(step.came for step in self._steps)]
        came = [later - before for before, later in pairwise([0, *self._written])]
        return Figures(
            evaluated=self.evaluated,
            reused=self.reused,
            forced=self.forced,
            drafted=self.drafted,
            accepted=self.accepted,
            steps=len(self._steps),
            prefills=self.prefills,
            decode=sum(step.decode for step in self._steps),
            constraint=sum(step.constraint for step in self._steps),
            python=sum(step.python for step in self._steps),
            arrivals=tuple(
                at - self._begun
                for at, count in zip(times, came, strict=True)
                for _ in range(count)
            ),
        )
