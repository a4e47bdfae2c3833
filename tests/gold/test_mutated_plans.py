"""Is a gold plan with one mistake refused, once, and in the line of the mistake?

Of NESTFUL every plan is tried, of Seal-Tools every fiftieth; the benchmark tries all.
"""

from __future__ import annotations

import pytest

from benchmarks.plans_checks import judge, try_mutants
from benchmarks.plans_gold import Gold, nestful, nestful_tools, seal, seal_tools
from benchmarks.plans_mutants import KINDS, mutants
from benchmarks.plans_reading import read_checked
from llmcompiler import Toolbox


def _legal(plans: tuple[Gold, ...], tools: Toolbox) -> list[Gold]:
    return [gold for gold, _ in judge(plans, tools).legal]


def test_every_mutant_of_nestful_is_refused_in_its_line() -> None:
    tried = try_mutants(_legal(nestful(), nestful_tools()), nestful_tools())
    assert not tried.escaped
    assert dict(tried.count) == {
        "dropped argument": 574,
        "wrong tool name": 282,
        "wrong argument name": 616,
        "forward reference": 616,
        "wrong type": 616,
        "wrong type by reference": 234,
        "wrong field": 379,
    }


def test_mutants_of_every_50th_plan_of_seal_tools_are_refused_in_their_lines() -> None:
    tried = try_mutants(_legal(seal()[::50], seal_tools()), seal_tools())
    assert not tried.escaped
    assert set(tried.count) == set(KINDS)
    assert tried.count.total() == 368


def test_a_mutant_is_one_line_away_from_its_plan() -> None:
    gold = _legal(nestful(), nestful_tools())[0]
    for mutant in mutants(gold, nestful_tools()):
        written = [line for line in mutant.text.splitlines() if not line.startswith("Thought")]
        places = [
            at
            for at, (one, other) in enumerate(zip(gold.text.splitlines(), written, strict=True), 1)
            if one != other
        ]
        thoughts = mutant.text.count("Thought")
        assert [place + thoughts for place in places] == [mutant.line]


def test_without_its_mistake_the_plan_is_not_refused() -> None:
    for gold in _legal(nestful(), nestful_tools()):
        text = f"Thought: one.\nThought: two.\n{gold.text}"
        assert not read_checked(text, nestful_tools()).errors


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_that_names_another_line_would_be_noticed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = _legal(nestful(), nestful_tools())[:5]
    lenient = Toolbox([])
    tried = try_mutants(gold, nestful_tools())
    assert kind in tried.count
    monkeypatch.setattr(
        "benchmarks.plans_checks.read_checked", lambda *_: read_checked("", lenient)
    )
    assert len(try_mutants(gold, nestful_tools()).escaped) == tried.count.total()
