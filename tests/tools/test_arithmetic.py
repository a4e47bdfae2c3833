"""Sums, means, the most and the least; the evaluator has its own tests."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from llmcompiler import Tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.arithmetic import TOOLS, average, calculate, least, most, total


def call(tool: Tool[..., Any], **args: Any) -> Any:
    return anyio.run(tool.invoke, args)


def test_a_calculation_gives_a_number_or_a_truth() -> None:
    assert call(calculate, expression="17 * 23") == 391
    assert call(calculate, expression="120 > 14.5") is True
    assert repr(call(calculate, expression="6 / 3")) == "2"


def test_totals_and_means_are_tidy() -> None:
    assert repr(call(total, values=[3.5, 7, 11.25])) == "21.75"
    assert repr(call(total, values=[0.1] * 10)) == "1"
    assert repr(call(average, values=[12, 19, 23, 40])) == "23.5"
    assert repr(call(average, values=[1, 0, 0])) == "0.333333"
    assert call(total, values=[]) == 0


def test_the_most_and_the_least_come_with_their_names() -> None:
    names, values = ["a.md", "b.md", "c.md"], [3, 120, 3]
    assert repr(call(most, names=names, values=values)) == "{'name': 'b.md', 'value': 120}"
    assert repr(call(least, names=names, values=values)) == "{'name': 'a.md', 'value': 3}"
    assert call(most, names=["a"], values=[2.345678901]) == {"name": "a", "value": 2.34568}


@pytest.mark.parametrize(
    ("tool", "args", "problem"),
    [
        (average, {"values": []}, "there are no values to average"),
        (most, {"names": [], "values": []}, "there are no values to compare"),
        (least, {"names": ["a"], "values": [1, 2]}, "there are 1 names for 2 values"),
        (total, {"values": [1e308, 1e308]}, "the sum is not a finite number"),
        (calculate, {"expression": "5 / 0"}, "division by zero in '5 / 0'"),
    ],
)
def test_what_has_no_result_is_refused(
    tool: Tool[..., Any], args: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ToolError) as caught:
        call(tool, **args)
    assert str(caught.value) == problem


def test_equal_arguments_give_equal_results() -> None:
    assert all(tool.pure and tool.is_async for tool in TOOLS)
