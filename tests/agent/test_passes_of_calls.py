"""The passes `bulk`, `order` and `hedge`: how calls are made that have to be made."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from llmcompiler import Limits, RunContext, tool
from llmcompiler.events import PassApplied
from llmcompiler.executor import Executor
from llmcompiler.passes import Durations, Passes
from llmcompiler.plan import Failed, Ok
from llmcompiler.testing import Reply, run_virtual
from llmcompiler.toolbox import Tool
from tests.agent.passing import OFF, lines, play
from tests.agent.scenario import calls
from tests.executor.bench import Bench, call


@tool
async def look(word: str, seconds: float = 1.0) -> str:
    """Look a word up."""
    calls.append(word)
    await anyio.sleep(seconds)
    if word == "ghost":
        raise ValueError("there is none")
    return word.upper()


# -- bulk --------------------------------------------------------------------------------------


def bulky(fails: bool = False, **settings: Any) -> Tool[..., Any]:
    async def all_at_once(word: list[str]) -> list[str]:
        """Look words up."""
        calls.append("+".join(word))
        await anyio.sleep(1)
        if fails:
            raise OSError("too many")
        return [each.upper() for each in word]

    @tool(bulk=all_at_once, **settings)
    async def find(word: str) -> str:
        """Look a word up."""
        calls.append(word)
        await anyio.sleep(1)
        return word.upper()

    return find


@tool
async def letters() -> list[str]:
    """Return letters."""
    return ["a", "b", "c"]


def test_a_fan_out_is_one_call_of_the_bulk_form() -> None:
    seen = play(lines("letters()", "find(each $1)"), tools=[letters, bulky()])
    assert calls == ["a+b+c"]
    assert seen.result["2"] == Ok(["A", "B", "C"])
    assert seen.passes("bulk") == [(("2",), 2)]
    assert seen.ends["2"] == 1.0, "it waited although no other call was to come"


def test_several_steps_go_together() -> None:
    plan = lines('find("a")', 'find("b")', "look(word=$1)", "look(word=$2)")
    seen = play(plan, tools=[look, bulky()])
    assert calls == ["a+b", "A", "B"]
    assert seen.passes("bulk") == [(("1", "2"), 1)]


def test_calls_wait_no_longer_than_the_window_for_others() -> None:
    plan = Reply(chunks=('1. find("a")\n', '2. find("b")\n', '3. find("c")\n', "4. join()"))
    seen = play(plan, tools=[bulky()], passes=Passes(bulk_window=0.15), delay=0.1)
    assert calls == ["a+b", "c"]
    assert seen.starts == {"1": 0.15, "2": 0.15, "3": 0.3}


def test_one_call_alone_is_an_ordinary_call() -> None:
    seen = play(lines('find("a")'), tools=[bulky()])
    assert calls == ["a"]
    assert seen.of(PassApplied) == []
    assert seen.ends["1"] == 1.0


def test_in_a_chain_nobody_waits_for_who_cannot_come() -> None:
    plan = lines('find("a")', "find(word=$1)", "find(word=$2)")
    assert play(plan, tools=[bulky()], passes=Passes(merge=False)).ends["3"] == 3.0


def test_with_bulk_off_every_call_is_made_alone() -> None:
    seen = play(
        lines("letters()", "find(each $1)"), tools=[letters, bulky()], passes=Passes(bulk=False)
    )
    assert calls == ["a", "b", "c"]
    assert seen.of(PassApplied) == []


def test_reads_that_fail_together_are_made_one_by_one() -> None:
    seen = play(lines('find("a")', 'find("b")'), tools=[bulky(fails=True)])
    assert calls == ["a+b", "a", "b"]
    assert (seen.result["1"], seen.result["2"]) == (Ok("A"), Ok("B"))
    assert 2 - sum(saved for _, saved in seen.passes("bulk")) == len(calls)


def test_writes_that_fail_together_have_failed() -> None:
    seen = play(lines('find("a")', 'find("b")'), tools=[bulky(fails=True, effects="write")])
    assert calls == ["a+b"]
    for step in "12":
        assert seen.result[step] == Failed("OSError", "OSError: too many", 1)


def test_a_dropped_step_is_not_in_the_bulk_call() -> None:
    plan = Reply(chunks=('1. find("a")\n2. find("b")\n3. find("c")\n', "4. join($1, $2)"))
    play(plan, tools=[bulky()], passes=Passes(bulk_window=9), delay=0.5)
    assert calls == ["a+b"]


def test_one_that_fails_among_others_has_the_tools_further_attempts() -> None:
    tries: list[str] = []

    async def all_at_once(word: list[str]) -> list[Any]:
        """Do words."""
        return [OSError("busy") if each == "b" else each for each in word]

    @tool(bulk=all_at_once, retries=1)
    async def find(word: str) -> str:
        """Do a word."""
        tries.append(word)
        return word * 2

    seen = play(lines('find("a")', 'find("b")'), tools=[find])
    assert tries == ["b"]
    assert (seen.result["1"], seen.result["2"]) == (Ok("a"), Ok("bb"))


def test_the_bulk_form_may_ask_for_the_run_too() -> None:
    async def all_at_once(ctx: RunContext[None], word: list[str]) -> list[str]:
        """Do words."""
        return [ctx.step] * len(word)

    @tool(bulk=all_at_once)
    async def find(word: str) -> str:
        """Do a word."""
        return word

    seen = play(lines('find("a")', 'find("b")'), tools=[find])
    assert (seen.result["1"], seen.result["2"]) == (Ok("1"), Ok("1"))


# -- order -------------------------------------------------------------------------------------

SHAPE = lines(
    'look("a", 1)', 'look("b", 1)', 'look("c", 1)', 'look("d", 1)',
    'look("e", 1)', 'look(word=$5, seconds=1)', 'look(word="x${6}", seconds=1)',
)  # fmt: skip


def test_with_few_workers_the_critical_path_goes_first() -> None:
    limits = Limits(concurrency=2, mends=0)
    seen = play(SHAPE, tools=[look], limits=limits)
    # Seven seconds of work on two workers: 4 s is the least, the chain of three begins first.
    assert max(seen.ends.values()) == 4.0
    assert seen.starts["5"] == 0.0, "what is read in the same moment is weighed together"
    plain = play(SHAPE, tools=[look], limits=limits, passes=Passes(order=False))
    assert max(plain.ends.values()) == 5.0


def test_a_tools_own_limit_lets_the_critical_path_go_first_as_well() -> None:
    @tool(limit=2)
    async def look2(word: str) -> str:
        """Look."""
        await anyio.sleep(1)
        return word

    plan = lines('look2("a")', 'look2("b")', 'look2("c")', 'look2("d")', 'look2("e")',
                 "look2(word=$5)", 'look2(word="x${6}")')  # fmt: skip
    ends = {
        on: max(play(plan, tools=[look2], passes=Passes(order=on, merge=False)).ends.values())
        for on in (True, False)
    }
    assert ends == {True: 4.0, False: 5.0}


# -- hedge -------------------------------------------------------------------------------------


def slow_once(**settings: Any) -> Tool[..., Any]:
    """Make a tool whose ninth call hangs for 50 seconds; all others take one."""

    @tool(**settings)
    async def fetch(n: int) -> int:
        """Fetch."""
        calls.append(f"fetch {n}")
        try:
            await anyio.sleep(50 if len(calls) == 9 else 1)
        except anyio.get_cancelled_exc_class():
            calls.append(f"stopped {n}")
            raise
        return n

    return fetch


NINE = lines(*(f"fetch({n})" for n in range(8)), "fetch(n=$8)")


def test_nothing_is_hedged_unless_it_was_asked_for() -> None:
    assert play(NINE, tools=[slow_once()], passes=Passes(merge=False)).ends["9"] == 51.0


def test_a_slow_call_is_made_once_more_and_the_first_success_counts() -> None:
    seen = play(NINE, tools=[slow_once()], passes=Passes(hedge=True, merge=False))
    assert seen.ends["9"] == 3.2, "it is slow after 1.2 times what is usual"
    assert seen.result["9"] == Ok(7)
    assert calls[-3:] == ["fetch 7", "fetch 7", "stopped 7"]
    assert seen.passes("hedge") == [(("9",), 0)]


@pytest.mark.parametrize("settings", [{"effects": "write"}, {"limit": 1}, {"resource": "x"}])
def test_no_hedge_passes_a_limit_or_writes_twice(settings: dict[str, Any]) -> None:
    seen = play(NINE, tools=[slow_once(**settings)], passes=Passes(hedge=True, merge=False))
    assert seen.passes("hedge") == []
    assert len(calls) == 9


def test_a_synchronous_tool_is_hedged_as_well() -> None:
    durations = Durations()
    for _ in range(8):
        durations.learn("stuck", 0.05)
    release = threading.Event()
    entered: list[int] = []

    @tool
    def stuck() -> int:
        """Hang the first time."""
        entered.append(1)
        if len(entered) == 1:
            release.wait(20)
        return len(entered)

    passes = Passes(hedge=True)
    try:
        bench = Bench(stuck, passes=passes, durations=durations).run_all(call("1", "stuck"))
    finally:
        release.set()
    assert bench.outcomes["1"] == Ok(2)


def hedged(*course: tuple[float, object], first: float = 1.0, **settings: Any) -> Bench:
    """Run one call of a tool that usually takes `first` seconds.

    `course` says of each call what it takes, and what it gives or raises.
    """
    durations = Durations()
    for _ in range(8):
        durations.learn("fetch", first)
    coming = list(course)

    @tool(**settings)
    async def fetch() -> object:
        """Fetch."""
        number = len(calls)
        calls.append(f"{number}")
        seconds, what = coming[number]
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            calls.append(f"stopped {number}")
            raise
        if isinstance(what, Exception):
            raise what
        return what

    bench = Bench(fetch, passes=Passes(hedge=True, merge=False), durations=durations)
    return bench.run_all(call("1", "fetch"))


def test_calls_that_take_about_as_long_as_usual_are_not_made_twice() -> None:
    assert hedged((1.19, "a")).outcomes["1"] == Ok("a")
    assert calls == ["0"]


def test_of_quick_calls_one_is_slow_only_after_some_milliseconds() -> None:
    assert hedged((0.0109, "a"), first=0.001).outcomes["1"] == Ok("a")
    assert calls == ["0"]


def test_the_first_call_counts_where_it_is_the_first_to_succeed() -> None:
    bench = hedged((2.0, "a"), (5.0, "b"))
    assert (bench.outcomes["1"], bench.ends["1"]) == (Ok("a"), 2.0)
    assert calls == ["0", "1", "stopped 1"]


def test_where_the_second_fails_the_first_is_waited_for() -> None:
    bench = hedged((4.0, "a"), (1.0, OSError("no")))
    assert (bench.outcomes["1"], bench.ends["1"]) == (Ok("a"), 4.0)


def test_where_the_first_fails_the_second_is_waited_for() -> None:
    bench = hedged((2.0, OSError("no")), (3.0, "b"))
    assert (bench.outcomes["1"], bench.ends["1"]) == (Ok("b"), 4.2)


@pytest.mark.parametrize(("one", "two"), [(2.0, 3.0), (4.0, 1.0)])
def test_where_both_fail_the_first_failure_counts(one: float, two: float) -> None:
    bench = hedged((one, OSError("one")), (two, OSError("two")))
    kind = "one" if one < 1.2 + two else "two"
    assert bench.outcomes["1"] == Failed("OSError", f"OSError: {kind}", 1)
    assert bench.ends["1"] == max(one, 1.2 + two)


def test_the_time_limit_is_for_both_together() -> None:
    bench = hedged((9.0, "a"), (9.0, "b"), timeout=3.0)
    assert bench.ends["1"] == 3.0
    assert isinstance(bench.outcomes["1"], Failed)
    assert bench.outcomes["1"].kind == "ToolTimeoutError"
    assert sorted(calls) == ["0", "1", "stopped 0", "stopped 1"]


def test_a_failure_before_it_is_slow_is_a_failure() -> None:
    bench = hedged((0.5, OSError("no")))
    assert bench.outcomes["1"] == Failed("OSError", "OSError: no", 1)
    assert calls == ["0"]


def test_a_run_that_is_stopped_stops_both_calls() -> None:
    durations = Durations()
    for _ in range(8):
        durations.learn("look", 1.0)

    async def body(executor: Executor) -> None:
        executor.add(call("1", "look", word="a", seconds=60))
        executor.seal()
        await anyio.sleep(5)
        assert calls == ["a", "a"]
        executor.stop("enough")

    async def main() -> float:
        passes = Passes(hedge=True)
        await Bench(look, passes=passes, durations=durations)._main(body)
        return anyio.current_time()

    assert run_virtual(main) == 5.0


def test_of_many_calls_each_is_made_once_more_at_its_own_time() -> None:
    durations = Durations()
    for _ in range(8):
        durations.learn("look", 1.0)
        durations.learn("glance", 0.1)

    @tool
    async def glance(word: str) -> str:
        """Glance at a word."""
        calls.append(word)
        await anyio.sleep(9)
        return word

    async def body(executor: Executor) -> None:
        executor.add(call("1", "look", word="a", seconds=9))
        await anyio.sleep(0.5)
        executor.add(call("2", "glance", word="b"))
        executor.add(call("3", "look", word="c", seconds=1))
        executor.seal()
        await executor.wait_settled()

    bench = Bench(look, glance, passes=Passes(hedge=True), durations=durations).run(body)
    twice = [
        (each.steps, round(each.ts, 6)) for each in bench.events if isinstance(each, PassApplied)
    ]
    assert twice == [(("2",), 0.62), (("1",), 1.2)]


# -- all ---------------------------------------------------------------------------------------


def test_with_every_pass_off_nothing_is_changed() -> None:
    plan = lines('look("a")', 'look("a")', "letters()", "find(each $3)", join="join($1)")
    seen = play(plan, tools=[look, letters, bulky()], passes=OFF)
    assert sorted(calls) == ["a", "a", "a", "b", "c"]
    assert seen.of(PassApplied) == []
