"""Defects 18 to 22 of the original: results that lose their type, their place or their harmlessness."""

from __future__ import annotations

import json

import pytest

from llmcompiler.plan import Ok
from tests.gallery.scene import ANSWER, play

VALUES = [18.5, 3, True, None, "text", ["a", 1], {"a": {"b": [1]}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_lineage_18_a_result_keeps_its_type(value: object) -> None:
    written = json.dumps(value)
    seen = play(f"1. say(value={written})\n2. say(value=$1)\n3. say(value=[$1])\n4. join()", ANSWER)
    assert seen.result["2"] == Ok(value)  # type: ignore[arg-type]
    assert seen.result["3"] == Ok([value])  # type: ignore[list-item]
    found = seen.result["2"]
    assert isinstance(found, Ok)
    assert type(found.value) is type(value)


def test_lineage_19_a_reference_inside_an_object_is_filled_in() -> None:
    seen = play('1. say(value=5)\n2. say(value={"a": {"b": [$1, "x"]}})\n3. join()', ANSWER)
    assert seen.result["2"] == Ok({"a": {"b": [5, "x"]}})


def test_lineage_20_text_that_a_tool_gave_is_never_read_as_a_reference() -> None:
    seen = play(
        '1. say(value="secret")\n2. say(value="pay \\u0024{1} and \\u00241")\n'
        '3. say(value="it said: ${2}")\n4. say(value=$2)\n5. join()',
        ANSWER,
    )
    assert seen.result["2"] == Ok("pay ${1} and $1")
    assert seen.result["3"] == Ok("it said: pay ${1} and $1")
    assert seen.result["4"] == Ok("pay ${1} and $1")


def test_lineage_21_prices_are_text_and_twelve_is_not_one_and_a_two() -> None:
    lines = [f"{number}. say(value={number * 10})" for number in range(1, 13)]
    plan = "\n".join(
        [
            *lines,
            '13. say(value="$5 million, from $1 to $12")',
            '14. say(value="${12} and ${1}2")',
            "15. say(value=$12)",
            "16. join()",
        ]
    )
    seen = play(plan, ANSWER)
    assert seen.result["13"] == Ok("$5 million, from $1 to $12")
    assert seen.result.plan["13"].needs == ()
    assert seen.result["14"] == Ok("120 and 102")
    assert seen.result["15"] == Ok(120)


def test_lineage_21_nothing_is_a_value_too() -> None:
    seen = play('1. say(value=null)\n2. say(value=$1)\n3. say(value="got ${1}")\n4. join()', ANSWER)
    assert (seen.result["2"], seen.result["3"]) == (Ok(None), Ok("got null"))


def test_lineage_22_references_reach_into_results_and_back_to_earlier_plans() -> None:
    seen = play(
        '1. say(value={"price": 3, "links": [{"at": "x"}, {"at": "y"}]})\n2. join()',
        "Replan: now the rest.\n2. say(value=$1.price)\n3. say(value=$1.links[1].at)\n"
        "4. say(value=$1.links[*].at)\n5. join()",
        ANSWER,
    )
    assert [seen.result[step] for step in "234"] == [Ok(3), Ok("y"), Ok(["x", "y"])]
