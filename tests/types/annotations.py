"""Annotations and their types, for the tests of `types`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict

from llmcompiler.types import (
    Type,
)


class Shop(TypedDict):
    name: str
    price: float
    links: list[str]


class Node(BaseModel):
    value: int
    below: list[Node] = []
    parent: Node | None = None


def typed(annotation: Any) -> Type:
    return Type.of(TypeAdapter(annotation).json_schema())


def given_back(annotation: Any) -> Type:
    return Type.of(TypeAdapter(annotation).json_schema(mode="serialization"))
