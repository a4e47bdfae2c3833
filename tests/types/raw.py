"""Random JSON Schemas as foreign tools have them, and values, for the tests of `types` and `check`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c"])
WHOLE = st.integers(-9, 9)
NUMBERS = WHOLE.map(lambda n: n / 2)
TEXTS = st.text(st.sampled_from("abc"), max_size=3)
KINDS = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
LEAVES = st.none() | st.booleans() | WHOLE | NUMBERS | TEXTS
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)

_PLAIN = (
    st.just({})
    | KINDS.map(lambda kind: {"type": kind})
    | st.lists(KINDS, min_size=1, max_size=3, unique=True).map(lambda kinds: {"type": kinds})
    | st.lists(LEAVES, min_size=1, max_size=3).map(lambda values: {"enum": values})
    | LEAVES.map(lambda value: {"const": value})
    | st.just({"type": "integer", "minimum": 0, "maximum": 5})
    | st.just({"type": "number", "exclusiveMinimum": 0})
    | st.just({"type": "string", "minLength": 1, "maxLength": 2})
    | st.just({"minLength": 2})
    | st.just({"minimum": 3})
    | st.sampled_from(["a", "b"]).map(lambda name: {"$ref": f"#/$defs/{name}"})
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        some.map(lambda ones: {"type": "array", "prefixItems": ones, "items": False}),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(NAMES, inner, max_size=2),
                # Left out, it would mean here that there are no others, as it does to people.
                "additionalProperties": st.booleans() | inner,
            },
            optional={"required": st.lists(NAMES, max_size=2, unique=True)},
        ),
        some.map(lambda ones: {"anyOf": ones}),
        some.map(lambda ones: {"oneOf": ones}),
        some.map(lambda ones: {"allOf": ones}),
        st.tuples(some, inner).map(lambda two: {"anyOf": two[0]} | _said_of(two[1])),
        st.tuples(_PLAIN, inner).map(lambda two: two[0] | _said_of(two[1])),
    )


def _said_of(schema: Any) -> dict[str, Any]:
    """A schema's words, to stand beside others."""
    return schema if isinstance(schema, dict) else {}


_INNER = st.recursive(_PLAIN | st.booleans(), _wider, max_leaves=5)
_HOLDING = _INNER.map(lambda one: {"type": ["array", "object", "null"], "items": one})
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.tuples(
    _INNER.map(_said_of),
    st.fixed_dictionaries({"a": _PLAIN.filter(lambda one: "$ref" not in one), "b": _HOLDING}),
).map(lambda two: {**two[0], "$defs": two[1]})


def holds_empty(value: Any) -> bool:
    """Whether there is an empty list or object in a value: it is of many types at once."""
    if isinstance(value, dict):
        return not value or any(map(holds_empty, value.values()))
    return isinstance(value, list) and (not value or any(map(holds_empty, value)))
