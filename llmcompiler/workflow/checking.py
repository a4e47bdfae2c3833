"""Do the arguments of a step fit what it uses, as far as that is known before anything runs?

It does not know how the step becomes tasks: it compares what was written with JSON Schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from llmcompiler.errors import did_you_mean
from llmcompiler.toolbox import Tool
from llmcompiler.types import Type, accepts_text, at_path, describe, may_fit, problem
from llmcompiler.workflow.kinds import Kinds
from llmcompiler.workflow.written import Formula, Mistake, Mixed, Path

__all__ = ["misfits", "missing_arguments", "unknown_arguments"]

Foreign: TypeAlias = Callable[[object, Type, str], str | None]


def unknown_arguments(tool: Tool[..., Any], uses: str, given: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with arguments that a tool does not have, by their names."""
    known: Mapping[str, Any] = tool.parameters.get("properties", {})
    wrong: dict[str, str] = {}
    for name in given:
        if name not in known:
            close = did_you_mean(name, known)
            takes = f"; it takes {', '.join(known) or 'none'}"
            wrong[name] = f"{uses} has no argument {name!r}{close or takes}"
    return wrong


def missing_arguments(tool: Tool[..., Any], uses: str, given: Iterable[str]) -> list[str]:
    """Return what is wrong where arguments are missing that a tool needs, one text for each."""
    there = set(given)
    needed = tool.parameters.get("required", ())
    return [f"{uses} needs the argument {name!r}" for name in needed if name not in there]


def misfits(
    tool: Tool[..., Any], uses: str, name: str, value: Any, path: Path, kinds: Kinds
) -> Iterator[Mistake]:
    """Yield why an argument, as `written` found it, does not fit, each where in it that is."""
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    if name not in properties:
        return
    expected = Type(properties[name], tool.parameters.get("$defs", {}))

    def foreign(inner: object, wanted: Type, at: str) -> str | None:
        return _foreign(inner, wanted, at, kinds)

    for at, text in _misfits(value, expected, name, path, foreign):
        yield Mistake(at, 0, f"{uses}: {text}")


def _misfits(
    value: Any, expected: Type, name: str, path: Path, foreign: Foreign
) -> Iterator[tuple[Path, str]]:
    wrong = problem(value, expected, name, foreign)
    if wrong is None:
        return
    inner: list[tuple[Path, str]] = []
    parts: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    for step, part in parts:
        kind = at_path(expected, (step,))
        if isinstance(kind, Type):
            called = f"{name}[{step}]" if isinstance(step, int) else f"{name}.{step}"
            inner.extend(_misfits(part, kind, called, (*path, step), foreign))
    yield from inner or [(path, wrong)]


def _foreign(value: object, expected: Type, name: str, kinds: Kinds) -> str | None:
    match value:
        case Formula():
            return _formula(value, expected, name, kinds)
        case Mixed() if accepts_text(expected):
            return None
        case Mixed():
            return f"{name} must be {describe(expected)}, not a text with expressions in it"
        case _:
            return f"{name} must be {describe(expected)}, not {value!r}"


def _formula(formula: Formula, expected: Type, name: str, kinds: Kinds) -> str | None:
    found = kinds.of_value(formula)
    if found is None:
        return None
    if isinstance(found.schema, Mapping) and "const" in found.schema:
        return problem(found.schema["const"], expected, name)
    if may_fit(found, expected):
        return None
    wanted, given = describe(expected), describe(found)
    what = str(formula.reads[0])
    if wanted == given:
        return f"{name} must be {wanted} of another kind than {what}"
    hint = f"; write ${{{{ {what} | string }}}}" if accepts_text(expected) else ""
    return f"{name} must be {wanted}, and {what} is {given}{hint}"
