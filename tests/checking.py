"""A toolbox, a scope and short names for the tests of `check`."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from typing_extensions import TypedDict

from llmcompiler import Toolbox, tool
from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.plan import Argument, Each, PathStep, Ref, Task, TaskId


class Shop(TypedDict):
    name: str
    price: float
    links: list[str]


@tool
def shop(name: str) -> Shop:
    return {"name": name, "price": 1.0, "links": []}


@tool
def shops(near: str) -> list[Shop]:
    return []


@tool
def wait(seconds: int, then: str = "go") -> int:
    return seconds


@tool
def total(values: list[float]) -> float:
    return sum(values)


@tool
def count_words(path: str) -> int:
    return 0


@tool
def paint(color: Literal["red", "green"]) -> None:
    return None


@tool
def record(entry: Shop, tags: dict[str, list[int]] | None = None) -> Any:
    return entry


@tool
def anything(value) -> Any:  # type: ignore[no-untyped-def]  # a parameter of which nothing is said
    return value


@tool
def either(value: str | float) -> str | float:
    return value


TOOLS = Toolbox([shop, shops, wait, total, count_words, paint, record, anything, either])


def ref(task: str, *path: PathStep) -> Ref:
    return Ref(TaskId(task), path)


def call(tool_name: str, /, *positional: Argument, id: str = "9", **args: Argument) -> Task:
    return Task(TaskId(id), tool_name, args, positional, line=4)


def scope_after(*tasks: Task) -> Scope:
    scope = Scope()
    for task in tasks:
        scope.accept(check(task, TOOLS, scope))
    return scope


def standard() -> Scope:
    """1 is a shop, 2 a whole number, 3 a list of shops, 4 anything, 5 a list of whole numbers."""
    return scope_after(
        call("shop", id="1", name="a"),
        call("wait", id="2", seconds=1),
        call("shops", id="3", near="b"),
        call("anything", id="4", value=1),
        call("count_words", id="5", path=Each(ref("1", "links"))),
    )


def refused(task: Task, source: str = "", scope: Scope | None = None) -> PlanError:
    with pytest.raises(PlanError) as caught:
        check(task, TOOLS, scope or standard(), source)
    return caught.value
