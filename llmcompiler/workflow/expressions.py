"""What does a value with expressions in it become in a plan?

It does not know steps, tools or files. What is known already is computed at once; the rest becomes
a `Ref`, or an `Expression` that remembers how it was written and what it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn, TypeAlias, cast

from llmcompiler.errors import ConfigurationError, LLMCompilerError
from llmcompiler.plan import Argument, Expression, Json, Outlook, Ref, Star, render_text
from llmcompiler.workflow.names import Names, Read
from llmcompiler.workflow.operations import LARGEST, Wrong, follow, missing
from llmcompiler.workflow.sandbox import finished
from llmcompiler.workflow.trees import Tree
from llmcompiler.workflow.wording import reason
from llmcompiler.workflow.written import Formula, Mistake, Mixed, Path, Written, written

__all__ = [
    "Bound",
    "Computed",
    "ExpressionError",
    "MistakesError",
    "Scope",
    "Secrets",
    "bound",
    "compile_value",
    "filled",
    "ref_text",
    "uses_secrets",
]

Lookup: TypeAlias = Callable[[Ref], Json]


class ExpressionError(LLMCompilerError):
    """Raised when an expression cannot be computed: `source` is how it was written."""

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        shown = source if len(source) <= _SHOWN else source[: _SHOWN - 1] + "…"
        super().__init__(f"{shown}: {problem}")


class MistakesError(ConfigurationError):
    """Raised when a value cannot become an argument; `mistakes` are all that are in it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(mistake.message for mistake in self.mistakes))


_SHOWN: Final = 120


class Secrets:
    """Secret values by name. Nothing that shows an object shows them."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not written anywhere")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def reveal(self, name: str) -> str:
        """Return a secret's value; raise KeyError if there is none."""
        return self._values[name]

    def revealed(self) -> frozenset[str]:
        """Return every value, for whoever has to keep them out of what is shown."""
        return frozenset(self._values.values())


_NO_SECRETS: Final = Secrets()
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known where a value is compiled.

    `names` may be spoken of; `inputs` and `env` hold the values that are known by now. A step in
    `soft` is read even if it failed: its result is null then. None makes all steps such.
    """

    names: Names = field(default_factory=Names)
    inputs: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)
    env: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)
    secrets: Secrets = _NO_SECRETS
    soft: Collection[str] | None = ()


# -- what the names in an expression stand for -------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    value: Json
    path: tuple[str | int, ...]
    name: str

    def get(self, lookup: Lookup, near: Mapping[str, Json]) -> Any:
        return follow(self.value, self.path, self.name)


@dataclass(frozen=True, slots=True)
class _Unset:
    name: str

    def get(self, lookup: Lookup, near: Mapping[str, Json]) -> Any:
        return missing(f"{self.name} has no value")


@dataclass(frozen=True, slots=True)
class _Secret:
    secrets: Secrets
    path: tuple[str | int, ...]

    def get(self, lookup: Lookup, near: Mapping[str, Json]) -> Any:
        name = str(self.path[0])
        if name not in self.secrets:
            return missing(f"secrets.{name} has no value")
        return follow(self.secrets.reveal(name), self.path[1:], f"secrets.{name}")


@dataclass(frozen=True, slots=True)
class _Near:
    """`item` or `output`: what only whoever evaluates the expression has."""

    root: str
    path: tuple[str | int, ...]

    def get(self, lookup: Lookup, near: Mapping[str, Json]) -> Any:
        return follow(near[self.root], self.path, self.root)


@dataclass(frozen=True, slots=True)
class _Step:
    ref: Ref

    def get(self, lookup: Lookup, near: Mapping[str, Json]) -> Any:
        if isinstance(self.ref, Outlook) and self.ref.asks == "error":
            return reason(lookup(self.ref))
        try:
            return lookup(self.ref)
        except Exception:  # nothing is at the path: that is said in the words of the file
            if not self.ref.path:
                raise
        value = lookup(replace(self.ref, path=()))
        if value is None and isinstance(self.ref, Outlook):
            return None
        return follow(value, self.ref.path, str(Read("steps", (self.ref.task, "output"))))


_Given: TypeAlias = "_Known | _Unset | _Secret | _Near | _Step"


def _given(read: Read, scope: Scope) -> _Given:
    if read.root in ("item", "output"):
        return _Near(read.root, read.path)
    name = str(read.path[0])
    if read.root == "steps":
        return _Step(read.ref(soft=scope.soft is None or name in scope.soft))
    if read.root == "secrets":
        return _Secret(scope.secrets, read.path)
    values = scope.inputs if read.root == "inputs" else scope.env
    shown = str(Read(read.root, (name,)))
    return _Known(values[name], read.path[1:], shown) if name in values else _Unset(shown)


@dataclass(frozen=True, slots=True)
class Bound:
    """One ``${{ }}`` whose names stand for something. `text` is how it was written."""

    text: str
    tree: Tree = field(repr=False)
    given: tuple[_Given, ...] = field(repr=False, hash=False)

    @property
    def refs(self) -> tuple[Ref, ...]:
        """What it reads of steps."""
        return tuple(given.ref for given in self.given if isinstance(given, _Step))

    @property
    def uses_secrets(self) -> frozenset[str]:
        """The names of the secrets that it reads."""
        found = (given.path[0] for given in self.given if isinstance(given, _Secret))
        return frozenset(map(str, found))

    @property
    def near(self) -> frozenset[str]:
        """Which of `item` and `output` it reads."""
        return frozenset(given.root for given in self.given if isinstance(given, _Near))

    @property
    def settled(self) -> bool:
        """Whether its value is known by now."""
        return not self.tree.asks and all(isinstance(given, _Known) for given in self.given)

    def fold(self) -> Json:
        """Compute it now, if it is `settled`. Raises `ExpressionError`."""
        return self.run(_unknown, _NOTHING)

    def run(self, lookup: Lookup, near: Mapping[str, Json]) -> Json:
        """Compute it; `near` are item, output and the answers of functions. Raises `ExpressionError`."""
        try:
            values = {f"v{at}": one.get(lookup, near) for at, one in enumerate(self.given)}
            if self.tree.plain:
                return cast("Json", finished(values["v0"]))
            values.update((name, near[name]) for name in self.tree.asks)
            return cast("Json", self.tree.program.run(values))
        except Wrong as wrong:
            raise ExpressionError(self.text, str(wrong)) from None

    def text_of(self, value: Json) -> str:
        """Write its value as it reads inside a text. Raises `ExpressionError`."""
        try:
            return render_text(value)
        except RecursionError:
            raise ExpressionError(self.text, "its value is nested too deeply") from None


def bound(formula: Formula, scope: Scope) -> Bound:
    """Say what the names in an expression stand for."""
    given = tuple(_given(read, scope) for read in formula.reads)
    return Bound(formula.text, formula.tree, given)


def _unknown(ref: Ref) -> Json:
    raise KeyError(ref)


# -- values in a plan --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Computed:
    """A value with expressions in it, as a plan's `Expression`.

    `source` is how it was written: one ``${{ }}``, whose value keeps its type, or a text with some
    in it. `uses_secrets` names the secrets it reads, which are looked up when it is evaluated.
    """

    source: str
    refs: tuple[Ref, ...]
    uses_secrets: frozenset[str] = frozenset()
    parts: tuple[str | Bound, ...] = field(default=(), repr=False, hash=False)
    whole: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        return self.source

    @property
    def near(self) -> frozenset[str]:
        """Which of `item` and `output` it reads; with any, only `run` can compute it."""
        found = [part.near for part in self.parts if isinstance(part, Bound)]
        return frozenset[str]().union(*found)

    @property
    def item_path(self) -> tuple[str | int, ...] | None:
        """The path in `item`, where the value is what is there and nothing else."""
        one = self.parts[0]
        if not (self.whole and isinstance(one, Bound) and one.tree.plain):
            return None
        given = one.given[0]
        return given.path if isinstance(given, _Near) and given.root == "item" else None

    def evaluate(self, lookup: Lookup) -> Json:
        """Compute the value; raise `ExpressionError`, naming the expression, where it has none."""
        return self.run(lookup, _NOTHING)

    def run(self, lookup: Lookup, near: Mapping[str, Json]) -> Json:
        """Compute the value where `near` holds item or output."""
        if self.whole and isinstance(self.parts[0], Bound):
            return self.parts[0].run(lookup, near)
        texts = [
            part if isinstance(part, str) else part.text_of(part.run(lookup, near))
            for part in self.parts
        ]
        if sum(map(len, texts)) > LARGEST:
            problem = f"the text is larger than {LARGEST:,} characters"
            raise ExpressionError(self.source, problem)
        return "".join(texts)


def compile_value(value: Any, scope: Scope, path: Path = ()) -> Argument:
    """Make an argument of a value from a workflow file, or of what `written` found in it.

    Text that is exactly one reference to a step's result becomes the `Ref`. Raises `MistakesError`
    with all that is wrong, also with what can be computed already and fails.
    """
    found = value if isinstance(value, Written) else written(value, scope.names, path)
    mistakes = list(found.mistakes)
    argument = _argument(found.value, scope, mistakes)
    if mistakes:
        raise MistakesError(mistakes)
    return argument


def _argument(value: Any, scope: Scope, mistakes: list[Mistake]) -> Argument:
    match value:
        case Formula():
            return _one(value, bound(value, scope), mistakes)
        case Mixed():
            return _text(value, scope, mistakes)
        case dict():
            return {name: _argument(inner, scope, mistakes) for name, inner in value.items()}
        case list():
            return [_argument(inner, scope, mistakes) for inner in value]
        case _:
            return cast("Json", value)


def _one(formula: Formula, one: Bound, mistakes: list[Mistake]) -> Argument:
    if one.settled:
        return _folded(formula, one, mistakes)
    if formula.tree.plain and isinstance(one.given[0], _Step) and type(one.given[0].ref) is Ref:
        return one.given[0].ref
    return Computed(formula.text, _once(one.refs), one.uses_secrets, (one,), whole=True)


def _text(mixed: Mixed, scope: Scope, mistakes: list[Mistake]) -> Argument:
    parts: list[str | Bound] = []
    for part in mixed.parts:
        one = bound(part, scope) if isinstance(part, Formula) else part
        if isinstance(one, Bound) and isinstance(part, Formula) and one.settled:
            one = one.text_of(_folded(part, one, mistakes))
        parts.append(one)
    if all(isinstance(part, str) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    left = [part for part in parts if isinstance(part, Bound)]
    refs = _once(ref for part in left for ref in part.refs)
    secrets = frozenset[str]().union(*(part.uses_secrets for part in left))
    return Computed(mixed.source, refs, secrets, tuple(parts))


def _folded(formula: Formula, one: Bound, mistakes: list[Mistake]) -> Json:
    try:
        return one.fold()
    except ExpressionError as error:
        mistakes.append(Mistake(formula.path, formula.offset, error.problem))
        return None


def _once(refs: Iterable[Ref]) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(refs))


def filled(argument: Argument, lookup: Lookup, near: Mapping[str, Json] = _NOTHING) -> Json:
    """Compute an argument that `compile_value` made, however deep its expressions are."""
    match argument:
        case Ref():
            return lookup(argument)
        case Computed():
            return argument.run(lookup, near)
        case Mapping():
            return {name: filled(inner, lookup, near) for name, inner in argument.items()}
        case list() | tuple():
            return [filled(inner, lookup, near) for inner in argument]
        case None | bool() | int() | float() | str():
            return argument
        case _:
            return cast("Expression", argument).evaluate(lookup)


def uses_secrets(argument: Argument) -> frozenset[str]:
    """Return the names of the secrets that an argument reads."""
    match argument:
        case Mapping():
            return frozenset[str]().union(*map(uses_secrets, argument.values()))
        case list() | tuple():
            return frozenset[str]().union(*map(uses_secrets, argument))
        case _:
            found: frozenset[str] = getattr(argument, "uses_secrets", frozenset())
            return found


def ref_text(ref: Ref) -> str:
    """Write a reference as the expression that reads the same: ``steps.geo.output.lat``."""
    asks = ref.asks if isinstance(ref, Outlook) and ref.asks != "value" else "output"
    stars = [at for at, step in enumerate(ref.path) if isinstance(step, Star)]
    first = stars[0] if stars else len(ref.path)
    plain = tuple(step for step in ref.path[:first] if not isinstance(step, Star))
    text = str(Read("steps", (ref.task, asks, *plain)))
    rest = ["*" if isinstance(step, Star) else step for step in ref.path[first + 1 :]]
    return f"{text} | map(attribute={json.dumps(rest, ensure_ascii=False)})" if rest else text
