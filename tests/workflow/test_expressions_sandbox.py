"""There is no way out of an expression, and no work without end inside one."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from llmcompiler.plan import Json, Ref
from llmcompiler.workflow.expressions import (
    ExpressionError,
    MistakesError,
    Scope,
    Secrets,
    compile_value,
    filled,
)
from llmcompiler.workflow.names import Names
from llmcompiler.workflow.operations import Wrong
from llmcompiler.workflow.sandbox import SANDBOX, Program

NAMES = Names(steps=["geo"], inputs=["x"], env=[], secrets=["KEY"], item=True)
SCOPE = Scope(NAMES, {"x": ["a", {"b": 1}]}, {}, Secrets({"KEY": "hush"}))

ESCAPES = [
    "''.__class__",
    "''['__class__']",
    "''|attr('__class__')",
    "''|attr('\\x5f\\x5fclass\\x5f\\x5f')",
    "''['\\x5f\\x5fclass\\x5f\\x5f']",
    "''.__class__.__mro__[1].__subclasses__()",
    "[].__class__.__base__",
    "{}.__init__.__globals__",
    "().__class__",
    "inputs.__class__",
    "inputs.x.__class__",
    "inputs.x['__class__']",
    "inputs.x[0]['__class__']['__mro__']",
    "inputs['x']['append']",
    "inputs.x.append(1)",
    "inputs.x.append",
    "inputs.x[1].items",
    "inputs.x[1].pop('b')",
    "'{0.__class__}'.format(1)",
    "'{0.__class__}' % 1",
    "'{0.__class__}'|format(1)",
    "'%s'|format(inputs.x)",
    "self",
    "self.__init__",
    "self._TemplateReference__context",
    "context",
    "caller()",
    "loop",
    "super()",
    "_",
    "__builtins__",
    "environment",
    "resolve('x')",
    "cycler.__init__.__globals__.os",
    "cycler('a')",
    "joiner()",
    "namespace(a=1)",
    "lipsum.__globals__['os'].popen('id').read()",
    "lipsum()",
    "dict(a=1)",
    "range(3)",
    "range",
    "request.application",
    "config.items()",
    "url_for.__globals__",
    "get_flashed_messages",
    "g",
    "debug",
    "eval('1')",
    "open('/etc/passwd')",
    "__import__('os')",
    "import os",
    "lambda: 1",
    "x := 1",
    "[x for x in inputs.x]",
    "inputs.x|map('attr', '__class__')",
    "inputs.x|map('map', 'attr', '__class__')",
    "inputs.x|map(attribute='__class__')|list",
    "inputs.x|map(attribute='__class__.__mro__')",
    "inputs.x|map('tojson', 'no', 'such', 'thing')",
    "inputs.x|select('callable')",
    "inputs.x|select('sameas', 1)",
    "inputs.x|sort(attribute='__class__')",
    "inputs.x|groupby('__class__')",
    "inputs.x|sum(attribute='__len__')",
    "inputs.x|xmlattr",
    "inputs.x|pprint",
    "inputs.x|list",
    "inputs.x|batch(2)",
    "inputs.x|safe",
    "inputs.x|random",
    "inputs.x|string|urlize",
    "inputs.x is callable",
    "inputs.x is sameas inputs.x",
    "'a' is filter",
    "inputs.x|join(attribute='__class__')",
    "v0",
    "v0 ~ inputs.x",
    "inputs.x ~ v0",
    "t_1",
    "l_0_v0",
    "missing",
    "undefined",
    "inputs.x|default(*[1])",
    "inputs.x|default(**{'a': 1})",
    "always()",
    "steps.geo.__class__",
    "steps.geo.output.__class__",
    "secrets",
    "secrets._values",
    "secrets.KEY.__class__",
    "secrets.reveal('KEY')",
    "steps['geo'].__init__",
    "item.__class__",
    "item()",
    "inputs.x['~meter']",
    "inputs.x|~",
    "{}|dictsort",
    "inputs.x | map('<=>')",
    "none.__class__",
    "(1).__class__",
    "1.5.real",
    "(1).real",
    "true.real",
    "'a'.upper",
]


@pytest.mark.parametrize("escape", ESCAPES)
def test_there_is_no_way_out(escape: str) -> None:
    def lookup(ref: Ref) -> Json:
        return {"b": [1]}

    with pytest.raises((MistakesError, ExpressionError)):
        filled(compile_value(f"${{{{ {escape} }}}}", SCOPE), lookup, {"item": "a"})


@pytest.mark.parametrize(
    "tree",
    [
        nodes.Call(nodes.Getattr(nodes.Const("a"), "upper", "load"), [], [], None, None),
        nodes.Getattr(nodes.Const("a"), "upper", "load"),
        nodes.Getattr(nodes.Const("a"), "__class__", "load"),
        nodes.Getitem(nodes.Const("a"), nodes.Const("__class__"), "load"),
        nodes.Name("range", "load"),
        nodes.Name("cycler", "load"),
    ],
)
def test_the_sandbox_refuses_even_what_reading_would_not_let_through(tree: nodes.Expr) -> None:
    with pytest.raises(Wrong):
        Program(tree).run({})


def test_the_sandbox_knows_only_its_own() -> None:
    assert not SANDBOX.globals
    assert "attr" not in SANDBOX.filters
    assert "callable" not in SANDBOX.tests
    assert not SANDBOX.is_safe_callable(len)
    assert not SANDBOX.is_safe_attribute("", "upper", "".upper)


BIG = "x" * 900_000
WIDE = [["y" * 1000] * 900, [["y" * 1000] * 900, list(range(100_000))]]

BOMBS = [
    "9 ** 99 ** 99",
    "10 ** 100000",
    "(2 ** 4000) * (2 ** 4000)",
    "1.5 ** 100000",
    "1e300 * 1e300",
    "'a' * 1000000000",
    "[0] * 1000000000",
    "'%1000000000d' % 1",
    "steps.geo.output.big ~ steps.geo.output.big",
    "steps.geo.output.big + steps.geo.output.big",
    "[steps.geo.output.big, steps.geo.output.big]",
    "[steps.geo.output.big, steps.geo.output.big] | tojson",
    "[steps.geo.output.big, steps.geo.output.big] | join",
    "['a', 'b', 'c'] | join(steps.geo.output.big)",
    "steps.geo.output.big | replace('x', 'xx')",
    "steps.geo.output.big | replace('', 'x')",
    "'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 20,
    "'\"'" + " | tojson" * 40,
    "steps.geo.output.wide | default(1)",
    "steps.geo.output.wide | string",
    "1 | round(-1000000000)",
    "1 | round(1000000000)",
    "'9' * 9",
    "steps.geo.output.digits | int",
    "1.0e308 | int * 1.0e308 ** 40",
    "1 | tojson(indent=1000000000) ~ steps.geo.output.big ~ steps.geo.output.big",
    " and ".join(["steps.geo.output.big == steps.geo.output.big"] * 40),
    " ~ ".join(["(steps.geo.output.big | length)"] * 40),
    "[" + ", ".join(["steps.geo.output.big | upper | length"] * 60) + "]",
    "[" + ", ".join(["steps.geo.output.wide | sort | length"] * 60) + "]",
    "steps.geo.output.many | map('replace', 'a', steps.geo.output.big)",
    "'' ~ steps.geo.output.deep",
    "steps.geo.output.deep }} and ${{ 1",
    "(steps.geo.output.big ~ steps.geo.output.big) | length",
    "(steps.geo.output.big + steps.geo.output.big) | length",
    "steps.geo.output.big | replace('x', 'xx') | length",
    "['a', 'b', 'c'] | join(steps.geo.output.big) | length",
    "[steps.geo.output.big, steps.geo.output.big] | tojson | length",
    "steps.geo.output.deep | tojson",
    "steps.geo.output.deep == steps.geo.output.deeper",
]


def _deep(levels: int) -> Json:
    value: Json = []
    for _ in range(levels):
        value = [value]
    return value


RESULT: dict[str, Any] = {
    "big": BIG,
    "wide": WIDE,
    "digits": "9" * 4000,
    "many": ["a"] * 100,
    "deep": _deep(20_000),
    "deeper": _deep(20_001),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_work_and_size_have_an_end(bomb: str) -> None:
    def lookup(ref: Ref) -> Json:
        return RESULT if not ref.path else RESULT[str(ref.path[0])]  # type: ignore[no-any-return]

    began = time.process_time()
    with pytest.raises((MistakesError, ExpressionError)):
        filled(compile_value(f"${{{{ {bomb} }}}}", Scope(NAMES)), lookup)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", ["text ${{ steps.geo.output }} and ${{ steps.geo.output }}"])
def test_a_text_has_at_most_a_million_characters(name: str) -> None:
    with pytest.raises(ExpressionError, match="the text is larger than 1,000,000 characters"):
        filled(compile_value(name, Scope()), lambda _: BIG)


def test_a_reference_alone_may_be_as_large_as_it_is() -> None:
    found = compile_value("${{ steps.geo.output }}", Scope())
    assert filled(found, lambda _: BIG * 2) == BIG * 2


PIECES = [
    "steps",
    ".",
    "geo",
    "output",
    "inputs",
    "x",
    "|",
    "map",
    "(",
    ")",
    "'upper'",
    "[",
    "]",
    "0",
    "~",
]
PIECES += [
    "+",
    "**",
    "if",
    "else",
    "is",
    "defined",
    "not",
    "in",
    ",",
    ":",
    "{",
    "}",
    "'",
    "-",
    "_",
    "__class__",
]
PIECES += [
    "secrets",
    "KEY",
    "item",
    " ",
    "and",
    "attr",
    "=",
    "*",
    "==",
    "select",
    "9",
    "%",
    "{%",
    "{#",
    "}}",
    "${{",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_whatever_is_written_is_read_or_refused(pieces: list[str]) -> None:
    text = f"${{{{ {''.join(pieces)} }}}}"
    said, offsets = "", [0]
    try:
        filled(compile_value(text, SCOPE), lambda _: {"x": [1, "a"]}, {"item": "a"})
    except MistakesError as error:
        offsets = [mistake.offset for mistake in error.mistakes]
    except ExpressionError as error:
        said = error.problem
    assert all(0 <= offset <= len(text) for offset in offsets)
    assert "hush" not in said
