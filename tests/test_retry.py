"""Trying again: how often, after which waits, and for which errors."""

from __future__ import annotations

import anyio
import pytest

from llmcompiler.retry import Retry
from llmcompiler.testing import run_virtual


def test_no_attempts_raise_the_first_error_at_once() -> None:
    async def main() -> None:
        async def again() -> int:
            raise AssertionError("must not be called")

        with pytest.raises(OSError, match="first"):
            await Retry().go_on(OSError("first"), again, on=lambda error: True)

    run_virtual(main)


def test_waits_grow_up_to_the_ceiling() -> None:
    waits: list[float] = []

    async def main() -> float:
        async def again() -> int:
            raise OSError("again")

        with pytest.raises(OSError, match="again"):
            await Retry(4, delay=1.0, ceiling=3.0).go_on(
                OSError("first"),
                again,
                on=lambda error: True,
                before=lambda number, error, wait: waits.append(wait),
            )
        return anyio.current_time()

    run_virtual(main)
    assert waits == [1.0, 2.0, 3.0, 3.0]


def test_an_error_that_is_not_worth_it_ends_the_trying() -> None:
    tries: list[int] = []

    async def main() -> None:
        async def again() -> int:
            tries.append(1)
            raise ValueError("different")

        with pytest.raises(ValueError, match="different"):
            await Retry(5).go_on(
                OSError("first"), again, on=lambda error: isinstance(error, OSError)
            )

    run_virtual(main)
    assert len(tries) == 1
