"""Which outcomes is the model to be told, and which has it been told already?

It does not know how they are worded, nor when they are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmcompiler.plan import Observation, Ok, TaskId

__all__ = ["News"]


class News:
    """What has been told of a run's outcomes: of which steps, and how many were weighed."""

    def __init__(self, told: Iterable[TaskId] = (), weighed: int = 0) -> None:
        self._told = set(told)
        self._weighed = weighed

    def __bool__(self) -> bool:
        """Whether anything was told."""
        return bool(self._told)

    @property
    def told(self) -> frozenset[TaskId]:
        """The steps of which was told."""
        return frozenset(self._told)

    @property
    def weighed(self) -> int:
        """How many observations were looked at."""
        return self._weighed

    def fresh(
        self, observations: Sequence[Observation], joins: Sequence[TaskId] | None
    ) -> list[Observation]:
        """Return what is to be told now, in order of completion.

        What ``join($n)`` passes over is kept back until a later plan asks for it.
        """
        named = None if joins is None else set(joins)
        return [
            observation
            for place, observation in enumerate(observations)
            if observation.task.id not in self._told
            and (
                (named is None and place >= self._weighed)
                or (named is not None and observation.task.id in named)
                or not isinstance(observation.outcome, Ok)
            )
        ]

    def tell(
        self, observations: Sequence[Observation], joins: Sequence[TaskId] | None
    ) -> list[Observation]:
        """Return what is to be told now, and note that it is."""
        fresh = self.fresh(observations, joins)
        self._weighed = len(observations)
        self._told.update(observation.task.id for observation in fresh)
        return fresh
