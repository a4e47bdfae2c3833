"""Do all gold plans read, check and run as they say, and is every plan with a mistake refused?

It does not know how gold plans and mistakes are made.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.plans_agent import Ran, agent_for, execute
from benchmarks.plans_exceptions import NESTFUL, SEAL, Refusal, refusal_of
from benchmarks.plans_gold import Gold, nestful, nestful_tools, seal, seal_tools
from benchmarks.plans_graphs import worfbench
from benchmarks.plans_mutants import KINDS, mutants
from benchmarks.plans_reading import Reading, read_checked
from benchmarks.plans_schedules import run_virtually
from benchmarks.plans_table import Row, Say
from llmcompiler import Plan, Toolbox
from llmcompiler.testing import run_virtual

__all__ = [
    "Judged",
    "Tried",
    "gold",
    "judge",
    "mutated",
    "run_all",
    "says_the_same",
    "try_mutants",
    "wrong_runs",
]

_SETS = (
    ("NESTFUL", nestful, nestful_tools, NESTFUL),
    ("Seal-Tools", seal, seal_tools, SEAL),
)


def says_the_same(reading: Reading, plan: Plan) -> bool:
    """Whether all that was written was read, and nothing else."""
    read = tuple(replace(task, line=0) for task in reading.tasks)
    return not reading.unreadable and read == plan.tasks


@dataclass(frozen=True, slots=True)
class Judged:
    """What gold plans came to: `misread` must be empty, `refused` is held against the exceptions."""

    misread: tuple[str, ...]
    refused: tuple[Refusal, ...]
    legal: tuple[tuple[Gold, Plan], ...]


def judge(plans: Iterable[Gold], tools: Toolbox, seed: int = 0) -> Judged:
    """Read each plan in random pieces and check it."""
    draw = random.Random(seed)
    misread: list[str] = []
    refused: list[Refusal] = []
    legal: list[tuple[Gold, Plan]] = []
    for each in plans:
        reading = read_checked(each.text, tools, draw)
        if not says_the_same(reading, each.plan):
            misread.append(each.name)
        elif each.flaw is None:
            refused += [refusal_of(each.name, error) for error in reading.refused]
            if not reading.refused:
                legal.append((each, reading.plan))
    return Judged(tuple(misread), tuple(refused), tuple(legal))


def run_all(plans: Sequence[Plan], tools: Toolbox) -> list[Ran]:
    """Run plans one after the other, in virtual time."""

    async def run() -> list[Ran]:
        agent = agent_for(tools)
        return [await execute(agent, plan) for plan in plans]

    return run_virtual(run)


def wrong_runs(legal: Sequence[tuple[Gold, Plan]], tools: Toolbox) -> list[str]:
    """Run plans and return the names of those that did not run as the gold says."""
    runs = run_all([plan for _, plan in legal], tools)
    return [
        gold.name
        for (gold, plan), ran in zip(legal, runs, strict=True)
        if ran.failures or ran.too_early or ran.edges != gold.edges or ran.started != len(plan)
    ]


def gold(say: Say, repeat: int) -> Iterator[Row]:
    """All gold plans: read in random pieces, checked, run with the gold dependencies."""
    for name, plans, tools, exceptions in _SETS:
        judged = judge(plans(), tools())
        total = len(plans())
        flawed = [each for each in plans() if each.flaw is not None]
        wrong = wrong_runs(judged.legal, tools())
        known = {refusal.plan for refusal in exceptions} | {each.name for each in flawed}
        reasons = Counter([one.reason for one in exceptions] + [each.flaw for each in flawed])
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        yield Row(
            f"{name}: gold plans read, in random pieces, as they were written",
            total - len(judged.misread),
            f"of {total}",
            bound=total,
        )
        yield Row(
            f"{name}: gold plans legal, and run with the gold dependencies",
            len(judged.legal) - len(wrong),
            f"of {total}",
            bound=total - len(known),
            note=f"{len(known)} exceptions, by line: {listed}",
            details={"wrong": wrong},
        )
        surprises = set(judged.refused) ^ set(exceptions)
        yield Row(f"{name}: exceptions that are not listed", len(surprises), bound=0)
        yield Row(
            f"{name}: of these plans, those with references",
            sum(bool(each.edges) for each in plans()),
            note=f"{sum(len(each.edges) for each in plans())} edges",
        )
    workloads = worfbench()
    good = sum(run_virtually(one) == one.optimum for one in workloads)
    yield Row(
        "WorFBench: structures run with the gold edges, in virtual time at the longest path",
        good,
        f"of {len(workloads)}",
        bound=len(workloads),
        note=f"{sum(len(one.edges) for one in workloads)} edges",
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """How many mutants of each kind there were, and which were not refused in the right line alone."""

    count: Counter[str]
    escaped: tuple[str, ...]


def try_mutants(plans: Iterable[Gold], tools: Toolbox, seed: int = 0) -> Tried:
    """Read and check every mutant of the plans; each must be refused once, in its own line."""
    draw = random.Random(seed)
    count: Counter[str] = Counter()
    escaped: list[str] = []
    for each in plans:
        for mutant in mutants(each, tools):
            count[mutant.kind] += 1
            errors = read_checked(mutant.text, tools, draw).errors
            if [error.line for error in errors] != [mutant.line]:
                escaped.append(f"{mutant.plan}, {mutant.kind}, line {mutant.line}")
    return Tried(count, tuple(escaped))


def mutated(say: Say, repeat: int) -> Iterator[Row]:
    """All mutants of all legal gold plans: every one is refused, and names its line."""
    for name, plans, tools, _ in _SETS:
        tried = try_mutants([each for each, _ in judge(plans(), tools()).legal], tools())
        total = tried.count.total()
        yield Row(
            f"{name}: plans with one mistake that are refused in its line",
            total - len(tried.escaped),
            f"of {total:,}",
            bound=total,
            note=", ".join(f"{kind} {tried.count[kind]:,}" for kind in KINDS),
            details={"escaped": list(tried.escaped[:20])},
        )
