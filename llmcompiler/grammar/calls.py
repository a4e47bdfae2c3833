"""What may stand on a line that calls a tool, given the results that it may refer to?

It does not know the lines of a turn, which number one has, or what a turn may be besides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Final, TypeAlias

from llmcompiler.grammar.notation import (
    EMPTY,
    Gbnf,
    Lark,
    Name,
    Node,
    Notation,
    choice,
    names_in,
    sequence,
)
from llmcompiler.grammar.references import (
    Place,
    anything,
    elements_fit,
    explore,
    fits,
    paths,
)
from llmcompiler.grammar.terminals import KEY, NUMBERS, PATHS, string
from llmcompiler.grammar.values import Values
from llmcompiler.toolbox import Tool
from llmcompiler.types import Type, array_of

__all__ = ["UNKNOWN", "Calls", "Source", "calls_of"]

Source: TypeAlias = tuple[int, str]  # the number of a step, and what its result is known as
UNKNOWN: Final = ""

_TERMINALS: Final[dict[str, Node]] = {**NUMBERS, "KEY": KEY}


@lru_cache(maxsize=16)
def calls_of(tools: tuple[Tool[..., Any], ...]) -> Calls:
    """Return the grammar of calls of these tools, made once."""
    return Calls(tools)


class Calls:
    """The grammar of a call of any of several tools, as the rules named in `names`.

    What does not depend on the line is made once: the rules of tools and types, and the paths
    into each kind of result that fit each type. Several threads may ask.
    """

    def __init__(self, tools: Sequence[Tool[..., Any]]) -> None:
        self._lock = Lock()
        self._values = Values()
        calls = [self._call(tool) for tool in tools]
        circles = self._values.recursive()
        flat = [call for call in calls if not names_in(call) & circles]
        deep = [call for call in calls if names_in(call) & circles]
        if flat:
            self._values.rules["CALL"] = choice(*flat)
        if deep:
            self._values.rules["DEEP"] = choice(*deep)
            circles |= {"DEEP", "LINE"}
        self.names = [name for name in ("CALL", "DEEP") if name in self._values.rules]
        self.lark: Notation = Lark(circles | {"ANSWER", "TYPED"})
        self.gbnf: Notation = Gbnf()
        self._written: dict[Notation, tuple[str, list[str]]] = {}
        self._tools = {tool.name: tool.returns for tool in tools}
        self._results: dict[str, Type | None] = {UNKNOWN: None}
        self._results_of: dict[tuple[str, bool], str] = {}
        self._places: dict[str, Place] = {}
        self._fitting: list[tuple[Callable[[Type | None], bool], ...]] = [
            (fits(slot.expected), elements_fit(slot.expected)) for slot in self._values.slots
        ]
        self._ways: dict[tuple[str, int, bool], str | None] = {}
        self._ways_in_text: dict[str, str | None] = {}
        self._path_names: dict[Node, str] = {}
        self._paths = {**PATHS, "STRING": string(None), "TEMPLATE": string(Name("INSIDE"))}
        self._rules: dict[tuple[Notation, str], str] = {}

    def result_of(self, tool: str, *, each: bool) -> str:
        """Return what the result of a call is known as; with `each`, of one for every element."""
        known = self._results_of.get((tool, each))
        if known is None:
            returns = self._tools.get(tool)
            of = None if returns is None else Type.of(returns)
            known = self.result(array_of(of) if each and of is not None else of)
            self._results_of[tool, each] = known
        return known

    def result(self, of: Type | None) -> str:
        """Return what a result of a type is known as, `UNKNOWN` where nothing is said of it."""
        if of is None:
            return UNKNOWN
        name = json.dumps([of.schema, of.defs], default=str)
        self._results.setdefault(name, of)
        return name

    def rules(self, notation: Notation, sources: Sequence[Source]) -> str:
        """Write the rules of a call that may refer to the results of `sources`."""
        with self._lock:
            return self._rules_for(notation, sources)

    def _rules_for(self, notation: Notation, sources: Sequence[Source]) -> str:
        static, plain = self._static(notation)
        results: dict[str, list[str]] = {}
        for number, known in sources:
            results.setdefault(known, []).append(f'"{number}"')
        grouped = {known: _either(numbers) for known, numbers in results.items()}
        references: dict[str, str] = {}
        used: dict[str, None] = {}

        def reference(ways: Mapping[str, str | None]) -> str | None:
            """Return the name of the rule of a reference to one of the results that have a way."""
            found = []
            for known, way in ways.items():
                if way is not None:
                    found.append(f"{grouped[known]} {way}" if way else grouped[known])
                    used[way] = None
            if not found:
                return None
            return references.setdefault(_either(found), f"R{len(references) + 1}")

        lines = [static]
        for index, slot in enumerate(self._values.slots):
            name = notation.name(slot.name)
            ref = reference({known: self._way(known, index, each=False) for known in grouped})
            body = plain[index] if ref is None else f"{plain[index]} | {ref}"
            lines.append(notation.rule(slot.name, body))
            if slot.argument:
                each = reference({known: self._way(known, index, each=True) for known in grouped})
                body = name if each is None else f'{name} | "each " {each}'
                lines.append(notation.rule(slot.argument_name, body))
        lines.extend(notation.rule(name, f'"$" {body}') for body, name in references.items())
        inside = self._inside(grouped, used)
        lines.append(self._rule(notation, "STRING" if inside is None else "TEMPLATE", "STRING"))
        if inside is not None:
            lines.append(notation.rule("INSIDE", inside))
        lines.extend(self._rule(notation, name, name) for name in self._named_by(used))
        return "".join(lines)

    def _call(self, tool: Tool[..., Any]) -> Node:
        """Write a tool's call, its arguments by name, in the order of its schema."""
        whole = Type.of(tool.parameters)
        required = set(tool.parameters.get("required", ()))
        arguments = [
            (
                sequence(f"{name}=", self._values.argument(Type(schema, whole.defs))),
                name in required,
            )
            for name, schema in tool.parameters.get("properties", {}).items()
        ]
        given = self._values.members(arguments)
        return sequence(f"{tool.name}(", EMPTY if given is None else given, ")")

    def _static(self, notation: Notation) -> tuple[str, list[str]]:
        """Write the rules that are the same on every line, and the plain forms of values."""
        if notation not in self._written:
            nodes = [*self._values.rules.values(), *(slot.plain for slot in self._values.slots)]
            named: set[str] = set().union(*map(names_in, nodes))
            rules = {name: node for name, node in _TERMINALS.items() if name in named}
            rules |= self._values.rules
            self._written[notation] = (
                "".join(
                    notation.rule(name, notation.expression(node)) for name, node in rules.items()
                ),
                [notation.expression(slot.plain) for slot in self._values.slots],
            )
        return self._written[notation]

    def _way(self, known: str, slot: int, *, each: bool) -> str | None:
        """Return the rule of the paths into a result that fit; "" where only the whole does."""
        key = (known, slot, each)
        if key not in self._ways:
            self._ways[key] = self._named(paths(self._place(known), self._fitting[slot][each]))
        return self._ways[key]

    def _inside(self, grouped: Mapping[str, str], used: dict[str, None]) -> str | None:
        """Write what may stand in a text between ``${`` and ``}``."""
        found = []
        for known, numbers in grouped.items():
            if known not in self._ways_in_text:
                way = paths(self._place(known), anything, in_text=True)
                self._ways_in_text[known] = self._named(way)
            name = self._ways_in_text[known]
            found.append(f"{numbers} {name}" if name else numbers)
            used[name or ""] = None
        return " | ".join(found) or None

    def _place(self, known: str) -> Place:
        if known not in self._places:
            self._places[known] = explore(self._results[known])
        return self._places[known]

    def _named(self, way: Node | None) -> str | None:
        """Give an expression of paths a name; equal ones have the same."""
        if way is None or way == EMPTY:
            return None if way is None else ""
        if isinstance(way, Name):
            return way.name
        name = self._path_names.setdefault(way, f"P{len(self._path_names) + 1}")
        self._paths[name] = way
        return name

    def _named_by(self, used: Mapping[str, None]) -> list[str]:
        """List the rules of paths among `used`, and those that they name in turn."""
        names = {name for name in used if name}
        while True:
            more = names.union(*(names_in(self._paths[name]) for name in names))
            if more == names:
                return sorted(names)
            names = more

    def _rule(self, notation: Notation, name: str, called: str) -> str:
        """Write one of the rules of texts and paths; each is written once and kept."""
        key = (notation, name)
        if key not in self._rules:
            self._rules[key] = notation.rule(called, notation.expression(self._paths[name]))
        return self._rules[key]


def _either(options: Sequence[str]) -> str:
    """Write a choice of expressions as a part of another one."""
    return options[0] if len(options) == 1 else f"({' | '.join(options)})"
