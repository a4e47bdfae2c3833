"""How are tools listed, shown and called at the command line?

It does not know where tools come from, nor what they do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llmcompiler.cli.ask import named_values
from llmcompiler.errors import ConfigurationError, ToolError, ToolTimeoutError, did_you_mean
from llmcompiler.registry import load_model, load_tools

if TYPE_CHECKING:
    from llmcompiler.messages import LLM
    from llmcompiler.plan import Json
    from llmcompiler.toolbox import RunContext, Tool

__all__ = ["call", "list_all", "show"]


def list_all(sources: Sequence[str] | None, *, as_json: bool) -> None:
    """Print the tools of `sources`, one to a line, or all about them as JSON."""
    toolbox = load_tools(sources or ["bundled"])
    if as_json:
        print(json.dumps([_as_json(each) for each in toolbox.values()], indent=2))
        return
    calls = {name: _signature(each) for name, each in toolbox.items()}
    width = min(44, max(map(len, calls.values())))
    for name, each in toolbox.items():
        print(f"{calls[name]:<{width}}  {_first_line(each)}")


def show(name: str, sources: Sequence[str] | None, *, as_json: bool) -> None:
    """Print one tool's description, parameters, result and limits."""
    each = _find(name, sources)
    if as_json:
        print(json.dumps(_as_json(each), indent=2))
        return
    print(_signature(each))
    if each.description:
        print(f"\n{each.description.strip()}")
    properties = each.parameters.get("properties", {})
    if properties:
        print("\nArguments:")
        for argument, schema in properties.items():
            print(f"  {argument}: {_argument(schema)}")
    if each.returns is not None:
        print(f"\nReturns: {_kind(each.returns)}")
    print(f"\nSettings: {_settings(each)}")


def call(
    name: str,
    values: Sequence[str],
    args: str | None,
    sources: Sequence[str] | None,
    model: str,
) -> None:
    """Call a tool and print its result as JSON."""
    import anyio

    each = _find(name, sources)
    given = _arguments(each, values, args)
    for argument in given:
        if argument not in each.parameters.get("properties", {}):
            known = each.parameters.get("properties", {})
            raise ConfigurationError(
                f"{each.name!r} has no argument {argument!r}{did_you_mean(argument, known)}"
            )

    async def work() -> Json:
        llm = load_model(model) if each.wants_context else None
        context = None if llm is None else _context(llm)
        try:
            with anyio.move_on_after(each.timeout):
                return await each.invoke(given, context)
            raise ToolTimeoutError(each.timeout or 0.0)
        finally:
            if llm is not None:
                with anyio.CancelScope(shield=True):
                    await llm.aclose()

    print(json.dumps(_invoked(lambda: anyio.run(work)), ensure_ascii=False, indent=2))


def _invoked(call: Callable[[], Json]) -> Json:
    from llmcompiler.errors import LLMCompilerError

    try:
        return call()
    except LLMCompilerError:
        raise
    except Exception as error:
        # A tool may fail in any way; the plan's reader would see the same sentence.
        raise ToolError(f"{type(error).__name__}: {error}") from error


def _context(llm: LLM) -> RunContext[Any]:
    from llmcompiler.toolbox import RunContext

    def tell(done: float, total: float | None = None, message: str = "") -> None:
        part = f"{done:g}" if total is None else f"{done:g} of {total:g}"
        print(f"{part} {message}".rstrip(), file=sys.stderr)

    return RunContext(deps=None, run_id="call", step="1", llm=llm, progress=tell)


def _arguments(each: Tool[..., Any], values: Sequence[str], args: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if args is not None:
        try:
            given = json.loads(args)
        except ValueError as error:
            raise ConfigurationError(f"--args is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise ConfigurationError("--args must be a JSON object: '{\"name\": value}'")
    named = named_values(values, "the argument")
    for pair in values:
        name, _, text = pair.partition("=")
        schema = each.parameters.get("properties", {}).get(name.strip(), {})
        if schema.get("type") == "string":
            named[name.strip()] = text
    return given | named


def _find(name: str, sources: Sequence[str] | None) -> Tool[..., Any]:
    toolbox = load_tools(sources or ["bundled"])
    if name not in toolbox:
        raise ConfigurationError(f"there is no tool {name!r}{did_you_mean(name, toolbox)}")
    return toolbox[name]


def _signature(each: Tool[..., Any]) -> str:
    required = each.parameters.get("required", ())
    names = (
        name if name in required else f"[{name}]" for name in each.parameters.get("properties", {})
    )
    return f"{each.name}({', '.join(names)})"


def _first_line(each: Tool[..., Any]) -> str:
    return (each.description.strip().splitlines() or [""])[0]


def _argument(schema: dict[str, Any]) -> str:
    default = f", {json.dumps(schema['default'])} if not given" if "default" in schema else ""
    description = schema.get("description")
    return f"{_kind(schema)}{default}" + (f" - {description}" if description else "")


def _kind(schema: Any) -> str:
    """Name a JSON Schema in a word or two."""
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and schema.get("properties"):
        return f"{{{', '.join(schema['properties'])}}}"
    return str(kind)


def _settings(each: Tool[..., Any]) -> str:
    parts = [
        "writes: waits for the whole plan" if each.effects == "write" else "only reads",
        f"at most {each.timeout:g} s" if each.timeout else "no time limit of its own",
    ]
    if each.retries.attempts:
        parts.append(f"{each.retries.attempts} more tries")
    if each.limit:
        parts.append(f"{each.limit} at once")
    if each.pure:
        parts.append("pure")
    if each.idempotent:
        parts.append("idempotent")
    if each.resource:
        parts.append(f"one at a time of {each.resource!r}")
    if each.approve is not None:
        parts.append("needs approval" if each.approve == "always" else "may need approval")
    if each.fallback:
        parts.append(f"falls back on {each.fallback}")
    if each.bulk is not None:
        parts.append("has a bulk form")
    parts.extend(mark for mark in ("cpu", "untrusted", "private", "sends") if getattr(each, mark))
    return ", ".join(parts)


def _as_json(each: Tool[..., Any]) -> dict[str, Any]:
    return {
        "name": each.name,
        "description": each.description,
        "parameters": dict(each.parameters),
        "returns": None if each.returns is None else dict(each.returns),
        "timeout": each.timeout,
        "retries": each.retries.attempts,
        "limit": each.limit,
        "effects": each.effects,
        "pure": each.pure,
        "idempotent": each.idempotent,
        "resource": each.resource,
        "approve": "some" if callable(each.approve) else each.approve,
        "fallback": each.fallback,
        "bulk": each.bulk is not None,
        "cpu": each.cpu,
        "untrusted": each.untrusted,
        "private": each.private,
        "sends": each.sends,
        "source": each.source,
    }
