"""Does untrusted text or private data flow into a step that sends or writes, and by which way?

It does not know values, when a step runs, or who approves it: labels come from tools alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from llmcompiler.plan import Plan, Task, TaskId
from llmcompiler.toolbox import Tool, Toolbox

__all__ = ["Flow", "Flows", "Label", "lint"]

Label: TypeAlias = Literal["untrusted", "private"]

_LABELS: Final[tuple[Label, ...]] = ("untrusted", "private")
_WORDS: Final = {"untrusted": "untrusted text", "private": "private data"}


@dataclass(frozen=True, slots=True)
class Flow:
    """A way by which labelled content gets into a step that sends or writes.

    `tool` is the step's, `source` the tool whose mark `label` is. `path` leads from the source's
    step to this one, both included; it is this one alone where the source ran in an earlier
    request. `through_model` says that somewhere on it no reference carries the content, but the
    model, which had read it before it wrote the line.
    """

    step: TaskId
    tool: str
    label: Label
    path: tuple[TaskId, ...]
    source: str
    through_model: bool = False

    @property
    def text(self) -> str:
        """The flow as one clause: ``untrusted text from $1 (fetch) flows into $3 (send_mail)``."""
        what, into = _WORDS[self.label], f"${self.step} ({self.tool})"
        if len(self.path) == 1:
            given = f"{what} from {self.source}, which the model has read in an earlier request"
            return f"{given}, may be in {into}"
        given = f"{what} from ${self.path[0]} ({self.source})"
        if self.through_model:
            return f"{given}, which the model has read, may be in {into}"
        return f"{given} flows into {into}"

    @property
    def path_text(self) -> str:
        """The path as it is drawn: ``$1 -> $2 -> $3``."""
        return " -> ".join(f"${step}" for step in self.path)


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """One label in the result of `step` (None: of an earlier request), and the trace it continues."""

    label: Label
    source: str
    step: TaskId | None
    before: _Trace | None = None
    through_model: bool = False
    length: int = 1

    def path(self) -> tuple[TaskId, ...]:
        steps: list[TaskId] = []
        here: _Trace | None = self
        while here is not None:
            if here.step is not None:
                steps.append(here.step)
            here = here.before
        return tuple(reversed(steps))


@dataclass(slots=True)
class _Node:
    """A step: what the model had read before it was written, what flows in, what its result holds."""

    task: Task
    read: tuple[_Trace, ...]
    into: tuple[_Trace, ...] = ()
    result: tuple[_Trace, ...] = ()


class Flows:
    """Which labels the steps of a growing plan carry.

    A result carries the label of its tool, and those of everything that the step reads, also
    through its guard. (A tool's fallback carries no label that the tool does not: the toolbox sees
    to that.) `earlier` names tools whose results the model has read in earlier requests of the
    chat: see `sources`.
    """

    def __init__(self, toolbox: Toolbox, earlier: Iterable[str] = ()) -> None:
        self._toolbox = toolbox
        self._nodes: dict[TaskId, _Node] = {}
        self._readers: dict[TaskId, dict[TaskId, None]] = {}
        self._earlier = tuple(
            _Trace(label, name, None, through_model=True)
            for name in dict.fromkeys(earlier)
            if (tool := toolbox.get(name)) is not None
            for label in _labels(tool)
        )

    def add(self, task: Task, seen: Iterable[TaskId] = ()) -> Flow | None:
        """Take in a step; return the first flow into it that needs approval, None if there is none.

        `seen` are the steps of which the model had read what became of them before it wrote this
        one: any literal in the line, and the line itself, may come of that. A step whose id is
        known replaces the one before, and what depends on it is looked at anew: `downstream`
        tells what flows there now.
        """
        before = self._nodes.get(task.id)
        if before is not None:
            for need in before.task.needs:
                self._readers[need].pop(task.id, None)
        read = [*self._earlier]
        for step in seen:
            known = self._nodes.get(step)
            read.extend(() if known is None else known.result)
        self._nodes[task.id] = _Node(task, _best(read))
        for need in task.needs:
            self._readers.setdefault(need, {})[task.id] = None
        self._follow(task.id)
        for step in self._after(task.id):
            self._follow(step)
        return next(iter(self.into(task.id)), None)

    def into(self, step: TaskId) -> tuple[Flow, ...]:
        """Return the flows into a step that need approval, one for each label, the plainest first."""
        node = self._nodes.get(step)
        if node is None or not node.into or not _is_dangerous(node.task, self._toolbox):
            return ()
        return tuple(
            Flow(
                step,
                node.task.tool,
                trace.label,
                (*trace.path(), step),
                trace.source,
                trace.through_model,
            )
            for trace in sorted(node.into, key=lambda trace: trace.through_model)
        )

    def downstream(self, step: TaskId) -> tuple[Flow, ...]:
        """Return the first flow that needs approval into each step that depends on `step`."""
        found = (self.into(after) for after in self._after(step))
        return tuple(flows[0] for flows in found if flows)

    def sources(self, steps: Iterable[TaskId]) -> tuple[str, ...]:
        """Return the tools whose marks the results of some steps carry, sorted by name.

        For the steps that the model has read, they are the `earlier` of the chat's next request.
        """
        nodes = (self._nodes.get(step) for step in steps)
        found = {trace.source for node in nodes if node is not None for trace in node.result}
        return tuple(sorted(found | {trace.source for trace in self._earlier}))

    def _follow(self, step: TaskId) -> None:
        """Find out what flows into a step, and what its result holds."""
        node = self._nodes[step]
        into = [_through_model(trace) for trace in node.read]
        for need in node.task.needs:
            giver = self._nodes.get(need)
            into.extend(() if giver is None else giver.result)
        node.into = _best(into)
        tool = self._toolbox.get(node.task.tool)
        labels = () if tool is None else _labels(tool)
        own = [_Trace(label, node.task.tool, step) for label in labels]
        passed = [
            replace(trace, step=step, before=trace, length=trace.length + 1) for trace in node.into
        ]
        node.result = _best([*own, *passed])

    def _after(self, step: TaskId) -> list[TaskId]:
        """Return all that depends on a step, each after what it reads."""
        if step not in self._readers:
            return []
        order: list[TaskId] = []
        seen = {step}
        stack: list[tuple[TaskId, Iterator[TaskId]]] = [(step, iter(self._readers[step]))]
        while stack:
            here, readers = stack[-1]
            reader = next(readers, None)
            if reader is None:
                order.append(here)
                stack.pop()
            elif reader not in seen:
                seen.add(reader)
                stack.append((reader, iter(self._readers.get(reader, ()))))
        return order[-2::-1]


def lint(plan: Plan, toolbox: Toolbox) -> tuple[Flow, ...]:
    """Return the flows in a whole plan that need approval, in the order of its lines.

    Of each label the shortest way into each step is told.
    """
    flows = Flows(toolbox)
    for task in plan:
        flows.add(task)
    return tuple(flow for task in plan for flow in flows.into(task.id))


def _best(traces: Iterable[_Trace]) -> tuple[_Trace, ...]:
    """Keep one trace of each label: one without the model before one with it, else the shortest."""
    best: dict[Label, _Trace] = {}
    for trace in traces:
        known = best.get(trace.label)
        if known is None or (trace.through_model, trace.length) < (
            known.through_model,
            known.length,
        ):
            best[trace.label] = trace
    return tuple(best[label] for label in _LABELS if label in best)


def _through_model(trace: _Trace) -> _Trace:
    return trace if trace.through_model else replace(trace, through_model=True)


def _labels(tool: Tool[..., Any]) -> tuple[Label, ...]:
    if tool.untrusted:
        return ("untrusted", "private") if tool.private else ("untrusted",)
    return ("private",) if tool.private else ()


def _is_dangerous(task: Task, toolbox: Toolbox) -> bool:
    tool = toolbox.get(task.tool)
    writes = task.policy.effects == "write"
    return writes or (tool is not None and (tool.sends or tool.effects == "write"))
