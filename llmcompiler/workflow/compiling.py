"""What plan does a workflow file say, and what of it cannot be one?

It does not know how a plan is run. Every problem is found before anything runs, with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmcompiler.check import Scope as Checked
from llmcompiler.check import check
from llmcompiler.errors import PlanError
from llmcompiler.graph import in_order
from llmcompiler.plan import Argument, Expression, Json, Plan, Ref, Task, TaskId
from llmcompiler.toolbox import Tool, Toolbox
from llmcompiler.types import Type
from llmcompiler.workflow.ancestry import ancestors, circles
from llmcompiler.workflow.broken import Broken
from llmcompiler.workflow.conditions import Guard, compile_guard, compile_until
from llmcompiler.workflow.expressions import (
    ExpressionError,
    MistakesError,
    Scope,
    compile_value,
)
from llmcompiler.workflow.kinds import Kinds, wrong_reads
from llmcompiler.workflow.model import OnError, StepSpec, WorkflowFile
from llmcompiler.workflow.names import Names
from llmcompiler.workflow.problems import Problem
from llmcompiler.workflow.reading import Source
from llmcompiler.workflow.repeating import repeated
from llmcompiler.workflow.reporting import Report
from llmcompiler.workflow.stepping import Draft, Reader, output_of, shown_secrets
from llmcompiler.workflow.tasks import Parts, tasks_of
from llmcompiler.workflow.uses import Uses, without_approval
from llmcompiler.workflow.wording import in_words_of_file
from llmcompiler.workflow.written import Mistake, Written, written

__all__ = ["Compiled", "Compiler", "names_of"]

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan, the tools that it calls, and what is wrong with the file if anything is.

    `outputs` are the arguments that the outputs of the workflow come from, `kinds` their types as
    far as they are known, `on_error` what a failure of each step does.
    """

    plan: Plan
    toolbox: Toolbox
    outputs: Mapping[str, Argument]
    kinds: Mapping[str, Type | None]
    on_error: Mapping[TaskId, OnError]
    problems: tuple[Problem, ...]

    @property
    def returns(self) -> dict[str, Any]:
        """The schema of all outputs together, as far as it is known."""
        properties: dict[str, Any] = {}
        for name, kind in self.kinds.items():
            known = kind is not None and not kind.defs and not isinstance(kind.schema, bool)
            # What a step that failed would have given is null.
            properties[name] = {"anyOf": [kind.schema, {"type": "null"}]} if kind and known else {}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


class Compiler:
    """Makes one plan of one file.

    With the inputs of a run known, `running`, nothing is a problem any more: what cannot be
    computed with them fails its step. `known` are expressions that were read before.
    """

    def __init__(
        self,
        file: WorkflowFile,
        source: Source,
        text: str,
        uses: Uses,
        scope: Scope,
        known: dict[tuple[str | int, ...], Written],
        *,
        running: bool = False,
    ) -> None:
        self._file = file
        self._known = known
        self._uses = uses
        self._running = running
        self._report = Report(source, text)
        soft = frozenset(
            name for name in file.steps if self._on_error(file.steps[name]) == "continue"
        )
        self._scope = replace(scope, names=names_of(file), soft=soft)
        inputs = {name: Type.of(spec.as_schema()) for name, spec in file.inputs.items()}
        self._kinds = Kinds({}, inputs)
        self._tasks: list[Task] = []
        self._tools: dict[str, Tool[..., Any]] = dict(uses.toolbox)

    def compile(self) -> Compiled:
        """Compile the file; what is wrong with it is among the problems."""
        file = self._file
        found = {name: self._found(name, step) for name, step in file.steps.items()}
        given = {name: output_of(draft) for name, draft in found.items()}
        self._kinds = replace(self._kinds, steps=given)
        reader = Reader(
            file, self._report, self._scope, self._kinds, self._known, running=self._running
        )
        for draft in found.values():
            reader.read(draft)
        needs = {name: draft.needs for name, draft in found.items()}
        if not self._running:
            self._circles(needs)
            self._models()
        for draft in found.values():
            self._build(draft, needs)
        if not self._running:
            self._never(found)
        outputs, kinds = self._outputs(reader)
        toolbox = Toolbox(self._tools.values())
        plan = Plan(tuple(self._tasks))
        if not self._report.problems:
            plan = self._checked(plan, toolbox)
        on_error: dict[TaskId, OnError] = {
            TaskId(name): self._on_error(step) for name, step in file.steps.items()
        }
        problems = tuple(sorted(set(self._report.problems)))
        return Compiled(plan, toolbox, outputs, kinds, on_error, problems)

    # ------------------------------------------------------------------ one step

    def _found(self, name: str, step: StepSpec) -> Draft:
        path: Path = ("steps", name)
        tool = self._uses.tool(name, step, self._report, path)
        if tool is not None and step.approve is False:
            tool = without_approval(tool, f"{name}:{tool.name}")
        draft = Draft(name, step, path, tool)
        if step.fallback is not None:
            where = (*path, "fallback")
            draft.other = self._uses.tool(f"{name}.fallback", step.fallback, self._report, where)
        elif self._on_error(step) == "replan":
            if not self._file.models:
                said = "'replan' needs a model: add one under 'models'"
                self._report.say((*path, "on_error"), said)
            elif tool is not None:
                draft.other = self._uses.agent(f"{name}.replan", _schema(output_of(draft)))
        return draft

    def _build(self, draft: Draft, needs: Mapping[str, Any]) -> None:
        if draft.tool is None or draft.args is None:
            return
        step = draft.step
        if not self._running:
            self._terms(draft, draft.tool)
        tool = self._repeated(draft, draft.tool)
        guard = self._guard(draft, needs)
        parts = Parts(draft, tool, guard, self._file, self._on_error(step))
        for task, needed in tasks_of(parts):
            self._tasks.append(task)
            self._tools[needed.name] = needed

    def _terms(self, draft: Draft, tool: Tool[..., Any]) -> None:
        """Refuse what a tool that writes must not be asked for."""
        step, fallback = draft.step, draft.step.fallback
        called = [(draft.path, step.uses, step.retry, tool)]
        if fallback is not None and draft.other is not None:
            where = (*draft.path, "fallback")
            called.append((where, fallback.uses, fallback.retry, draft.other))
        for path, uses, retry, one in called:
            if retry is not None and retry.limit and not one.repeatable:
                said = (
                    f"{uses} writes, and a write is tried again only where its tool is idempotent"
                )
                self._report.say((*path, "retry"), f"{said}: take 'retry' away")
        if step.cache and tool.effects == "write":
            self._report.say((*draft.path, "cache"), f"{step.uses} writes: its result is not kept")
        elif step.cache and draft.secret:
            said = "the result of a step that reads secrets is not kept"
            self._report.say((*draft.path, "cache"), said)

    def _guard(self, draft: Draft, needs: Mapping[str, Any]) -> Expression | None:
        step, path = draft.step, (*draft.path, "if")
        explicit = [TaskId(need) for need in step.needs if need in draft.needs]
        if draft.guard is None and not explicit:
            return None
        value: Any = None if draft.guard is None else draft.guard
        try:
            made = compile_guard(value, self._scope, explicit, path)
            if made.asks:
                direct = [TaskId(need) for need in draft.needs]
                before = [TaskId(one) for one in ancestors(draft.name, needs)]
                later = [one for one in before if one not in draft.needs]
                made = compile_guard(value, self._scope, direct, path, before=later)
        except MistakesError as error:
            if self._running:
                return Broken(str(step.if_), "; ".join(one.message for one in error.mistakes))
            self._report.mistakes(error.mistakes)
            return None
        draft.made = made
        return made

    def _repeated(self, draft: Draft, tool: Tool[..., Any]) -> Tool[..., Any]:
        step = draft.step
        if step.repeat is None or draft.until is None:
            return tool
        path = (*draft.path, "repeat", "until")
        scope = replace(self._scope, names=replace(self._scope.names, steps=frozenset()))
        try:
            until = compile_until(draft.until, scope, path)
        except MistakesError as error:
            self._report.mistakes(error.mistakes)
            return tool
        if until.always is False and not self._running:
            said = "the step can only fail: 'until' is always false"
            self._report.say(path, said)
        defaults = self._file.defaults.timeout
        timeout = step.timeout or defaults or tool.timeout
        name = f"{draft.name}:{step.uses}"
        return repeated(name, tool, until, step.repeat.limit, step.repeat.delay, timeout)

    def _on_error(self, step: StepSpec) -> OnError:
        return self._file.defaults.on_error if step.on_error is None else step.on_error

    # ------------------------------------------------------------------ the whole

    def _circles(self, needs: Mapping[str, Any]) -> None:
        for circle in circles(needs):
            way = " -> ".join(circle)
            said = f"the steps wait for each other in a circle: {way}"
            self._report.say(("steps", circle[0]), said, key=True)

    def _never(self, drafts: Mapping[str, Draft]) -> None:
        """Report the steps that can never run, and those that need them."""
        never: dict[str, str] = {}
        for name, draft in drafts.items():
            why = draft.never
            if why is None and draft.made is not None:
                why = _refused(draft.made, draft)
            if why is not None:
                never[name] = why[1]
                self._report.say((*draft.path, why[0]), f"the step can never run: {why[1]}")
        waiting = [name for name in never if name not in (self._scope.soft or ())]
        while waiting:
            gone = waiting.pop()
            for name, draft in drafts.items():
                if name not in never and gone in draft.needs and not draft.asks:
                    never[name] = gone
                    said = f"the step can never run: it needs {gone!r}, which never does"
                    self._report.say(draft.path, said, key=True)
                    if name not in (self._scope.soft or ()):
                        waiting.append(name)

    def _models(self) -> None:
        """Check what is written of models: it is computed before any step runs."""
        names = replace(names_of(self._file), steps=frozenset())
        for name, spec in self._file.models.items():
            for key, value in (("use", spec.use), ("options", spec.options)):
                found = written(value, names, ("models", name, key))
                for one in found.mistakes:
                    said = one.message
                    if said.startswith("there is no step"):
                        said = "a model cannot be chosen by what a step gives"
                    self._report.mistakes([Mistake(one.path, one.offset, said)])
                self._report.mistakes(wrong_reads(found, self._kinds))

    def _outputs(self, reader: Reader) -> tuple[dict[str, Argument], dict[str, Type | None]]:
        outputs: dict[str, Argument] = {}
        kinds: dict[str, Type | None] = {}
        soft = replace(self._scope, soft=None)
        for name, value in self._file.outputs.items():
            found = reader.found(value, self._scope.names, ("outputs", name))
            kinds[name] = self._kinds.of_value(found.value)
            try:
                outputs[name] = compile_value(found, soft)
            except MistakesError as error:
                outputs[name] = Broken(str(value), str(error))
                if not self._running:
                    self._report.mistakes(error.mistakes)
                    continue
            if not self._running:
                self._report.mistakes(wrong_reads(found, self._kinds))
                self._report.mistakes(shown_secrets(found, "be shown in the outputs"))
        return outputs, kinds

    def _checked(self, plan: Plan, toolbox: Toolbox) -> Plan:
        """Check every task as those of a model are: what is left then is a fault of this check."""
        scope = Checked()
        made: list[Task] = []
        for task in in_order(plan):
            try:
                checked = check(task, toolbox, scope)
            except PlanError as error:
                name = task.id.partition(".")[0]
                self._report.say(("steps", name), in_words_of_file(error.problem), key=True)
                return plan
            scope.accept(checked)
            made.append(checked)
        return replace(plan, tasks=tuple(made))


def _refused(guard: Guard, draft: Draft) -> tuple[str, str] | None:
    """Say why a guard is never true, as the key that says so and a reason; None if it may be."""
    if guard.always is False:
        return "if", "its 'if' is always false"
    if not guard.asks or guard.condition.refs or draft.needs:
        return None
    try:
        may = guard.evaluate(_nothing)
    except (ExpressionError, LookupError):  # it reads inputs, which nobody knows yet
        return None
    return None if may else ("if", "failure() speaks of the steps before it, and there are none")


def _nothing(ref: Ref) -> Json:
    raise KeyError(ref)


def _schema(kind: Type | None) -> dict[str, Any] | None:
    if kind is None or isinstance(kind.schema, bool):
        return None
    return {**kind.schema, "$defs": dict(kind.defs)} if kind.defs else dict(kind.schema)


def names_of(file: WorkflowFile) -> Names:
    """Return what the expressions of a file may speak of."""
    return Names(
        steps=frozenset(file.steps),
        inputs=frozenset(file.inputs),
        env=frozenset(file.env),
        secrets=frozenset(file.secrets),
    )
