"""Tools for workflows in tests. What they keep account of is in the run's `deps`, a list."""

from __future__ import annotations

from typing import Any

import anyio
from typing_extensions import TypedDict

from llmcompiler import RunContext, ToolError, tool


class Place(TypedDict):
    lat: float
    lon: float


@tool
async def geocode(place: str) -> Place:
    """Find a place."""
    if place == "Nowhere":
        raise ToolError("no such place")
    return {"lat": float(len(place)), "lon": 1.0}


@tool
async def forecast(lat: float, lon: float) -> float:
    """Add."""
    return lat + lon


@tool
async def echo(value: Any) -> Any:
    """Give back what it is given."""
    return value


@tool
async def say(text: str) -> str:
    """Give back a text."""
    return text


@tool(effects="write")
async def send(context: RunContext[list[Any]], body: str) -> str:
    """Send a text."""
    context.deps.append(body)
    if body == "refused":
        raise ToolError("it does not go out")
    return f"sent {body}"


@tool(effects="write", idempotent=True)
async def put(context: RunContext[list[Any]], body: str) -> str:
    """Put a text where it may be already."""
    context.deps.append(body)
    return body


@tool
async def stubborn(context: RunContext[list[Any]], times: int, kind: str = "ToolError") -> int:
    """Fail so many times, then say how often it was called."""
    context.deps.append(anyio.current_time())
    if len(context.deps) <= times:
        raise {"ToolError": ToolError, "OSError": OSError, "Gone": FileNotFoundError}[kind](
            "not yet"
        )
    return len(context.deps)


@tool
async def slow(context: RunContext[list[Any]], seconds: float, name: str = "") -> float:
    """Take its time, and note how many do so at once."""
    if context.deps is not None:
        context.deps.append(("begins", name))
    await anyio.sleep(seconds)
    if context.deps is not None:
        context.deps.append(("ends", name))
    return anyio.current_time()


class Polled(TypedDict):
    done: bool
    count: int


@tool
async def poll(context: RunContext[list[Any]], after: int) -> Polled:
    """Be done after so many calls."""
    context.deps.append(anyio.current_time())
    return {"done": len(context.deps) >= after, "count": len(context.deps)}


@tool(approve="always")
async def guarded(body: str) -> str:
    """Do what somebody must agree to."""
    return f"did {body}"


@tool(pure=True)
async def counted(context: RunContext[list[Any]], value: int) -> int:
    """Count calls of a pure tool."""
    context.deps.append(value)
    return value * 2


@tool
async def impure(context: RunContext[list[Any]], value: int) -> int:
    """Count calls of another."""
    context.deps.append(value)
    return value * 3


@tool
async def leak(value: str) -> dict[str, Any]:
    """Show what it is given, in every way."""
    if value.startswith("fail"):
        raise ToolError(f"cannot log in as {value}")
    return {"plain": value, "quoted": repr(value), "inside": f"<{value}>", value: 1}
