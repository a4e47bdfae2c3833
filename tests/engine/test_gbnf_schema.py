from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine.gbnf import GbnfCompiler
from llmcompiler.engine.gbnf_schema import schema_gbnf
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError

_TREE: dict[str, object] = {
    "$ref": "#/$defs/Tree",
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 5},
                "more": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
_ROW: dict[str, object] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "x": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "kind": {"enum": ["a", 'b"\\\n', 3, None]},
        "pair": {"prefixItems": [{"type": "boolean"}, {"type": ["integer", "null"]}]},
        "any": True,
        "é": {"allOf": [{"const": {"k": [1]}}]},
        "tags": {"items": {"type": "string"}, "minItems": 2, "maxItems": 3},
        "none": {"type": "array", "maxItems": 0},
    },
    "required": ["kind", "é"],
    "additionalProperties": {"type": "boolean"},
}


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    """Return the tiny model, for as many examples as there are."""
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, threads=1))
    yield model
    model.close()


@pytest.fixture(scope="module")
def compiler(model: Model) -> GbnfCompiler:
    """Return a compiler for as many examples as there are."""
    return GbnfCompiler(model.table)


def _admits(model: Model, compiler: GbnfCompiler, schema: dict[str, object], text: str) -> bool:
    """Say whether `text` is a whole reply."""
    matcher = compiler.matcher(schema_gbnf(schema))
    tokens = model.tokenize(text, special=False)
    if matcher.admits(tokens) < len(tokens):
        return False
    for token in tokens:
        matcher.advance(token)
    return matcher.accepting


def _ordered(tree: Any) -> dict[str, object]:
    more = {"more": [_ordered(each) for each in tree["more"]]} if "more" in tree else {}
    return {"name": tree["name"], **more}


_trees = st.recursive(
    st.fixed_dictionaries({"name": st.text(max_size=5)}),
    lambda trees: st.fixed_dictionaries({"name": st.text(max_size=5), "more": st.lists(trees)}),
    max_leaves=4,
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=9),
    lambda values: st.lists(values) | st.dictionaries(st.text(max_size=5), values),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(tree=_trees)
def test_json_of_a_recursive_schema_is_admitted(
    model: Model, compiler: GbnfCompiler, tree: object
) -> None:
    assert _admits(model, compiler, _TREE, json.dumps(_ordered(tree), ensure_ascii=False))


@settings(max_examples=60, deadline=None)
@given(
    row=st.fixed_dictionaries(
        {"kind": st.sampled_from(["a", 'b"\\\n', 3, None]), "é": st.just({"k": [1]})},
        optional={
            "n": st.integers(-(10**17), 10**17),
            "x": st.none() | st.floats(-1e9, 1e9) | st.just(-2.5e-7),
            "pair": st.tuples(st.booleans(), st.none() | st.integers(0, 9)),
            "any": _values,
            "tags": st.lists(st.text(max_size=3), min_size=2, max_size=3),
            "none": st.just([]),
        },
    ),
    extra=st.dictionaries(st.text("xyz", min_size=2), st.booleans(), max_size=2),
)
def test_json_of_a_schema_is_admitted_in_its_order(
    model: Model, compiler: GbnfCompiler, row: dict[str, object], extra: dict[str, bool]
) -> None:
    order = ["n", "x", "kind", "pair", "any", "é", "tags", "none"]
    whole = {name: row[name] for name in order if name in row} | extra
    assert _admits(model, compiler, _ROW, json.dumps(whole, ensure_ascii=False))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (_TREE, "{}"),
        (_TREE, '{"name": "sixsix"}'),
        (_TREE, '{"name":"x"}'),
        (_TREE, '{"name": "x", "else": 1}'),
        (_TREE, '{"name": "x", "more": [{}]}'),
        (_TREE, '{"name": "x"'),
        ({"type": "integer"}, "1.5"),
        ({"type": "integer"}, "01"),
        ({"type": "string"}, '"\n"'),
        ({"type": "array", "minItems": 1}, "[]"),
        ({"type": "array", "maxItems": 1}, "[1, 2]"),
        ({"properties": {"a": {"type": "null"}}}, '{"b": 1}'),
        ({"enum": ["a", "b"]}, '"c"'),
    ],
)
def test_what_is_not_of_the_schema_is_refused(
    model: Model, compiler: GbnfCompiler, schema: dict[str, object], text: str
) -> None:
    assert not _admits(model, compiler, schema, text)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), schema=st.sampled_from([_TREE, _ROW, {"type": "number"}]))
def test_whatever_is_written_under_it_is_json(
    model: Model, compiler: GbnfCompiler, seed: int, schema: dict[str, object]
) -> None:
    random = np.random.default_rng(seed)
    matcher, written = compiler.matcher(schema_gbnf(schema)), b""
    for _ in range(400):
        allowed = np.flatnonzero(matcher.allowed()).tolist()
        token = int(random.choice(allowed))
        if token in model.end_tokens:
            break
        written += model.piece(token)
        matcher.advance(token)
        if matcher.ended:
            break
    if matcher.accepting:
        json.loads(written.decode("utf-8", "replace"))


def test_a_schema_that_refers_to_nothing_says_so() -> None:
    with pytest.raises(ConfigurationError, match="'#/\\$defs/Gone'"):
        schema_gbnf({"$ref": "#/$defs/Gone"})


def test_a_schema_that_begins_with_itself_is_refused(compiler: GbnfCompiler) -> None:
    with pytest.raises(ConfigurationError, match="left recursion"):
        compiler.matcher(compiler.schema({"anyOf": [{"$ref": "#"}, {"type": "null"}]}))


def test_several_schemas_in_one_need_llguidance() -> None:
    with pytest.raises(ConfigurationError, match="install llguidance or write it as one"):
        schema_gbnf({"allOf": [{"type": "object"}, {"type": "string"}]})
