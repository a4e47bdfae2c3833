"""What is an input of a workflow, and which values may it have?

It does not know what is done with it, nor how a value comes from the command line.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from llmcompiler.errors import did_you_mean
from llmcompiler.workflow.parts import Count, Maybe, Part, Text, Texts

__all__ = ["InputSpec", "SchemaSpec"]

Kind: TypeAlias = Literal["string", "number", "integer", "boolean", "array", "object", "null"]
_KINDS: tuple[str, ...] = get_args(Kind)
_ELSEWHERE = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "map": "object",
    "none": "null",
}


def _kinds(value: Any) -> str | tuple[str, ...]:
    for one in value if isinstance(value, list) and value else [value]:
        if not isinstance(one, str):
            raise ValueError("must be the name of a type, or a list of them")
        if one not in _KINDS:
            other = _ELSEWHERE.get(one.lower())
            close = f"; did you mean {other!r}?" if other else did_you_mean(one, _KINDS)
            raise ValueError(f"must be one of {', '.join(_KINDS)}, not {one!r}{close}")
    return tuple(value) if isinstance(value, list) else str(value)


def _needed(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise ValueError("must be true or false, or a list of the properties that an object must have")


_KIND_SCHEMA: dict[str, Any] = {"type": "string", "enum": list(_KINDS)}
Kinds: TypeAlias = Annotated[
    str | tuple[str, ...],
    PlainValidator(_kinds),
    WithJsonSchema({"anyOf": [_KIND_SCHEMA, {"type": "array", "items": _KIND_SCHEMA}]}),
]
Needed: TypeAlias = Annotated[
    bool | tuple[str, ...],
    PlainValidator(_needed),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}
    ),
]
# The tags stand in the place of an error, where `mistakes` leaves them out again.
SchemaOrBool: TypeAlias = Annotated[
    Annotated[bool, Tag("\0bool")] | Annotated["SchemaSpec", Tag("\0schema")],
    Discriminator(lambda value: "\0bool" if isinstance(value, bool) else "\0schema"),
]


_EXACT = 2**53


def _as_json(value: Any) -> Any:
    match value:
        case dict():
            return {key: _as_json(one) for key, one in value.items()}
        case list() | tuple():
            return [_as_json(one) for one in value]
        case float() if value.is_integer() and abs(value) < _EXACT:  # as it is usually written
            return int(value)
        case _:
            return value


class _Values(Part):
    """What a JSON Schema says of values."""

    type: Maybe[Kinds] = Field(
        default=None,
        description="Which values are allowed: string, number, integer, boolean, array, object "
        "or null, or a list of these; without it, any.",
        examples=["array"],
    )
    description: Maybe[str] = Field(
        default=None,
        description="What it is for, in a sentence.",
        examples=["The towns to look at."],
    )
    title: Maybe[str] = Field(default=None, description="A short name to show.", examples=["Towns"])
    default: Any = Field(
        default=None, description="The value where none is given.", examples=[["Oslo", "Lima"]]
    )
    examples: Maybe[list[Any]] = Field(
        default=None, description="Values that it may have, to show.", examples=[[["Oslo"]]]
    )
    enum: Maybe[list[Any]] = Field(
        default=None, description="The only values that are allowed.", examples=[["small", "large"]]
    )
    const: Any = Field(default=None, description="The only value that is allowed.", examples=["v1"])
    items: Maybe[SchemaOrBool] = Field(
        default=None,
        description="What the elements of an array are.",
        examples=[{"type": "string"}],
    )
    properties: Maybe[dict[str, SchemaOrBool]] = Field(
        default=None,
        description="What the properties of an object are.",
        examples=[{"name": {"type": "string"}}],
    )
    additionalProperties: Maybe[SchemaOrBool] = Field(  # JSON Schema's own word
        None,
        description="What further properties of an object are; false allows none.",
        examples=[False],
    )
    minimum: Maybe[float] = Field(default=None, description="The least number.", examples=[0])
    maximum: Maybe[float] = Field(default=None, description="The greatest number.", examples=[100])
    exclusiveMinimum: Maybe[float] = Field(
        default=None, description="A number that values are above.", examples=[0]
    )
    exclusiveMaximum: Maybe[float] = Field(
        default=None, description="A number that values are below.", examples=[100]
    )
    multipleOf: Maybe[float] = Field(
        default=None, description="A number that values are multiples of.", examples=[5]
    )
    minLength: Maybe[Count] = Field(
        default=None, description="How many characters a string has at least.", examples=[1]
    )
    maxLength: Maybe[Count] = Field(
        default=None, description="How many characters a string has at most.", examples=[80]
    )
    pattern: Maybe[Text] = Field(
        default=None,
        description="A regular expression that strings match; for editors and models.",
        examples=["^[A-Z]{3}$"],
    )
    format: Maybe[Text] = Field(
        default=None, description="What a string holds; for editors and models.", examples=["date"]
    )
    minItems: Maybe[Count] = Field(
        default=None, description="How many elements an array has at least.", examples=[1]
    )
    maxItems: Maybe[Count] = Field(
        default=None, description="How many elements an array has at most.", examples=[10]
    )
    anyOf: Maybe[list[SchemaOrBool]] = Field(
        default=None,
        description="Schemas, at least one of which a value fits.",
        examples=[[{"type": "string"}, {"type": "null"}]],
    )


class SchemaSpec(_Values):
    """What the elements of a list or the properties of an object are, as JSON Schema."""

    called: ClassVar[str] = "a JSON Schema"

    required: Maybe[Texts] = Field(
        default=None, description="The properties that an object must have.", examples=[["name"]]
    )


class InputSpec(_Values):
    """A value that a run is given: a JSON Schema, with a default where it may be left out."""

    called: ClassVar[str] = "an input"

    required: Maybe[Needed] = Field(
        default=None,
        description="Whether a run must be given it; by default where there is no `default`. "
        "One that is not required and not given is null. A list names the properties that an "
        "object must have, as in JSON Schema.",
        examples=[False],
    )

    @property
    def must_be_given(self) -> bool:
        """Whether a run without it cannot start."""
        if isinstance(self.required, bool):
            return self.required and "default" not in self.model_fields_set
        return "default" not in self.model_fields_set

    def as_schema(self) -> dict[str, Any]:
        """Return it as JSON Schema."""
        written: dict[str, Any] = _as_json(self.model_dump(exclude_unset=True))
        if isinstance(self.required, bool):
            written.pop("required", None)
        return written


InputSpec.model_rebuild()
