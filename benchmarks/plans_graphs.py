"""Which public graphs are run as plans of stand-in tools, and what is their optimum?

It does not know how they are measured. Every step sleeps for its duration, and names what it needs in
`after`. Durations are multiples of 2**-20 (costs of DAGbench are rounded to them, seconds of AsyncHow
divided by 1,024), so that sums of them are exact, and a virtual clock can be held to them exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import anyio

from benchmarks.plans_data import records
from benchmarks.plans_lists import longest_path
from llmcompiler import Plan, Task, Tool, Toolbox
from llmcompiler.plan import Ref, TaskId

__all__ = ["Workload", "asynchow", "dagbench", "worfbench"]

_FINE = 2.0**-20
_ASYNCHOW = 2.0**-10
_NODE = re.compile(r"^\s*(\d+)\s*[:.]", re.MULTILINE)
_EDGE = re.compile(r"\(\s*(\w+)\s*,\s*(\w+)\s*\)")


@dataclass(frozen=True, slots=True)
class Workload:
    """A graph of steps, in an order in which each comes after what it needs.

    `seconds` holds how long each step takes, `needs` the positions of those it waits for, `optimum`
    the makespan on any number of workers, as published where it is, else the longest path.
    """

    name: str
    seconds: tuple[float, ...]
    needs: tuple[tuple[int, ...], ...]
    optimum: float

    @property
    def edges(self) -> frozenset[tuple[TaskId, TaskId]]:
        """Pairs of the needed step and the one that needs it, by their ids in the plan."""
        return frozenset(
            (_id(need), _id(step)) for step, needed in enumerate(self.needs) for need in needed
        )

    @property
    def plan(self) -> Plan:
        """The graph as a plan: ``3. takes_300(step="3", after=[$1, $2])``."""
        names = self._names
        return Plan(
            tuple(
                Task(
                    _id(step),
                    names[self.seconds[step]],
                    {"step": str(_id(step)), "after": [Ref(_id(need)) for need in needed]},
                )
                for step, needed in enumerate(self.needs)
            )
        )

    @property
    def tools(self) -> Toolbox:
        """Stand-in tools, one for each duration that occurs."""
        return Toolbox([_sleeper(name, seconds) for seconds, name in self._names.items()])

    @property
    def durations(self) -> dict[str, float]:
        """What each of the tools takes, in seconds."""
        return {name: seconds for seconds, name in self._names.items()}

    @property
    def _names(self) -> Mapping[float, str]:
        return {one: f"takes_{n}" for n, one in enumerate(sorted(set(self.seconds)), 1)}

    def lasting(self, seconds: float) -> Workload:
        """Return the same with all durations scaled, so that the longest path is `seconds`."""
        factor = seconds / self.optimum
        return Workload(self.name, tuple(own * factor for own in self.seconds), self.needs, seconds)


def asynchow() -> list[Workload]:
    """Return the AsyncHow structures, each twice: at the low and the high end of its durations."""
    return [
        _workload(
            f"{each['id']} {end}",
            {name: ends[at] * _ASYNCHOW for name, ends in each["duration_s"].items()},
            [(str(before), str(after)) for before, after in each["edges"]],
            each["gold_makespan_s"][at] * _ASYNCHOW,
        )
        for each in records("dag_workloads/asynchow_structures.jsonl")
        for at, end in enumerate(("low", "high"))
    ]


def dagbench() -> list[Workload]:
    """Return the graphs of DAGbench; a cost is taken as seconds."""
    return [
        _workload(
            each["id"],
            {task["name"]: round(task["cost"] / _FINE) * _FINE for task in each["tasks"]},
            [(edge["source"], edge["target"]) for edge in each["dependencies"]],
        )
        for each in records("dag_workloads/dagbench.jsonl")
    ]


def worfbench() -> list[Workload]:
    """Return the structures of WorFBench's gold plans, every step lasting a second."""
    found: list[Workload] = []
    for each in records("worfbench/toolalpaca.jsonl.gz"):
        gold = each["conversations"][-1]["content"]
        nodes, _, edges = gold.partition("Edge")
        inner = [pair for pair in _EDGE.findall(edges) if not {"START", "END"} & set(pair)]
        found.append(_workload(each["id"], dict.fromkeys(_NODE.findall(nodes), 1.0), inner))
    return found


def _workload(
    name: str,
    seconds: Mapping[str, float],
    edges: Iterable[tuple[str, str]],
    optimum: float | None = None,
) -> Workload:
    """Number the steps so that each comes after what it needs, else in the order given."""
    needed: dict[str, set[str]] = {step: set() for step in seconds}
    for before, after in edges:
        needed[after].add(before)
    order = _in_order(needed)
    place = {step: at for at, step in enumerate(order)}
    needs = tuple(tuple(sorted(place[need] for need in needed[step])) for step in order)
    durations = tuple(seconds[step] for step in order)
    longest = longest_path(durations, needs)
    return Workload(name, durations, needs, longest if optimum is None else optimum)


def _in_order(needed: Mapping[str, set[str]]) -> Sequence[str]:
    names = list(needed)
    place = {name: at for at, name in enumerate(names)}
    missing = {name: len(needs) for name, needs in needed.items()}
    ready = [place[name] for name, count in missing.items() if not count]
    heapify(ready)
    order: list[str] = []
    while ready:
        name = names[heappop(ready)]
        order.append(name)
        for reader, needs in needed.items():
            if name in needs:
                missing[reader] -= 1
                if not missing[reader]:
                    heappush(ready, place[reader])
    if len(order) < len(names):
        raise ValueError("the steps wait for each other in a circle")
    return order


def _id(position: int) -> TaskId:
    return TaskId(str(position + 1))


_PARAMETERS = {
    "type": "object",
    "properties": {
        "step": {"type": "string"},
        "after": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["step", "after"],
}


def _sleeper(name: str, seconds: float) -> Tool[..., Any]:
    async def sleep(step: str, after: list[str]) -> str:
        if seconds:
            await anyio.sleep(seconds)
        return step

    return Tool(
        fn=sleep,
        name=name,
        description="Take its time.",
        parameters=_PARAMETERS,
        returns={"type": "string"},
        timeout=None,
        is_async=True,
    )
