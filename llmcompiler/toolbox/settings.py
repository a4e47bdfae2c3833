"""Which settings of a tool go together?

It does not know the other tools: what concerns several of them is `box`'s to say.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from llmcompiler.errors import ConfigurationError, ToolDefinitionError, did_you_mean
from llmcompiler.toolbox import process
from llmcompiler.toolbox.definition import Tool
from llmcompiler.types import Type, array_of, describe, may_fit

__all__ = ["check_bulk", "check_settings"]


def check_settings(made: Tool[..., Any]) -> None:
    """Raise `ConfigurationError` where settings of `made` are wrong or contradict each other."""
    name = made.name
    if made.timeout is not None and not made.timeout > 0:
        raise ConfigurationError(f"timeout of {name!r} must be above 0")
    if made.limit is not None and made.limit < 1:
        raise ConfigurationError(f"limit of {name!r} must be 1 or more")
    if name.lower() == "join":
        raise ToolDefinitionError(name, "join() closes a plan; give it another name")
    if not name.replace("-", "_").replace(".", "_").isidentifier():
        raise ToolDefinitionError(name, "its name must be letters, digits and underscores")
    if not _is_text(made.version):
        raise ConfigurationError(f"version of {name!r} must be a text, not {made.version!r}")
    if made.resource is not None and not _is_text(made.resource):
        raise ConfigurationError(
            f"resource of {name!r} must be a name or None, not {made.resource!r}"
        )
    if made.fallback == name:
        raise ConfigurationError(f"fallback of {name!r} must be another tool")
    _check_effects(made)
    _check_approve(made)
    if made.cpu:
        _check_cpu(made)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check_effects(made: Tool[..., Any]) -> None:
    if made.effects not in ("read", "write"):
        raise ConfigurationError(
            f"effects of {made.name!r} must be 'read' or 'write', not {made.effects!r}"
        )
    if made.effects == "read":
        return
    if made.pure:
        raise ConfigurationError(f"{made.name!r} writes, so it is not pure: leave out pure=True")
    if made.retries.attempts > 0 and not made.idempotent:
        raise ConfigurationError(
            f"{made.name!r} writes, and a retry could write twice: say idempotent=True if that "
            f"does no harm, or leave out retries"
        )


def _check_approve(made: Tool[..., Any]) -> None:
    approve: object = made.approve
    if approve is None or approve == "always":
        return
    if not callable(approve) or inspect.iscoroutinefunction(approve):
        raise ConfigurationError(
            f"approve of {made.name!r} must be 'always' or a plain function of the arguments, "
            f"not {approve!r}"
        )


def _check_cpu(made: Tool[..., Any]) -> None:
    if made.is_async:
        raise ToolDefinitionError(
            made.name, "cpu=True is for plain functions: write it without async"
        )
    if made.wants_context:
        raise ToolDefinitionError(
            made.name, "with cpu=True it runs in another process, where there is no RunContext"
        )
    if made.bulk is not None:
        raise ToolDefinitionError(made.name, "cpu=True and bulk do not go together")
    process.check_place(made.fn, made.name)


def check_bulk(made: Tool[..., Any], parameters: Mapping[str, Any]) -> None:
    """Raise `ToolDefinitionError` where a bulk form with `parameters` (a JSON Schema) is unfit.

    It must take exactly the tool's own parameters, each as a list.
    """
    own = made.parameters.get("properties", {})
    columns = parameters.get("properties", {})
    if not own:
        raise ToolDefinitionError(made.name, "it has no parameters, so it needs no bulk form")
    for name in columns:
        if name not in own:
            raise ToolDefinitionError(
                made.name,
                f"its bulk form takes {name!r}, which is none of its own parameters"
                f"{did_you_mean(name, own)}",
            )
    for name, schema in own.items():
        if name not in columns:
            raise ToolDefinitionError(made.name, f"its bulk form must take {name!r} too, as a list")
        given = array_of(Type(schema, made.parameters.get("$defs", {})))
        wanted = Type(columns[name], parameters.get("$defs", {}))
        if not may_fit(given, wanted):
            raise ToolDefinitionError(
                made.name,
                f"its bulk form must take {name!r} as a list of what the tool takes, "
                f"not as {describe(wanted)}",
            )
