"""What does the text between ``${{`` and ``}}`` read, and may it be computed?

It does not know values. What is not allowed here is refused: names, filters, tests, calls, and
every kind of node that is not listed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from llmcompiler.errors import did_you_mean
from llmcompiler.workflow.filters import FILTERS, TESTS, misuse
from llmcompiler.workflow.names import FUNCTIONS, Mistaken, Names, Read, name_fault
from llmcompiler.workflow.sandbox import COMPARE, CONCAT, SANDBOX, SLICE, Misplaced, Program

__all__ = ["Tree", "read_tree"]

_DEEPEST: Final = 50


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked expression. It reads ``v0``, ``v1`` … in place of `reads`, and `asks` by name.

    `plain` says that it is nothing but what it reads. Two of one text are equal.
    """

    text: str
    reads: tuple[Read, ...]
    asks: frozenset[str]
    plain: bool
    program: Program = field(compare=False, repr=False)


def read_tree(text: str, start: int, names: Names) -> tuple[Tree | None, list[Mistaken]]:
    """Read an expression that begins at `start` of its text; return it, or all that is wrong."""
    if not text.strip():
        return None, [Mistaken(start, "there is nothing between '${{' and '}}'")]
    reader = _Reader(text, start, names)
    try:
        parser = Parser(SANDBOX, text.replace("\r", " "), state="variable")
        found = parser.parse_expression()
        if not parser.stream.eos:
            rest = parser.stream.current
            problem = f"the expression has ended, and {str(rest.value)!r} comes after it"
            return None, [Mistaken(start + rest.lineno, problem)]
        node = reader.rewritten(found)
    except Misplaced as error:
        problem = f"cannot be read: {_cut(str(error))}"
        return None, [Mistaken(start + error.offset, problem)]
    except TemplateSyntaxError as error:
        problem = f"cannot be read: {_plainly(error.message or '')}"
        return None, [Mistaken(start + error.lineno, problem)]
    except RecursionError:
        return None, [Mistaken(start, "the expression is nested too deeply")]
    if reader.mistakes:
        return None, reader.mistakes
    reads = tuple(reader.reads)
    plain = isinstance(node, nodes.Name) and len(reads) == 1
    return Tree(text, reads, frozenset(reader.asks), plain, Program(node)), []


def _cut(message: str) -> str:
    head, _, tail = message.rpartition(" at ")
    return head if head and tail.isdecimal() else message


def _plainly(message: str) -> str:
    """Say what Jinja says of a syntax error without its own words."""
    if message.startswith(("unexpected 'end of", "unexpected end of")):
        expected = message.partition(", ")[2].rstrip(".")
        return f"it ends too early{', ' * bool(expected)}{expected}"
    for words in ("end of template", "end of print statement"):
        message = message.replace(f"'{words}'", "the end")
    return message.rstrip(".")


class _Reader:
    """Walks a parse tree, writes it anew with only what is allowed, and collects what is wrong."""

    def __init__(self, text: str, start: int, names: Names) -> None:
        self._text = text
        self._start = start
        self._names = names
        self._deep = 0
        self._passed = 0
        self.mistakes: list[Mistaken] = []
        self.reads: dict[Read, None] = {}
        self.asks: dict[str, None] = {}

    def rewritten(self, node: nodes.Expr) -> nodes.Expr:
        """Return what is computed in place of a node."""
        self._deep += 1
        if self._deep > _DEEPEST:
            raise RecursionError
        try:
            return self._node(node)
        finally:
            self._deep -= 1

    def _wrong(self, node: nodes.Node, problem: str, ahead: int = 0) -> nodes.Expr:
        self._mistaken(Mistaken((node.lineno or 0) + ahead, problem))
        return nodes.Const(None)

    def _mistaken(self, mistake: Mistaken) -> None:
        if mistake.offset >= self._passed:
            mistake.offset += self._start
            self.mistakes.append(mistake)
        self._passed = max(self._passed, mistake.end)

    def _node(self, node: nodes.Expr) -> nodes.Expr:
        match node:
            case nodes.Const():
                if isinstance(node.value, float) and not math.isfinite(node.value):
                    return self._wrong(node, "this number is too large")
                return node
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._chain(node)
            case nodes.Filter():
                return self._filter(node)
            case nodes.Test():
                return self._test(node)
            case nodes.Call():
                return self._call(node)
            case nodes.Compare():
                sides = [node.expr, *(operand.expr for operand in node.ops)]
                words: list[nodes.Expr] = [nodes.Const(operand.op) for operand in node.ops]
                return _filtered(nodes.List(self._all(sides)), COMPARE, words)
            case nodes.Concat():
                return _filtered(nodes.List(self._all(node.nodes)), CONCAT, [])
            case nodes.And() | nodes.Or() | nodes.BinExpr():
                return type(node)(self.rewritten(node.left), self.rewritten(node.right))
            case nodes.Not() | nodes.Neg() | nodes.Pos():
                return type(node)(self.rewritten(node.node))
            case nodes.CondExpr():
                if node.expr2 is None:
                    return self._wrong(node, "an 'if' in an expression needs an 'else'")
                return nodes.CondExpr(*self._all((node.test, node.expr1, node.expr2)))
            case nodes.List() | nodes.Tuple():
                return nodes.List(self._all(node.items))
            case nodes.Dict():
                return nodes.Dict([self._pair(pair) for pair in node.items])
            case _:
                return self._wrong(node, "this cannot be used in an expression")

    def _all(self, found: Sequence[nodes.Expr]) -> list[nodes.Expr]:
        return [self.rewritten(one) for one in found]

    def _pair(self, pair: nodes.Pair) -> nodes.Pair:
        if not (isinstance(pair.key, nodes.Const) and isinstance(pair.key.value, str)):
            self._wrong(pair.key, "a name in an object is a text in quotes")
        return nodes.Pair(pair.key, self.rewritten(pair.value))

    # -- filters, tests and calls --------------------------------------------------------------

    def _filter(self, node: nodes.Filter) -> nodes.Expr:
        if node.name not in FILTERS:
            return self._wrong(node, _unknown("filter", node.name, FILTERS))
        if self._misused(node, FILTERS):
            return nodes.Const(None)
        if node.name in ("map", "select") and node.args:
            table, kind = (FILTERS, "filter") if node.name == "map" else (TESTS, "test")
            self._named(node, table, kind)
        inner = self.rewritten(node.node) if node.node is not None else nodes.Const(None)
        options = [nodes.Keyword(one.key, self.rewritten(one.value)) for one in node.kwargs]
        return _filtered(inner, node.name, self._all(node.args), options)

    def _named(
        self, node: nodes.Filter, table: Mapping[str, Callable[..., Any]], kind: str
    ) -> None:
        first = node.args[0]
        if not (isinstance(first, nodes.Const) and isinstance(first.value, str)):
            self._wrong(node, f"'{node.name}' takes the name of a {kind}, in quotes")
        elif first.value not in table:
            self._wrong(first, _unknown(kind, first.value, table))
        elif wrong := misuse(table[first.value], len(node.args) - 1, ()):
            self._wrong(node, f"{kind} {first.value!r}: {wrong}")

    def _test(self, node: nodes.Test) -> nodes.Expr:
        if node.name not in TESTS:
            return self._wrong(node, _unknown("test", node.name, TESTS))
        if self._misused(node, TESTS):
            return nodes.Const(None)
        inner = self.rewritten(node.node)
        return nodes.Test(inner, node.name, self._all(node.args), [], None, None)

    def _misused(
        self, node: nodes.Filter | nodes.Test, table: Mapping[str, Callable[..., Any]]
    ) -> bool:
        kind = "filter" if isinstance(node, nodes.Filter) else "test"
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self._wrong(node, f"{kind} {node.name!r}: '*' cannot be used in an expression")
            return True
        wrong = misuse(table[node.name], len(node.args), [str(one.key) for one in node.kwargs])
        if wrong is not None:
            self._wrong(node, f"{kind} {node.name!r}: {wrong}")
        return wrong is not None

    def _call(self, node: nodes.Call) -> nodes.Expr:
        called = node.node
        if isinstance(called, nodes.Name) and called.name in FUNCTIONS:
            if not self._names.functions:
                return self._wrong(called, f"{called.name}() can be asked only in an 'if'")
            if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
                return self._wrong(called, f"{called.name}() takes nothing")
            self.asks[called.name] = None
            return nodes.Name(called.name, "load")
        if isinstance(called, nodes.Getattr) and called.attr in FILTERS:
            hint = f"; write | {called.attr}"
            return self._wrong(called, f"{called.attr}() cannot be called{hint}", 1)
        name = called.name if isinstance(called, nodes.Name) else ""
        if name in FILTERS:
            return self._wrong(
                called, f"{name}() cannot be called; {name!r} is a filter: … | {name}"
            )
        close = did_you_mean(name, FUNCTIONS) if name else ""
        known = ", ".join(f"{function}()" for function in FUNCTIONS)
        return self._wrong(called, f"only {known} can be called{close}")

    # -- names ---------------------------------------------------------------------------------

    def _chain(self, node: nodes.Expr) -> nodes.Expr:
        """Read a name with what is taken from it: as much as is known goes into a `Read`."""
        links: list[nodes.Getattr | nodes.Getitem] = []
        here: nodes.Expr = node
        while isinstance(here, nodes.Getattr | nodes.Getitem):
            links.append(here)
            here = here.node
        links.reverse()
        steps = [one.attr if isinstance(one, nodes.Getattr) else _step_of(one) for one in links]
        for link in links:
            if isinstance(link, nodes.Getattr) and link.attr.startswith("_"):
                problem = f"what begins with '_' is a name in data: write [{json.dumps(link.attr)}]"
                return self._wrong(link, problem, 1)
        if not isinstance(here, nodes.Name):
            return self._taken(self.rewritten(here), links)
        known = steps.index(None) if None in steps else len(steps)
        path = [step for step in steps[:known] if step is not None]
        at = [here.lineno or 0, *((link.lineno or 0) + 1 for link in links)]
        fault = name_fault(self._names, here.name, path, at, self._text)
        if fault is not None:
            self._taken(nodes.Const(None), links[len(path) :])
            self._mistaken(fault)
            return nodes.Const(None)
        read = Read(here.name, tuple(path), self._start + (here.lineno or 0))
        self.reads.setdefault(read, None)
        name = nodes.Name(f"v{list(self.reads).index(read)}", "load")
        return self._taken(name, links[len(path) :])

    def _taken(
        self, node: nodes.Expr, links: Sequence[nodes.Getattr | nodes.Getitem]
    ) -> nodes.Expr:
        """Take what is computed only later: attributes of anything, dynamic subscripts, slices."""
        for link in links:
            step = link.attr if isinstance(link, nodes.Getattr) else _step_of(link)
            if step is not None:  # an attribute is one that was written, a subscript was computed
                node = nodes.Getattr(node, cast("str", step), "load")
            elif isinstance(link, nodes.Getitem) and isinstance(link.arg, nodes.Slice):
                bounds = (link.arg.start, link.arg.stop, link.arg.step)
                given = [
                    nodes.Const(None) if one is None else self.rewritten(one) for one in bounds
                ]
                node = _filtered(node, SLICE, given)
            elif isinstance(link, nodes.Getitem):
                node = nodes.Getitem(node, self.rewritten(link.arg), "load")
        return node


def _step_of(link: nodes.Getitem) -> str | int | None:
    """Return the name or position that a subscript is, or None where it has to be computed."""
    arg = link.arg
    sign = 1
    if isinstance(arg, nodes.Neg):
        arg, sign = arg.node, -1
    if not isinstance(arg, nodes.Const):
        return None
    if isinstance(arg.value, str) and sign == 1:
        return arg.value
    return sign * arg.value if type(arg.value) is int else None


def _filtered(
    node: nodes.Expr,
    name: str,
    args: list[nodes.Expr],
    options: list[nodes.Keyword] | None = None,
) -> nodes.Filter:
    return nodes.Filter(node, name, args, options or [], None, None)


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    close = did_you_mean(name, known)
    return f"there is no {kind} {name!r}{close or '; there are ' + ', '.join(sorted(known))}"
