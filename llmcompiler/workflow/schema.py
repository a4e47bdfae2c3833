"""What does an editor have to know of workflow files: the language and the tools, as JSON Schema?

It does not know files: what may be written is in the models and in the tools themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from llmcompiler.toolbox import Toolbox
from llmcompiler.types import Type, accepts_text
from llmcompiler.workflow.model import WorkflowFile

__all__ = ["BUILT_IN", "Plain", "json_schema"]

BUILT_IN: Final[Mapping[str, str]] = {
    "agent": "A model plans and runs steps of its own, with the tools that it is given.",
    "llm": "A model is asked once; it answers with text, or with JSON of a schema.",
}
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": r"\$\{\{",
    "description": "An expression: ${{ … }}",
}
_FILE: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": r"^(\.{1,2})?/.*\.ya?ml$",
    "description": "Another workflow, as ./other.yaml",
}
_SAID: Final = ("title", "description", "default", "examples", "deprecated")
_LISTS: Final = ("anyOf", "oneOf", "allOf")


class Plain(GenerateJsonSchema):
    """Schemas without titles made of names, and without the null that stands for "not given"."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Whether a field is given a title made of its name: never."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """Return the schema without null: a key without a value is a mistake."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Return the schema with its default, where that is a value."""
        made = super().default_schema(schema)
        if "default" in made and made["default"] is None:
            del made["default"]
        return made

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """Return the schema of an object, which has no names but those that are allowed."""
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made


def json_schema(
    toolbox: Toolbox | None = None, built_in: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of workflow files that use these tools.

    With a toolbox, `uses` is one of its tools, what is built in, or a workflow file, and `with`
    has the tool's parameters; wherever a value may stand an expression may, too. Without one, any
    name may stand there. `built_in` gives the parameters, as JSON Schema, of `agent` and `llm`.
    """
    made = WorkflowFile.model_json_schema(by_alias=True, schema_generator=Plain)
    made.pop("title", None)
    whole: dict[str, Any] = {
        "$schema": _DIALECT,
        "title": "A workflow of llmcompiler",
        **made,
        "patternProperties": {"^x-": {}},
    }
    defs = whole["$defs"]
    parameters = dict(built_in or {})
    if toolbox is not None:
        parameters |= {name: tool.parameters for name, tool in toolbox.items()}
    for name, schema in parameters.items():
        for inner, definition in schema.get("$defs", {}).items():
            defs[f"{name}.{inner}"] = _inside(definition, name)
    step, fallback = defs["StepSpec"], defs["FallbackSpec"]
    if toolbox is not None:
        for part in (step, fallback):
            part["properties"]["uses"] = _uses(toolbox, part["properties"]["uses"])
        short = {"anyOf": list(_names(toolbox))}
        said = step["properties"]["fallback"]
        said["anyOf"] = [short, *said["anyOf"][1:]]
    step["allOf"] = [
        _typed(name, schema, whole=True) for name, schema in sorted(parameters.items())
    ]
    fallback["allOf"] = [
        _typed(name, schema, whole=False) for name, schema in sorted(parameters.items())
    ]
    if not parameters:
        del step["allOf"], fallback["allOf"]
    return whole


def _uses(toolbox: Toolbox, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": said["description"], "anyOf": list(_names(toolbox))}


def _names(toolbox: Toolbox) -> Iterator[Mapping[str, Any]]:
    described = {**BUILT_IN, **{name: tool.description for name, tool in toolbox.items()}}
    for name, description in described.items():
        yield {"const": name, "description": description}
    yield _FILE


def _typed(name: str, schema: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Say what `with` is where `uses` is `name`; a fallback need not have it."""
    then: dict[str, Any] = {"properties": {"with": _inside(schema, name)}}
    if whole and schema.get("required"):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}


def _inside(schema: Any, tool: str) -> Any:
    """Let an expression stand for every value inside what `schema` describes."""
    if not isinstance(schema, Mapping):
        return schema
    made = {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace("#/$defs/", f"#/$defs/{tool}.", 1)
    for key in ("properties", "patternProperties"):
        if isinstance(made.get(key), Mapping):
            made[key] = {name: _value(one, schema, tool) for name, one in made[key].items()}
    for key in ("items", "additionalProperties", "unevaluatedProperties"):
        if isinstance(made.get(key), Mapping):
            made[key] = _value(made[key], schema, tool)
    if isinstance(made.get("prefixItems"), list):
        made["prefixItems"] = [_value(one, schema, tool) for one in made["prefixItems"]]
    for key in _LISTS:
        if isinstance(made.get(key), list):
            made[key] = [_inside(one, tool) for one in made[key]]
    if "oneOf" in made and "anyOf" not in made:
        # With an expression in it, a value may well be several of them.
        made["anyOf"] = made.pop("oneOf")
        made.pop("discriminator", None)
    return made


def _value(schema: Any, around: Mapping[str, Any], tool: str) -> Any:
    """Let an expression stand for the value itself as well, where no text may stand yet."""
    if not isinstance(schema, Mapping):
        return schema
    inner = _inside(schema, tool)
    if not inner.keys() - set(_SAID) or _any_text(schema, around):
        return inner
    said = {key: inner.pop(key) for key in _SAID if key in inner}
    return {**said, "anyOf": [inner, _EXPRESSION]}


def _any_text(schema: Mapping[str, Any], around: Mapping[str, Any]) -> bool:
    limits = {"enum", "const", "pattern", "format", "maxLength", "minLength", "allOf", "not"}
    plain = not (limits & schema.keys()) and "$ref" not in schema and "anyOf" not in schema
    return plain and accepts_text(Type(schema, around.get("$defs", {})))
