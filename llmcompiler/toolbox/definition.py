"""What a tool is, as a value, and how it is called.

It does not know plans, when a tool may start, which tools exist or how a function becomes one.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeAlias, cast

import anyio
import anyio.to_thread
from pydantic_core import SchemaSerializer, SchemaValidator
from typing_extensions import TypeVar

from llmcompiler.errors import ToolArgumentError, ToolError, ToolResultError
from llmcompiler.messages import LLM, Message, Prompt, Sampling, TextDelta
from llmcompiler.plan import Json
from llmcompiler.retry import Retry
from llmcompiler.toolbox import process
from llmcompiler.toolbox.values import dump, validate

__all__ = ["Approve", "Effects", "Progress", "RunContext", "Tool", "ToolLike"]

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
    to try again, `limit` how many calls of it may be under way at once.

    A tool with ``effects="write"`` never starts before the plan is sealed; `idempotent` says that
    to call it twice is as good as once, `pure` that equal arguments give equal results, and
    `version` belongs to those results. At most one call at a time is under way of all tools that
    name the same `resource`. `cpu` moves the function into a worker process. `approve` says which
    calls a person must agree to, `fallback` names the tool that is tried in its place when it
    fails, and `bulk` is the function that makes many calls in one.

    `untrusted` marks results that strangers wrote, `private` results that must not get out, and
    `sends` a tool whose arguments leave the machine.
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
    bulk_wants_context: bool = False
    validator: SchemaValidator | None = field(default=None, repr=False)
    serializer: SchemaSerializer | None = field(default=None, repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the plain function, as if it had never become a tool."""
        return self.fn(*args, **kwargs)

    @property
    def source(self) -> str:
        """Where the function stands, as ``module.name``."""
        return f"{getattr(self.fn, '__module__', '?')}.{getattr(self.fn, '__qualname__', '?')}"

    @property
    def repeatable(self) -> bool:
        """Whether one more call of it does no harm."""
        return self.effects == "read" or self.idempotent

    async def invoke(
        self,
        args: Mapping[str, Json],
        context: RunContext[Any] | None = None,
        threads: anyio.CapacityLimiter | None = None,
        processes: anyio.CapacityLimiter | None = None,
    ) -> Json:
        """Check `args`, call the function, return its result as JSON.

        A synchronous function runs in a worker thread (`threads` limits how many), one with `cpu`
        in a worker process (`processes`; None: one for each core), which is killed when the call
        is cancelled. Raises `ToolArgumentError` for arguments that do not fit, `ToolError` for a
        result that is not JSON or a worker process that died, and whatever the function itself
        raises.
        """
        values = validate(self.validator, args)
        call: Callable[..., Any] = self.fn
        if self.cpu:
            result = await process.call(call, self.name, values, processes)
        elif self.is_async and not self.wants_context:
            result = await cast("Awaitable[Any]", call(**values))
        else:
            bound = partial(call, context) if self.wants_context else call
            result = await _called(bound, values, self.is_async, threads)
        return dump(self.name, self.serializer, result)

    async def invoke_many(
        self,
        calls: Sequence[Mapping[str, Json]],
        context: RunContext[Any] | None = None,
        threads: anyio.CapacityLimiter | None = None,
    ) -> list[Json | Exception]:
        """Make all `calls` by one call of the bulk form; return what became of each, in order.

        An exception stands where a call failed alone: a `ToolArgumentError` for arguments that do
        not fit (that call is left out), the exception that the bulk form returned in its place, a
        `ToolError` for a result that is not JSON. What fails all of them is raised: a `ToolError`
        where there is no bulk form or it does not give one result for each call, and whatever it
        raises itself.
        """
        if self.bulk is None:
            raise ToolError(f"{self.name!r} has no bulk form")
        outcomes: list[Json | Exception] = []
        rows: list[dict[str, Any]] = []
        asked: list[int] = []
        for index, args in enumerate(calls):
            outcomes.append(None)
            try:
                rows.append(validate(self.validator, args))
                asked.append(index)
            except ToolArgumentError as error:
                outcomes[index] = error
        if not rows:
            return outcomes
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        bound = partial(self.bulk, context) if self.bulk_wants_context else self.bulk
        results = await _called(bound, columns, inspect.iscoroutinefunction(self.bulk), threads)
        if not isinstance(results, Sequence) or isinstance(results, str | bytes):
            raise ToolResultError(
                f"the bulk form of {self.name!r} returned a {type(results).__name__!r}, "
                f"which is no list of results"
            )
        if len(results) != len(rows):
            raise ToolResultError(
                f"the bulk form of {self.name!r} was asked for {len(rows)} results "
                f"and returned {len(results)}"
            )
        for index, result in zip(asked, results, strict=True):
            outcomes[index] = self._dumped_or_failure(result)
        return outcomes

    def _dumped_or_failure(self, result: Any) -> Json | Exception:
        if isinstance(result, Exception):
            return result
        try:
            return dump(self.name, self.serializer, result)
        except ToolError as error:
            return error


async def _called(
    call: Callable[..., Any],
    values: Mapping[str, Any],
    is_async: bool,
    threads: anyio.CapacityLimiter | None,
) -> Any:
    if is_async:
        return await cast("Awaitable[Any]", call(**values))
    result = await anyio.to_thread.run_sync(
        partial(call, **values), abandon_on_cancel=True, limiter=threads
    )
    return await result if inspect.isawaitable(result) else result


ToolLike: TypeAlias = "Tool[..., Any] | Callable[..., Any]"
