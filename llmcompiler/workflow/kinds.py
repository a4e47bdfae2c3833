"""Of what type is what an expression reads, and is it there at all?

It does not know values: a type says what is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from llmcompiler.types import PathProblem, Type, at_path, describe, element_of
from llmcompiler.types.schema import kinds
from llmcompiler.workflow.expressions import ExpressionError, Scope, bound
from llmcompiler.workflow.names import Read
from llmcompiler.workflow.written import Formula, Mistake, Mixed, Written

__all__ = ["Kinds", "elements_of", "wrong_reads"]

_TEXT: Final = Type({"type": "string"})
_STATUS: Final = Type({"enum": ["ok", "failed", "skipped", "cancelled"]})
_ERROR: Final = Type({"type": ["string", "null"]})
_NAMED: Final = {"key": {"type": "string"}}
_Types: TypeAlias = "Mapping[str, Type | None]"


@dataclass(frozen=True, slots=True)
class Kinds:
    """The types that are known: of what steps give, of inputs, and of `item` and `output`.

    None, or no entry, is a type that nobody knows.
    """

    steps: _Types = field(default_factory=dict)
    inputs: _Types = field(default_factory=dict)
    item: Type | None = None
    output: Type | None = None

    def of(self, read: Read) -> Type | PathProblem | None:
        """Return the type of what is read; a problem where there is surely no such thing."""
        whole, path = self._whole(read)
        if whole is None or not path:
            return whole
        found = at_path(whole, path)
        if isinstance(found, PathProblem):
            here = Read(read.root, read.path[: len(read.path) - len(path) + found.at])
            return PathProblem(found.at, f"{here} {found.text}")
        return found

    def of_value(self, value: Any) -> Type | None:
        """Return the type of a value as `written` found it; None if unknown."""
        match value:
            case Formula() if value.tree.plain:
                found = self.of(value.reads[0])
                return found if isinstance(found, Type) else None
            case Formula():
                return _settled(value)
            case Mixed():
                return _TEXT
            case list():
                kinds = [self.of_value(one) for one in value]
                known = [kind.schema for kind in kinds if kind is not None and not kind.defs]
                whole = {"anyOf": known} if known and len(known) == len(kinds) else {}
                return Type({"type": "array", "items": whole or True})
            case Mapping():
                return Type({"type": "object"})
            case _:
                return Type({"const": value})

    def _whole(self, read: Read) -> tuple[Type | None, tuple[str | int, ...]]:
        match read.root:
            case "item":
                return self.item, read.path
            case "output":
                return self.output, read.path
            case "env" | "secrets":
                return _TEXT, read.path[1:]
            case "inputs":
                return self.inputs.get(str(read.path[0])), read.path[1:]
            case _ if read.path[1] == "status":
                return _STATUS, ()
            case _ if read.path[1] == "error":
                return _ERROR, ()
            case _:
                return self.steps.get(str(read.path[0])), read.path[2:]


def _settled(formula: Formula) -> Type | None:
    if formula.reads or formula.tree.asks:
        return None
    try:
        return Type({"const": bound(formula, Scope()).fold()})
    except ExpressionError:
        return None


def elements_of(over: Type | None) -> Type | str | None:
    """Return what `item` is where ``for_each`` goes over a value of this type.

    None if nobody knows, a text that says what is wrong where it cannot go over it.
    """
    if over is None:
        return None
    allowed = kinds(over)
    if not allowed & {"array", "object"}:
        return f"'for_each' goes over a list or an object, not {describe(over)}"
    if allowed == {"object"}:
        schema = over.schema
        inner: Any = True
        if isinstance(schema, Mapping) and "properties" not in schema:
            inner = schema.get("additionalProperties", True)
        return Type({"type": "object", "properties": {**_NAMED, "value": inner}}, over.defs)
    found = element_of(over)
    return None if isinstance(found, PathProblem) or "object" in allowed else found


def wrong_reads(found: Written, kinds: Kinds, own: Collection[str] = ()) -> Iterator[Mistake]:
    """Yield what surely is not there of all that the expressions in a value read.

    `own` is the name of the step that they stand in.
    """
    for formula in found.formulas:
        for read in formula.reads:
            if read.root == "steps" and read.path[0] in own:
                yield Mistake(formula.path, read.offset, "a step cannot refer to itself")
                continue
            kind = kinds.of(read)
            if isinstance(kind, PathProblem):
                yield Mistake(formula.path, read.offset, kind.text)
