"""Is the cost of a plan counted as it would come, and is what nobody knows said?"""

from __future__ import annotations

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language import parse_plan
from llmcompiler.plan import Plan, Policy
from llmcompiler.trace import estimate
from tests.trace.sample import WRITES, small, task

LEARNED = {"geocode": 0.5, "forecast": 1.5}


def test_calls_time_and_width_are_counted() -> None:
    plan = parse_plan(
        '1. geocode(place="Oslo")\n2. geocode(place="Lima")\n3. forecast(at=$1)\n4. join()'
    )
    found = estimate(plan, LEARNED.get)
    assert (found.steps, found.calls, found.distinct, found.width) == (3, 3, 3, 2)
    assert found.path.steps == ("1", "3")
    assert found.text == ("3 steps, at most 2 at once\n3 calls\ncritical path 2.0 s (1 → 3)")


def test_equal_branches_count_once() -> None:
    plan = parse_plan(
        '1. geocode(place="Oslo")\n2. geocode(place="Oslo")\n3. forecast(at=$1, note="in ${1}")\n'
        '4. forecast(note="in ${2}", at=$2)\n5. forecast(at=[$2, 1])\n6. forecast(at=[$1, true])\n7. join()'
    )
    found = estimate(plan, LEARNED.get)
    assert (found.calls, found.distinct) == (6, 4)
    assert "6 calls; 4 after merging equal ones" in found.text


def test_writes_are_never_merged() -> None:
    plan = Plan((task("1", "book", policy=WRITES), task("2", "book", policy=WRITES)))
    found = estimate(plan, LEARNED.get)
    assert (found.distinct, found.writes) == (2, ("1", "2"))
    assert "writes: steps 1 and 2" in found.text


def test_what_is_not_known_is_said() -> None:
    found = estimate(small()[0].plan, LEARNED.get)
    assert found.fan_outs == ("3",)
    assert (found.calls, found.distinct) == (4, 4)
    assert found.unknown == ("fetch", "compare", "book")
    assert "at least 4 calls, and one for each element in step 3" in found.text
    assert "2.0 s (1 → 2), without fetch, compare, book, of unknown duration" in found.text
    assert (
        "duration unknown: none is learned of f"
        in estimate(Plan((task("1", "f"),)), LEARNED.get).text
    )


def test_approvals_are_named() -> None:
    asks = Policy(approve="it sends mail")
    found = estimate(Plan((task("1", "f"), task("2", "mail", policy=asks))), LEARNED.get)
    assert found.approvals == ("2",)
    assert found.text.endswith("needs approval: step 2")


def test_no_plan_costs_nothing() -> None:
    assert estimate(Plan(), LEARNED.get).text == "no steps"


def test_a_plan_that_cannot_run_is_refused() -> None:
    with pytest.raises(PlanError, match="circle"):
        estimate(Plan((task("1", "f", "2"), task("2", "f", "1"))), LEARNED.get)
