"""When to try again, as a value; tenacity does the waiting.

It does not know what is tried: a tool's call or a model's request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import tenacity

__all__ = ["Retry"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again up to `attempts` times after a first failure.

    The wait before try n is ``delay * factor ** (n - 1)`` seconds, or ``delay * n`` where it is
    `linear`, at most `ceiling`; up to `jitter` seconds more are added by chance. `on` names the
    types of errors that are worth another try, all if it is empty.
    """

    attempts: int = 0
    delay: float = 0.2
    factor: float = 2.0
    ceiling: float = 10.0
    jitter: float = 0.0
    linear: bool = False
    on: tuple[str, ...] = ()

    async def go_on(
        self,
        first: BaseException,
        again: Callable[[], Awaitable[T]],
        *,
        on: Callable[[BaseException], bool],
        before: Callable[[int, BaseException, float], None] | None = None,
    ) -> T:
        """Call `again` after `first` was raised, as often as allowed; raise the last error.

        `on` says which errors are worth another try. `before` hears of each new try: its number
        (from 2), the error, and the wait in seconds. The happy path never comes here, so a call
        that succeeds at once pays nothing.
        """
        if self.attempts < 1 or not self._worth(first, on):
            raise first
        pending: list[BaseException] = [first]

        async def attempt() -> T:
            # The first failure has happened already: it takes the place of the first attempt,
            # so that tenacity's own counting and waiting are used as they are.
            if pending:
                raise pending.pop()
            return await again()

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if before is not None and error is not None:
                wait = state.next_action.sleep if state.next_action else 0.0
                before(state.attempt_number + 1, error, wait)

        retrying = tenacity.AsyncRetrying(
            sleep=anyio.sleep,
            stop=tenacity.stop_after_attempt(self.attempts + 1),
            wait=self._waits(),
            retry=tenacity.retry_if_exception(lambda error: self._worth(error, on)),
            before_sleep=tell,
            reraise=True,
        )
        return await retrying(attempt)

    def _worth(self, error: BaseException, on: Callable[[BaseException], bool]) -> bool:
        names = {kind.__name__ for kind in type(error).__mro__}
        return on(error) and (not self.on or not names.isdisjoint(self.on))

    def _waits(self) -> Any:
        waits: Any = tenacity.wait_exponential(
            multiplier=self.delay, exp_base=self.factor, max=self.ceiling
        )
        if self.linear:
            waits = tenacity.wait_incrementing(self.delay, self.delay, self.ceiling)
        return waits + tenacity.wait_random(0, self.jitter) if self.jitter else waits
