"""How many calls do the passes save on a stated workload, and what do they cost for each step?

It does not know how a pass works: it counts what tools were called, and reads the clock. A call of a
bulk form counts as one.
"""

from __future__ import annotations

import gc
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio

from benchmarks.plans_agent import EVERYTHING, NOTHING, agent_for
from benchmarks.plans_table import Row, Say
from llmcompiler import Plan, Task, Toolbox, tool
from llmcompiler.passes import Passes
from llmcompiler.plan import Ref, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual

__all__ = ["Counted", "calls", "calls_made", "cost", "requests", "shop"]

REQUESTS: Final = 20
PLANS: Final = 5  # of a request: one and four replans
_PRODUCTS = [f"product {rank}" for rank in range(1, 31)]
_OFTEN = [1 / rank for rank in range(1, 31)]  # Zipf: the second is asked for half as often


class Counted:
    """Counts calls of tools, by name; a call of a bulk form is one."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def one(self, name: str) -> None:
        """Take in a call."""
        self.calls[name] = self.calls.get(name, 0) + 1

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.calls.values())


def shop(counted: Counted) -> Toolbox:
    """Return the tools of the workload: prices in bulk, reviews one by one, weights that never change."""

    async def prices(product: list[str]) -> list[float]:
        counted.one("price")
        await anyio.sleep(0.1)
        return [float(len(each)) for each in product]

    @tool(bulk=prices)
    async def price(product: str) -> float:
        """Look up what a product costs."""
        counted.one("price")
        await anyio.sleep(0.1)
        return float(len(product))

    @tool
    async def review(product: str) -> str:
        """Look up what is said of a product."""
        counted.one("review")
        await anyio.sleep(0.1)
        return f"{product} is good"

    @tool(pure=True)
    async def weight(product: str) -> int:
        """Look up what a product weighs."""
        counted.one("weight")
        await anyio.sleep(0.1)
        return len(product)

    @tool
    async def compare(left: float, right: float, note: str) -> float:
        """Compare two prices."""
        counted.one("compare")
        await anyio.sleep(0.1)
        return left - right

    return Toolbox([price, review, weight, compare])


def requests(seed: int = 0) -> list[list[str]]:
    """Return what the model writes: for each request five plans of ten steps, then an answer.

    A plan asks for four prices, two reviews and two weights of products drawn by Zipf's law, and
    compares the first two prices twice; nothing reads the second comparison, and join() names the
    other steps. So calls are repeated within a plan, between the plans of a request and between
    requests.
    """
    draw = random.Random(seed)
    said: list[list[str]] = []
    for _ in range(REQUESTS):
        turns: list[str] = []
        for number in range(PLANS):
            first = 10 * number + 1
            chosen = draw.choices(_PRODUCTS, _OFTEN, k=8)
            tools = ["price"] * 4 + ["review"] * 2 + ["weight"] * 2
            lines = [
                f'{line}. {name}(product="{product}")'
                for line, (name, product) in enumerate(zip(tools, chosen, strict=True), first)
            ]
            lines += [
                f'{line}. compare(left=${first}, right=${first + 1}, note="{note} {number}")'
                for line, note in ((first + 8, "read"), (first + 9, "unread"))
            ]
            named = ", ".join(f"${line}" for line in range(first, first + 9))
            reason = "Replan: there is more to know.\n" if number else ""
            turns.append(f"{reason}{chr(10).join(lines)}\n{first + 10}. join({named})")
        said.append([*turns, "Answer: all is known."])
    return said


def calls_made(passes: Passes, memory: Path | None = None) -> Counted:
    """Run the whole workload in virtual time and return which calls were made.

    `memory` is where results of pure tools are kept between the requests.
    """
    counted = Counted()

    async def run() -> None:
        tools = shop(counted)
        for turns in requests():
            model = ScriptedLLM(turns)
            async with agent_for(
                tools, passes=passes, model=model, replans=PLANS - 1, cache=memory
            ) as agent:
                result = await agent.run("What is there to know of these products?")
            assert all(step.outcome.status in ("ok", "skipped") for step in result.steps), result

    run_virtual(run)
    return counted


def calls(say: Say, repeat: int) -> Iterator[Row]:
    """The saving in calls: 100 plans of 10 steps over 30 products, all passes, and each alone.

    Hedging is off, as it is by default: it makes calls to save time.
    """
    plain = calls_made(NOTHING)
    with tempfile.TemporaryDirectory() as folder:
        saved = calls_made(Passes(), Path(folder) / "all.db")
        alone = {
            name: calls_made(NOTHING.switched(on=[name]), Path(folder) / f"{name}.db").total
            for name in ("merge", "cache", "drop", "bulk")
        }
    yield Row(
        "calls saved on 100 plans of 10 steps over 30 products, all passes",
        100 * (1 - saved.total / plain.total),
        "%",
        note=f"{plain.total:,} calls become {saved.total:,}; alone: "
        + ", ".join(f"{name} {plain.total - count:,}" for name, count in alone.items()),
        details={"plain": plain.calls, "all": saved.calls, "alone": alone},
    )


# -- what they cost --------------------------------------------------------------------------------


@tool
async def read(x: int) -> int:
    """Count on."""
    return x + 1


@tool(pure=True)
async def work_out(x: int) -> int:
    """Count on, always the same way."""
    return x + 1


def _abreast(name: str, count: int) -> Plan:
    return Plan(tuple(Task(TaskId(str(n)), name, {"x": n}) for n in range(1, count + 1)))


def _in_a_chain(name: str, count: int) -> Plan:
    first = Task(TaskId("1"), name, {"x": 1})
    rest = (Task(TaskId(str(n)), name, {"x": Ref(TaskId(str(n - 1)))}) for n in range(2, count + 1))
    return Plan((first, *rest))


async def _seconds(plan: Plan, passes: Passes, memory: Path | None) -> float:
    tools = Toolbox([read, work_out])
    async with agent_for(tools, workers=128, passes=passes, cache=memory) as agent:
        gc.collect()
        begun = time.process_time()
        result = await agent.execute(plan)
        seconds = time.process_time() - begun
    assert all(step.outcome.status == "ok" for step in result.steps)
    return seconds


async def _both(plan: Plan, passes: Passes, kept: bool, repeat: int) -> tuple[float, float]:
    """Return the median CPU seconds with every pass off and with `passes`, in turn."""
    off: list[float] = []
    on: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeat + 1):
            memory = Path(folder) / f"{number}.db" if kept else None
            off.append(await _seconds(plan, NOTHING, None))
            on.append(await _seconds(plan, passes, memory))
    return statistics.median(off[1:]), statistics.median(on[1:])  # the first of each warms up


def cost(say: Say, repeat: int) -> Iterator[Row]:
    """What the passes cost for each step in CPU time, on plans in which they find nothing to do."""
    abreast, chain = "10,000 steps abreast", "a chain of 2,000"
    usual = Passes()
    for name, plan, passes, kept in (
        (abreast, _abreast("read", 10_000), usual, False),
        (chain, _in_a_chain("read", 2_000), usual, False),
        (f"{abreast}, pure and kept on disk", _abreast("work_out", 10_000), usual, True),
        (f"{chain}, pure and kept on disk", _in_a_chain("work_out", 2_000), usual, True),
        (f"{abreast}, hedging too", _abreast("read", 10_000), EVERYTHING, False),
        (f"{chain}, hedging too", _in_a_chain("read", 2_000), EVERYTHING, False),
    ):
        off, on = anyio.run(_both, plan, passes, kept, repeat)
        count = len(plan)
        yield Row(
            f"cost of all passes, {name}",
            (on - off) / count * 1e6,
            "µs a step",
            "<=",
            100,
            f"CPU time: {off / count * 1e6:.0f} µs become {on / count * 1e6:.0f}, "
            f"median of {repeat}",
        )
