"""What does JSON of a schema look like, as a grammar of llama.cpp's own?

It does not know models or how a grammar is enforced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmcompiler.errors import ConfigurationError

__all__ = ["schema_gbnf"]

_MOST_TIMES = 2000
_SIMPLE = {
    "string": r'"\"" character* "\""',
    "integer": '"-"? whole',
    "number": '"-"? whole ("." [0-9]{1,20})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "object": r'"{" (pair (", " pair)*)? "}"',
    "array": r'"[" (value (", " value)*)? "]"',
}
_RULES = r"""
value ::= string | number | boolean | null | object | array
pair ::= string ": " value
whole ::= "0" | [1-9] [0-9]{0,17}
character ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
"""


def schema_gbnf(schema: Mapping[str, object]) -> str:
    """Write a grammar for JSON of a JSON Schema, blanks after commas and colons only.

    Members come in the schema's order; others only where it says what they are. A pattern, a format
    and bounds of numbers are not held to: what reads the JSON still checks them.

    Raises:
        ConfigurationError: the schema refers to what it does not hold, or joins several by allOf.
    """
    return _Rules(schema).text()


class _Rules:
    """The rules written so far; equal schemas share one."""

    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._written: list[str] = []

    def text(self) -> str:
        root = self._rule(self._root)
        lines = [f"root ::= {root}", *self._written]
        lines += [f"{kind} ::= {body}" for kind, body in _SIMPLE.items()]
        return "\n".join(lines) + _RULES

    def _rule(self, schema: Any) -> str:
        """Return the name of the rule of a schema."""
        if not isinstance(schema, Mapping):
            return "value"
        key = json.dumps(schema, default=str)
        if key not in self._names:
            name = self._names[key] = f"v{len(self._names) + 1}"
            self._written.append(f"{name} ::= {self._body(schema)}")
        return self._names[key]

    def _body(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            return self._rule(self._resolve(str(schema["$ref"])))
        if "const" in schema:
            return _literal(_json(schema["const"]))
        if "enum" in schema:
            return " | ".join(_literal(_json(value)) for value in schema["enum"])
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return " | ".join(self._rule(member) for member in schema[union])
        if "allOf" in schema:
            if len(schema["allOf"]) == 1:
                return self._rule(schema["allOf"][0])
            raise ConfigurationError(
                "the schema joins several by allOf: install llguidance or write it as one"
            )
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self._rule({**schema, "type": member}) for member in kind)
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema)
        if kind == "string":
            times = _times(schema.get("minLength"), schema.get("maxLength"))
            return rf'"\"" character{times} "\""'
        return str(kind) if kind in _SIMPLE else "value"

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        members = [
            (f"{_literal(_json(name) + ': ')} {self._rule(value)}", name in required)
            for name, value in properties.items()
        ]
        extra = schema.get("additionalProperties", not properties)
        more = "" if extra is False else f'string ": " {self._rule(extra)}'
        return f'"{{" {self._listed(members, more)} "}}"'

    def _listed(self, members: Sequence[tuple[str, bool]], more: str) -> str:
        """Write members with commas between them, in their order, where only some are required.

        `more` is a member that may come any number of times behind the others.
        """
        behind = f'(", " {more})*' if more else ""
        firsts = [f"{more} {behind}"] if more else []
        optional = True
        for member, required in reversed(members):
            name = self._named(member)
            rest = self._named(behind) if behind else ""
            first = f"{name} {rest}".strip()
            if required:
                firsts, optional = [first], False
                behind = f'", " {first}'
            else:
                firsts.insert(0, first)
                behind = f'(", " {name})? {rest}'.strip()
        return f"({' | '.join(firsts)}){'?' if optional else ''}" if firsts else ""

    def _named(self, body: str) -> str:
        """Write a rule for a part and return its name."""
        if body not in self._names:
            self._names[body] = f"v{len(self._names) + 1}"
            self._written.append(f"{self._names[body]} ::= {body}")
        return self._names[body]

    def _array(self, schema: Mapping[str, Any]) -> str:
        first = schema.get("prefixItems")
        least = int(schema.get("minItems", 0))
        if first:
            return '"[" ' + ' ", " '.join(self._rule(item) for item in first) + ' "]"'
        most = schema.get("maxItems")
        if most == 0:
            return '"[]"'
        item = self._rule(schema.get("items", True))
        times = _times(max(least - 1, 0), None if most is None else int(most) - 1)
        several = f'{item} (", " {item}){times}'
        return f'"[" {several} "]"' if least else f'"[" ({several})? "]"'

    def _resolve(self, pointer: str) -> Any:
        """Follow ``#/$defs/Name``."""
        found: Any = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise ConfigurationError(
                    f"the schema refers to {pointer!r}, which it does not hold"
                )
            found = found[key]
        return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literal(text: str) -> str:
    """Write a text as GBNF does."""
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda it: f"\\x{ord(it[0]):02X}", escaped) + '"'


def _times(least: object, most: object) -> str:
    """Write a number of repetitions; where llama.cpp has too low a limit, as many as there are."""
    low = min(int(str(least or 0)), _MOST_TIMES)
    if most is None or int(str(most)) > _MOST_TIMES:
        return f"{{{low},}}" if low else "*"
    return f"{{{low},{max(int(str(most)), low)}}}"
