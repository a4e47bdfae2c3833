"""How far a run is from its ideal: the critical path of tokens and tools, and nothing else.

    python benchmarks/orchestration.py [--repeat N] [--json]

Rows 1 to 5 run the whole loop (planner, reader, check, frontier, executor, joiner, events) on a
model that writes its chunks at fixed times, as a server does. Rows 6 and 7 put tasks through
check, frontier, executor and events and compare with a bare anyio task group that makes the same
calls under the same time limits, in the same process, one right after the other. Every figure is
the median of the repeats. Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import anyio

from llmcompiler import Agent, Task, Tool, Toolbox, tool
from llmcompiler.draft import Draft
from llmcompiler.events import Emitter, Event
from llmcompiler.executor import Executor
from llmcompiler.messages import Delta, Finished, Prompt, Sampling, TextDelta, Usage
from llmcompiler.plan import Ref, TaskId
from llmcompiler.toolbox import Progress, RunContext


class PacedLLM:
    """Writes the k-th chunk of each reply `k * pace` seconds after it was asked."""

    name = "paced"

    def __init__(self, replies: Sequence[Sequence[str]], pace: float) -> None:
        self._replies = list(replies)
        self._pace = pace

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        begun = anyio.current_time()
        for number, chunk in enumerate(self._replies.pop(0), 1):
            if self._pace:
                await anyio.sleep_until(begun + number * self._pace)
            yield TextDelta(chunk)
        yield Finished("stop", Usage(model_calls=1))

    async def aclose(self) -> None:
        pass


def in_chunks(text: str, count: int) -> list[str]:
    """Cut a text into `count` pieces of about one length."""
    cuts = [round(i * len(text) / count) for i in range(count + 1)]
    return [text[a:b] for a, b in pairwise(cuts)]


def chunk_of(chunks: Sequence[str], text: str) -> int:
    """The number of the chunk in which `text` is complete."""
    seen = ""
    for number, chunk in enumerate(chunks, 1):
        seen += chunk
        if text in seen:
            return number
    raise AssertionError(text)


@dataclass(frozen=True)
class Case:
    """One row: what the model writes, how fast, with which tools, and the ideal in seconds."""

    name: str
    plan: Sequence[str]
    answer: Sequence[str]
    pace: float
    tools: Sequence[Tool[..., Any]]
    ideal: float
    target: str


def sleeper(name: str, seconds: float) -> Tool[..., Any]:
    @tool(name=name)
    async def sleep(query: str = "", parts: list[str] | None = None) -> str:
        """Take its time."""
        if seconds:
            await anyio.sleep(seconds)
        return f"{query}."  # no two calls of a chain are the same

    return sleep


def cases() -> list[Case]:
    answer = in_chunks("Answer: the second of the four is the largest of them all.", 12)
    lines = [f'{n}. search(query="what is known of subject number {n}")\n' for n in range(1, 5)]
    ending = f"5. combine(parts=[$1, $2, $3, $4])\nThought: {'that is all there is to do ' * 4}\n6. join()"
    four = in_chunks("".join(lines), 36) + in_chunks(ending, 39)
    thought = f"Thought: {'the rest of this is only thinking aloud ' * 5}\n"
    writing = f'1. search(query="a")\n2. combine(parts=[$1])\n{thought}3. join()'
    late = in_chunks(writing, 100)
    chain = '1. search(query="a")\n' + "".join(
        f"{n}. search(query=$%d)\n" % (n - 1) for n in range(2, 9)
    )
    burst = "".join(f'{n}. search(query="subject number {n}")\n' for n in range(1, 51))
    first = chunk_of(late, '1. search(query="a")\n')
    written = chunk_of(late, "3. join()")
    ready = max(first * 0.010 + 0.3, chunk_of(late, "2. combine(parts=[$1])\n") * 0.010)
    fast = max(ready + 0.5, written * 0.010)
    return [
        Case(
            "4 searches of 0.5 s and one that needs them, 10 ms a chunk",
            four,
            answer,
            0.010,
            [sleeper("search", 0.5), sleeper("combine", 0.5)],
            36 * 0.010 + 0.5 + 0.5 + len(answer) * 0.010,
            "<= 1.02",
        ),
        Case(
            "the same with everything at zero cost",
            four,
            answer,
            0.0,
            [sleeper("search", 0.0), sleeper("combine", 0.0)],
            0.0,
            "<= 5 ms",
        ),
        Case(
            "a dependency becomes ready while the planner is still writing",
            late,
            answer,
            0.010,
            [sleeper("search", 0.3), sleeper("combine", 0.5)],
            fast + len(answer) * 0.010,
            "<= 1.02",
        ),
        Case(
            "a chain of 8 tools of 25 ms",
            [chain + "9. join()"],
            ["Answer: done."],
            0.0,
            [sleeper("search", 0.025)],
            8 * 0.025,
            "<= 1.05",
        ),
        Case(
            "50 tools of 100 ms in a burst of 354 chunks",
            in_chunks(burst + "51. join()", 354),
            ["Answer: done."],
            0.0,
            [sleeper("search", 0.1)],
            0.1,
            "<= 1.10",
        ),
    ]


async def run_case(case: Case) -> float:
    agent = Agent(PacedLLM([case.plan, case.answer], case.pace), tools=case.tools)
    begun = time.perf_counter()
    result = await agent.run("Which is the largest?")
    seconds = time.perf_counter() - begun
    assert all(step.outcome.status == "ok" for step in result.steps), result.steps
    return seconds


# -- tasks against a bare task group ---------------------------------------------------------------


@tool
async def nop(x: int) -> int:
    """Count on: no two calls of a chain are the same."""
    return x + 1


def no_context(step: TaskId, progress: Progress) -> RunContext[Any]:
    raise AssertionError("no tool here asks for a context")


def abreast(count: int) -> list[Task]:
    return [Task(TaskId(str(n)), "nop", {"x": n}) for n in range(1, count + 1)]


def in_a_chain(count: int) -> list[Task]:
    first = Task(TaskId("1"), "nop", {"x": 1})
    rest = (
        Task(TaskId(str(n)), "nop", {"x": Ref(TaskId(str(n - 1)))}) for n in range(2, count + 1)
    )
    return [first, *rest]


async def through_the_runtime(tasks: Sequence[Task]) -> float:
    seen: list[Event] = []
    toolbox = Toolbox([nop])
    begun = time.perf_counter()
    emitter = Emitter("bench", anyio.current_time, [seen.append])
    async with Executor(toolbox, emitter, no_context) as executor:
        draft = Draft(toolbox, emitter, executor)
        for task in tasks:
            draft.read(task, "")
        draft.join(None)
        await executor.wait_settled()
    seconds = time.perf_counter() - begun
    assert len(executor.observations) == len(tasks)
    assert len(seen) == 3 * len(tasks) + 1
    return seconds


async def bare_abreast(count: int) -> float:
    async def one(x: int) -> None:
        with anyio.fail_after(60):
            await nop.fn(x)

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        for n in range(count):
            group.start_soon(one, n)
    return time.perf_counter() - begun


async def bare_chain(count: int) -> float:
    async def link(left: int) -> None:
        with anyio.fail_after(60):
            await nop.fn(left)
        if left > 1:
            group.start_soon(link, left - 1)

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        group.start_soon(link, count)
    return time.perf_counter() - begun


async def median(measure: Callable[[], Awaitable[float]], repeat: int) -> float:
    values = []
    for _ in range(repeat):
        gc.collect()
        values.append(await measure())
    return statistics.median(values)


async def measure_all(repeat: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for case in cases():
        await run_case(case)  # imports and caches are warm before the clock counts
        seconds = await median(partial(run_case, case), repeat)
        over = seconds / case.ideal if case.ideal else None
        shown = f"{over:.3f}" if over else f"{seconds * 1e3:.1f} ms"
        rows.append(
            {
                "case": case.name,
                "seconds": seconds,
                "ideal": case.ideal,
                "ratio": over,
                "shown": shown,
                "target": case.target,
            }
        )
    for name, tasks, bare, count in (
        ("10,000 tasks abreast", abreast(10_000), bare_abreast, 10_000),
        ("a chain of 2,000 tasks", in_a_chain(2_000), bare_chain, 2_000),
    ):
        ours = await median(partial(through_the_runtime, tasks), repeat)
        theirs = await median(partial(bare, count), repeat)
        rows.append(
            {
                "case": name,
                "seconds": ours,
                "ideal": theirs,
                "ratio": ours / theirs,
                "shown": f"{ours / theirs:.2f}x bare ({ours / count * 1e6:.0f} µs a task)",
                "target": "<= 3x",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=7, help="runs of each row (default 7)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = anyio.run(measure_all, options.repeat)
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
        return
    print(
        f"Python {platform.python_version()}, anyio, {platform.machine()}, {options.repeat} repeats\n"
    )
    print(f"{'case':64} {'time':>10} {'ideal':>10}  {'over the ideal':28} target")
    for row in rows:
        print(
            f"{row['case']:64} {row['seconds']:9.4f}s {row['ideal']:9.4f}s  "
            f"{row['shown']:28} {row['target']}"
        )


if __name__ == "__main__":
    main()
