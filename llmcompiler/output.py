"""What type an answer is to have, and whether a text is of it.

It does not know models or runs; pydantic does the reading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypeVar

from llmcompiler.errors import ConfigurationError
from llmcompiler.signature import without_titles
from llmcompiler.types import Type, problem

__all__ = ["OutputType"]

Out = TypeVar("Out", default=str)
_FENCE = re.compile(r"^```(?:json)?\s*\n(.*?)\n?```$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OutputType(Generic[Out]):
    """The type asked for. `schema` is its JSON Schema, or None where any text will do."""

    adapter: TypeAdapter[Out] | None
    schema: dict[str, Any] | None

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any]) -> OutputType[Out]:
        """Describe JSON of a JSON Schema; the output is then the JSON itself."""
        return cls(None, dict(schema))

    @classmethod
    def of(cls, kind: type[Out]) -> OutputType[Out]:
        """Describe `kind`; raise `ConfigurationError` where it has no JSON Schema."""
        if kind is str:
            return cls(None, None)
        try:
            adapter: TypeAdapter[Out] = TypeAdapter(kind)
            return cls(adapter, without_titles(adapter.json_schema()))
        except (PydanticUserError, TypeError, NameError) as error:
            problem = str(error).splitlines()[0]
            raise ConfigurationError(
                f"output_type {kind!r} has no JSON Schema: {problem}"
            ) from error

    def read(self, text: str) -> tuple[Out | None, str | None]:
        """Return the value that `text` is, and no problem; or None and why it is none."""
        if self.adapter is None and self.schema is None:
            return cast("Out", text), None
        fenced = _FENCE.match(text)
        if self.adapter is None:
            return self._read_json(fenced[1] if fenced else text)
        try:
            return self.adapter.validate_json(fenced[1] if fenced else text), None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return None, f"the answer is not of the type asked for: {where or 'it'}: {first['msg']}"

    def _read_json(self, text: str) -> tuple[Out | None, str | None]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return None, f"the answer is not JSON: {error}"
        wrong = problem(value, Type.of(self.schema or {}), "it")
        if wrong is not None:
            return None, f"the answer is not of the type asked for: {wrong}"
        return cast("Out", value), None
