"""What stands in a plan where the inputs of a run make a value impossible?

It does not know what is wrong with it, only what is to be said when its step comes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmcompiler.plan import Json, Ref
from llmcompiler.workflow.expressions import ExpressionError

__all__ = ["Broken"]


@dataclass(frozen=True, slots=True)
class Broken:
    """What stands in a plan for a value that cannot be computed: its step fails, if it comes to it."""

    source: str
    problem: str

    def __str__(self) -> str:
        return self.source

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Nothing is read."""
        return ()

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        """Raise `ExpressionError`."""
        raise ExpressionError(self.source, self.problem)
