from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.threads import Cores, ThreadShare, share_threads


def test_one_engine_has_all_threads() -> None:
    share = Cores(7).share()
    assert share.begin() == 7


def test_engines_that_take_turns_have_all_threads_each() -> None:
    cores = Cores(7)
    planner, joiner = cores.share(), cores.share()
    assert planner.begin() == 7
    planner.end(more=False)
    assert joiner.begin() == 7


def test_engines_at_work_together_share_alike_from_their_second_step_on() -> None:
    cores = Cores(8)
    planner, joiner = cores.share(), cores.share()
    assert planner.begin() == 8
    assert joiner.begin() == 1
    planner.end(more=True)
    assert planner.begin() == 4
    joiner.end(more=True)
    assert joiner.begin() == 4


def test_an_odd_thread_is_used() -> None:
    cores = Cores(7)
    shares = [cores.share(), cores.share()]
    for share in shares:
        share.begin()
        share.end(more=True)
    assert [share.begin() for share in shares] == [4, 3]


def test_there_is_a_thread_for_everyone_even_where_there_are_too_few() -> None:
    cores = Cores(1)
    assert [cores.share().begin() for _ in range(3)] == [1, 1, 1]


def test_a_number_that_was_asked_for_is_given_and_taken_off_the_others() -> None:
    cores = Cores(8)
    insisting, other = cores.share(6), cores.share()
    other.begin()
    assert insisting.begin() == 6
    other.end(more=True)
    assert other.begin() == 2


def test_an_engine_that_was_dropped_takes_nothing() -> None:
    cores = Cores(8)
    other = cores.share()
    dropped = cores.share()
    dropped.begin()
    del dropped
    gc.collect()
    assert other.begin() == 8


def test_the_engines_of_a_process_share_its_cores() -> None:
    first, second = share_threads(), share_threads()
    both = first.begin() + second.begin()
    assert both <= max(first._cores.total, 2)
    first.end(more=False)
    second.end(more=False)


@given(total=st.integers(1, 16), moves=st.lists(st.tuples(st.integers(0, 4), st.booleans())))
def test_a_step_is_given_what_the_others_leave_and_one_thread_at_least(
    total: int, moves: list[tuple[int, bool]]
) -> None:
    cores = Cores(total)
    shares = [cores.share() for _ in range(5)]
    computing: dict[ThreadShare, int] = {}
    for place, more in moves:
        share = shares[place]
        if share in computing:
            del computing[share]
            share.end(more=more)
        else:
            computing[share] = share.begin()
            assert computing[share] >= 1
            assert computing[share] == 1 or sum(computing.values()) <= total
