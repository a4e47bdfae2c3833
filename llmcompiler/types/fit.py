"""May a value of one type be one of another?

It does not know values; where a schema leaves it open, the answer is yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from llmcompiler.types.paths import element_of, step_into
from llmcompiler.types.schema import DEEP, Schema, Type, branches, choices_of
from llmcompiler.types.values import problem

__all__ = ["may_fit"]

# What was found out of pairs of schemas, by identity; a pair that is looked at just now may fit.
# Without it, a type that holds itself twice would be followed for ever.
_Met: TypeAlias = "dict[tuple[int, int], tuple[bool, Type, Type]]"
_MANY: Final = 2000  # pairs after which anything fits


def may_fit(source: Type, target: Type) -> bool:
    """Whether a value of `source` may be one of `target`; False only where it surely is not.

    A list whose elements cannot fit does not fit, although an empty one would.
    """
    return _may_fit(source, target, {}, 0)


def _may_fit(source: Type, target: Type, met: _Met, deep: int) -> bool:
    pair = id(source.schema), id(target.schema)
    known = met.get(pair)
    if known is not None:
        return known[0]
    if deep > DEEP // 4 or len(met) > _MANY:
        return True
    met[pair] = True, source, target
    targets = list(branches(target))
    may = any(
        _branch_may_fit(kind, Type(have, source.defs), wanted, Type(want, target.defs), met, deep)
        for kind, have in branches(source)
        for wanted, want in targets
    )
    met[pair] = may, source, target
    return may


def _branch_may_fit(
    kind: str, source: Type, wanted: str, target: Type, met: _Met, deep: int
) -> bool:
    if kind != wanted and {kind, wanted} != {"integer", "number"}:
        return False
    have, want = source.schema, target.schema
    if isinstance(have, bool) or isinstance(want, bool):
        return True
    choices = choices_of(have)
    if choices is not None:
        return any(problem(choice, target) is None for choice in choices)
    match kind:
        case "array":
            return _array_may_fit(source, target, met, deep)
        case "object":
            return _object_may_fit(have, source.defs, want, target.defs, met, deep)
        case _:
            return True


def _array_may_fit(source: Type, target: Type, met: _Met, deep: int) -> bool:
    element, expected = element_of(source), element_of(target)
    if isinstance(element, Type) and isinstance(expected, Type):
        return _may_fit(element, expected, met, deep + 1)
    return True


def _object_may_fit(
    have: Mapping[str, Any],
    have_defs: Mapping[str, Schema],
    want: Mapping[str, Any],
    want_defs: Mapping[str, Schema],
    met: _Met,
    deep: int,
) -> bool:
    wanted = want.get("properties", {})
    sure = set(have.get("required", ()))
    others = want.get("additionalProperties", True)
    for name in {*want.get("required", ()), *sure}:
        inner = step_into("object", have, name, set())
        if isinstance(inner, str):
            return False
        expected = wanted.get(name, others)
        if not _may_fit(Type(inner, have_defs), Type(expected, want_defs), met, deep + 1):
            return False
    return True
