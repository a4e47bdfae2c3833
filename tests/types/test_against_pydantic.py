"""Random types and values, with pydantic, which made the schemas, as the judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model

from llmcompiler.types import (
    PathProblem,
    at_path,
    may_fit,
    plain_types,
    problem,
)
from tests.types.annotations import typed


class Kind(NamedTuple):
    """An annotation, and values of it."""

    annotation: Any
    values: st.SearchStrategy[Any]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
TEXTS = st.text(st.sampled_from("abc"), max_size=3)
WHOLE = st.integers(-(2**50), 2**50)
SCALARS = [
    Kind(int, WHOLE),
    Kind(float, NUMBERS | WHOLE),
    Kind(str, TEXTS),
    Kind(bool, st.booleans()),
    Kind(None, st.none()),
    Kind(Literal["a", "b"], st.sampled_from("ab")),
    Kind(Literal["c"], st.just("c")),
    Kind(Annotated[int, Field(ge=0, le=9)], st.integers(0, 9)),
    Kind(
        Annotated[str, Field(min_length=1, max_length=2)],
        st.text(st.sampled_from("abc"), min_size=1, max_size=2),
    ),
]
NAMES = st.sampled_from(["a", "b", "c"])


def _record(fields: dict[str, Kind]) -> Kind:
    made: Any = create_model(
        "Record",
        __config__=ConfigDict(extra="forbid"),
        **{name: (kind.annotation, ...) for name, kind in fields.items()},  # type: ignore[call-overload]  # names known at run time only
    )
    return Kind(made, st.fixed_dictionaries({name: kind.values for name, kind in fields.items()}))


def _wider(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return st.one_of(
        inner.map(lambda k: Kind(list[k.annotation], st.lists(k.values, max_size=3))),
        inner.map(
            lambda k: Kind(dict[str, k.annotation], st.dictionaries(NAMES, k.values, max_size=3))
        ),
        st.tuples(inner, inner).map(
            lambda p: Kind(
                p[0].annotation | p[1].annotation
                if p[0].annotation is not None or p[1].annotation is not None
                else None,
                p[0].values | p[1].values,
            )
        ),
        st.tuples(inner, inner).map(
            lambda p: Kind(
                tuple[p[0].annotation, p[1].annotation],
                st.tuples(p[0].values, p[1].values).map(list),
            )
        ),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(_record),
    )


KINDS = st.recursive(st.sampled_from(SCALARS), _wider, max_leaves=6)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def pydantic_takes(annotation: Any, value: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(KINDS, st.data())
def test_problems_are_those_that_pydantic_finds(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(kind.values | ANY_JSON)
    told = problem(value, typed(kind.annotation))
    assert (told is None) == pydantic_takes(kind.annotation, value), told


@settings(max_examples=300, deadline=None)
@given(KINDS, KINDS, st.data())
def test_what_may_not_fit_never_fits(source: Kind, target: Kind, data: st.DataObject) -> None:
    assert may_fit(typed(source.annotation), typed(source.annotation))
    if not may_fit(typed(source.annotation), typed(target.annotation)):
        value = data.draw(source.values)
        if not _holds_empty(value):
            assert problem(value, typed(target.annotation)) is not None


def _holds_empty(value: Any) -> bool:
    inner = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    )
    return inner is not None and (not inner or any(_holds_empty(one) for one in inner))


@settings(max_examples=300, deadline=None)
@given(KINDS, st.data())
def test_every_path_that_a_value_has_is_in_its_type(kind: Kind, data: st.DataObject) -> None:
    value = here = data.draw(kind.values)
    path: list[str | int | None] = []
    while isinstance(here, list | dict) and here and data.draw(st.booleans()):
        if isinstance(here, list):
            step = data.draw(st.integers(-len(here), len(here) - 1))
            here = here[step]
            path.append(step)
        else:
            name = data.draw(st.sampled_from(sorted(here)))
            here = here[name]
            path.append(name)
    found = at_path(typed(kind.annotation), path)
    assert not isinstance(found, PathProblem), (path, value)
    if found is not None:
        assert problem(here, found) is None


@settings(max_examples=200, deadline=None)
@given(KINDS, st.data())
def test_plain_types_hold_only_what_fits(kind: Kind, data: st.DataObject) -> None:
    expected = typed(kind.annotation)
    value = data.draw(ANY_JSON)
    if type(value) in plain_types(expected):
        assert problem(value, expected) is None
