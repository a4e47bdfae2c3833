"""What goes into a tool and comes out of it: JSON checked on the way in, written on the way out.

It does not know tools, threads or processes: pydantic's validators and serializers do the work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator

from llmcompiler.errors import ToolArgumentError, ToolResultError
from llmcompiler.plan import Json

__all__ = ["dump", "validate"]

_LARGEST = 2**62  # larger whole numbers are looked at: Python does not write the very long ones
_SMALLEST = -_LARGEST
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


def validate(validator: SchemaValidator | None, args: Mapping[str, Json]) -> dict[str, Any]:
    """Return what a function is to be called with, defaults filled in.

    Nothing in it is shared with `args`. Raises `ToolArgumentError` where they do not fit.
    """
    own = {name: _own(value) for name, value in args.items()}
    if validator is None:
        return own
    try:
        return cast("dict[str, Any]", validator.validate_python(own).__dict__)
    except ValidationError as error:
        raise ToolArgumentError(_first_problem(error)) from None


def dump(name: str, serializer: SchemaSerializer | None, result: Any) -> Json:
    """Return what the tool `name` gave as JSON; raise `ToolError` where it cannot be."""
    kind = type(result)
    if (
        (kind is str and result.isascii())
        or (kind is int and _SMALLEST < result < _LARGEST)
        or (kind is float and isfinite(result))
        or kind is bool
        or result is None
    ):
        return cast("Json", result)
    dumped = result
    try:
        if serializer is not None:
            dumped = serializer.to_python(result, mode="json", warnings=False)
        _ENCODER.encode(dumped).encode()
    except PydanticSerializationError:
        raise ToolResultError(
            f"{name!r} returned a {kind.__name__!r}, which cannot be written as JSON"
        ) from None
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ToolResultError(
            f"{name!r} returned what cannot be written as JSON: {_unwritable(error)}"
        ) from None
    return cast("Json", dumped)


def _own(value: Json) -> Json:
    """Copy what can be changed: what a tool does to its arguments must not reach a result."""
    if isinstance(value, list):
        return [_own(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _own(inner) for name, inner in value.items()}
    return value


def _unwritable(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case UnicodeError():
            return "a text in it is not valid Unicode"
        case OverflowError():
            return "a number in it is too large"
        case ValueError() if "float" in str(error):
            return "a number in it is infinite or not a number"
        case ValueError() if "digits" in str(error):
            return "a whole number in it is too long"
        case _:
            return str(error)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=True)[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    shown = repr(first.get("input"))
    shown = shown if len(shown) <= 60 else shown[:60] + "…"
    return f"argument {where!r}: {first['msg'][:1].lower()}{first['msg'][1:]} (got {shown})"
