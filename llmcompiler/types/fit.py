"""May a value of one type be one of another?

It does not know values; where a schema leaves it open, the answer is yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcompiler.types.paths import element_of, step_into
from llmcompiler.types.schema import DEEP, Schema, Type, branches, choices_of
from llmcompiler.types.values import problem

__all__ = ["may_fit"]


def may_fit(source: Type, target: Type) -> bool:
    """Whether a value of `source` may be one of `target`; False only where it surely is not.

    A list whose elements cannot fit does not fit, although an empty one would.
    """
    return _may_fit(source, target, 0)


def _may_fit(source: Type, target: Type, deep: int) -> bool:
    if deep > DEEP // 4:
        return True
    targets = list(branches(target))
    return any(
        _branch_may_fit(kind, Type(have, source.defs), wanted, Type(want, target.defs), deep)
        for kind, have in branches(source)
        for wanted, want in targets
    )


def _branch_may_fit(kind: str, source: Type, wanted: str, target: Type, deep: int) -> bool:
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
            return _array_may_fit(source, target, deep)
        case "object":
            return _object_may_fit(have, source.defs, want, target.defs, deep)
        case _:
            return True


def _array_may_fit(source: Type, target: Type, deep: int) -> bool:
    element, expected = element_of(source), element_of(target)
    if isinstance(element, Type) and isinstance(expected, Type):
        return _may_fit(element, expected, deep + 1)
    return True


def _object_may_fit(
    have: Mapping[str, Any],
    have_defs: Mapping[str, Schema],
    want: Mapping[str, Any],
    want_defs: Mapping[str, Schema],
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
        if not _may_fit(Type(inner, have_defs), Type(expected, want_defs), deep + 1):
            return False
    return True
