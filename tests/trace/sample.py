"""Runs as values: what a list of tasks would have come to, with a clock that is only counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmcompiler.events import (
    ApprovalDecided,
    Event,
    PassApplied,
    PlanChanged,
    PlanDelta,
    PlanFinished,
    PlanStarted,
    RunFinished,
    RunStarted,
    StepAwaitingApproval,
    StepMending,
    StepPlanned,
    StepRejected,
    StepRetrying,
    StepStarted,
    UsageUpdated,
)
from llmcompiler.language import line_of
from llmcompiler.messages import Usage
from llmcompiler.plan import (
    Cancelled,
    Each,
    Failed,
    Json,
    Observation,
    Ok,
    Outcome,
    Plan,
    Policy,
    Ref,
    Skipped,
    Task,
    TaskId,
    Timing,
    args_to_json,
)
from llmcompiler.result import Result
from llmcompiler.transcript import Transcript

READS = Policy()
WRITES = Policy(effects="write", resource="shop")


def task(name: str, tool: str, *needs: str, policy: Policy = READS, **args: Any) -> Task:
    """Make a task that reads `needs`."""
    read = {f"from_{need}": Ref(TaskId(need)) for need in needs}
    return Task(TaskId(name), tool, {**args, **read}, policy=policy)


def each(name: str, tool: str, need: str, **args: Any) -> Task:
    """Make a task with one call for each element of what `need` gave."""
    return Task(TaskId(name), tool, {"item": Each(Ref(TaskId(need))), **args})


def run_of(
    tasks: Sequence[Task],
    seconds: Callable[[Task], float],
    *,
    outcomes: Mapping[str, Outcome] | None = None,
    at_once: int = 8,
    pace: float = 0.1,
    request: str | None = "What do they cost?",
    answer: str | None = "They cost 12 euros.",
    extra: Iterable[Event] = (),
) -> tuple[Result[Any], list[Event]]:
    """Count a run out: a line every `pace` seconds, at most `at_once` steps at a time."""
    outcomes = outcomes or {}
    events: list[Event] = []
    written = {each.id: pace * (place + 1) for place, each in enumerate(tasks)}
    sealed = pace * (len(tasks) + 1)
    ends: dict[TaskId, float] = {}
    busy: list[float] = []
    steps: list[Observation] = []
    ready = {each.id: written[each.id] for each in tasks}
    left = list(tasks)
    while left:
        able = [each for each in left if all(need in ends for need in each.needs)]
        if not able:
            break
        begin = {
            each.id: max([ready[each.id], *(ends[need] for need in each.needs)]) for each in able
        }
        now = min(able, key=lambda each: (begin[each.id], each.id))
        left.remove(now)
        outcome = outcomes.get(now.id, Ok({"of": now.id, "price": 12.5}))
        at = begin[now.id]
        if isinstance(outcome, Skipped | Cancelled):
            steps.append(Observation(now, outcome, Timing(at, at, at)))
            ends[now.id] = at
            continue
        start = max(at, sealed) if now.policy.effects == "write" else at
        while busy and busy[0] <= start:
            heapq.heappop(busy)
        if len(busy) >= at_once:
            start = max(start, heapq.heappop(busy))
        end = start + seconds(now)
        heapq.heappush(busy, end)
        ends[now.id] = end
        args: dict[str, Json] = dict(args_to_json(now.args))
        steps.append(Observation(now, outcome, Timing(at, start, end), args))
    done = max(ends.values(), default=sealed)
    total = max(done, sealed) + 0.6
    run = "sample"
    events.append(RunStarted(run, 0, 0.0, request or "", "scripted", ("price",)))
    events.append(PlanStarted(run, 0, 0.0, 1, "plan"))
    for each in tasks:
        at, line = written[each.id], line_of(each)
        events.append(PlanDelta(run, 0, at, line))
        shown = args_to_json(each.args)
        events.append(StepPlanned(run, 0, at, each.id, each.tool, shown, each.needs, line))
    events.append(PlanFinished(run, 0, sealed, len(tasks), None))
    events.append(UsageUpdated(run, 0, sealed, Usage()))
    for step in steps:
        if step.args is not None:
            fan = 3 if any(isinstance(arg, Each) for arg in step.task.args.values()) else None
            at = step.timing.start
            events.append(StepStarted(run, 0, at, step.task.id, step.task.tool, step.args, fan))
    events.append(PlanStarted(run, 0, max(done, sealed), 2, "join"))
    events.append(PlanDelta(run, 0, total, answer or ""))
    events.extend(extra)
    events.append(RunFinished(run, 0, total, answer))
    events.sort(key=lambda event: event.ts)
    steps.sort(key=lambda step: step.timing.end)
    result: Result[Any] = Result(
        run_id=run,
        request=request,
        status="finished",
        answer=answer,
        output=answer,
        error=None,
        plans=(Plan(tuple(tasks)),) if tasks else (),
        steps=tuple(steps),
        usage=Usage(),
        seconds=total,
        transcript=Transcript(),
    )
    return result, events


def told() -> list[Event]:
    """One event of each kind that a reader is told besides the steps."""
    run = "sample"
    return [
        StepRejected(run, 0, 0.15, "2", '2. pric(item="pen")', "there is no tool 'pric'", 2, 4),
        PassApplied(run, 0, 0.3, "merge", (TaskId("3"),), "the same call as step 2", 1),
        StepRetrying(run, 0, 0.9, TaskId("2"), 2, "connection reset", 0.25),
        StepAwaitingApproval(run, 0, 1.0, TaskId("4"), "book", {}, "d1", "it is a write"),
        ApprovalDecided(run, 0, 1.4, TaskId("4"), "d1", True, ""),
        StepMending(run, 0, 1.5, TaskId("5"), "ToolError", "no such place", 2, 0.5),
        PlanChanged(run, 0, 1.8, (TaskId("5"),), ("5. geo(x=1)",), ("5. geo(x=2)",)),
    ]


def small() -> tuple[Result[Any], list[Event]]:
    """Five steps: a diamond, and a write that failed."""
    tasks = (
        task("1", "geocode", place="Oslo"),
        task("2", "forecast", "1", hours=24),
        each("3", "fetch", "1"),
        task("4", "compare", "2", "3", note="Ærø < Oslo"),
        task("5", "book", "4", policy=WRITES),
    )
    lasts = {"1": 0.4, "2": 1.2, "3": 2.1, "4": 0.2, "5": 0.5}
    failed = Failed("ToolError", "the shop is closed until Monday", attempts=3)
    return run_of(tasks, lambda each: lasts[each.id], outcomes={"5": failed}, extra=told())


def large(count: int, at_once: int = 16) -> tuple[Result[Any], list[Event]]:
    """Many steps: some chains, some fans, a few that went wrong."""
    tools = ("search", "fetch", "summarise", "price", "translate")
    tasks: list[Task] = []
    for number in range(1, count + 1):
        span = max(1, count // 6)
        needs = (
            {str(number - span), str(number - span - number % 3)} if number > span + 3 else set()
        )
        if number == count:
            needs = {str(other) for other in range(max(1, count - span), count)}
        policy = (
            Policy(effects="write", resource=f"shop {number}") if number % 17 == 0 else Policy()
        )
        tasks.append(
            task(
                str(number),
                tools[number % 5],
                *sorted(needs),
                policy=policy,
                query=f"item {number}",
            )
        )
    outcomes: dict[str, Outcome] = {}
    for number in range(7, count, 23):
        outcomes[str(number)] = Failed("TimeoutError", "no reply within 5 s")
    for number in range(9, count, 31):
        outcomes[str(number)] = Skipped("step 7 failed", TaskId("7"))
    for number in range(13, count, 41):
        outcomes[str(number)] = Cancelled("the time is up")
    return run_of(
        tasks,
        lambda each: 0.15 + int(each.id) * 7919 % 13 / 9,
        outcomes=outcomes,
        at_once=at_once,
        pace=3 / count,
        extra=told(),
    )
