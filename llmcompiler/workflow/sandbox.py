"""How is the parse tree of an expression computed, with no way out?

It does not know plans, steps or secrets. Python's own attributes and calls are never reached: what
an expression can do is in `operations` and `filters`, and every use of either is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, TemplateError, nodes, pass_context
from jinja2.lexer import TokenStream
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmcompiler.workflow.filters import FILTERS, TESTS, filtered, tested
from llmcompiler.workflow.operations import (
    LARGEST,
    Meter,
    Wrong,
    a,
    binary,
    compare,
    concat,
    part,
    there,
    unary,
    weight,
)

__all__ = ["COMPARE", "CONCAT", "SANDBOX", "SLICE", "Misplaced", "Program", "Sandbox", "finished"]

# Filters that the parse tree is rewritten to use; no expression can name them.
CONCAT: Final = "~"
COMPARE: Final = "<=>"
SLICE: Final = "[:]"
_METER: Final = "~meter"


class Misplaced(Exception):
    """A text that cannot be cut into tokens; `offset` is where."""

    def __init__(self, offset: int, problem: str) -> None:
        self.offset = offset
        super().__init__(problem)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without attributes, calls, globals and statements; line numbers of tokens are offsets."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    intercepted_unops = frozenset(("+", "-"))

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, optimized=False, autoescape=False)
        self.globals.clear()
        self.filters = {name: _filter(name) for name in FILTERS}
        self.filters |= {CONCAT: _concat, COMPARE: _compare, SLICE: _slice}
        self.tests = {name: _test(name) for name in TESTS}

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        placed = self._placed(source, state)
        return TokenStream(self.lexer.wrap(placed, name, filename), name, filename)

    def _placed(self, source: str, state: str | None) -> Iterator[tuple[int, str, str]]:
        offset = 0
        try:
            for _, kind, text in self.lexer.tokeniter(source, None, None, state):
                yield offset, kind, text
                offset += len(text)
        except TemplateError as error:
            raise Misplaced(offset, error.message or "") from None

    def getattr(self, obj: Any, attribute: str | int) -> Any:
        """Return what an object has under a name that was written; never an attribute of Python's."""
        return part(obj, attribute, "the value before it")

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what an object has under a name that was computed, or a list at a position."""
        return part(obj, there(argument), "the value before it", computed=True)

    def call(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: nothing can be called."""
        raise Wrong("nothing can be called")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Say no."""
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        """Say no."""
        return False

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute an operator with two sides."""
        return binary(_meter(context), operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """Compute an operator with one side."""
        return unary(_meter(context), operator, arg)


def _meter(context: Context) -> Meter:
    meter: Meter = context.parent[_METER]
    return meter


def _filter(name: str) -> Callable[..., Any]:
    @pass_context
    def apply(context: Context, value: Any, *args: Any, **options: Any) -> Any:
        return filtered(_meter(context), name, value, *args, **options)

    return apply


def _test(name: str) -> Callable[..., bool]:
    @pass_context
    def apply(context: Context, value: Any, *args: Any) -> bool:
        return tested(_meter(context), name, value, *args)

    return apply


@pass_context
def _concat(context: Context, values: list[Any]) -> str:
    return concat(_meter(context), values)


@pass_context
def _compare(context: Context, values: list[Any], *operators: str) -> bool:
    pairs = zip(operators, values, values[1:], strict=False)
    return all(compare(_meter(context), operator, one, two) for operator, one, two in pairs)


@pass_context
def _slice(context: Context, value: Any, *bounds: Any) -> Any:
    value = there(value)
    if not isinstance(value, str | list):
        raise Wrong(f"only a list or a text has a part [:], not {a(value)}")
    if any(bound is not None and type(bound) is not int for bound in map(there, bounds)):
        raise Wrong("a part [:] goes from one whole number to another")
    if bounds[2] == 0:
        raise Wrong("a part [:] cannot go in steps of 0")
    _meter(context).spend(len(value))
    return value[slice(*bounds)]


SANDBOX: Final = Sandbox()


class Program:
    """A checked parse tree, compiled when it is first run. Its variables are given by name."""

    __slots__ = ("_node", "_run")

    def __init__(self, node: nodes.Expr) -> None:
        self._node: nodes.Expr | None = node
        self._run: Callable[[Mapping[str, Any]], Any] | None = None

    def run(self, values: Mapping[str, Any]) -> Any:
        """Compute the value; raise `Wrong` with what cannot be done."""
        if self._run is None:
            self._run = _compiled(self._node)
            self._node = None
        try:
            return finished(self._run(values))
        except TemplateError as error:
            raise Wrong(error.message or "it cannot be computed") from None
        except RecursionError:
            raise Wrong("a value is nested too deeply") from None


def _compiled(node: nodes.Expr | None) -> Callable[[Mapping[str, Any]], Any]:
    assert node is not None  # noqa: S101 - for the type checker
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), node, lineno=1)]
    # Jinja compiles trees as well as texts, and says so only in `compile`.
    code: Any = SANDBOX.compile(nodes.Template(body, lineno=1))
    template = SANDBOX.template_class.from_code(SANDBOX, code, {}, None)

    def run(values: Mapping[str, Any]) -> Any:
        context = template.new_context({**values, _METER: Meter()})
        for _ in template.root_render_func(context):
            pass
        return context.vars["result"]

    return run


def finished(value: Any) -> Any:
    """Return a result; raise `Wrong` if something in it is missing or it is too large."""
    if isinstance(value, str | list | dict) and weight(value) > LARGEST:
        raise Wrong(f"its value is larger than {LARGEST:,} characters")
    return there(value)
