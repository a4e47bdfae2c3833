"""A few tools with parameters of many types, and a plan of calls of them.

It does not know grammars.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel

from llmcompiler.toolbox import Tool, Toolbox


class Color(Enum):
    """Colours, one of which looks like a reference."""

    red = "red"
    price = "$1"


class Person(BaseModel):
    """A person, who may have children."""

    name: str
    age: int = 3
    children: list[Person] = []


def search(query: str, limit: int = 3, exact: bool | None = None) -> str:
    """Search."""
    return query


def now() -> str:
    """Tell the time."""
    return ""


def people(near: str) -> list[Person]:
    """List people."""
    return []


def paint(
    color: Color,
    kind: Literal["a", 3],
    who: Person,
    extra: dict[str, float] = {},  # noqa: B006
    pair: tuple[int, str] = (1, "a"),
    anything: Any = None,
    names: list[str] = [],  # noqa: B006
):  # type: ignore[no-untyped-def]  # a tool that does not say what it gives
    """Paint."""


TOOLBOX = Toolbox([search, now, people, paint])


def made_tool(
    name: str,
    properties: dict[str, Any],
    required: list[str] | None = None,
    returns: dict[str, Any] | None = None,
    defs: dict[str, Any] | None = None,
) -> Tool[..., Any]:
    """Make a tool of its schemas."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return Tool(
        fn=now,
        name=name,
        description="",
        parameters={**schema, "$defs": defs} if defs else schema,
        returns={**returns, "$defs": defs} if defs and returns is not None else returns,
    )


def plan(*calls: str, first: int = 1) -> str:
    """Write calls as a plan."""
    lines = [f"{number}. {call}" for number, call in enumerate(calls, first)]
    return "\n".join([*lines, f"{len(calls) + first}. join()"])
