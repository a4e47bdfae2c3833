"""What is read of a function: its annotations, its docstring, and why it cannot be a tool."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from llmcompiler import RunContext, Tool, tool
from llmcompiler.errors import (
    ToolDefinitionError,
)
from llmcompiler.testing import ScriptedLLM


class Place(BaseModel):
    name: str
    height: float = 0.0


class Found(TypedDict):
    places: list[Place]


def invoke(made: Tool[..., Any], /, **args: Any) -> Any:
    return anyio.run(made.invoke, args)


def properties(made: Tool[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = made.parameters["properties"]
    return found


def google(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature.

    Asks nobody.

    Args:
        place: where, as
            a name
        hours (int): how far ahead
    Returns:
        degrees
    """
    return 0.0


def numpy(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature.

    Asks nobody.

    Parameters
    ----------
    place : str
        where, as
        a name
    hours
        how far ahead

    Returns
    -------
    float
        degrees
    """
    return 0.0


def sphinx(place: str, hours: int = 24, *, exact: bool = False) -> float:
    """Forecast the temperature.

    Asks nobody.

    :param place: where, as
        a name
    :param int hours: how far ahead
    :returns: degrees"""
    return 0.0


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_annotations_and_docstring_become_a_schema_in_every_style(function: Any) -> None:
    made = tool(function)
    assert made.name == function.__name__
    assert made.description == "Forecast the temperature. Asks nobody."
    assert made.parameters == {
        "type": "object",
        "properties": {
            "place": {"type": "string", "description": "where, as a name"},
            "hours": {"type": "integer", "default": 24, "description": "how far ahead"},
            "exact": {"type": "boolean", "default": False},
        },
        "required": ["place"],
        "additionalProperties": False,
    }
    assert made.returns == {"type": "number"}


def test_an_annotations_own_description_comes_first() -> None:
    def look(at: Annotated[str, Field(description="from the annotation")]) -> None:
        """Look.

        Args:
            at: from the docstring
        """

    assert properties(tool(look))["at"]["description"] == "from the annotation"


def test_a_function_without_words_or_annotations_is_a_tool_all_the_same() -> None:
    def bare(a, b=1):  # type: ignore[no-untyped-def]  # nothing is said of it
        return a

    made = tool(bare)
    assert made.description == ""
    assert properties(made) == {"a": {}, "b": {"default": 1}}
    assert made.returns is None
    assert invoke(made, a=[1]) == [1]


def test_nested_types_keep_their_definitions_and_lose_their_titles() -> None:
    def find(near: Place, kind: Literal["title", "b"] = "title") -> Found:
        return {"places": [near]}

    made = tool(find)
    assert '"title":' not in json.dumps([made.parameters, made.returns])
    assert properties(made)["kind"] == {
        "enum": ["title", "b"],
        "type": "string",
        "default": "title",
    }
    assert made.returns is not None
    assert made.returns["properties"]["places"]["items"] == {"$ref": "#/$defs/Place"}


class Book(BaseModel):
    title: str


def test_a_property_and_a_value_named_title_stay() -> None:
    def shelve(book: Book, how: dict[str, str] = {"title": "x"}) -> None:  # noqa: B006
        pass

    made = tool(shelve)
    assert made.parameters["$defs"]["Book"]["properties"] == {"title": {"type": "string"}}
    assert properties(made)["how"]["default"] == {"title": "x"}


def test_the_context_is_not_shown_and_is_filled_in() -> None:
    @tool
    async def ask(context: RunContext[int], what: str) -> str:
        """Ask.

        Args:
            context: not for the model
            what: the question
        """
        return f"{what} {context.deps}"

    assert list(properties(ask)) == ["what"]
    assert ask.wants_context

    def progress(done: float, total: float | None = None, message: str = "") -> None: ...

    context = RunContext(7, "run", "1", ScriptedLLM([]), progress)
    assert anyio.run(ask.invoke, {"what": "why"}, context) == "why 7"


def test_names_that_other_libraries_use_are_fine_for_parameters() -> None:
    def odd(schema: str, json: int, copy: bool, model_name: str, self_: int = 1) -> list[Any]:
        return [schema, json, copy, model_name, self_]

    made = tool(odd)
    assert list(properties(made)) == ["schema", "json", "copy", "model_name", "self_"]
    assert invoke(made, schema="a", json=1, copy=True, model_name="m") == ["a", 1, True, "m", 1]


def test_an_object_that_can_be_called_is_a_tool() -> None:
    class Counter:
        """Count up.

        Args:
            by: how far
        """

        def __init__(self) -> None:
            self.count = 0

        async def __call__(self, by: int) -> int:
            self.count += by
            return self.count

    made = tool(name="count")(Counter())
    assert (made.description, properties(made)["by"]["description"]) == ("Count up.", "how far")
    assert made.is_async
    assert invoke(made, by=2) == 2


class Opaque:
    """A type that JSON cannot carry."""


def no_type(x: Opaque) -> None: ...
def no_result() -> Opaque:
    return Opaque()


def unknown(x: Missing) -> None: ...  # type: ignore[name-defined] # noqa: F821 - that is the point
def unreadable(x: int) -> None: ...
def many(*x: int) -> None: ...
def named(**x: int) -> None: ...
def first_only(x: int, /) -> None: ...
def private(_x: int) -> None: ...
def config(model_config: int) -> None: ...
def yields(x: int) -> Any:
    yield x


async def yields_later(x: int) -> Any:
    yield x


def late_context(x: int, context: RunContext) -> None: ...
def odd_default(x: Any = Opaque()) -> None: ...  # noqa: B008 - that is the point


unreadable.__annotations__["x"] = "list["


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (
            no_type,
            "Opaque'>; use built-in types, dataclasses, typed dictionaries or pydantic models",
        ),
        (no_result, "Opaque'>; use built-in types"),
        (unknown, "its annotations cannot be read: name 'Missing' is not defined"),
        (unreadable, "its annotations cannot be read"),
        (many, "its parameter 'x' must have a name of its own that a call can use"),
        (named, "its parameter 'x' must have a name of its own that a call can use"),
        (first_only, "its parameter 'x' must have a name of its own that a call can use"),
        (private, "its parameter '_x' must not begin with an underscore"),
        (config, "a parameter must not be named model_config"),
        (yields, "it must return its result, not yield it"),
        (yields_later, "it must return its result, not yield it"),
        (late_context, "its parameter 'context' takes the context, so it must come first"),
        (odd_default, "its annotations have no JSON Schema"),
        (lambda x: x, "its name must be letters, digits and underscores"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_in_one_line(function: Any, problem: str) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        tool(function)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert f"the function {function.__name__!r} cannot be a tool" in str(caught.value)
