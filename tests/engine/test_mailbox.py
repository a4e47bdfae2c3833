from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from llmcompiler.engine.mailbox import Mailbox

pytestmark = pytest.mark.anyio


async def test_letters_arrive_in_order_from_another_thread() -> None:
    mailbox: Mailbox[int] = Mailbox()

    def write() -> None:
        for number in range(1000):
            mailbox.put(number)

    thread = threading.Thread(target=write)
    thread.start()
    assert [await mailbox.get() for _ in range(1000)] == list(range(1000))
    thread.join()


async def test_a_letter_that_is_there_already_is_not_waited_for() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("x")
    with anyio.fail_after(1):
        assert await mailbox.get() == "x"


async def test_waiting_can_be_cancelled_and_taken_up_again() -> None:
    mailbox: Mailbox[str] = Mailbox()
    with anyio.move_on_after(0):
        await mailbox.get()
    mailbox.put("late")
    assert await mailbox.get() == "late"


async def test_many_letters_wake_their_readers_by_one_call_into_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    calls: list[object] = []
    call = loop.call_soon_threadsafe

    def count(callback: Callable[[], object], *args: object) -> object:
        calls.append(callback)
        return call(callback, *args)  # type: ignore[arg-type]  # as the loop takes it

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    mailboxes = [Mailbox[int]() for _ in range(16)]
    for number, mailbox in enumerate(mailboxes):
        mailbox.put(number)
    assert len(calls) == 1
    assert [await mailbox.get() for mailbox in mailboxes] == list(range(16))


async def test_waiting_does_not_look_again_and_again() -> None:
    class Counting(deque[str]):
        looks = 0

        def __len__(self) -> int:
            self.looks += 1
            return super().__len__()

    mailbox: Mailbox[str] = Mailbox()
    letters = mailbox._letters = Counting()
    mailbox.put("first")
    await mailbox.get()
    await anyio.lowlevel.checkpoint()
    with anyio.move_on_after(0.02):
        await mailbox.get()
    assert letters.looks < 10


def test_a_letter_to_a_closed_loop_is_returned() -> None:
    async def make() -> Mailbox[str]:
        return Mailbox()

    mailbox = anyio.run(make)
    with pytest.raises(RuntimeError, match="closed"):
        mailbox.put("x")
