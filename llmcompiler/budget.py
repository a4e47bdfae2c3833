"""What has a run used of its limits, and what is left?

It does not know who asks or calls, nor what becomes of a run whose limits are used up.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcompiler.errors import ConfigurationError, LimitReachedError
from llmcompiler.limits import Limits
from llmcompiler.messages import Price, Usage

__all__ = ["Budget", "Left"]


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of each limit, never below 0; None where there is no bound."""

    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost: float | None = None


class Budget:
    """The count of one run's calls and tokens against its `limits`.

    Calls are counted when they begin, so that several at once do not pass a limit together; their
    tokens when they end. What a call computes of its prompt is known only then: the last call
    before `tokens` or `cost` are used up may pass them by its prompt, and calls under way at the
    same time each by theirs. To be used from the thread of the event loop only. Raises
    `ConfigurationError` where the cost is limited and there is no `price`.
    """

    def __init__(self, limits: Limits, price: Price | None = None) -> None:
        if limits.cost is not None and price is None:
            raise ConfigurationError(
                "limits.cost needs the price of tokens: give price=Price(prompt, completion)"
            )
        self.limits = limits
        self._price = price
        self._usage = Usage()
        self._under_way = 0
        self._tool_calls = 0
        self._refused = False

    @property
    def tokens(self) -> int:
        """Prompt tokens that were computed, and completion tokens, of the calls that ended."""
        return self._usage.prefilled_tokens + self._usage.completion_tokens

    @property
    def model_calls(self) -> int:
        """Calls of the model that ended or are under way."""
        return self._usage.model_calls + self._under_way

    @property
    def tool_calls(self) -> int:
        """Tool calls that began."""
        return self._tool_calls

    @property
    def cost(self) -> float | None:
        """What the calls that ended cost, in the currency of the price; None without one."""
        return None if self._price is None else self._usage.cost(self._price)

    @property
    def last_call(self) -> bool:
        """Whether only one call of the model is left, which must give the answer."""
        return self.left().model_calls == 1

    @property
    def refused(self) -> bool:
        """Whether a tool call was refused."""
        return self._refused

    @property
    def refusal(self) -> str:
        """What is said of a tool call that was refused."""
        calls = self.limits.tool_calls or 0
        return f"the limit of {calls:,} tool call{'' if calls == 1 else 's'} is used up"

    def left(self) -> Left:
        """Return what is left of each limit."""
        limits, cost = self.limits, self.cost
        return Left(
            _rest(limits.model_calls, self.model_calls),
            _rest(limits.tool_calls, self._tool_calls),
            _rest(limits.tokens, self.tokens),
            None if limits.cost is None or cost is None else max(0.0, limits.cost - cost),
        )

    def spent(self) -> tuple[str, float] | None:
        """Return the name and the value of a limit that allows no further call of the model."""
        left, limits = self.left(), self.limits
        if limits.model_calls is not None and left.model_calls == 0:
            return "model_calls", limits.model_calls
        if limits.tokens is not None and left.tokens == 0:
            return "tokens", limits.tokens
        if limits.cost is not None and left.cost == 0:
            return "cost", limits.cost
        return None

    def tool_call(self) -> bool:
        """Count a tool call that begins; False where they are used up and it must not."""
        most = self.limits.tool_calls
        if most is not None and self._tool_calls >= most:
            self._refused = True
            return False
        self._tool_calls += 1
        return True

    def model_call(self, kept: int = 0) -> None:
        """Count a call of the model that begins; raise `LimitReachedError` where it must not.

        The last `kept` calls are for somebody else, as the one that gives the answer.
        """
        spent = self.spent()
        calls = self.left().model_calls
        if spent is None and calls is not None and calls <= kept:
            spent = "model_calls", calls + self.model_calls
        if spent is not None:
            raise LimitReachedError(*spent)
        self._under_way += 1

    def add(self, usage: Usage, tool_calls: int = 0) -> None:
        """Take in what a call of the model used that has ended, or a run before it was paused."""
        self._under_way = max(0, self._under_way - 1)
        self._usage = self._usage + usage
        self._tool_calls += tool_calls

    def max_tokens(self, asked: int | None) -> int | None:
        """Return how long a reply may be, in tokens: as `asked`, or less where less is left."""
        left = self.left()
        bounds = [bound for bound in (asked, left.tokens) if bound is not None]
        if left.cost is not None and self._price is not None and self._price.completion > 0:
            bounds.append(int(left.cost / self._price.completion * 1_000_000))
        return max(1, min(bounds)) if bounds else None


def _rest(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)
