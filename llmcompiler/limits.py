"""The budgets of a run, as values.

It does not know how they are enforced: the agent counts replans and turns, the executor steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcompiler.errors import ConfigurationError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use.

    `seconds` bounds planning and tools together (None: no bound); the last turn, which answers
    with what there is, then has `answer_seconds` of its own. `replans` counts replans, so 0 means
    one plan and an answer. `repairs` bounds repair turns in a row. `concurrency` is how many tool
    calls of the run may be under way at once.
    """

    seconds: float | None = 300.0
    answer_seconds: float = 60.0
    replans: int = 2
    repairs: int = 2
    concurrency: int = 128

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigurationError(f"limits.seconds must be above 0, not {self.seconds!r}")
        if not self.answer_seconds > 0:
            raise ConfigurationError(
                f"limits.answer_seconds must be above 0, not {self.answer_seconds!r}"
            )
        if self.replans < 0 or self.repairs < 0:
            raise ConfigurationError("limits.replans and limits.repairs must be 0 or more")
        if self.concurrency < 1:
            raise ConfigurationError(
                f"limits.concurrency must be 1 or more, not {self.concurrency!r}"
            )
