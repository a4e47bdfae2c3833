"""Complaint: a graph that calls itself parallel waits for the slowest of each round."""

from __future__ import annotations

import threading

from llmcompiler import tool
from llmcompiler.plan import Ok
from tests.gallery.scene import ANSWER, calls, play


def test_langgraph_6320_a_fast_branch_does_not_wait_for_a_slow_sibling() -> None:
    seen = play(
        '1. work(name="fast", seconds=0.1)\n2. work(name="slow", seconds=1.2)\n'
        '3. work(name="after fast", after=$1, seconds=0.5)\n4. join()',
        ANSWER,
    )
    assert seen.starts == {"1": 0.0, "2": 0.0, "3": 0.1}
    assert round(seen.result.seconds, 6) == 1.2


def test_langgraph_4673_a_chain_beside_a_slow_step_runs_to_its_end() -> None:
    seen = play(
        '1. work(name="a", seconds=10)\n2. work(name="b")\n3. work(name="b2", after=$2)\n'
        '4. work(name="b3", after=$3)\n5. join()',
        ANSWER,
    )
    assert [seen.starts[step] for step in "1234"] == [0.0, 0.0, 1.0, 2.0]


def test_langgraph_3617_each_of_two_followers_waits_for_its_own_predecessor_alone() -> None:
    seen = play(
        '1. work(name="a", seconds=1)\n2. work(name="b", seconds=4)\n'
        '3. work(name="c", after=$1, seconds=4)\n4. work(name="d", after=$2)\n5. join()',
        ANSWER,
    )
    assert (seen.starts["3"], seen.starts["4"]) == (1.0, 4.0)
    assert round(seen.result.seconds, 6) == 5.0, "rounds would take 8 s"


def test_langgraph_5860_functions_that_block_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    @tool
    def blocks(name: str) -> str:
        """Block until two others do."""
        meeting.wait()
        return name

    plan = '1. blocks(name="b")\n2. blocks(name="b2")\n3. blocks(name="c")\n4. join()'
    seen = play(plan, ANSWER, tools=[blocks])
    assert [seen.result[step] for step in "123"] == [Ok("b"), Ok("b2"), Ok("c")]


def test_langgraph_6005_a_meeting_point_waits_for_its_own_branches_and_runs_once() -> None:
    seen = play(
        '1. work(name="short")\n2. work(name="long 1")\n3. work(name="long 2", after=$2)\n'
        '4. work(name="stranger", seconds=20)\n5. work(name="meet", after=[$1, $3])\n6. join()',
        ANSWER,
    )
    assert seen.starts["5"] == 2.0
    assert calls.count("meet") == 1


def test_wish_no_level_of_a_graph_is_a_barrier_nor_is_a_fan_out() -> None:
    """Neither rounds of a graph (as in two other frameworks) nor the elements of `each` wait."""
    seen = play(
        '1. say(value=[1, 5])\n2. work(name="one of two", seconds=each $1)\n'
        '3. work(name="beside", after=$1, seconds=2)\n4. work(name="on", after=$3)\n5. join()',
        ANSWER,
    )
    assert (seen.starts["2"], seen.starts["3"], seen.starts["4"]) == (0.0, 0.0, 2.0)
    assert round(seen.result.seconds, 6) == 5.0
