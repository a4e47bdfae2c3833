"""Looking into long values: parts that can be read whole, and where they end."""

from __future__ import annotations

import json
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Agent, Toolbox, tool
from llmcompiler.errors import ToolError
from llmcompiler.plan import Ok
from llmcompiler.registry import bundled_tools
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler_tools.looking import Part, look


def looked(value: Any, **args: int) -> Part:
    return cast("Part", anyio.run(look.invoke, {"value": value, **args}))


def test_a_text_gives_its_characters() -> None:
    text = "".join(chr(97 + i % 26) for i in range(10_000))
    assert looked(text, start=100, length=50) == {
        "part": text[100:150],
        "start": 100,
        "end": 150,
        "of": 10_000,
        "left_out": [],
    }
    assert looked(text)["end"] == 4000
    assert looked(text, length=100_000)["end"] == 6000


def test_a_list_gives_its_elements_as_many_as_fit() -> None:
    part = looked(list(range(1000)), start=10, length=40)
    assert part["part"] == list(range(10, 20))
    assert (part["start"], part["end"], part["of"]) == (10, 20, 1000)


def test_an_object_gives_its_names_and_sizes() -> None:
    value = {"text": "a" * 5000, "list": [1] * 3, "object": {"a": 1}, "n": 1, "b": True, "z": None}
    assert looked(value)["part"] == {
        "text": "5,000 characters",
        "list": "3 elements",
        "object": "1 names",
        "n": "a number",
        "b": "true or false",
        "z": "null",
    }
    part = looked(value, start=1, length=40)
    assert (list(part["part"]), part["end"], part["of"]) == (["list"], 2, 6)


def test_an_element_that_is_too_long_is_shown_in_part_and_says_so() -> None:
    part = looked(["a", {"id": 7, "text": "b" * 5000}], start=1, length=100)
    (shown,) = part["part"]
    assert shown["id"] == 7
    letters = len(shown["text"]) - 1
    assert part["left_out"] == [f"[0].text: {letters} of 5,000 characters"]
    assert looked(["b" * 5000], length=100)["left_out"] == ["[0]: 95 of 5,000 characters"]


@pytest.mark.parametrize("value", [3, 2.5, True, None, "", [], {}])
def test_what_is_small_is_given_whole(value: Any) -> None:
    assert looked(value)["part"] == value


@pytest.mark.parametrize(
    ("value", "args", "problem"),
    [
        ("abc", {"start": 3}, "start is 3, and there are only 3 characters"),
        ([1, 2], {"start": 2}, "start is 2, and there are only 2 elements"),
        ({"a": 1}, {"start": 5}, "start is 5, and there are only 1 names"),
        ("abc", {"start": -1}, "start must be 0 or more"),
        ("abc", {"length": 0}, "length must be at least 1"),
    ],
)
def test_what_is_not_there_is_refused(value: Any, args: dict[str, int], problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        looked(value, **args)


@settings(max_examples=60)
@given(
    st.text(st.sampled_from('ab"\n\\é'), min_size=1, max_size=800)
    | st.lists(st.integers() | st.text(max_size=40), min_size=1, max_size=60),
    st.integers(30, 300),
)
def test_parts_one_after_the_other_give_the_whole(value: Any, length: int) -> None:
    parts: list[Part] = []
    while not parts or parts[-1]["end"] < len(value):
        parts.append(looked(value, start=parts[-1]["end"] if parts else 0, length=length))
        assert len(json.dumps(parts[-1]["part"], ensure_ascii=False)) <= length + 2
    assert all(part["of"] == len(value) for part in parts)
    if not any(part["left_out"] for part in parts):
        joined = [inner for part in parts for inner in part["part"]]
        assert joined == list(value)


@tool
def pages() -> list[str]:
    """Read pages."""
    return ["a" * 9000, "b" * 9000]


def test_a_plan_looks_into_an_earlier_result() -> None:
    plan = "1. pages()\n2. look(value=$1[1], start=8990)\n3. join()"
    llm = ScriptedLLM([plan, "Answer: done."])
    result = run_virtual(Agent(llm, tools=Toolbox([pages, look])).run, "Read on.")
    outcome = result["2"]
    assert isinstance(outcome, Ok)
    assert cast("Part", outcome.value)["part"] == "b" * 10


def test_it_is_asked_for_by_name_and_is_not_among_the_bundled_tools() -> None:
    assert look.pure
    assert look.name not in bundled_tools()
