"""How short can a schedule on k workers be? A reference: list scheduling with known durations.

It does not know plans, agents or clocks: a workload is durations and, for each step, what it needs.
Every step comes after what it needs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

__all__ = ["best_list_schedule", "graham", "list_schedule", "longest_path", "ranks"]

_DRAWS = 20  # further orders of steps of the same rank, drawn with fixed seeds


def longest_path(seconds: Sequence[float], needs: Sequence[Sequence[int]]) -> float:
    """Return the shortest makespan on any number of workers."""
    ends: list[float] = []
    for own, needed in zip(seconds, needs, strict=True):
        ends.append(max((ends[need] for need in needed), default=0.0) + own)
    return max(ends, default=0.0)


def graham(seconds: Sequence[float], needs: Sequence[Sequence[int]], workers: int) -> float:
    """Return what no schedule that never idles a worker in vain exceeds (Graham 1969)."""
    share = 1 / workers
    return sum(seconds) * share + (1 - share) * longest_path(seconds, needs)


def ranks(seconds: Sequence[float], needs: Sequence[Sequence[int]]) -> list[float]:
    """Return for each step the longest path from its start to the end of everything."""
    found = list(seconds)
    for step in reversed(range(len(seconds))):
        for need in needs[step]:
            found[need] = max(found[need], seconds[need] + found[step])
    return found


def list_schedule(
    seconds: Sequence[float],
    needs: Sequence[Sequence[int]],
    workers: int,
    order: Sequence[tuple[float, ...]],
) -> float:
    """Return the makespan when a free worker takes the ready step that is least by `order`."""
    readers: list[list[int]] = [[] for _ in seconds]
    for step, needed in enumerate(needs):
        for need in needed:
            readers[need].append(step)
    missing = [len(set(needed)) for needed in needs]
    ready = [(order[step], step) for step, count in enumerate(missing) if not count]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, step = heappop(ready)
            heappush(running, (now + seconds[step], step))
        now, ended = heappop(running)
        over = [ended]
        while running and running[0][0] == now:
            over.append(heappop(running)[1])
        for step in over:
            for reader in set(readers[step]):
                missing[reader] -= 1
                if not missing[reader]:
                    heappush(ready, (order[reader], reader))
    return now


def best_list_schedule(
    seconds: Sequence[float], needs: Sequence[Sequence[int]], workers: int
) -> float:
    """Return the least makespan of list schedules by critical path, over several ways to break ties."""
    return min(list_schedule(seconds, needs, workers, order) for order in _orders(seconds, needs))


def _orders(
    seconds: Sequence[float], needs: Sequence[Sequence[int]]
) -> Iterator[list[tuple[float, ...]]]:
    """Yield orders by rank; equal ranks by line, backwards, short or long or wanted first, drawn."""
    rank = ranks(seconds, needs)
    steps = range(len(rank))
    readers = [sum(step in needed for needed in needs) for step in steps]
    yield [(-rank[step], step) for step in steps]
    yield [(-rank[step], -step) for step in steps]
    yield [(-rank[step], seconds[step], step) for step in steps]
    yield [(-rank[step], -seconds[step], step) for step in steps]
    yield [(-rank[step], -readers[step], step) for step in steps]
    for seed in range(_DRAWS):
        draw = random.Random(seed)
        yield [(-rank[step], draw.random()) for step in steps]
