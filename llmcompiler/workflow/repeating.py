"""How does a step run again until its output is as it should be?

It does not know what the step does.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.from_thread

from llmcompiler.errors import ToolError, ToolTimeoutError
from llmcompiler.plan import Json, Ref, render_text
from llmcompiler.toolbox import RunContext, Tool
from llmcompiler.workflow.conditions import Until

__all__ = ["repeated"]

_LONGEST = 200


def repeated(
    name: str,
    inner: Tool[..., Any],
    until: Until,
    limit: int,
    delay: float,
    timeout: float | None,
) -> Tool[..., Any]:
    """Return a tool that calls `inner` until `until` holds for its result, at most `limit` times.

    `delay` is in seconds, and so is `timeout`, which each call has; the whole has none of its own.
    """
    on_loop = inner.is_async

    async def again(context: RunContext[Any], **args: Json) -> Json:
        given = context if on_loop else replace(context, progress=_from_thread(context))
        value: Json = None
        for number in range(limit):
            if number:
                await anyio.sleep(delay)
            value = await _once(inner, args, given, timeout)
            context.progress(number + 1, limit)
            if until.met(value, _nothing):
                return value
        shown = render_text(value)
        shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
        runs = "1 run" if limit == 1 else f"{limit} runs"
        raise ToolError(f"after {runs} {until} does not hold; the last output was {shown}")

    return replace(
        inner,
        fn=again,
        name=name,
        timeout=None,
        is_async=True,
        wants_context=True,
        cpu=False,
        bulk=None,
        pure=False,
        fallback=None,
        validator=None,
        serializer=None,
    )


async def _once(
    inner: Tool[..., Any], args: dict[str, Json], context: RunContext[Any], timeout: float | None
) -> Json:
    with anyio.move_on_after(timeout):
        return await inner.invoke(args, context)
    raise ToolTimeoutError(timeout or 0.0)


def _from_thread(context: RunContext[Any]) -> Any:
    def tell(done: float, total: float | None = None, message: str = "") -> None:
        anyio.from_thread.run_sync(partial(context.progress, done, total, message))

    return tell


def _nothing(ref: Ref) -> Json:
    raise KeyError(ref)
