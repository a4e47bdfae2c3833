"""Functions in real worker processes: what they return, raise, break and leave alone."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import anyio.to_thread
import pytest

from llmcompiler import RunContext, Toolbox, tool
from llmcompiler.errors import ToolDefinitionError, ToolError
from llmcompiler.registry import load_tools
from llmcompiler.testing import run_virtual
from tests.toolbox import heavy

SECONDS = 50.0


def within(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        with anyio.fail_after(SECONDS):
            await test()

    anyio.run(run)


async def message(how: str) -> str:
    with pytest.raises(ToolError) as caught:
        await heavy.fail.invoke({"how": how})
    return str(caught.value)


def test_a_busy_function_leaves_the_loop_free_and_works_in_another_process(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    found: list[Any] = []

    async def call() -> None:
        found.append(await heavy.spin_until.invoke({"path": str(seen)}))

    async def go() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            first = await heavy.pid.invoke({})  # a whole other call, while that one spins
            assert first != os.getpid()
            assert not found
            seen.touch()
        assert found == ["seen"]
        assert await heavy.mirror.invoke({"at": {"x": 1}}) == {"x": 0, "y": 1}
        assert await heavy.decorated.invoke({}) == "as decorated"

    within(go)


def test_what_a_function_raises_there_is_raised_here() -> None:
    async def go() -> None:
        assert await message("refuse") == "there is no such thing"
        with pytest.raises(ZeroDivisionError, match="by 0"):
            await heavy.fail.invoke({"how": "break"})
        assert await message("picky") == (
            "'fail' failed in its worker process with PickyError: 1 is not 2"
        )
        assert await message("leave") == "'fail' ended its worker process with SystemExit: 3"
        assert (await message("unsendable")).startswith(
            "'fail' returned what cannot be sent back from its worker process: "
        )

    within(go)


def test_a_worker_that_dies_fails_its_call_and_not_the_next() -> None:
    async def go() -> None:
        for how in ("exit", "kill"):
            assert await message(how) == (
                "the worker process of 'fail' died before it had a result: "
                "it ended itself, was killed or ran out of memory"
            )
        first = await heavy.pid.invoke({})
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)  # while it has nothing to do
        assert await heavy.pid.invoke({}) != first

    within(go)


def test_nothing_that_is_written_there_gets_among_the_results(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def go() -> None:
        assert await heavy.chatter.invoke({}) == "nothing to read"
        assert await heavy.mirror.invoke({"at": {"x": 1}}) == {"x": 0, "y": 1}

    within(go)
    assert capfd.readouterr() == ("", "")


def test_a_call_that_is_cancelled_kills_its_worker(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    async def go() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(heavy.spin_for_ever.invoke, {"path": pipe})
            with await anyio.to_thread.run_sync(open, pipe) as file:
                assert await anyio.to_thread.run_sync(file.readline) == "begun\n"
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    assert await anyio.to_thread.run_sync(file.readline) == ""  # nobody writes
        assert await heavy.decorated.invoke({}) == "as decorated"

    within(go)


def children() -> set[str]:
    found = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return {number for numbers in found for number in numbers.split()}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_call_that_is_cancelled_while_its_worker_starts_leaves_it_to_the_next() -> None:
    async def go() -> None:
        before = children()
        with anyio.move_on_after(0.02) as scope:
            await heavy.pid.invoke({})
        assert scope.cancelled_caught
        assert str(await heavy.pid.invoke({})) in children() - before
        assert len(children() - before) == 1

    within(go)


def test_an_interrupt_from_the_terminal_is_not_taken_for_a_result() -> None:
    async def go() -> None:
        first = await heavy.pid.invoke({})
        assert isinstance(first, int)
        os.kill(first, signal.SIGINT)
        assert await heavy.mirror.invoke({"at": {"x": 1}}) == {"x": 0, "y": 1}
        assert await heavy.pid.invoke({}) == first

    within(go)


def test_calls_take_turns_where_only_one_may_work() -> None:
    found: list[Any] = []

    async def go() -> None:
        one = anyio.CapacityLimiter(1)

        async def call() -> None:
            found.append(await heavy.pid.invoke({}, processes=one))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(call)

    within(go)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_worker_is_waited_for_in_virtual_time() -> None:
    assert run_virtual(heavy.mirror.invoke, {"at": {"x": 1}}) == {"x": 0, "y": 1}


def test_a_function_of_a_tool_file_is_found_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_sums.py").write_text("ONE = 1\n")
    file = tmp_path / "sums.py"
    file.write_text(
        dedent("""
            from dataclasses import dataclass
            from neighbour_of_sums import ONE
            from llmcompiler import tool

            @dataclass
            class Sum:
                value: int

            @tool(cpu=True)
            def add(left: Sum, right: int) -> Sum:
                return Sum(left.value + right + ONE)
        """)
    )

    async def go() -> None:
        await heavy.pid.invoke({})  # the worker is there before the file is loaded
        add = load_tools([str(file)])["add"]
        assert await add.invoke({"left": {"value": 2}, "right": 3}) == {"value": 6}

    within(go)


MAIN = """
import anyio
from dataclasses import dataclass
from llmcompiler import tool
from llmcompiler.errors import ToolError

@dataclass
class Sum:
    value: int

class OwnError(Exception):
    pass

@tool(cpu=True)
def add(left: Sum, right: int) -> Sum:
    if right < 0:
        raise OwnError("below 0")
    return Sum(left.value + right)

async def main():
    print(await add.invoke({"left": {"value": 2}, "right": 3}))
    try:
        await add.invoke({"left": {"value": 2}, "right": -1})
    except OwnError as error:
        print("raised:", error)

def start():
    try:
        anyio.run(main)
    except ToolError as error:
        print("refused:", error)
"""


def run_script(file: Path, code: str) -> str:
    file.write_text(code)
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, check=True, timeout=SECONDS
    )
    return done.stdout + done.stderr


def test_a_function_of_the_main_script_is_found_there(tmp_path: Path) -> None:
    said = run_script(tmp_path / "main.py", f"{MAIN}\nif __name__ == '__main__':\n    start()\n")
    assert said == "{'value': 5}\nraised: below 0\n"


def test_a_main_script_that_would_start_again_in_a_worker_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    assert run_script(file, f"{MAIN}\nstart()\n") == (
        "refused: no worker process could be started for 'add': ConfigurationError: a worker "
        f"process that only loads {str(file)!r} would start it a second time: put what starts "
        "a run behind if __name__ == '__main__':\n"
    )


# -- what a worker could not find again ---------------------------------------------------------


def top(x: int) -> int:
    return x


def test_a_function_that_a_worker_cannot_find_again_is_refused() -> None:
    def inner(x: int) -> int:
        return x

    for function in (inner, lambda x: x):
        with pytest.raises(ToolDefinitionError, match="defined at the top level of its module"):
            tool(cpu=True, name="work")(function)
    with pytest.raises(ToolDefinitionError, match="it must be a plain function"):
        tool(cpu=True, name="work")(functools.partial(top, 1))
    made: dict[str, Any] = {"__name__": "nowhere"}
    exec("def work(x: int) -> int: return x", made)
    with pytest.raises(ToolDefinitionError, match="it must stand in a file"):
        tool(cpu=True)(made["work"])
    assert tool(cpu=True)(top).cpu


def test_a_function_behind_the_name_of_another_is_refused() -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        Toolbox([heavy.wrapped])
    assert str(caught.value) == (
        "the function 'wrapped' cannot be a tool: a worker process cannot find it again: 'plain' "
        "in the module 'tests.toolbox.heavy' is something else; give the function its own name "
        "there"
    )
    with pytest.raises(ToolDefinitionError, match="is something else"):
        anyio.run(heavy.wrapped.invoke, {})
    assert list(Toolbox([heavy.decorated])) == ["decorated"]


def test_only_a_plain_function_of_its_arguments_goes_to_another_process() -> None:
    async def waits(x: int) -> int:
        return x

    def asks(context: RunContext[Any], x: int) -> int:
        return x

    with pytest.raises(ToolDefinitionError, match="write it without async"):
        tool(cpu=True)(waits)
    with pytest.raises(ToolDefinitionError, match="where there is no RunContext"):
        tool(cpu=True)(asks)
    with pytest.raises(ToolDefinitionError, match="cpu=True and bulk do not go together"):
        tool(cpu=True, bulk=top)(top)
