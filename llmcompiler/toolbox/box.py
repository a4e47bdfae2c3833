"""Which tools are there? A set of them by name, whose fallbacks stand in for each other.

It does not know how a tool is called or what a model reads of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmcompiler.errors import ConfigurationError, DuplicateToolError, did_you_mean
from llmcompiler.toolbox import process
from llmcompiler.toolbox.decorator import tool
from llmcompiler.toolbox.definition import Tool, ToolLike
from llmcompiler.types import Type, describe, may_fit

__all__ = ["Toolbox"]


class Toolbox(Mapping[str, "Tool[..., Any]"]):
    """Tools by name, sorted by it, so that what a model reads of them never changes its order.

    Raises `DuplicateToolError` for two tools of one name, and `ConfigurationError` for a fallback
    that is not among them or cannot stand in for the tool that names it.
    """

    def __init__(self, tools: Iterable[ToolLike] | Toolbox = ()) -> None:
        found: dict[str, Tool[..., Any]] = {}
        for candidate in tools.values() if isinstance(tools, Toolbox) else tools:
            made = candidate if isinstance(candidate, Tool) else tool(candidate)
            known = found.get(made.name)
            if known is not None and known is not made:
                raise DuplicateToolError(made.name, known.source, made.source)
            found[made.name] = made
        self._tools = dict(sorted(found.items()))
        for made in self._tools.values():
            if made.cpu:
                process.check_found(made.fn, made.name)
            _check_fallbacks(made, self._tools)

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolbox({', '.join(self._tools)})"


def _check_fallbacks(made: Tool[..., Any], tools: Mapping[str, Tool[..., Any]]) -> None:
    """Refuse a fallback that is missing, that does not fit, or that leads back to where it began."""
    path = [made.name]
    while made.fallback is not None:
        if made.fallback not in tools:
            raise ConfigurationError(
                f"the fallback {made.fallback!r} of {made.name!r} is not among the tools"
                f"{did_you_mean(made.fallback, tools)}"
            )
        path.append(made.fallback)
        if path.count(made.fallback) > 1:
            raise ConfigurationError(f"the fallbacks go round in a circle: {' -> '.join(path)}")
        other = tools[made.fallback]
        problem = _mismatch(made, other) or _reach(made, other)
        if problem is not None:
            raise ConfigurationError(
                f"{made.name!r} cannot fall back on {made.fallback!r}: {problem}"
            )
        made = other


def _mismatch(made: Tool[..., Any], other: Tool[..., Any]) -> str | None:
    """Say why `other` cannot be called as `made` is, or does not return what it does."""
    taken = other.parameters.get("properties", {})
    for name, schema in made.parameters.get("properties", {}).items():
        if name not in taken:
            return f"that takes no {name!r}{did_you_mean(name, taken)}"
        given = Type(schema, made.parameters.get("$defs", {}))
        wanted = Type(taken[name], other.parameters.get("$defs", {}))
        if not may_fit(given, wanted):
            return f"its {name!r} is {describe(given)}, and that takes {describe(wanted)}"
    needed = set(made.parameters.get("required", ()))
    for name in other.parameters.get("required", ()):
        if name not in needed:
            return f"that needs {name!r}, which a call of {made.name!r} does not always hold"
    if made.returns is None or other.returns is None:
        return None
    given, wanted = Type.of(other.returns), Type.of(made.returns)
    if not may_fit(given, wanted):
        return f"it returns {describe(wanted)}, and that returns {describe(given)}"
    return None


def _reach(made: Tool[..., Any], other: Tool[..., Any]) -> str | None:
    """Say what `other` may do that a plan which calls `made` was not looked at for."""
    if made.effects == "read" and other.effects == "write":
        return "that writes, and it only reads"
    for mark in ("untrusted", "private", "sends"):
        if getattr(other, mark) and not getattr(made, mark):
            return f"that is {mark}=True; say so of {made.name!r} as well"
    if other.resource not in (None, made.resource):
        return f"that works on {other.resource!r}; say resource={other.resource!r} of both"
    if other.approve is not None and made.approve not in ("always", other.approve):
        return f"that needs approval; say so of {made.name!r} as well"
    return None
