"""Any plan over any tools: with all passes on it gives what it gives with all off, within limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.events import Emitter, Event, StepStarted
from llmcompiler.executor import Executor
from llmcompiler.passes import Durations, Passes
from llmcompiler.plan import Each, Observation, Ok, Policy, Ref, Skipped, Task, TaskId
from llmcompiler.testing import run_virtual
from llmcompiler.toolbox import Tool, Toolbox, tool
from tests.executor.bench import no_context

_NAMES = ("plain", "pure", "narrow", "book", "store", "keep", "many", "shaky", "lists")
_WRITES = frozenset({"store", "keep"})
_RESOURCES = {"book": "r", "store": "r"}
_LIMITS = {"narrow": 2, "many": 2, "spare": 1}
ON = Passes(hedge=True)
OFF = Passes(merge=False, cache=False, drop=False, bulk=False, order=False)


class World:
    """Tools whose results depend on their arguments alone, and a watch over their calls."""

    def __init__(self) -> None:
        self.made: Counter[tuple[str, int]] = Counter()
        self.exact: Counter[tuple[str, int, str]] = Counter()
        self.running: Counter[str] = Counter()
        self.order: list[str] = []
        self.tools = Toolbox([*(self._tool(name) for name in _NAMES), self._tool("spare")])

    def _tool(self, name: str) -> Tool[..., Any]:
        async def call(x: int, after: Any = None) -> Any:
            """Do something that takes its time."""
            self.exact[name, x, repr(after)] += 1
            return await self._call(name, x)

        async def together(x: list[int], after: list[Any]) -> list[Any]:
            """Do many at once."""
            self.running[name] += 1
            self._watch()
            await anyio.sleep(1)
            self.running[name] -= 1
            for each in x:
                self.made[name, each] += 1
            if sum(x) % 7 == 3:
                raise OSError("too many")
            return [ValueError("no") if each % 5 == 4 else [each] for each in x]

        return tool(
            name=name,
            effects="write" if name in _WRITES else "read",
            pure=name == "pure",
            resource=_RESOURCES.get(name),
            limit=_LIMITS.get(name),
            bulk=together if name == "many" else None,
            fallback="spare" if name == "shaky" else None,
        )(call)

    async def _call(self, name: str, x: int) -> Any:
        self.running[name] += 1
        self._watch()
        self.made[name, x] += 1
        if name == "store":
            self.order.append(f"{x}")
        try:
            await anyio.sleep(x % 3 + 0.5 if name != "plain" or x else 0.0)
        finally:
            self.running[name] -= 1
        if x % 5 == 4 or (name == "shaky" and x % 2):
            raise ValueError("no")
        return [x % 3, x, x] if name == "lists" else [x]

    def _watch(self) -> None:
        for name, most in _LIMITS.items():
            assert self.running[name] <= most
        assert sum(self.running[name] for name in _RESOURCES) <= 1


@dataclass(frozen=True)
class Shape:
    """A plan, when its lines come, what is read of it, and how many workers there are."""

    tasks: Sequence[Task]
    pauses: Sequence[float]
    joins: Sequence[TaskId] | None
    workers: int


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    count = draw(st.integers(1, 12))
    tasks: list[Task] = []
    for number in range(1, count + 1):
        name = draw(st.sampled_from(_NAMES))
        args: dict[str, Any] = {"x": draw(st.integers(0, 5)), "after": None}
        if number > 1 and draw(st.booleans()):
            need = Ref(TaskId(str(draw(st.integers(1, number - 1)))))
            if draw(st.booleans()):
                args["x"] = Each(need)
            else:
                args["after"] = need
        policy = Policy(
            effects="write" if name in _WRITES else "read", resource=_RESOURCES.get(name)
        )
        tasks.append(Task(TaskId(str(number)), name, args, policy=policy))
    names = st.sampled_from([task.id for task in tasks])
    return Shape(
        tasks,
        draw(st.lists(st.sampled_from([0.0, 0.0, 0.7]), min_size=count, max_size=count)),
        draw(st.none() | st.lists(names, min_size=1, unique=True)),
        draw(st.sampled_from([1, 2, 3, 128])),
    )


def run_shape(shape: Shape, passes: Passes) -> tuple[World, dict[TaskId, Observation], list[Event]]:
    async def main() -> tuple[World, dict[TaskId, Observation], list[Event]]:
        world, events = World(), list[Event]()
        emitter = Emitter("run", anyio.current_time, [events.append])
        durations = Durations()
        for _ in range(8):
            durations.learn("shaky", 0.6)
            durations.learn("narrow", 0.6)
        executor = Executor(
            world.tools,
            emitter,
            no_context,
            concurrency=shape.workers,
            passes=passes,
            durations=durations,
        )
        with anyio.fail_after(10_000):
            async with executor:
                for task, pause in zip(shape.tasks, shape.pauses, strict=True):
                    executor.add(task)
                    if pause:
                        await anyio.sleep(pause)
                executor.seal(joins=shape.joins)
                await executor.wait_settled()
        found = {each.task.id: each for each in executor.observations}
        assert len(found) == len(executor.observations) == len(shape.tasks)
        return world, found, events

    return run_virtual(main)


@settings(max_examples=300, deadline=None)
@given(shapes())
def test_passes_change_no_result_and_no_limit_is_passed(shape: Shape) -> None:
    _, plain, _ = run_shape(shape, OFF)
    world, found, events = run_shape(shape, ON)
    for name, observation in found.items():
        if observation.outcome != Skipped("nobody reads it"):
            _assert_alike(plain[name], observation)
    for name in shape.joins or ():
        assert found[name].outcome != Skipped("nobody reads it")
    started = [event.step for event in events if isinstance(event, StepStarted)]
    assert len(started) == len(set(started))
    for observation in found.values():
        for need in observation.task.needs:
            if observation.task.id in started:
                assert found[need].timing.end <= observation.timing.start
    for (name, x, _), times in world.exact.items():
        if name == "pure" and x % 5 != 4:
            assert times == 1, "a pure call was made twice"


@settings(max_examples=100, deadline=None)
@given(shapes())
def test_writes_are_made_as_often_as_they_are_written_and_in_that_order(shape: Shape) -> None:
    plain, _, _ = run_shape(shape, OFF)
    world, found, _ = run_shape(shape, ON)
    for name in _WRITES:
        for x in range(6):
            assert world.made[name, x] == plain.made[name, x]
    assert world.order == plain.order
    ends = [
        (found[task.id].timing.start, int(task.id))
        for task in shape.tasks
        if task.tool == "store" and isinstance(found[task.id].outcome, Ok)
    ]
    assert ends == sorted(ends, key=lambda pair: pair[1])
    assert [start for start, _ in ends] == sorted(start for start, _ in ends)


def _assert_alike(plain: Observation, found: Observation) -> None:
    one, other = plain.outcome, found.outcome
    assert type(one) is type(other), (one, other)
    if isinstance(one, Ok | Skipped):
        assert one == other or isinstance(one, Skipped)
