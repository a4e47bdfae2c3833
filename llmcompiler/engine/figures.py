"""What has one request cost so far, and when did its tokens come?

It does not know what a step is made of: the counts and times are told to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from llmcompiler.messages import Figures

__all__ = ["Meter"]


class Meter:
    """Records one request from the moment it is made; `clock` gives seconds.

    The counts are added to by whoever knows them: `evaluated` and `reused` prompt tokens, `forced`,
    `drafted` and `accepted` tokens of the reply.
    """

    __slots__ = (
        "_arrivals",
        "_begun",
        "_clock",
        "_constraint",
        "_decode",
        "_python",
        "accepted",
        "drafted",
        "evaluated",
        "forced",
        "prefills",
        "reused",
        "steps",
    )

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begun = clock()
        self._arrivals: list[float] = []
        self._decode = self._constraint = self._python = 0.0
        self.evaluated = self.reused = 0
        self.forced = self.drafted = self.accepted = 0
        self.steps = self.prefills = 0

    def arrived(self, count: int = 1) -> None:
        """Note that `count` tokens of the reply came just now; none is nothing."""
        if count > 0:
            self._arrivals += [self._clock() - self._begun] * count

    def step(
        self,
        *,
        decode: float = 0.0,
        constraint: float = 0.0,
        python: float = 0.0,
        prefill: bool = False,
    ) -> None:
        """Note a forward pass that the request took part in, and the seconds of its parts.

        `prefill` says that it chose no token.
        """
        self.steps += 1
        self.prefills += prefill
        self._decode += decode
        self._constraint += constraint
        self._python += python

    def figures(self) -> Figures:
        """Return what was recorded so far; recording may go on."""
        return Figures(
            evaluated=self.evaluated,
            reused=self.reused,
            forced=self.forced,
            drafted=self.drafted,
            accepted=self.accepted,
            steps=self.steps,
            prefills=self.prefills,
            decode=self._decode,
            constraint=self._constraint,
            python=self._python,
            arrivals=tuple(self._arrivals),
        )
