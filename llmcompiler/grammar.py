"""What a model may write in a turn, given the tools: a grammar for constrained decoding.

It does not know models or how a grammar is enforced; it writes llguidance's Lark dialect as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmcompiler.language import write_argument
from llmcompiler.roles import Allow
from llmcompiler.toolbox import Tool, Toolbox

__all__ = ["plan_grammar"]

MAX_LINES: Final = 200
MAX_ITEMS: Final = 256
MAX_TEXT: Final = 2000  # characters of one text
MAX_REASON: Final = 500
ANY_DEPTH: Final = 8  # levels of a value that may be anything

_ID = r"(0|[1-9][0-9]{0,8})"
_NAME = r"\.[A-Za-z_][A-Za-z0-9_]{0,63}"
_CHARACTER = r"[^\"\\$\x00-\x1f]"
_ESCAPE = r"\\([\"\\bfnrt]|u00[01][0-9a-f]|u0024)"
# A quoted name in a path, and the same inside a text, where its quotes are escaped once more.
_QUOTED = rf"\[\"([^\"\\\x00-\x1f]|{_ESCAPE}){{0,64}}\"\]"
_QUOTED_INSIDE = r"\[\\\"([^\"\\\x00-\x1f]|\\\\(\\[\"\\]|[bfnrt]|u00[01][0-9a-f])){0,64}\\\"\]"
_PATH = rf"({_NAME}|\[{_ID}\]|\[\*\]|{_QUOTED}){{0,8}}"
_PATH_INSIDE = rf"({_NAME}|\[{_ID}\]|\[\*\]|{_QUOTED_INSIDE}){{0,8}}"
# After a dollar sign comes a whole reference, or anything that does not look like one. `_OPEN` is
# a run of dollar signs that ends in a brace, so that what follows decides what it was.
_DOLLARS = r"\${1,20}"
_OPEN = rf"({_DOLLARS}\{{)"
_PLAIN_DOLLAR = rf"{_OPEN}{{1,20}}({_ESCAPE}|[^\"\\$0-9\x00-\x1f])|{_OPEN}{{0,20}}{_DOLLARS}({_ESCAPE}|[^\"\\$\{{\x00-\x1f])"
_LAST_DOLLAR = rf"({_OPEN}{{1,20}}|{_OPEN}{{0,20}}{_DOLLARS})?"

_TERMINALS: Final = rf"""
NUMBERED: /{_ID}\. /
ID: /\${_ID}/
REF: /\${_ID}{_PATH}/
STRING: /"({_CHARACTER}|{_ESCAPE}|{_OPEN}{{1,20}}{_ID}{_PATH_INSIDE}\}}|{_PLAIN_DOLLAR}){{0,{MAX_TEXT}}}{_LAST_DOLLAR}"/
KEY: /"({_CHARACTER}|{_ESCAPE}|{_PLAIN_DOLLAR}){{0,200}}{_LAST_DOLLAR}"/
INTEGER: /-?(0|[1-9][0-9]{{0,17}})/
NUMBER: /-?(0|[1-9][0-9]{{0,17}})(\.[0-9]{{1,20}})?|-?[1-9](\.[0-9]{{1,17}})?e(\+[0-9]{{2}}|\+[12][0-9]{{2}}|\+30[0-7]|-[0-9]{{2,3}})/
REASON: /[^\s\x00-\x1f][^\n]{{0,{MAX_REASON - 1}}}/
TEXT: /[^\s\x00-\x1f](?s:.)*/
"""


def plan_grammar(
    toolbox: Toolbox,
    allow: Allow = "any",
    *,
    next_id: int = 1,
    answer_schema: Mapping[str, Any] | None = None,
) -> str:
    """Write the grammar of a turn in the forms that `allow` names, see `TurnRequest`.

    The first line of a plan has the number `next_id`; in a repair turn numbers are free. Names and
    types of arguments are the tools' own; a reference may stand for any value. With
    `answer_schema`, what follows ``Answer:`` is JSON of that JSON Schema. A plan has at most
    `MAX_LINES` steps, a text at most `MAX_TEXT` characters, an integer 18 digits, a number an
    exponent below 308. Without tools only an answer is left.
    """
    rules = _Rules()
    calls = [rules.call(tool) for tool in toolbox.values()]
    if not calls and allow != "lines":
        allow = "answer"
    if calls:
        rules.add("call", " | ".join(calls))
    match allow:
        case "any":
            start = "plan | answer"
        case "join":
            start = "answer | replan"
            rules.add("replan", f'"Replan: " REASON {_NEWLINE} plan')
        case "answer":
            start = "answer"
        case "lines":
            lines = f"NUMBERED call ({_NEWLINE} NUMBERED call){{0,{MAX_LINES - 1}}}"
            start = f"{lines} ({_NEWLINE} end)? | end" if calls else "end"
    if allow in ("any", "join"):
        more = f"(NUMBERED call {_NEWLINE}){{0,{MAX_LINES - 1}}}"
        rules.add("plan", f"{_literal(f'{next_id}. ')} call {_NEWLINE} {more} end")
    if allow != "answer":
        rules.add("end", 'NUMBERED "join(" (ID (", " ID)*)? ")"')
    if allow != "lines":
        rules.add("answer", f'"Answer: " {"TEXT" if answer_schema is None else "typed"}')
        if answer_schema is not None:
            rules.add("typed", f"%json {_styled(answer_schema)}")
    return f"%llguidance {{}}\nstart: {start}\n{rules.text}{_TERMINALS}"


def _styled(schema: Mapping[str, Any]) -> str:
    style = {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
        "lenient": True,
    }
    return json.dumps({**schema, "x-guidance": style})


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_NEWLINE: Final = _literal("\n")


class _Rules:
    """The rules written so far; equal schemas share one."""

    def __init__(self) -> None:
        self._written: dict[str, str] = {}
        self._named: dict[tuple[int, str, bool], str] = {}
        self._roots: list[Mapping[str, Any]] = []

    @property
    def text(self) -> str:
        return "".join(f"{name}: {body}\n" for name, body in self._written.items())

    def add(self, name: str, body: str) -> str:
        """Write a rule and return its name."""
        self._written[name] = body
        return name

    def call(self, tool: Tool[..., Any]) -> str:
        """Write the rule of a tool's call, its arguments by name, in the order of its schema."""
        schema = tool.parameters
        self._roots.append(schema)
        required = set(schema.get("required", ()))
        arguments = [
            (
                f"{_literal(f'{name}=')} ({self._value(value)} | {_literal('each ')} REF)",
                name in required,
            )
            for name, value in schema.get("properties", {}).items()
        ]
        name = f"tool_{len(self._roots)}"
        given = self._listed(name, arguments)
        if not given:
            return self.add(name, _literal(f"{tool.name}()"))
        return self.add(name, f"{_literal(f'{tool.name}(')} {given} {_literal(')')}")

    def _listed(self, name: str, members: Sequence[tuple[str, bool]], more: str = "") -> str:
        """Write members separated by commas, in their order, where only some are required.

        `more` is a member that may come any number of times behind the others.
        """
        repeated = f'(", " {more}){{0,{MAX_ITEMS}}}' if more else ""
        behind = repeated
        firsts = [f"{more} {repeated}"] if more else []
        may_be_empty = True
        for index in range(len(members) - 1, -1, -1):
            member, required = members[index]
            member = self.add(f"{name}_{index}", member)
            first = f"{member} {behind}".strip()
            if behind.count(" ") > 3:
                behind = self.add(f"{name}_{index}_on", behind)
                first = f"{member} {behind}"
            if required:
                firsts = [first]
                may_be_empty = False
                behind = f'", " {first}'
            else:
                firsts.insert(0, first)
                behind = f'(", " {member})? {behind}'.strip()
        if not firsts:
            return ""
        return f"({' | '.join(firsts)}){'?' if may_be_empty else ''}"

    def _value(self, schema: Any) -> str:
        """Write the rule of a value of a type, or a reference in its place; return its name."""
        return self._shared(schema, with_reference=True)

    def _shared(self, schema: Any, *, with_reference: bool) -> str:
        written = json.dumps(schema, sort_keys=False, default=str)
        root = len(self._roots) if '"$ref"' in written else 0
        key = (root, written, with_reference)
        if key not in self._named:
            name = self._named[key] = f"value_{len(self._named) + 1}"
            alternatives = self._alternatives(schema, name)
            if with_reference:
                alternatives = [*alternatives, "REF"]
            self.add(name, " | ".join(dict.fromkeys(alternatives)))
        return self._named[key]

    def _alternatives(self, schema: Any, name: str) -> list[str]:
        """List what a value of a type may be, references left out."""
        if not isinstance(schema, Mapping):
            return self._anything(ANY_DEPTH)
        if "$ref" in schema:
            return [self._shared(self._resolve(str(schema["$ref"])), with_reference=False)]
        if "const" in schema:
            return [_literal(write_argument(schema["const"]))]
        if "enum" in schema:
            return [_literal(write_argument(value)) for value in schema["enum"]]
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return [self._shared(member, with_reference=False) for member in schema[union]]
        if len(schema.get("allOf", ())) == 1:
            return [self._shared(schema["allOf"][0], with_reference=False)]
        kind = schema.get("type")
        if isinstance(kind, list):
            return [
                self._shared({**schema, "type": member}, with_reference=False) for member in kind
            ]
        if kind == "object" or (kind is None and "properties" in schema):
            return [self._object(schema, name)]
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return [self._array(schema)]
        return _SIMPLE.get(str(kind)) or self._anything(ANY_DEPTH)

    def _object(self, schema: Mapping[str, Any], name: str) -> str:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        members = [
            (f"{_literal(write_argument(key) + ': ')} {self._value(value)}", key in required)
            for key, value in properties.items()
        ]
        extra = schema.get("additionalProperties", not properties)
        more = "" if extra is False else f'KEY ": " {self._value(extra)}'
        return f'"{{" {self._listed(name, members, more)} "}}"'

    def _array(self, schema: Mapping[str, Any]) -> str:
        least = int(schema.get("minItems", 0))
        most = min(int(schema.get("maxItems", MAX_ITEMS)), MAX_ITEMS)
        first = schema.get("prefixItems")
        if first and least == most == len(first):
            return '"[" ' + ' ", " '.join(self._value(item) for item in first) + ' "]"'
        if most == 0:
            return '"[]"'
        item = self._value(True if first else schema.get("items", True))
        several = f'{item} (", " {item}){{{max(least - 1, 0)},{most - 1}}}'
        return f'"[" {several} "]"' if least else f'"[" ({several})? "]"'

    def _anything(self, depth: int) -> list[str]:
        """List what any JSON value may be, references left out."""
        flat = ["STRING", "NUMBER", '"true"', '"false"', '"null"']
        if depth == 0:
            return flat
        name = f"any_{depth}"
        if name not in self._written:
            self._written[name] = ""
            inner = " | ".join([*self._anything(depth - 1), "REF"])
            item = self.add(f"any_{depth}_item", inner)
            items = f'"[" ({item} (", " {item}){{0,{MAX_ITEMS}}})? "]"'
            pair = f'KEY ": " {item}'
            self.add(name, f'{items} | "{{" ({pair} (", " {pair}){{0,{MAX_ITEMS}}})? "}}"')
        return [*flat, name]

    def _resolve(self, pointer: str) -> Any:
        """Follow ``#/$defs/Name`` in the tool's schema; what leads nowhere may be anything."""
        found: Any = self._roots[-1]
        for step in pointer.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                return True
            found = found[key]
        return found


_SIMPLE: Final = {
    "string": ["STRING"],
    "integer": ["INTEGER"],
    "number": ["NUMBER"],
    "boolean": ['"true"', '"false"'],
    "null": ['"null"'],
}
