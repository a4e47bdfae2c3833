"""How does a function become a tool?

It does not know what a call of it does, or which other tools there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, overload

from typing_extensions import TypeVar

from llmcompiler.errors import ConfigurationError
from llmcompiler.retry import Retry
from llmcompiler.signature import read_parameters, read_signature
from llmcompiler.toolbox.definition import Approve, Effects, RunContext, Tool, ToolLike
from llmcompiler.toolbox.settings import check_bulk, check_settings

__all__ = ["tool"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True, default=Any)


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
    idempotent: bool = False,
    resource: str | None = None,
    cpu: bool = False,
    approve: Approve | None = None,
    fallback: str | ToolLike | None = None,
    bulk: ToolLike | None = None,
    untrusted: bool = False,
    private: bool = False,
    sends: bool = False,
    version: str = "1",
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
    idempotent: bool = False,
    resource: str | None = None,
    cpu: bool = False,
    approve: Approve | None = None,
    fallback: str | ToolLike | None = None,
    bulk: ToolLike | None = None,
    untrusted: bool = False,
    private: bool = False,
    sends: bool = False,
    version: str = "1",
) -> Any:
    """Make a tool of a plain typed function, sync or async.

    The JSON Schema comes from the annotations, the descriptions from the docstring (Google, NumPy
    or Sphinx style), the result's schema from the return annotation. A first parameter annotated
    `RunContext` is filled in by the run and not shown to the model.

    `timeout` is in seconds, `retries` a number of further attempts or a `Retry`, `limit` a number
    of calls at once. `effects`, `pure`, `idempotent`, `resource`, `untrusted`, `private`, `sends`
    and `version` say of the function what `Tool` describes; `version` is to change with what it
    returns. `cpu` is for a plain function at the top level of a module, which then runs in a worker
    process. `approve` is "always" or a function of a call's arguments. `fallback` is the name of
    another tool, or that tool. `bulk` is a function with the same parameters, each a list with one
    element for each call, that returns a list with one result, or one exception, for each call.

    Raises `ToolDefinitionError` where the function cannot be described as JSON Schema or its bulk
    form does not fit it, and `ConfigurationError` for settings that are wrong or contradict.
    """

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        signature = read_signature(function, RunContext)
        called = name or signature.name
        many = bulk.fn if isinstance(bulk, Tool) else bulk
        columns = None if many is None else read_parameters(many, RunContext)
        made: Tool[..., Any] = Tool(
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
            idempotent=idempotent,
            resource=resource,
            cpu=cpu,
            approve=approve,
            fallback=None if fallback is None else _name_of(called, fallback),
            bulk=many,
            untrusted=untrusted,
            private=private,
            sends=sends,
            version=version,
            wants_context=signature.wants_context,
            is_async=signature.is_async,
            bulk_wants_context=columns is not None and columns.wants_context,
            validator=signature.validator,
            serializer=signature.serializer,
        )
        check_settings(made)
        if columns is not None:
            check_bulk(made, columns.schema)
        return made

    return make if fn is None else make(fn)


def _name_of(called: str, fallback: str | ToolLike) -> str:
    if isinstance(fallback, str):
        return fallback
    found = fallback.name if isinstance(fallback, Tool) else getattr(fallback, "__name__", None)
    if not isinstance(found, str):
        raise ConfigurationError(
            f"fallback of {called!r} must be a tool or the name of one, not {fallback!r}"
        )
    return found
