"""Is every gold plan of NESTFUL and Seal-Tools read, legal and run with the gold dependencies?"""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from benchmarks.plans_checks import judge, says_the_same, wrong_runs
from benchmarks.plans_data import records
from benchmarks.plans_exceptions import FLAWS, NESTFUL, SEAL, Refusal
from benchmarks.plans_gold import Gold, nestful, nestful_tools, seal, seal_tools
from benchmarks.plans_reading import read_checked
from llmcompiler.plan import TaskId


def _named(plans: tuple[Gold, ...], name: str) -> Gold:
    return next(each for each in plans if each.name == name)


def test_every_gold_plan_of_nestful_is_read_and_all_but_the_listed_run_with_the_gold_edges() -> (
    None
):
    judged = judge(nestful(), nestful_tools())
    assert not judged.misread
    assert judged.refused == NESTFUL
    assert {each.name: each.flaw for each in nestful() if each.flaw} == FLAWS
    assert (len(nestful()), len(judged.legal)) == (169, 108)
    assert not wrong_runs(judged.legal, nestful_tools())


def test_every_gold_plan_of_seal_tools_is_read_and_all_but_the_listed_run_with_the_gold_edges() -> (
    None
):
    judged = judge(seal(), seal_tools())
    assert not judged.misread
    assert judged.refused == SEAL
    assert not [each.name for each in seal() if each.flaw]
    assert (len(seal()), len(judged.legal)) == (700, 692)
    assert not wrong_runs(judged.legal, seal_tools())


def test_the_exceptions_of_each_kind_are_as_many_as_listed() -> None:
    assert Counter(one.reason for one in NESTFUL) == {
        "type of a value": 27,
        "unknown tool": 11,
        "unknown argument": 10,
        "type of a reference": 5,
        "unknown field": 5,
        "missing argument": 3,
        "text with references": 1,
    }
    assert Counter(one.reason for one in SEAL) == {"type of a value": 4, "type of a reference": 4}
    assert len({one.plan for one in NESTFUL} | set(FLAWS)) == 61


@pytest.mark.parametrize("refusal", NESTFUL, ids=lambda one: f"{one.plan}, line {one.line}")
def test_an_exception_is_one_by_the_records_own_words(refusal: Refusal) -> None:
    record = records("nestful_v1/glaive_data.jsonl")[int(refusal.plan)]
    specs = {spec["name"]: spec for spec in records("nestful_v1/glaive_tools.jsonl")}
    calls = record["output"]
    call = calls[refusal.line - 1]
    spec = specs.get(call["name"], {})
    declared = spec.get("query_parameters", spec.get("parameters", {}))
    python = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    python |= {"array": list, "object": dict}
    name = refusal.what.removesuffix("[0]")
    match refusal.reason:
        case "unknown tool":
            assert refusal.what == call["name"]
            assert refusal.what not in specs
        case "unknown argument":
            assert refusal.what in call["arguments"]
            assert refusal.what not in declared
        case "missing argument":
            assert refusal.what not in call["arguments"]
            assert declared[refusal.what]["required"]
        case "unknown field":
            givers = {one["label"]: one["name"] for one in calls[:-1]}
            label = json.dumps(call["arguments"]).split(f".{refusal.what}$")[0].rsplit("$", 1)[1]
            assert refusal.what not in specs[givers[label]]["output_parameters"]
        case "type of a value" if name == refusal.what:
            assert not isinstance(call["arguments"][name], python[declared[name]["type"]])
        case "type of a value":
            inner = python[declared[name]["items"]["type"]]
            assert not isinstance(call["arguments"][name][0], inner)
        case _:
            assert declared[name]["type"] != "string"
            assert "$var" in json.dumps(call["arguments"][name])


@pytest.mark.parametrize(("plans", "count"), [(nestful, 185), (seal, 34)])
def test_the_edges_of_the_gold_plans_are_those_of_their_lines(plans, count: int) -> None:
    found = {
        each.name: {(need, task.id) for task in each.plan for need in task.needs}
        for each in plans()
    }
    assert found == {each.name: each.edges for each in plans()}
    assert sum(map(len, found.values())) == count


def test_28_plans_of_seal_tools_have_references() -> None:
    assert sum(bool(each.edges) for each in seal()) == 28


def test_what_is_no_text_goes_into_a_text_as_a_reference_within_it() -> None:
    assert 'message="${1.gcd}"' in _named(nestful(), "18").text  # a number, and the whole text
    assert 'message="My GPA is: ${1.gpa}"' in _named(nestful(), "104").text
    assert "text=$1.movies[0]" in _named(nestful(), "129").text  # nobody says what it is
    assert 'text="${1.' in _named(seal(), "dev-difficult-207").text
    assert ' response"' in _named(seal(), "dev-difficult-207").text


def test_a_number_in_quotes_is_written_as_a_number_and_is_refused_as_it_stands() -> None:
    unquoted = [(each, line) for each in seal() for line in each.unquoted]
    assert (len(unquoted), len({each.name for each, _ in unquoted})) == (46, 46)
    by_name = {record["id"]: record["calling"] for record in records("seal_tools/dev.jsonl")}
    for each, line in unquoted:
        quoted = next(
            name
            for name, value in each.plan[TaskId(str(line))].args.items()
            if type(value) is not type(by_name[each.name][line - 1]["parameters"][name])
        )
        given = by_name[each.name][line - 1]["parameters"][quoted]
        written = f"{quoted}={each.plan[TaskId(str(line))].args[quoted]}"
        assert written in each.text
        as_it_stands = each.text.replace(written, f'{quoted}="{given}"')
        [error] = read_checked(as_it_stands, seal_tools()).errors
        assert error.line == line


@pytest.mark.parametrize("seed", range(5))
def test_a_gold_plan_says_the_same_in_whatever_pieces_it_comes(seed: int) -> None:
    draw = random.Random(seed)
    for each in (*nestful(), *seal()[seed::5]):
        tools = nestful_tools() if each.name.isdecimal() else seal_tools()
        assert says_the_same(read_checked(each.text, tools, draw), each.plan), each.name
