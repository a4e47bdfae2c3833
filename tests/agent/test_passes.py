"""What each pass saves, that it changes no result, what it tells, and that it can be switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from llmcompiler import Limits, tool
from llmcompiler.events import PassApplied, StepFinished, StepStarted
from llmcompiler.passes import Passes
from llmcompiler.plan import Failed, Ok
from llmcompiler.testing import Reply
from llmcompiler.toolbox import Tool
from tests.agent.passing import lines, play
from tests.agent.scenario import calls


@tool
async def look(word: str, seconds: float = 1.0) -> str:
    """Look a word up."""
    calls.append(word)
    await anyio.sleep(seconds)
    if word == "ghost":
        raise ValueError("there is none")
    return word.upper()


@tool
async def words() -> list[str]:
    """Return words."""
    return ["a", "b", "a", "a"]


@tool(effects="write")
async def note(text: str) -> str:
    """Write a text down."""
    calls.append(f"note {text}")
    await anyio.sleep(1)
    return "noted"


@tool(effects="write", resource="book")
async def enter(text: str) -> str:
    """Write into the book."""
    calls.append(f"enter {text}")
    return "entered"


@tool(resource="book")
async def read(page: int) -> str:
    """Read in the book."""
    calls.append(f"read {page}")
    return f"page {page}"


@tool(pure=True)
async def square(x: int) -> int:
    """Return the square."""
    calls.append(f"square {x}")
    return x * x


# -- merge -------------------------------------------------------------------------------------


def test_equal_reads_are_made_once_and_every_step_has_its_result() -> None:
    plan = lines('look("a")', 'look("b")', 'look("a")', 'look("a")')
    seen = play(plan, tools=[look])
    assert calls == ["a", "b"]
    assert [seen.result[step] for step in "1234"] == [Ok("A"), Ok("B"), Ok("A"), Ok("A")]
    assert seen.passes("merge") == [(("3",), 1), (("4",), 1)]
    assert seen.ends == dict.fromkeys("1234", 1.0)


def test_every_step_that_was_merged_has_a_beginning_and_an_end_of_its_own() -> None:
    seen = play(lines('look("a")', 'look("a")'), tools=[look])
    assert [event.step for event in seen.of(StepStarted)] == ["1", "2"]
    assert [event.step for event in seen.of(StepFinished)] == ["1", "2"]


def test_with_merge_off_every_call_is_made() -> None:
    seen = play(lines('look("a")', 'look("a")'), tools=[look], passes=Passes(merge=False))
    assert calls == ["a", "a"]
    assert seen.of(PassApplied) == []


def test_a_call_that_was_made_in_an_earlier_plan_is_not_made_again() -> None:
    seen = play(lines('look("a")'), 'Replan: more\n2. look("a")\n3. join()', tools=[look])
    assert calls == ["a"]
    assert seen.result["2"] == Ok("A")


def test_elements_of_a_fan_out_that_are_the_same_are_one_call() -> None:
    seen = play(lines("words()", "look(each $1)"), tools=[words, look])
    assert calls == ["a", "b"]
    assert seen.result["2"] == Ok(["A", "B", "A", "A"])
    assert sum(saved for _, saved in seen.passes("merge")) == 2


def test_a_failure_is_shared_by_those_that_waited_for_the_call() -> None:
    seen = play(lines('look("ghost")', 'look("ghost")'), tools=[look])
    assert calls == ["ghost"]
    assert seen.result["1"] == seen.result["2"]
    assert isinstance(seen.result["1"], Failed)


def test_calls_that_write_are_never_merged_not_even_where_that_would_do_no_harm() -> None:
    @tool(effects="write", idempotent=True)
    async def put(text: str) -> str:
        """Put."""
        calls.append(text)
        return text

    play(lines('put("x")', 'put("x")', 'note("y")', 'note("y")'), tools=[put, note])
    assert sorted(calls) == ["note y", "note y", "x", "x"]


def test_a_read_is_made_again_after_a_write_that_may_have_changed_it() -> None:
    plan = lines("read(1)", 'enter("x")', "read(1)", "square(2)")
    seen = play(plan, "Replan: again\n5. square(2)\n6. join()", tools=[read, enter, square])
    assert [call for call in calls if "square" not in call] == ["read 1", "enter x", "read 1"]
    assert calls.count("square 2") == 1
    assert seen.passes("merge") == [(("5",), 1)]


def test_one_that_follows_begins_when_the_call_does_not_before() -> None:
    plan = lines('look("x")', 'look("a")', 'look("a")')
    seen = play(plan, tools=[look], limits=Limits(concurrency=1, mends=0))
    assert seen.starts == {"1": 0.0, "2": 1.0, "3": 1.0}


# -- cache -------------------------------------------------------------------------------------


def test_results_of_pure_tools_are_there_in_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "recall.sqlite"
    plan = lines("square(3)", 'look("a")')
    play(plan, tools=[square, look], cache=file)
    seen = play(plan, tools=[square, look], cache=file)
    assert calls == ["square 3", "a", "a"]
    assert seen.result["1"] == Ok(9)
    assert seen.passes("cache") == [(("1",), 1)]


def test_another_version_of_a_tool_has_other_results(tmp_path: Path) -> None:
    def versioned(version: str) -> Tool[..., Any]:
        @tool(pure=True, version=version)
        async def cube(x: int) -> int:
            """Return the cube."""
            calls.append(version)
            return x**3

        return cube

    for version in ("1", "2", "1"):
        play(lines("cube(3)"), tools=[versioned(version)], cache=tmp_path / "recall.sqlite")
    assert calls == ["1", "2"]


def test_with_cache_off_nothing_is_read_or_kept(tmp_path: Path) -> None:
    file = tmp_path / "recall.sqlite"
    for passes in (Passes(cache=False), None, Passes(cache=False)):
        play(lines("square(3)"), tools=[square], cache=file, passes=passes)
    assert calls == ["square 3"] * 3


def test_what_a_fallback_gave_is_not_kept_as_the_tools_own(tmp_path: Path) -> None:
    broken = [True, False]

    @tool(pure=True)
    async def rough(x: int) -> int:
        """Guess."""
        return 0

    @tool(pure=True, fallback="rough")
    async def exact(x: int) -> int:
        """Compute."""
        if broken.pop(0):
            raise OSError("down")
        return x

    file = tmp_path / "recall.sqlite"
    assert play(lines("exact(3)"), tools=[exact, rough], cache=file).result["1"] == Ok(0)
    assert play(lines("exact(3)"), tools=[exact, rough], cache=file).result["1"] == Ok(3)


# -- drop --------------------------------------------------------------------------------------


def test_steps_that_nobody_reads_are_not_run() -> None:
    plan = lines(
        'look("a")', "look(word=$1)", 'look("c", seconds=5)', "look(word=$3)", join="join($2)"
    )
    seen = play(plan, tools=[look])
    assert calls == ["a", "A"]
    assert seen.passes("drop") == [(("3", "4"), 2)]
    assert seen.ends["2"] == 2.0


def test_what_has_started_runs_to_its_end() -> None:
    seen = play(
        Reply(chunks=('1. look("a")\n2. look("b", 9)\n3. look(word=$2)\n', "4. join($1)")),
        tools=[look],
        delay=0.5,
    )
    assert sorted(calls) == ["a", "b"]
    assert seen.passes("drop") == [(("3",), 1)]
    assert seen.result["2"] == Ok("B")


def test_what_writes_is_not_dropped_nor_what_it_needs() -> None:
    plan = lines('look("a")', "note(text=$1)", 'look("b")', join="join($3)")
    seen = play(plan, tools=[look, note])
    assert sorted(calls) == ["a", "b", "note A"]
    assert seen.passes("drop") == []


def test_join_without_names_reads_everything() -> None:
    assert play(lines('look("a")', 'look("b")'), tools=[look]).passes("drop") == []


def test_with_drop_off_every_step_is_run() -> None:
    plan = lines('look("a")', 'look("b")', join="join($1)")
    seen = play(plan, tools=[look], passes=Passes(drop=False))
    assert sorted(calls) == ["a", "b"]
    assert seen.of(PassApplied) == []


def test_a_dropped_step_comes_back_when_a_later_plan_refers_to_it() -> None:
    plan = lines('look("a")', 'look("b")', "look(word=$2)", join="join($1)")
    seen = play(plan, "Replan: more\n4. look(word=$3)\n5. join($4)", tools=[look])
    assert calls == ["a", "b", "B"], "the last call is the same as one before"
    assert seen.result["3"] == seen.result["4"] == Ok("B")


def test_a_dropped_step_comes_back_when_a_later_join_names_it() -> None:
    plan = lines('look("a")', 'look("b")', join="join($1)")
    seen = play(plan, 'Replan: more\n3. look("c")\n4. join($2, $3)', tools=[look])
    assert sorted(calls) == ["a", "b", "c"]
    assert seen.result["2"] == Ok("B")


def test_a_dropped_step_of_which_another_waits_for_the_call_is_called_for_that_one() -> None:
    plan = lines('look("x")', 'look("a")', 'look("a")', join="join($1, $3)")
    seen = play(plan, tools=[look], limits=Limits(concurrency=1, mends=0))
    assert calls == ["x", "a"]
    assert seen.result["3"] == Ok("A")
    saved = sum(event.saved for event in seen.of(PassApplied))
    assert 3 - saved == len(calls)


def test_what_nobody_needed_is_skipped_in_the_end_and_said_to_be() -> None:
    seen = play(lines('look("a")', 'look("b")', join="join($1)"), tools=[look])
    assert getattr(seen.result["2"], "reason", None) == "nobody reads it"
