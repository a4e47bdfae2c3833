"""When does a step run, once for which elements, and until when again?

It does not know steps or the executor: it makes what a plan's guards and fan-outs hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

from llmcompiler.plan import Argument, Each, Json, Outlook, Ref, Star, TaskId, references
from llmcompiler.workflow.expressions import (
    Bound,
    Computed,
    ExpressionError,
    MistakesError,
    Scope,
    bound,
    compile_value,
    filled,
    ref_text,
    uses_secrets,
)
from llmcompiler.workflow.operations import a
from llmcompiler.workflow.written import Formula, Mistake, Path, Written, written

__all__ = [
    "Guard",
    "PerElement",
    "Until",
    "compile_each",
    "compile_guard",
    "compile_until",
    "no_elements",
]

Lookup: TypeAlias = Callable[[Ref], Json]
_FAILED: Final = ("failed", "cancelled")


@dataclass(frozen=True, slots=True)
class _Condition:
    """An expression that is true or false, or one of these two as it stands."""

    one: Bound | bool

    @property
    def refs(self) -> tuple[Ref, ...]:
        return self.one.refs if isinstance(self.one, Bound) else ()

    @property
    def uses_secrets(self) -> frozenset[str]:
        return self.one.uses_secrets if isinstance(self.one, Bound) else frozenset()

    @property
    def always(self) -> bool | None:
        if isinstance(self.one, bool):
            return self.one
        return bool(self.one.fold()) if self.one.settled else None

    def holds(self, lookup: Lookup, near: Mapping[str, Json]) -> bool:
        return bool(self.one.run(lookup, near)) if isinstance(self.one, Bound) else self.one


@dataclass(frozen=True, slots=True)
class Guard:
    """What an ``if`` says, together with the steps that the step needs.

    Where it asks always(), failure() or success(), it waits for these steps, and for all `before`
    them, without needing their success, and what it reads of steps that failed is null. Else it
    can only be asked when all of them are ok.
    """

    source: str | bool
    refs: tuple[Ref, ...]
    needs: tuple[TaskId, ...] = ()
    uses_secrets: frozenset[str] = frozenset()
    condition: _Condition = field(default=_Condition(one=True), repr=False, hash=False)
    before: tuple[TaskId, ...] = ()

    def __str__(self) -> str:
        return self.source if isinstance(self.source, str) else json.dumps(self.source)

    @property
    def always(self) -> bool | None:
        """What it comes to whatever happens; None where that depends."""
        return self.condition.always

    @property
    def asks(self) -> frozenset[str]:
        """Which of always, failure and success are asked."""
        one = self.condition.one
        return one.tree.asks if isinstance(one, Bound) else frozenset()

    def evaluate(self, lookup: Lookup) -> bool:
        """Say whether the step is to run; raise `ExpressionError` where that cannot be said."""
        near: dict[str, Json] = {}
        if self.asks:
            became = [lookup(Outlook(need, (), "status")) for need in self.needs]
            earlier = [lookup(Outlook(step, (), "status")) for step in self.before]
            near = {
                "always": True,
                "failure": any(status in _FAILED for status in (*became, *earlier)),
                "success": all(status == "ok" for status in became),
            }
        return self.condition.holds(lookup, near)


def compile_guard(
    value: Any,
    scope: Scope,
    needs: Sequence[TaskId] = (),
    path: Path = (),
    *,
    before: Sequence[TaskId] = (),
) -> Guard:
    """Make a guard of what an ``if`` says: true, false, or an expression with or without ``${{ }}``.

    `needs` are the steps that success() is about, and failure() too, together with all that ran
    `before` them. None, no ``if`` at all, makes a guard that only waits for the needs. Raises
    `MistakesError`.
    """
    needs = tuple(needs)
    value = True if value is None else value
    scope = replace(scope, names=replace(scope.names, functions=True))
    condition = _condition(value, scope, replace(scope, soft=None), path)
    one = condition.one
    asks = isinstance(one, Bound) and bool(one.tree.asks)
    soft = scope.soft
    waits: Iterable[Ref] = (
        Outlook(need, (), "status") if asks or soft is None or need in soft else Ref(need)
        for need in needs
    )
    earlier = tuple(before) if asks else ()
    if asks:
        waits = (*waits, *(Outlook(step, (), "status") for step in earlier))
    refs = tuple(dict.fromkeys((*condition.refs, *waits)))
    said = value.source if isinstance(value, Written) else value
    return Guard(said, refs, needs, condition.uses_secrets, condition, earlier)


@dataclass(frozen=True, slots=True)
class Until:
    """What ``repeat.until`` says: whether the step's result is what was waited for."""

    source: str | bool
    refs: tuple[Ref, ...]
    uses_secrets: frozenset[str] = frozenset()
    condition: _Condition = field(default=_Condition(one=True), repr=False, hash=False)

    def __str__(self) -> str:
        return self.source if isinstance(self.source, str) else json.dumps(self.source)

    @property
    def always(self) -> bool | None:
        """What it comes to whatever the result is; None where that depends."""
        return self.condition.always

    def met(self, output: Json, lookup: Lookup) -> bool:
        """Say whether `output` is it; raise `ExpressionError` where that cannot be said."""
        return self.condition.holds(lookup, {"output": output})


def compile_until(value: Any, scope: Scope, path: Path = ()) -> Until:
    """Make a condition of what ``repeat.until`` says, which may speak of `output`.

    Raises `MistakesError`.
    """
    scope = replace(scope, names=replace(scope.names, output=True))
    condition = _condition(value, scope, scope, path)
    said = value.source if isinstance(value, Written) else value
    return Until(said, condition.refs, condition.uses_secrets, condition)


def _condition(value: Any, scope: Scope, asking: Scope, path: Path) -> _Condition:
    """Read a condition; one that asks a function is bound in the scope `asking`."""
    found = value
    if not isinstance(found, Written):
        found = written(value, scope.names, path, bare=True)
    if found.mistakes:
        raise MistakesError(found.mistakes)
    formula = found.value
    if isinstance(formula, bool):
        return _Condition(formula)
    if not isinstance(formula, Formula):
        problem = f"a condition is true, false or an expression, not {a(found.source)}"
        raise MistakesError([Mistake(path, 0, problem)])
    one = bound(formula, asking if formula.tree.asks else scope)
    if one.settled:  # what is wrong with it is said now
        try:
            one.fold()
        except ExpressionError as error:
            raise MistakesError([Mistake(path, formula.offset, error.problem)]) from None
    return _Condition(one)


# -- once for every element --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PerElement:
    """The list of what an argument comes to for each element, as a plan's `Expression`.

    `over` gives the elements: those of a list, or ``{"key": …, "value": …}`` for each name of an
    object, in order. `source` is the argument as it was written.
    """

    over: Argument = field(hash=False)
    body: Argument = field(hash=False, repr=False)
    source: Any = field(hash=False)
    refs: tuple[Ref, ...]
    uses_secrets: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if isinstance(self.source, str):
            return self.source
        return json.dumps(self.source, ensure_ascii=False)

    def evaluate(self, lookup: Lookup) -> list[Json]:
        """Compute the argument for every element; raise `ExpressionError` where that is not possible."""
        fill = _filler(self.body, lookup)
        return [fill(element) for element in _elements(self.over, lookup)]


def _elements(over: Argument, lookup: Lookup) -> Sequence[Json]:
    value = filled(over, lookup)
    problem = no_elements(value)
    if problem is not None:
        raise ExpressionError(_shown(over), problem)
    if isinstance(value, Mapping):
        return [{"key": key, "value": inner} for key, inner in value.items()]
    return cast("Sequence[Json]", value)


def no_elements(value: Argument) -> str | None:
    """Say why ``for_each`` cannot go over a value; None if it can, or if nobody knows yet."""
    if isinstance(value, Ref | Computed | Mapping | list):
        return None
    return f"'for_each' goes over a list or an object, not {a(value)}"


def _shown(over: Argument) -> str:
    if isinstance(over, Ref):
        return f"${{{{ {ref_text(over)} }}}}"
    return str(over) if isinstance(over, Computed) else "for_each"


def _filler(argument: Argument, lookup: Lookup) -> Callable[[Json], Json]:
    """Return what computes the argument for an element; what has no `item` in it is computed once."""
    if not _uses_item(argument):
        value = filled(argument, lookup)
        return lambda _: value
    if isinstance(argument, Computed):
        return lambda item: argument.run(lookup, {"item": item})
    if isinstance(argument, Mapping):
        named = {name: _filler(inner, lookup) for name, inner in argument.items()}
        return lambda item: {name: fill(item) for name, fill in named.items()}
    fills = [_filler(inner, lookup) for inner in cast("Sequence[Argument]", argument)]
    return lambda item: [fill(item) for fill in fills]


def _uses_item(argument: Argument) -> bool:
    match argument:
        case Computed():
            return "item" in argument.near
        case Mapping():
            return any(map(_uses_item, argument.values()))
        case list() | tuple():
            return any(map(_uses_item, argument))
        case _:
            return False


def compile_each(
    with_: Mapping[str, Any],
    scope: Scope,
    over: Argument,
    path: Path = (),
    *,
    listed: bool = False,
) -> dict[str, Argument]:
    """Make the arguments of a step that runs once for every element of `over`.

    Those that use ``item`` become `Each`. If none does, the first one does all the same, so that
    the step still runs once for each. `listed` says that `over` is surely a list: then ``item``
    itself, and what is at a path in it, stay references, whose types can be checked. Raises
    `MistakesError`.
    """
    scope = replace(scope, names=replace(scope.names, item=True))
    mistakes: list[Mistake] = []
    made: dict[str, Argument] = {}
    for name, value in with_.items():
        try:
            made[name] = compile_value(value, scope, (*path, name))
        except MistakesError as error:
            mistakes.extend(error.mistakes)
    if not with_:
        problem = "a step with 'for_each' needs an argument in 'with'"
        mistakes.append(Mistake(path, 0, problem))
    if mistakes:
        raise MistakesError(mistakes)
    each = [name for name, body in made.items() if _uses_item(body)] or list(made)[:1]
    for name in each:
        value = with_[name]
        said = value.source if isinstance(value, Written) else value
        made[name] = _each(over, made[name], said, listed=listed)
    return made


def _each(over: Argument, body: Argument, source: Any, *, listed: bool) -> Each:
    ref = _same(over, body) if listed else None
    if ref is not None:
        return Each(ref)
    refs = tuple(dict.fromkeys((*references(over), *references(body))))
    secrets = uses_secrets(over) | uses_secrets(body)
    return Each(PerElement(over, body, source, refs, secrets))


def _same(over: Argument, body: Argument) -> Ref | None:
    """Return the reference to the list of what `body` is for each, where it is a plain ``item.path``."""
    if not (isinstance(over, Ref) and isinstance(body, Computed)):
        return None
    path = body.item_path
    if path is None:
        return None
    return Ref(over.task, (*over.path, Star(), *path)) if path else over
