"""What a function's annotations and docstring say, as JSON Schema and validators.

It does not know tools or runs; pydantic makes the schemas and griffe reads the docstrings.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator

from llmcompiler.errors import ToolDefinitionError

__all__ = ["Parameters", "Signature", "read_parameters", "read_signature", "without_titles"]


_STYLES: Final[tuple[Literal["google", "numpy", "sphinx"], ...]] = ("google", "numpy", "sphinx")
_CONFIG: Final = ConfigDict(extra="forbid", protected_namespaces=())
_TYPES: Final = "use built-in types, dataclasses, typed dictionaries or pydantic models"
_VERBATIM: Final = frozenset({"default", "const", "enum", "examples"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a caller by JSON sees it. `returns` is None where nothing is said of it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] | None
    wants_context: bool
    is_async: bool
    validator: SchemaValidator
    serializer: SchemaSerializer


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a function takes, as a JSON Schema and as what checks it; nothing of what it returns."""

    schema: Mapping[str, Any]
    wants_context: bool
    validator: SchemaValidator


def read_signature(function: Callable[..., Any], context: type) -> Signature:
    """Describe `function`; a first parameter annotated `context` is left out.

    Raises `ToolDefinitionError` where that cannot be done.
    """
    read = _read(function)
    documented = inspect.getdoc(function if read.is_plain else type(function))
    summary, described = _read_docstring(documented, read.parameters)
    parameters = _parameters(read, context, described)
    returned = read.hints.get("return", Any)
    with _described(read.name):
        adapter = _adapter(returned)
        result = None if returned is Any else adapter.json_schema(mode="serialization")
    return Signature(
        name=read.name,
        description=summary,
        parameters=parameters.schema,
        returns=None if result is None else without_titles(result),
        wants_context=parameters.wants_context,
        is_async=inspect.iscoroutinefunction(read.target),
        validator=parameters.validator,
        serializer=adapter.serializer,
    )


def read_parameters(function: Callable[..., Any], context: type) -> Parameters:
    """Describe only what `function` takes, as `read_signature` does."""
    return _parameters(_read(function), context, {})


@dataclass(frozen=True, slots=True)
class _Read:
    """A function's annotations as they were found; `target` is what holds them."""

    name: str
    target: Callable[..., Any]
    is_plain: bool
    parameters: Mapping[str, inspect.Parameter]
    hints: Mapping[str, Any]


def _read(function: Callable[..., Any]) -> _Read:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
        is_plain = hasattr(function, "__code__")
        target = function if is_plain else getattr(function, "__call__", function)  # noqa: B004 - the method itself is read
        hints = get_type_hints(target, include_extras=True)
    except (NameError, TypeError, ValueError, SyntaxError, AttributeError) as error:
        hint = "; define it at the top level of its module" if isinstance(error, NameError) else ""
        raise ToolDefinitionError(name, f"its annotations cannot be read: {error}{hint}") from error
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise ToolDefinitionError(name, "it must return its result, not yield it")
    return _Read(name, target, is_plain, signature.parameters, hints)


def _parameters(read: _Read, context: type, described: Mapping[str, str]) -> Parameters:
    name = read.name
    parameters = list(read.parameters.values())
    wants_context = bool(parameters) and _is_context(read.hints.get(parameters[0].name), context)
    fields: dict[str, Any] = {}
    for parameter in parameters[1:] if wants_context else parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolDefinitionError(
                name,
                f"its parameter {parameter.name!r} must have a name of its own that a call can use",
            )
        if parameter.name.startswith("_"):
            raise ToolDefinitionError(
                name, f"its parameter {parameter.name!r} must not begin with an underscore"
            )
        annotation = read.hints.get(parameter.name, Any)
        if _is_context(annotation, context):
            raise ToolDefinitionError(
                name, f"its parameter {parameter.name!r} takes the context, so it must come first"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        text = described.get(parameter.name)
        if text and not _has_description(annotation):
            annotation = Annotated[annotation, Field(description=text)]
        fields[parameter.name] = (annotation, default)
    with _described(name):
        model = create_model(name, __config__=_CONFIG, **fields)
        if model.model_fields.keys() != fields.keys():
            reserved = ", ".join(fields.keys() - model.model_fields.keys())
            raise TypeError(f"a parameter must not be named {reserved}")
        schema = without_titles(model.model_json_schema())
    return Parameters(schema, wants_context, cast("SchemaValidator", model.__pydantic_validator__))


@contextmanager
def _described(name: str) -> Iterator[None]:
    """Say in our words why something has no JSON Schema."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "Field name .* shadows", UserWarning)
            yield
    except (
        PydanticUserError,
        PydanticSerializationError,
        TypeError,
        NameError,
        UserWarning,
    ) as error:
        problem = str(error).strip().splitlines()[0]
        if isinstance(error, PydanticSchemaGenerationError):
            problem = f"{problem.partition('. Set ')[0]}; {_TYPES}"
        raise ToolDefinitionError(
            name, f"its annotations have no JSON Schema: {problem}"
        ) from error


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Describe a result; infinity is kept where it can be, so that it is refused, not made null."""
    try:
        return TypeAdapter(kind, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(kind)


def _is_context(annotation: Any, context: type) -> bool:
    return annotation is context or get_origin(annotation) is context


def _has_description(annotation: Any) -> bool:
    if get_origin(annotation) is not Annotated:
        return False
    return any(getattr(extra, "description", None) for extra in get_args(annotation)[1:])


def _read_docstring(text: str | None, parameters: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the summary and what is said of each parameter.

    The style is that in which most of the parameters are described.
    """
    if not text:
        return "", {}
    import griffe

    docstring = griffe.Docstring(text)
    best: tuple[tuple[int, int], str, dict[str, str]] = ((-1, -1), "", {})
    for style in _STYLES:
        sections = griffe.parse(docstring, style, warnings=False)
        summary = ""
        described: dict[str, str] = {}
        for section in sections:
            if section.kind is griffe.DocstringSectionKind.text and not summary:
                summary = " ".join(str(section.value).split())
            elif section.kind is griffe.DocstringSectionKind.parameters:
                for item in section.value:
                    if item.name in parameters:
                        described[item.name] = " ".join(str(item.description).split())
        best = max(best, ((len(described), len(sections)), summary, described), key=lambda b: b[0])
    return best[1], best[2]


def without_titles(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the titles that pydantic derives from names: they tell a model nothing new."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in _VERBATIM:
            kept[key] = value
        elif key in ("properties", "$defs") and isinstance(value, Mapping):
            kept[key] = {name: without_titles(inner) for name, inner in value.items()}
        elif isinstance(value, Mapping):
            kept[key] = without_titles(value)
        elif isinstance(value, list):
            kept[key] = [without_titles(v) if isinstance(v, Mapping) else v for v in value]
        else:
            kept[key] = value
    return kept
