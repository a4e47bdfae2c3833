"""Of what kinds are the values in a workflow file: names, durations, counts, texts?

It does not know which keys there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import core_schema

from llmcompiler.workflow.durations import DURATION, read_duration

__all__ = [
    "DURATION_TITLE",
    "EXPRESSION_TITLE",
    "NAME",
    "VARIABLE",
    "Condition",
    "Count",
    "Duration",
    "Maybe",
    "Name",
    "OneOrMore",
    "Part",
    "Short",
    "Some",
    "Text",
    "Texts",
    "Variable",
    "Wait",
    "short",
]

T = TypeVar("T")
NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
DURATION_TITLE = "a duration"
EXPRESSION_TITLE = "an expression"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Part(BaseModel):
    """A part of a workflow file; `called` is what messages call it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    called: ClassVar[str]


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("has no value: give it one or leave it out")
    return value


def _positive(value: Any) -> float:
    if type(value) in (int, float) and value <= 0:
        raise ValueError(f"must be above 0, not {value!r}")
    seconds = read_duration(value)
    if not seconds:
        raise ValueError(f"must be above 0, not {value!r}")
    return seconds


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _condition(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be an expression, or true or false")
    return value


@dataclass(frozen=True, slots=True)
class Short:
    """A value of one of these kinds is short for an object with it under `key`."""

    key: str
    kinds: tuple[type, ...]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._lengthened, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [*(_SHORT[kind] for kind in self.kinds), handler(schema)]}

    def _lengthened(self, value: Any) -> Any:
        return {self.key: value} if type(value) in self.kinds else value


def short(key: str, *kinds: type) -> Short:
    """Return the mark of a type that may be written as its `key` alone."""
    return Short(key, kinds)


_SHORT: Mapping[type, dict[str, Any]] = {
    int: {"type": "integer", "minimum": 0},
    str: {"type": "string", "minLength": 1},
    list: {"type": "array"},
}


def _seconds(least: str) -> WithJsonSchema:
    texts = {"type": "string", "pattern": DURATION, "examples": ["10s", "200ms", "1m30s"]}
    return WithJsonSchema({"title": DURATION_TITLE, "anyOf": [{"type": "number", least: 0}, texts]})


_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string", "minLength": 1}}

Maybe: TypeAlias = Annotated[T | None, BeforeValidator(_given)]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME)]
Variable: TypeAlias = Annotated[str, StringConstraints(pattern=VARIABLE)]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Texts: TypeAlias = Annotated[tuple[Text, ...], Strict(False)]
OneOrMore: TypeAlias = Annotated[
    tuple[Text, ...],
    Strict(False),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _TEXTS]}),
]
Condition: TypeAlias = Annotated[
    str,
    PlainValidator(_condition),
    WithJsonSchema({"title": EXPRESSION_TITLE, "type": ["string", "boolean"]}),
]
Wait: TypeAlias = Annotated[float, PlainValidator(read_duration), _seconds("minimum")]
Duration: TypeAlias = Annotated[float, PlainValidator(_positive), _seconds("exclusiveMinimum")]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Some: TypeAlias = Annotated[int, Field(ge=1)]
