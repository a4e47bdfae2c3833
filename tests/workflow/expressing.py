"""Results of steps for expressions to read, and what values come to with them."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from llmcompiler.plan import Json, Outlook, Ref, TaskId
from llmcompiler.workflow.expressions import MistakesError, Scope, compile_value, filled

GEO: Final = TaskId("geo")


def looking(results: dict[str, Any], became: dict[str, str] | None = None) -> Callable[[Ref], Json]:
    """Return a lookup over the results of steps, and what became of those that have none."""

    def lookup(ref: Ref) -> Json:
        if isinstance(ref, Outlook) and ref.asks == "status":
            return (became or {}).get(ref.task, "ok")
        if isinstance(ref, Outlook) and ref.asks == "error":
            return None if ref.task in results else "it broke"
        if isinstance(ref, Outlook) and ref.task not in results:
            return None
        value = results[ref.task]
        for step in ref.path:
            value = value[step]
        return value  # type: ignore[no-any-return]

    return lookup


def known(**inputs: Any) -> Scope:
    """Return a scope in which these inputs are known."""
    return Scope(inputs=inputs)


def now(text: str, **inputs: Any) -> Any:
    """Compute a value that reads nothing but inputs."""
    return compile_value(text, known(**inputs))


def later(text: str, scope: Scope | None = None, **results: Any) -> Any:
    """Compute a value that reads results of steps."""
    return filled(compile_value(text, scope or Scope()), looking(results))


def wrong(text: str, **inputs: Any) -> str:
    """Return what is said of an expression that is wrong whatever steps give."""
    with pytest.raises(MistakesError) as caught:
        now(text, **inputs)
    return str(caught.value)
