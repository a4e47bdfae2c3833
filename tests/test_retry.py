"""Trying again: how often, after which waits, and for which errors."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def _waits(retry: Retry, error: Exception | None = None) -> list[float]:
    """Return the waits before every further try of what always fails."""
    waits: list[float] = []

    async def main() -> None:
        async def again() -> int:
            raise error or OSError("again")

        with pytest.raises(type(error or OSError())):
            await retry.go_on(
                error or OSError("first"),
                again,
                on=lambda error: True,
                before=lambda number, error, wait: waits.append(wait),
            )

    run_virtual(main)
    return waits


def test_linear_waits_grow_by_the_delay_up_to_the_ceiling() -> None:
    assert _waits(Retry(4, delay=0.5, ceiling=1.5, linear=True)) == [0.5, 1.0, 1.5, 1.5]


@pytest.mark.parametrize("linear", [False, True])
def test_jitter_adds_to_each_wait_by_chance(linear: bool) -> None:
    plain = _waits(Retry(20, delay=1.0, factor=1.0, ceiling=1.0, linear=linear))
    waits = _waits(Retry(20, delay=1.0, factor=1.0, ceiling=1.0, linear=linear, jitter=0.5))
    more = [wait - least for wait, least in zip(waits, plain, strict=True)]
    assert all(0 <= each <= 0.5 for each in more)
    assert len(set(more)) > 1


@given(st.integers(1, 6), st.floats(0, 2), st.floats(1, 3), st.floats(0, 4), st.booleans())
def test_waits_follow_their_formula(
    attempts: int, delay: float, factor: float, ceiling: float, linear: bool
) -> None:
    retry = Retry(attempts, delay=delay, factor=factor, ceiling=ceiling, linear=linear)
    steps = range(1, attempts + 1)
    raw = [delay * n if linear else delay * factor ** (n - 1) for n in steps]
    assert _waits(retry) == pytest.approx([min(ceiling, wait) for wait in raw])


class _Busy(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("names", "tries"),
    [((), 2), (("_Busy",), 2), (("OSError",), 2), (("ValueError", "ConnectionError"), 2),
     (("ValueError",), 0), (("ConnectionResetError",), 0)],
)  # fmt: skip
def test_only_errors_of_the_named_types_are_worth_another_try(
    names: tuple[str, ...], tries: int
) -> None:
    assert len(_waits(Retry(2, delay=0, on=names), _Busy("busy"))) == tries


def test_another_error_on_a_further_try_ends_the_trying_too() -> None:
    async def main() -> None:
        async def again() -> int:
            raise ValueError("different")

        with pytest.raises(ValueError, match="different"):
            await Retry(9, on=("OSError",)).go_on(OSError("first"), again, on=lambda error: True)
        assert anyio.current_time() == pytest.approx(0.2)

    run_virtual(main)
