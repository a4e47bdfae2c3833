"""What does a step say: what does it read, with which arguments, and what of it is wrong?

It does not know which tasks the step becomes, nor the steps around it beyond their types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Argument
from llmcompiler.toolbox import Tool
from llmcompiler.types import Type, array_of, problem
from llmcompiler.workflow.broken import Broken
from llmcompiler.workflow.checking import misfits, missing_arguments, unknown_arguments
from llmcompiler.workflow.conditions import Guard, compile_each, no_elements
from llmcompiler.workflow.expressions import MistakesError, Scope, compile_value
from llmcompiler.workflow.kinds import Kinds, elements_of, wrong_reads
from llmcompiler.workflow.model import StepSpec, WorkflowFile
from llmcompiler.workflow.names import Names
from llmcompiler.workflow.reporting import Report
from llmcompiler.workflow.written import Formula, Mistake, Written, written

__all__ = ["Draft", "Reader", "output_of", "shown_secrets"]

Path: TypeAlias = "tuple[str | int, ...]"
_Args: TypeAlias = "dict[str, Argument]"


@dataclass(slots=True)
class Draft:
    """A step on its way into a plan.

    `tool` is what it calls, `other` what is called in its place where it failed. What was read of
    it: its conditions, the names of the steps it waits for, its `args` and those of the fallback
    (None where they cannot be made), whether it reads secrets, and why it can `never` run, as the
    key that says so and a reason.
    """

    name: str
    step: StepSpec
    path: Path
    tool: Tool[..., Any] | None
    other: Tool[..., Any] | None = None
    guard: Written | None = None
    until: Written | None = None
    needs: tuple[str, ...] = ()
    args: _Args | None = None
    instead: _Args | None = None
    secret: bool = False
    made: Guard | None = None
    never: tuple[str, str] | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks always(), failure() or success(): then no failure before it stops it."""
        one = None if self.guard is None else self.guard.value
        return isinstance(one, Formula) and bool(one.tree.asks)


def output_of(draft: Draft) -> Type | None:
    """Return the type of what a step gives; None if unknown."""
    kinds = [tool for tool in (draft.tool, draft.other) if tool is not None]
    if draft.tool is None or draft.step.fallback is None or draft.other is None:
        kinds = kinds[:1] if draft.tool is not None else []
    if not kinds or any(tool.returns is None for tool in kinds):
        return None
    found = [Type.of(tool.returns or {}) for tool in kinds]
    one = found[0]
    if len(found) > 1 and found[0] != found[1]:
        defs = {**found[1].defs, **found[0].defs}
        if any(defs[name] != inner for name, inner in found[1].defs.items()):
            return None
        one = Type({"anyOf": [kind.schema for kind in found]}, defs)
    return one if draft.step.for_each is None else array_of(one)


def shown_secrets(found: Written, fate: str) -> Iterator[Mistake]:
    """Yield the secrets that a value reads, as mistakes: they would be shown."""
    for formula in found.formulas:
        for read in formula.reads:
            if read.root == "secrets":
                said = f"the secret {str(read.path[0])!r} would {fate}"
                yield Mistake(formula.path, read.offset, said)


class Reader:
    """Reads the steps of one file. `running` makes of mistakes arguments that fail their step.

    `known` are the expressions that were read before, by their places.
    """

    def __init__(
        self,
        file: WorkflowFile,
        report: Report,
        scope: Scope,
        kinds: Kinds,
        known: dict[Path, Written],
        *,
        running: bool,
    ) -> None:
        self._file = file
        self._report = report
        self._scope = scope
        self._kinds = kinds
        self._known = known
        self._running = running

    def found(self, value: Any, names: Names, path: Path, *, bare: bool = False) -> Written:
        """Return what `written` finds in a value; it is looked for once in the life of a file."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = written(value, names, path, bare=bare)
        return found

    def read(self, draft: Draft) -> None:
        """Read one step, and report all that is wrong with it by itself."""
        step, path = draft.step, draft.path
        reads = dict.fromkeys(self._needs(draft))
        everything: list[Written] = []
        if step.if_ is not None:
            names = replace(self._scope.names, functions=True)
            draft.guard = self.found(step.if_, names, (*path, "if"), bare=True)
            everything.append(draft.guard)
            self._wrong(draft, draft.guard, self._kinds)
        if step.repeat is not None:
            everything.append(self._until(draft))
        over, kinds, names = None, self._kinds, self._scope.names
        if step.for_each is not None:
            over = self._over(draft)
            everything.append(over)
            item = elements_of(kinds.of_value(over.value))
            kinds = replace(kinds, item=item if isinstance(item, Type) else None)
            names = replace(names, item=True)
        scope = replace(self._scope, names=names)
        if draft.asks:
            scope = replace(scope, soft=None)
        tool = draft.tool
        with_ = self._written(step.with_, scope, (*path, "with"))
        everything.extend(with_.values())
        draft.args = self._args(draft, tool, step.uses, with_, over, scope, kinds, path)
        if step.fallback is not None and step.fallback.with_ is None:
            draft.instead = draft.args
            self._fits(draft, draft.other, step.fallback.uses, with_, kinds, path, apart=True)
        elif step.fallback is not None:
            where = (*path, "fallback")
            with_ = self._written(step.fallback.with_ or {}, scope, (*where, "with"))
            everything.extend(with_.values())
            uses = step.fallback.uses
            draft.instead = self._args(draft, draft.other, uses, with_, over, scope, kinds, where)
        elif step.on_error == "replan" and not self._running:
            for found in with_.values():
                self._report.mistakes(shown_secrets(found, "be shown to a model"))
        for formula in (formula for found in everything for formula in found.formulas):
            for read in formula.reads:
                if read.root == "steps" and read.path[0] != draft.name:
                    reads[str(read.path[0])] = None
                draft.secret = draft.secret or read.root == "secrets"
        draft.needs = tuple(name for name in reads if name in self._file.steps)

    def _needs(self, draft: Draft) -> Iterator[str]:
        steps = self._file.steps
        for index, need in enumerate(draft.step.needs):
            at = (*draft.path, "needs", index)
            if need == draft.name:
                self._report.say(at, "a step cannot need itself")
            elif need not in steps:
                close = did_you_mean(need, steps)
                self._report.say(at, f"there is no step {need!r}{close}")
            else:
                yield need

    def _until(self, draft: Draft) -> Written:
        assert draft.step.repeat is not None  # noqa: S101 - for the type checker
        path = (*draft.path, "repeat", "until")
        names = replace(self._scope.names, output=True, steps=frozenset())
        found = self.found(draft.step.repeat.until, names, path, bare=True)
        said = "'until' can speak of output, inputs and env, not of other steps"
        again = [
            replace(one, message=said) if one.message.startswith("there is no step") else one
            for one in found.mistakes
        ]
        found = replace(found, mistakes=tuple(again))
        draft.until = found
        returns = None if draft.tool is None else draft.tool.returns
        output = None if returns is None else Type.of(returns)
        self._wrong(draft, found, replace(self._kinds, output=output))
        return found

    def _over(self, draft: Draft) -> Written:
        assert draft.step.for_each is not None  # noqa: S101 - for the type checker
        path: Path = (*draft.path, "for_each")
        raw = self._report.raw(path)
        if isinstance(raw, dict) and "in" in raw:
            path = (*path, "in")
        found = self.found(draft.step.for_each.in_, self._scope.names, path)
        self._wrong(draft, found, self._kinds)
        if found.mistakes or self._running:
            return found
        kind = self._kinds.of_value(found.value)
        over = elements_of(kind)
        if isinstance(over, str):
            self._report.say(path, over)
        constant = kind.schema.get("const") if kind and isinstance(kind.schema, Mapping) else None
        if found.value in ([], {}) or constant in ([], {}):
            draft.never = ("for_each", "'for_each' goes over nothing")
        return found

    def _written(self, with_: Mapping[str, Any], scope: Scope, path: Path) -> dict[str, Written]:
        return {
            name: self.found(value, scope.names, (*path, name)) for name, value in with_.items()
        }

    def _wrong(self, draft: Draft, found: Written, kinds: Kinds) -> None:
        if not self._running:
            self._report.mistakes(wrong_reads(found, kinds, (draft.name,)))

    def _args(
        self,
        draft: Draft,
        tool: Tool[..., Any] | None,
        uses: str,
        with_: dict[str, Written],
        over: Written | None,
        scope: Scope,
        kinds: Kinds,
        path: Path,
    ) -> _Args | None:
        for found in with_.values():
            self._wrong(draft, found, kinds)
        self._fits(draft, tool, uses, with_, kinds, path)
        try:
            if over is None:
                return self._plain(tool, uses, with_, scope)
            elements = compile_value(over, scope)
            said = no_elements(elements)
            if said is not None:
                if not self._running:  # it was said of the type of it
                    return None
                return dict.fromkeys(with_, Broken(str(over.source), said))
            return dict(compile_each(with_, scope, elements, (*path, "with")))
        except MistakesError as error:
            if not self._running:
                self._report.mistakes(error.mistakes)
                return None
            said = "; ".join(one.message for one in error.mistakes)
            return dict.fromkeys(with_, Broken(str(draft.step.with_), said))

    def _plain(
        self,
        tool: Tool[..., Any] | None,
        uses: str,
        with_: Mapping[str, Written],
        scope: Scope,
    ) -> _Args:
        args: _Args = {}
        mistakes: list[Mistake] = []
        for name, found in with_.items():
            try:
                args[name] = compile_value(found, scope)
            except MistakesError as error:
                mistakes.extend(error.mistakes)
                said = "; ".join(one.message for one in error.mistakes)
                args[name] = Broken(str(found.source), said)
                continue
            if self._running and tool is not None and found.formulas:
                wrong = _misfit(tool, name, args[name])
                if wrong is not None:
                    args[name] = Broken(str(found.source), f"{uses}: {wrong}")
        if mistakes and not self._running:
            raise MistakesError(mistakes)
        return args

    def _fits(
        self,
        draft: Draft,
        tool: Tool[..., Any] | None,
        uses: str,
        with_: Mapping[str, Written],
        kinds: Kinds,
        path: Path,
        *,
        apart: bool = False,
    ) -> None:
        """Report arguments that a tool does not take; `apart`: the step's, handed to its fallback."""
        if tool is None or self._running:
            return
        where: Path = (*path, "fallback", "uses") if apart else (*path, "with")
        for name, said in unknown_arguments(tool, uses, with_).items():
            self._report.say(where if apart else (*where, name), said, key=not apart)
        for said in missing_arguments(tool, uses, with_):
            self._report.say(where, said, key=not apart)
        for name, found in with_.items():
            if not found.mistakes:
                wrong = misfits(tool, uses, name, found.value, (*path, "with", name), kinds)
                if apart:
                    wrong = (replace(one, path=where) for one in wrong)
                self._report.mistakes(wrong)
            if uses in ("agent", "llm"):
                self._report.mistakes(shown_secrets(found, "be shown to a model"))


def _misfit(tool: Tool[..., Any], name: str, argument: Argument) -> str | None:
    schema = tool.parameters.get("properties", {}).get(name, True)
    kind = Type(schema, tool.parameters.get("$defs", {}))
    return problem(argument, kind, name, lambda *_: None)
