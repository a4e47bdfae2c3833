"""Ranks against the longest path found by brute force; the queue against a plain sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.passes import Ranks, Ready
from llmcompiler.plan import Ref, Task, TaskId

USUAL: dict[str, float] = {"fast": 0.25, "slow": 2.0, "none": 0.0, "odd": 0.1}


def _task(name: object, *needs: object, tool: str = "slow") -> Task:
    args = {f"a{at}": Ref(TaskId(str(need))) for at, need in enumerate(needs)}
    return Task(TaskId(str(name)), tool, args)


def _key(name: object) -> TaskId:
    return TaskId(str(name))


def _longest(
    tasks: dict[TaskId, Task], met: set[str], usual: Callable[[str], float | None]
) -> dict[TaskId, float]:
    """Return the rank of every task without an outcome, by following every path."""
    durations = {tool: usual(tool) for tool in met}
    known = [duration for duration in durations.values() if duration is not None]
    guess = sum(known) / len(known) if known else 1.0

    def path(task: Task) -> float:
        duration = durations[task.tool]
        below = [path(other) for other in tasks.values() if task.id in other.needs]
        return (guess if duration is None else duration) + max(below, default=0.0)

    return {key: path(task) for key, task in tasks.items()}


def _close(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9


class Add(NamedTuple):
    number: int
    tool: str
    needs: tuple[int, ...]


class Change(NamedTuple):
    """What happens to a task, chosen among those there are."""

    what: str
    which: int


@st.composite
def courses(draw: st.DrawFn) -> list[Add | Change]:
    """Draw plans whose lines come in any order, mixed with outcomes and questions."""
    count = draw(st.integers(1, 10))
    tools = st.sampled_from([*USUAL, "unknown", "foreign"])
    adds = [
        Add(number, draw(tools), tuple(draw(st.sets(st.integers(0, number - 1), max_size=3))))
        if number
        else Add(0, draw(tools), ())
        for number in range(count)
    ]
    if draw(st.booleans()):
        adds = draw(st.permutations(adds))
    course: list[Add | Change] = []
    for add in adds:
        course.append(add)
        for what in draw(st.lists(st.sampled_from(["settle", "rank", "replace"]), max_size=2)):
            course.append(Change(what, draw(st.integers(0, count - 1))))
    return course


@settings(max_examples=400, deadline=None)
@given(courses())
def test_ranks_are_the_longest_paths_after_any_course(course: list[Add | Change]) -> None:
    ranks = Ranks(USUAL.get)
    tasks: dict[TaskId, Task] = {}
    met: set[str] = set()
    settled: set[int] = set()
    for step in course:
        match step:
            case Add(number, tool, needs) if number not in settled:
                task = _task(number, *needs, tool=tool)
                tasks[task.id] = task
                met.add(tool)
                ranks.add(task)
            case Change("settle", which):
                ranks.settle(_key(which))
                settled.add(which)
                tasks.pop(_key(which), None)
            case Change("replace", which) if _key(which) in tasks:
                task = _task(which, *(key for key in range(which) if key % 2), tool="odd")
                tasks[task.id] = task
                met.add("odd")
                ranks.replace(task)
            case Change("rank", which) if _key(which) in tasks:
                expected = _longest(tasks, met, USUAL.get)[_key(which)]
                assert _close(ranks.rank(_key(which)), expected)
            case _:
                pass
    for key, expected in _longest(tasks, met, USUAL.get).items():
        assert _close(ranks.rank(key), expected)


def test_a_tool_that_is_not_known_takes_as_long_as_the_others_on_average() -> None:
    ranks = Ranks({"a": 1.0, "b": 3.0}.get)
    ranks.add(_task(1, tool="strange"))
    assert ranks.rank(_key(1)) == 1.0
    ranks.add(_task(2, tool="b"))
    assert ranks.rank(_key(1)) == 3.0
    ranks.add(_task(3, tool="a"))
    assert ranks.rank(_key(1)) == 2.0


def test_a_task_without_a_rank_has_rank_zero() -> None:
    ranks = Ranks(USUAL.get)
    ranks.add(_task(1))
    ranks.settle(_key(1))
    assert ranks.rank(_key(1)) == 0.0
    assert ranks.rank(_key(7)) == 0.0


def test_an_order_that_is_no_reference_counts_where_it_is_named() -> None:
    ranks = Ranks(USUAL.get)
    ranks.add(_task(1))
    ranks.add(_task(2), needs=[_key(1)])
    assert ranks.rank(_key(1)) == 4.0


def test_durations_are_looked_up_again_when_tasks_have_settled() -> None:
    usual = {"slow": 1.0}
    ranks = Ranks(usual.get)
    for number in range(3):
        ranks.add(_task(number, *range(number)))
    assert ranks.rank(_key(1)) == 2.0
    usual["slow"] = 5.0
    assert ranks.rank(_key(1)) == 2.0
    ranks.settle(_key(0))
    assert ranks.rank(_key(1)) == 10.0


def test_tasks_that_need_each_other_end_the_work_all_the_same() -> None:
    ranks = Ranks({"slow": 1e-9, "fast": 1e9}.get)
    ranks.add(_task(1, 2))
    ranks.add(_task(2, 1))
    ranks.add(_task(3, tool="fast"))
    assert ranks.rank(_key(3)) == 1e9
    assert ranks.rank(_key(1)) > 0


class _Counted(dict[TaskId, tuple[TaskId, ...]]):
    """Counts how often somebody's needs were read."""

    reads = 0

    def __getitem__(self, key: TaskId) -> tuple[TaskId, ...]:
        self.reads += 1
        return super().__getitem__(key)


def test_a_chain_that_comes_at_once_is_gone_through_once() -> None:
    ranks = Ranks(USUAL.get)
    counted = ranks._needs = _Counted()
    for number in range(2000):
        ranks.add(_task(number, *([number - 1] if number else [])))
    assert ranks.rank(_key(0)) == 4000.0
    assert counted.reads <= 2000
    ranks.add(_task("last", 1990))
    ranks.rank(_key(0))
    assert counted.reads <= 2002


def test_a_rise_meets_every_task_above_once() -> None:
    ranks = Ranks({"slow": 2.0, "endless": 1e6}.get)
    counted = ranks._needs = _Counted()
    for number in range(200):
        ranks.add(_task(number, *range(max(0, number - 3), number)))
    ranks.rank(_key(0))
    before = counted.reads
    ranks.add(_task("last", 199, 198, 197, tool="endless"))
    assert ranks.rank(_key(0)) == 1e6 + 400.0
    assert counted.reads == before + 201


def test_a_queue_does_bounded_work_for_a_chain_that_is_streamed() -> None:
    ranks = Ranks(USUAL.get)
    counted = ranks._needs = _Counted()
    ready: Ready[int] = Ready(ranks)
    ranks.add(_task(0))
    for number in range(1, 2001):
        ready.push(_key(0), number)
        ready.push(_key(0), number)
        ranks.add(_task(number, number - 1))
        ready.pop()
    assert counted.reads < 100 * 2000


def test_the_highest_rank_comes_first_and_ties_in_order_of_arrival() -> None:
    ranks = Ranks(USUAL.get)
    ready: Ready[str] = Ready(ranks)
    for name in ("a", "b", "c"):
        ranks.add(_task(name))
        ready.push(_key(name), name)
    ranks.add(_task("d", "b"))
    assert [ready.pop() for _ in range(4)] == ["b", "a", "c", None]


def test_of_equal_ranks_the_shortest_comes_first() -> None:
    ranks = Ranks({"long": 3.0, "half": 1.5}.get)
    ready: Ready[str] = Ready(ranks)
    for name, tool in (("a", "long"), ("b", "half"), ("c", "long")):
        ranks.add(_task(name, tool=tool))
        ready.push(_key(name), name)
    ranks.add(_task("d", "b", tool="half"))
    assert [ready.pop() for _ in range(3)] == ["b", "a", "c"]


def test_a_rank_that_rises_while_its_task_waits_is_seen() -> None:
    ranks = Ranks(USUAL.get)
    ready: Ready[str] = Ready(ranks)
    for name in ("a", "b", "c", "d"):
        ranks.add(_task(name))
        ready.push(_key(name), name)
    assert ready.pop() == "a"
    ranks.add(_task("e", "d"))
    assert ready.pop() == "d"
    ranks.add(_task("f", "c"))
    ranks.rank(_key("c"))
    assert [ready.pop(), ready.pop()] == ["c", "b"]


def test_a_rank_that_falls_while_its_task_waits_is_seen() -> None:
    ranks = Ranks(USUAL.get)
    ready: Ready[str] = Ready(ranks)
    for name in ("a", "b", "c"):
        ranks.add(_task(name))
        ready.push(_key(name), name)
    ranks.add(_task("x", "c"))
    ranks.add(_task("y", "b", "x"))
    assert ready.pop() == "c"
    ranks.settle(_key("y"))
    assert ready.pop() == "a"


def test_a_task_may_wait_in_two_queues() -> None:
    ranks = Ranks(USUAL.get)
    queues: list[Ready[str]] = [Ready(ranks), Ready(ranks)]
    for name in ("a", "b", "c", "d"):
        ranks.add(_task(name))
        for ready in queues:
            ready.push(_key(name), name)
    assert [ready.pop() for ready in queues] == ["a", "a"]
    ranks.add(_task("x", "c"))
    assert queues[0].pop() == "c"
    ranks.add(_task("y", "d"))
    ranks.add(_task("z", "y"))
    assert [ready.pop() for ready in queues] == ["d", "d"]
    assert [ready.pop() for ready in queues] == ["b", "c"]


def test_an_item_that_comes_back_may_go_before_its_equals() -> None:
    ready: Ready[str] = Ready()
    ready.push(_key(1), "1a")
    ready.push(_key(2), "2a")
    ready.push(_key(2), "2b")
    ready.push(_key(2), "2c", first=True)
    assert [ready.pop() for _ in range(4)] == ["2c", "1a", "2a", "2b"]


def test_without_ranks_it_is_a_plain_queue() -> None:
    ready: Ready[int] = Ready()
    for number in range(5):
        ready.push(_key(number), number)
    ready.discard(_key(2))
    ready.discard(_key(9))
    assert len(ready) == 4
    assert [ready.pop() for _ in range(5)] == [0, 1, 3, 4, None]


def test_where_there_is_room_for_all_no_rank_is_worked_out() -> None:
    ranks = Ranks(USUAL.get)
    counted = ranks._needs = _Counted()
    ready: Ready[int] = Ready(ranks)
    for number in range(9):
        ranks.add(_task(number))
        ready.push(_key(number), number)
    assert [ready.pop(room=9 - taken) for taken in range(9)] == list(range(9))
    assert counted.reads == 0


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "push", "pop", "need", "discard", "settle", "back"]),
            st.integers(0, 5),
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_the_queue_agrees_with_a_sort_after_any_course(
    course: list[tuple[str, int]], ordered: bool
) -> None:
    ranks = Ranks(USUAL.get)
    for name in range(6):
        ranks.add(_task(name))
    ranks._spent = -10_000  # room enough that every question is answered afresh
    ready: Ready[int] = Ready(ranks if ordered else None)
    waiting: list[tuple[TaskId, int]] = []
    for number, (what, which) in enumerate(course):
        key = _key(which)
        match what:
            case "push":
                ready.push(key, number)
                waiting.append((key, number))
            case "back":
                ready.push(key, -number, first=True)
                waiting.append((key, -number))
            case "need":
                ranks.add(
                    _task(f"n{number}", which, *(f"n{n}" for n in range(number) if n % 3 == 0))
                )
            case "settle":
                ranks.settle(_key(f"n{which * 3}"))
            case "discard":
                ready.discard(key)
                waiting = [entry for entry in waiting if entry[0] != key]
            case _:
                expected = min(
                    waiting,
                    key=lambda entry: (-ranks.rank(entry[0]) if ordered else 0.0, entry[1]),
                    default=None,
                )
                if expected is not None:
                    waiting.remove(expected)
                assert ready.pop() == (None if expected is None else expected[1])
        assert len(ready) == len(waiting)
