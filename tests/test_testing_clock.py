"""Virtual time, with and without a real world around it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.testing import VirtualDeadlockError, VirtualEventLoop, run_virtual


def test_a_day_passes_in_no_time() -> None:
    async def main(days: float) -> float:
        await anyio.sleep(days * 86_400)
        return anyio.current_time()

    began = time.monotonic()
    assert run_virtual(main, 400.0) == pytest.approx(400 * 86_400)
    assert time.monotonic() - began < 5


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((name, anyio.current_time()))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
                group.start_soon(sleeper, name, seconds)

    run_virtual(main)
    assert woken == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=8))
def test_any_times_add_up_and_nothing_spins(seconds: list[float]) -> None:
    async def main() -> float:
        for wait in seconds:
            with anyio.move_on_after(wait / 3):
                await anyio.sleep(wait / 7)
            await anyio.sleep(wait)
        return anyio.current_time()

    assert run_virtual(main) == pytest.approx(sum(seconds) * 8 / 7, abs=1e-6)


def test_timeouts_follow_the_virtual_clock() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            with anyio.fail_after(30):
                await anyio.sleep(60)
        return anyio.current_time()

    assert run_virtual(main) == 30.0


def test_time_stands_still_while_there_is_work() -> None:
    async def main() -> float:
        with anyio.fail_after(1):
            for _ in range(1000):
                await anyio.lowlevel.checkpoint()
        return anyio.current_time()

    assert run_virtual(main) == 0.0


def nap() -> str:
    time.sleep(0.01)
    return "done"


def test_a_quick_thread_takes_no_time_and_no_timer_runs_away_from_it() -> None:
    async def main() -> tuple[str, float]:
        with anyio.fail_after(3600):
            said = await anyio.to_thread.run_sync(nap)
        return said, anyio.current_time()

    assert run_virtual(main) == ("done", 0.0)


def test_an_idle_thread_does_not_hold_the_clock() -> None:
    async def main() -> float:
        await anyio.to_thread.run_sync(int)
        await anyio.sleep(3600)
        return anyio.current_time()

    began = time.monotonic()
    assert run_virtual(main) == 3600.0
    assert time.monotonic() - began < 5


def test_a_thread_that_waits_for_the_loop_gets_its_time() -> None:
    async def main() -> None:
        with anyio.fail_after(60):
            await anyio.to_thread.run_sync(anyio.from_thread.run, anyio.sleep, 0.1)

    run_virtual(main)


def test_a_slow_thread_can_time_out() -> None:
    async def main() -> float:
        with anyio.move_on_after(0.1):
            await anyio.to_thread.run_sync(time.sleep, 0.3, abandon_on_cancel=True)
        return anyio.current_time()

    assert run_virtual(main) == pytest.approx(0.1)


def test_threads_of_asyncio_are_waited_for_too() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        with anyio.fail_after(3600):
            said = await loop.run_in_executor(None, nap)
        await anyio.sleep(5)
        return said, anyio.current_time()

    assert run_virtual(main) == ("done", 5.0)


def test_sockets_are_waited_for_in_real_time() -> None:
    def say_hello_slowly(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            time.sleep(0.1)
            connection.sendall(b"hello")

    async def main(port: int) -> bytes:
        with anyio.fail_after(3600):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                return await stream.receive()
        raise AssertionError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=say_hello_slowly, args=[listener])
        server.start()
        assert run_virtual(main, listener.getsockname()[1]) == b"hello"
        server.join()


def test_child_processes_are_waited_for_in_real_time() -> None:
    async def main() -> bytes:
        with anyio.fail_after(3600):
            done = await anyio.run_process("echo hello; exec >&- 2>&- <&-; sleep 0.1")
        return done.stdout

    assert run_virtual(main) == b"hello\n"


def test_a_deadlock_says_who_waits_and_where() -> None:
    cleaned: list[bool] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for_ever, name="the-waiter")

    async def wait_for_ever() -> None:
        try:
            await anyio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(VirtualDeadlockError, match=r"the-waiter waits in wait_for_ever \(.*\.py:"):
        run_virtual(main)
    assert cleaned == [True]


def test_an_error_of_the_program_is_its_own() -> None:
    async def main() -> None:
        await anyio.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtual(main)


def test_the_loop_suits_other_runners() -> None:
    async def main() -> float:
        await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualEventLoop) as runner:
        assert runner.run(main()) == 60.0
