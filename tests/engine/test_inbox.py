from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from llmcompiler.engine.inbox import Inbox
from llmcompiler.engine.request import Job, Request
from llmcompiler.errors import ModelError


def _job() -> Job:
    return Job(Request(lambda: [1]), lambda output: None)


def _nothing(somebody: Callable[[], bool]) -> bool:
    return False


def test_requests_are_taken_in_the_order_in_which_they_came() -> None:
    inbox, jobs = Inbox(_nothing), [_job() for _ in range(3)]
    for job in jobs:
        inbox.put(job)
    assert [inbox.take(wait=True) for _ in jobs] == jobs
    assert inbox.take(wait=False) is None


def test_behind_a_closed_door_nobody_waits_and_nothing_is_taken_in() -> None:
    inbox, job = Inbox(_nothing), _job()
    inbox.put(job)
    inbox.close()
    inbox.close()
    assert inbox.take(wait=True) is job
    assert inbox.take(wait=True) is None
    assert inbox.take(wait=False) is None
    with pytest.raises(ModelError, match="closed"):
        inbox.put(_job())


def test_chores_are_done_while_nobody_asks_until_there_are_none() -> None:
    inbox, job = Inbox(lambda somebody: chore(somebody)), _job()
    done: list[bool] = []

    def chore(somebody: Callable[[], bool]) -> bool:
        done.append(somebody())
        if len(done) == 3:
            inbox.put(job)
            assert somebody()
            return False
        return True

    assert inbox.take(wait=True) is job
    assert done == [False] * 3
    assert inbox.rested.is_set()


def test_a_request_that_is_there_comes_before_any_chore() -> None:
    def chore(somebody: Callable[[], bool]) -> bool:
        raise AssertionError("there was something better to do")

    inbox = Inbox(chore)
    inbox.put(_job())
    inbox.take(wait=True)
    assert inbox.take(wait=False) is None


def test_one_who_waits_is_woken_from_another_thread() -> None:
    inbox, job = Inbox(_nothing), _job()
    thread = threading.Timer(0.01, inbox.put, [job])
    thread.start()
    assert inbox.take(wait=True) is job
    thread.join()
