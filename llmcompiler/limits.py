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

    `model_calls`, `tool_calls`, `tokens` (prompt tokens that were computed, and completion tokens)
    and `cost` (in the currency of the agent's prices) bound the whole run; None is no bound. When
    the tool calls are used up, further ones fail and the model answers with what there is; the last
    model call is kept for the answer; when tokens or cost are used up the run ends with
    `LimitReachedError`. `mends` counts the turns in which the model writes failed steps anew; None is what
    the model is used to, and 2 where it does not say.
    Results longer than `result_chars` (characters, as JSON) are kept aside: the model sees a
    preview and reads the rest by path.
    """

    seconds: float | None = 300.0
    answer_seconds: float = 60.0
    replans: int = 2
    repairs: int = 2
    concurrency: int = 128
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    mends: int | None = None
    result_chars: int | None = 8000

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigurationError(f"limits.seconds must be above 0, not {self.seconds!r}")
        if not self.answer_seconds > 0:
            raise ConfigurationError(
                f"limits.answer_seconds must be above 0, not {self.answer_seconds!r}"
            )
        for name in ("replans", "repairs", "mends"):
            count = getattr(self, name)
            if count is not None and count < 0:
                raise ConfigurationError(f"limits.{name} must be 0 or more, not {count!r}")
        for name in ("model_calls", "tool_calls", "tokens", "cost", "result_chars"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"limits.{name} must be above 0, not {value!r}")
        if self.concurrency < 1:
            raise ConfigurationError(
                f"limits.concurrency must be 1 or more, not {self.concurrency!r}"
            )
