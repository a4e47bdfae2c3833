"""What may stand for a value of a type: its own forms, and where a reference may stand instead?

It does not know tools, lines, or which references there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from llmcompiler.grammar.notation import (
    EMPTY,
    Name,
    Node,
    Text,
    choice,
    many,
    names_in,
    optional,
    sequence,
)
from llmcompiler.language import write_argument
from llmcompiler.types.schema import WORDS, Schema, Type, branches, choices_of

__all__ = ["Slot", "Values"]

_NOTES: Final = frozenset(("title", "description", "default", "examples", "deprecated"))
_NAMED_SCHEMAS: Final = frozenset(("properties", "$defs"))
_VALUES: Final = frozenset(("const", "enum"))
_LONG: Final = 3  # parts of a rule that are worth a name when they stand twice


@dataclass(slots=True)
class Slot:
    """A type of which a value is expected somewhere, under the name of its rule.

    `plain` are the forms of its values; a reference may stand for any of them. `argument` says
    that it is the type of a whole argument, for which ``each`` may stand too.
    """

    name: str
    expected: Type
    plain: Node = EMPTY
    argument: bool = False

    @property
    def argument_name(self) -> str:
        """The name of the rule of an argument of this type."""
        return f"A{self.name}"


@dataclass(slots=True)
class Values:
    """The rules of values, one for each type that was asked for; equal types share it.

    In a plan, texts may hold references and values are written as plans write them; in an answer
    (`json`) both are those of JSON.
    """

    json: bool = False
    rules: dict[str, Node] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)
    _known: dict[str, Slot] = field(default_factory=dict)

    def value(self, of: Type) -> Node:
        """Return the rule of a value of a type."""
        return Name(self._slot(of).name)

    def argument(self, of: Type) -> Node:
        """Return the rule of a whole argument of a type."""
        slot = self._slot(of)
        slot.argument = True
        return Name(slot.argument_name)

    def members(
        self, members: Sequence[tuple[Node, bool]], more: Node | None = None
    ) -> Node | None:
        """Write members separated by commas, in their order, where only some are required.

        `more` is a member that may come any number of times behind the others; None comes back
        where there can be no member at all.
        """
        behind = EMPTY if more is None else many(sequence(", ", more))
        firsts = [] if more is None else [sequence(more, behind)]
        may_be_empty = True
        for member, required in reversed(members):
            behind = self._shared(behind)
            first = sequence(member, behind)
            if required:
                firsts = [first]
                may_be_empty = False
                behind = sequence(", ", first)
            else:
                firsts.insert(0, first)
                behind = sequence(optional(sequence(", ", member)), behind)
        if not firsts:
            return None
        return optional(choice(*firsts)) if may_be_empty else choice(*firsts)

    def recursive(self) -> frozenset[str]:
        """Return the names of the rules that lead back to themselves, or to one that does."""
        leads: dict[str, frozenset[str]] = {
            name: names_in(node) for name, node in self.rules.items()
        }
        for slot in self.slots:
            leads[slot.name] = names_in(slot.plain)
            leads[slot.argument_name] = frozenset((slot.name,))
        return frozenset(name for name in leads if _comes_round(name, leads))

    def _shared(self, node: Node) -> Node:
        """Give a long expression a name, so that it is written once."""
        if len(getattr(node, "parts", ())) < _LONG:
            return node
        name = f"{'J' if self.json else ''}M{len(self.rules) + 1}"
        self.rules[name] = node
        return Name(name)

    def _slot(self, of: Type) -> Slot:
        bare = _bare(of.schema) or of.schema is not False
        written = json.dumps(bare, default=str)
        if '"$ref"' in written:
            written += json.dumps(_bare(of.defs, named=True), default=str)
        slot = self._known.get(written)
        if slot is None:
            name = f"{'J' if self.json else ''}V{len(self.slots) + 1}"
            slot = self._known[written] = Slot(name, Type(bare, of.defs))
            self.slots.append(slot)
            slot.plain = choice(*self._forms(slot.expected))
        return slot

    def _forms(self, of: Type) -> list[Node]:
        """List the forms that a value of a type may have, references left out."""
        found: list[Node] = []
        kinds = list(branches(of))
        if not kinds or {kind for kind, _ in kinds} - WORDS.keys():
            kinds = [(kind, {}) for kind in WORDS]
        numbers = any(kind == "number" for kind, _ in kinds)
        for kind, schema in kinds:
            choices = choices_of(schema)
            if choices is not None:
                found.extend(Text(self._written(value)) for value in choices)
            elif kind == "object":
                found.append(self._object(schema, of.defs))
            elif kind == "array":
                found.append(self._array(schema, of.defs))
            elif kind != "integer" or not numbers:
                found.extend(self._simple(kind))
        return found or self._forms(Type(True))

    def _written(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False) if self.json else write_argument(value)

    def _simple(self, kind: str) -> list[Node]:
        match kind:
            case "boolean":
                return [Text("true"), Text("false")]
            case "null":
                return [Text("null")]
            case "string":
                return [Name("JSTRING" if self.json else "STRING")]
            case _:
                return [Name(f"{'J' if self.json else ''}{kind.upper()}")]

    def _object(self, schema: Mapping[str, Any], defs: Mapping[str, Schema]) -> Node:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        members = [
            (sequence(f"{self._written(key)}: ", self.value(Type(value, defs))), key in required)
            for key, value in properties.items()
        ]
        others = schema.get("additionalProperties", not properties)
        more = None
        if others is not False:
            key = Name("JSTRING" if self.json else "KEY")
            more = sequence(key, ": ", self.value(Type(others, defs)))
        listed = self.members(members, more)
        return Text("{}") if listed is None else sequence("{", listed, "}")

    def _array(self, schema: Mapping[str, Any], defs: Mapping[str, Schema]) -> Node:
        least = int(schema.get("minItems", 0))
        most = schema.get("maxItems")
        first = [Type(item, defs) for item in schema.get("prefixItems", ())][:most]
        rest: Schema = schema.get("items", True)
        behind: Node = EMPTY
        if rest is not False and (most is None or most > len(first)):
            item = self.value(Type(rest, defs))
            fewest = max(least - len(first), 0)
            further = None if most is None else most - len(first)
            if not first:
                again = many(
                    sequence(", ", item), max(fewest - 1, 0), None if most is None else most - 1
                )
                several = sequence(item, again)
                return sequence("[", several if least else optional(several), "]")
            behind = many(sequence(", ", item), fewest, further)
        for index in range(len(first) - 1, -1, -1):
            item = sequence(", " if index else "", self.value(first[index]), behind)
            behind = item if index < least else optional(item)
        return sequence("[", behind, "]")


def _bare(schema: Any, *, named: bool = False) -> Any:
    """Leave out what is said to readers only; a `named` schema holds schemas by their names."""
    if isinstance(schema, Mapping):
        return {
            key: value
            if not named and key in _VALUES
            else _bare(value, named=not named and key in _NAMED_SCHEMAS)
            for key, value in schema.items()
            if named or key not in _NOTES
        }
    if isinstance(schema, list | tuple):
        return [_bare(item) for item in schema]
    return schema


def _comes_round(name: str, leads: Mapping[str, Iterable[str]]) -> bool:
    """Whether a way from `name` leads into a circle."""
    path: list[str] = []
    done: set[str] = set()

    def search(at: str) -> bool:
        if at in path:
            return True
        if at in done:
            return False
        path.append(at)
        found = any(search(then) for then in leads.get(at, ()))
        path.pop()
        done.add(at)
        return found

    return search(name)
