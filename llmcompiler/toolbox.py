"""What a tool is: a typed function, its JSON Schema, its limits and effects.

It does not know plans, when a tool may start, or which tools exist.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeAlias, cast, overload

import anyio
import anyio.to_thread
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator
from typing_extensions import TypeVar

from llmcompiler.errors import (
    ConfigurationError,
    DuplicateToolError,
    ToolArgumentError,
    ToolDefinitionError,
    ToolError,
)
from llmcompiler.messages import LLM, Message, Prompt, Sampling, TextDelta
from llmcompiler.plan import Json
from llmcompiler.retry import Retry
from llmcompiler.signature import Signature, read_signature

__all__ = ["Approve", "Effects", "Progress", "RunContext", "Tool", "ToolLike", "Toolbox", "tool"]

Effects: TypeAlias = Literal["read", "write"]
Approve: TypeAlias = "Literal['always'] | Callable[[Mapping[str, Json]], bool]"
P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True, default=Any)
Deps = TypeVar("Deps", default=Any)


class Progress(Protocol):
    """Called by a tool to say how far it is."""

    def __call__(self, done: float, total: float | None = None, message: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class RunContext(Generic[Deps]):
    """What a tool may ask of the run it works in; an optional first parameter of a tool.

    `deps` is what the caller handed to the run. `llm` is the run's model: what a tool asks of it
    counts in the run's usage. `progress` shows how far the tool is.
    """

    deps: Deps
    run_id: str
    step: str
    llm: LLM
    progress: Progress

    async def ask(self, prompt: str, *, rules: str = "", sampling: Sampling | None = None) -> str:
        """Ask the run's model one thing and return its whole reply; raise `ModelError`."""
        messages = (Message("rules", rules),) if rules else ()
        asked = Prompt((*messages, Message("request", prompt)))
        parts = [
            delta.text
            async for delta in self.llm.stream(asked, sampling or Sampling())
            if isinstance(delta, TextDelta)
        ]
        return "".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Tool(Generic[P, R_co]):
    """A function that a plan may call.

    `parameters` and `returns` are JSON Schemas; `returns` is None where the function does not
    say. `timeout` is in seconds for one attempt (None: the run's own limit alone), `retries` how
    to try again, `limit` how many calls of it may be under way at once. A tool with
    ``effects="write"`` never starts before the plan is sealed; `pure` says that equal arguments
    give equal results.
    """

    fn: Callable[P, R_co]
    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] | None
    timeout: float | None = 60.0
    retries: Retry = field(default_factory=Retry)
    limit: int | None = None
    effects: Effects = "read"
    pure: bool = False
    idempotent: bool = False
    resource: str | None = None
    cpu: bool = False
    approve: Approve | None = None
    fallback: str | None = None
    bulk: Callable[..., Any] | None = field(default=None, repr=False)
    untrusted: bool = False
    private: bool = False
    sends: bool = False
    version: str = "1"
    wants_context: bool = False
    is_async: bool = False
    validator: SchemaValidator | None = field(default=None, repr=False)
    serializer: SchemaSerializer | None = field(default=None, repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the plain function, as if it had never become a tool."""
        return self.fn(*args, **kwargs)

    @property
    def source(self) -> str:
        """Where the function stands, as ``module.name``."""
        return f"{getattr(self.fn, '__module__', '?')}.{getattr(self.fn, '__qualname__', '?')}"

    async def invoke(
        self,
        args: Mapping[str, Json],
        context: RunContext[Any] | None = None,
        threads: anyio.CapacityLimiter | None = None,
    ) -> Json:
        """Check `args`, call the function, return its result as JSON.

        A synchronous function runs in a worker thread (`threads` limits how many). Raises
        `ToolArgumentError` for arguments that do not fit, `ToolError` for a result that is not
        JSON, and whatever the function itself raises.
        """
        values = self._validated({name: _own(value) for name, value in args.items()})
        call: Callable[..., Any] = self.fn
        if self.wants_context:
            call = partial(call, context)
        if self.is_async:
            result = await cast("Awaitable[Any]", call(**values))
        else:
            result = await anyio.to_thread.run_sync(
                partial(call, **values), abandon_on_cancel=True, limiter=threads
            )
            if inspect.isawaitable(result):
                result = await result
        return self._dumped(result)

    def _validated(self, args: dict[str, Json]) -> dict[str, Any]:
        if self.validator is None:
            return args
        try:
            return cast("dict[str, Any]", self.validator.validate_python(args).__dict__)
        except ValidationError as error:
            raise ToolArgumentError(_first_problem(error)) from None

    def _dumped(self, result: Any) -> Json:
        kind = type(result)
        if (
            (kind is str and result.isascii())
            or (kind is int and _SMALLEST < result < _LARGEST)
            or (kind is float and isfinite(result))
            or kind is bool
            or result is None
        ):
            return cast("Json", result)
        dumped = result
        try:
            if self.serializer is not None:
                dumped = self.serializer.to_python(result, mode="json", warnings=False)
            _ENCODER.encode(dumped).encode()
        except PydanticSerializationError:
            raise ToolError(
                f"{self.name!r} returned a {kind.__name__!r}, which cannot be written as JSON"
            ) from None
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise ToolError(
                f"{self.name!r} returned what cannot be written as JSON: {_unwritable(error)}"
            ) from None
        return cast("Json", dumped)


_LARGEST = 2**62  # larger whole numbers are looked at: Python does not write the very long ones
_SMALLEST = -_LARGEST
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


def _own(value: Json) -> Json:
    """Copy what can be changed: what a tool does to its arguments must not reach a result."""
    if isinstance(value, list):
        return [_own(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _own(inner) for name, inner in value.items()}
    return value


def _unwritable(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case UnicodeError():
            return "a text in it is not valid Unicode"
        case OverflowError():
            return "a number in it is too large"
        case ValueError() if "float" in str(error):
            return "a number in it is infinite or not a number"
        case ValueError() if "digits" in str(error):
            return "a whole number in it is too long"
        case _:
            return str(error)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=True)[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    shown = repr(first.get("input"))
    shown = shown if len(shown) <= 60 else shown[:60] + "…"
    return f"argument {where!r}: {first['msg'][:1].lower()}{first['msg'][1:]} (got {shown})"


ToolLike: TypeAlias = "Tool[..., Any] | Callable[..., Any]"


@overload
def tool(fn: Callable[P, R_co], /) -> Tool[P, R_co]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = 60.0,
    retries: int | Retry = 0,
    limit: int | None = None,
    effects: Effects = "read",
    pure: bool = False,
) -> Callable[[Callable[P, R_co]], Tool[P, R_co]]: ...
def tool(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = 60.0,
    retries: int | Retry = 0,
    limit: int | None = None,
    effects: Effects = "read",
    pure: bool = False,
) -> Any:
    """Make a tool of a plain typed function, sync or async.

    The JSON Schema comes from the annotations, the descriptions from the docstring (Google, NumPy
    or Sphinx style), the result's schema from the return annotation. A first parameter annotated
    `RunContext` is filled in by the run and not shown to the model. `timeout` is in seconds,
    `retries` a number of further attempts or a `Retry`, `limit` a number of calls at once.
    Raises `ToolDefinitionError` where the function cannot be described as JSON Schema.
    """

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        signature: Signature = read_signature(function, RunContext)
        if timeout is not None and not timeout > 0:
            raise ConfigurationError(f"timeout of {signature.name!r} must be above 0")
        if limit is not None and limit < 1:
            raise ConfigurationError(f"limit of {signature.name!r} must be 1 or more")
        if effects not in ("read", "write"):
            raise ConfigurationError(
                f"effects of {signature.name!r} must be 'read' or 'write', not {effects!r}"
            )
        called = name or signature.name
        if called.lower() == "join":
            raise ToolDefinitionError(called, "join() closes a plan; give it another name")
        if not called.replace("-", "_").replace(".", "_").isidentifier():
            raise ToolDefinitionError(called, "its name must be letters, digits and underscores")
        return Tool(
            fn=function,
            name=called,
            description=description or signature.description,
            parameters=signature.parameters,
            returns=signature.returns,
            timeout=timeout,
            retries=retries if isinstance(retries, Retry) else Retry(retries),
            limit=limit,
            effects=effects,
            pure=pure,
            wants_context=signature.wants_context,
            is_async=signature.is_async,
            validator=signature.validator,
            serializer=signature.serializer,
        )

    return make if fn is None else make(fn)


class Toolbox(Mapping[str, "Tool[..., Any]"]):
    """Tools by name, sorted by it, so that what a model reads of them never changes its order."""

    def __init__(self, tools: Iterable[ToolLike] | Toolbox = ()) -> None:
        found: dict[str, Tool[..., Any]] = {}
        for candidate in tools.values() if isinstance(tools, Toolbox) else tools:
            made = candidate if isinstance(candidate, Tool) else tool(candidate)
            known = found.get(made.name)
            if known is not None and known is not made:
                raise DuplicateToolError(made.name, known.source, made.source)
            found[made.name] = made
        self._tools = dict(sorted(found.items()))

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolbox({', '.join(self._tools)})"
