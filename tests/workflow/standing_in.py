"""Tools that give back what they are given, for plans of any shape."""

from typing import Any

from typing_extensions import TypedDict

from llmcompiler import ToolError, tool


class Pair(TypedDict):
    left: Any
    right: Any


@tool
async def echo(value: Any) -> Any:
    """Give back a value."""
    return value


@tool
async def pair(left: Any, right: Any = None) -> Pair:
    """Give back two values."""
    return {"left": left, "right": right}


@tool
async def say(text: str) -> str:
    """Give back a text."""
    return text


@tool
async def refuse(value: Any) -> Any:
    """Fail."""
    raise ToolError(f"no: {value}")


@tool(name="not")
async def negate(value: bool) -> bool:
    """Turn a truth around."""
    return not value
