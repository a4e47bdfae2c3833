"""Does a plan that was written down as a workflow say the same?"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language import parse_plan
from llmcompiler.plan import (
    Argument,
    Each,
    Outlook,
    Plan,
    Policy,
    Ref,
    Star,
    Task,
    TaskId,
)
from llmcompiler.retry import Retry
from llmcompiler.workflow.freezing import to_yaml

# -- what is written ---------------------------------------------------------------------------


def frozen(text: str, **options: Any) -> str:
    return to_yaml(parse_plan(text), **options)


def test_a_plan_becomes_a_file_that_a_person_could_have_written() -> None:
    plan = replace(
        parse_plan(
            '1. geocode(place="Oslo")\n'
            '2. geocode(place="Lima")\n'
            "3. forecast(lat=$1.lat, lon=$1.lon, hours=24)\n"
            '4. mail(body="Oslo: ${3.days[0].high}", cc=["a", "b"])\n'
            "5. join($4, $2)"
        ),
        request="How warm is Oslo?",
    )
    assert (
        to_yaml(plan, name="warmth", tools=["./weather.py", "mail"])
        == """\
version: 1
name: warmth
description: How warm is Oslo?
tools:
  - ./weather.py
  - mail
steps:
  # 1. geocode(place="Oslo")
  geocode:
    uses: geocode
    with:
      place: Oslo
  # 2. geocode(place="Lima")
  geocode_2:
    uses: geocode
    with:
      place: Lima
  # 3. forecast(lat=$1.lat, lon=$1.lon, hours=24)
  forecast:
    uses: forecast
    with:
      lat: ${{ steps.geocode.output.lat }}
      lon: ${{ steps.geocode.output.lon }}
      hours: 24
  # 4. mail(body="Oslo: ${3.days[0].high}", cc=["a", "b"])
  mail:
    uses: mail
    with:
      body: "Oslo: ${{ steps.forecast.output.days[0].high }}"
      cc: [a, b]
outputs:
  mail: ${{ steps.mail.output }}
  geocode_2: ${{ steps.geocode_2.output }}
"""
    )


def step_of(text: str, name: str) -> str:
    """Return what is written of a step, without its comment."""
    lines = frozen(text).splitlines()
    begin = lines.index(f"  {name}:")
    end = next(at for at in range(begin + 1, len(lines)) if lines[at] and lines[at][:4].strip())
    return "\n".join(line.removeprefix("    ") for line in lines[begin + 1 : end])


def test_one_call_for_each_becomes_for_each() -> None:
    text = "1. links()\n2. fetch(url=each $1.all, tries=3)\n3. join()"
    assert step_of(text, "fetch") == (
        "uses: fetch\n"
        "for_each: ${{ steps.links.output.all }}\n"
        "with:\n"
        "  url: ${{ item }}\n"
        "  tries: 3"
    )


def test_arguments_from_one_list_share_its_elements() -> None:
    text = "1. geo()\n2. forecast(lat=each $1[*].at.lat, days=each $1[*].days[*].n)\n3. join()"
    assert step_of(text, "forecast") == (
        "uses: forecast\n"
        "for_each: ${{ steps.geo.output }}\n"
        "with:\n"
        "  lat: ${{ item.at.lat }}\n"
        '  days: ${{ item.days | map(attribute=["n"]) }}'
    )


def test_several_lists_go_in_step() -> None:
    text = "1. a()\n2. b()\n3. add(left=each $1, right=each $2[*].x)\n4. join()"
    assert step_of(text, "add") == (
        "uses: add\n"
        "for_each: ${{ steps.a.output | zip(steps.b.output) }}\n"
        "with:\n"
        "  left: ${{ item[0] }}\n"
        "  right: ${{ item[1].x }}"
    )


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("$1[*].lat", '${{ steps.a.output | map(attribute=["lat"]) }}'),
        ("$1[*]", "${{ steps.a.output }}"),
        ('$1["a name"]', '${{ steps.a.output["a name"] }}'),
        ('"${1}"', "${{ steps.a.output | string }}"),
        ('"${1}${1.b}"', "${{ steps.a.output }}${{ steps.a.output.b }}"),
        ('"it is $${1}"', "it is ${{ '$' }}${{ steps.a.output }}"),
        ('"${{ x }}"', "$${{ x }}"),
        ('"$${{ x }}"', "$$${{ x }}"),
        ('"$5 and ${x}"', "$5 and ${x}"),
        ('"no"', '"no"'),
        ('"1_000"', '"1_000"'),
        ('"2020-01-01"', '"2020-01-01"'),
        ('"~"', '"~"'),
        ('""', '""'),
        ('"0x1f"', '"0x1f"'),
        ('"a: b"', '"a: b"'),
        ('"https://example.org/a?b=c"', "https://example.org/a?b=c"),
        ("null", "null"),
        ("true", "true"),
        ("1.0", "1.0"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("[1, null, x]", "[1, null, x]"),
    ],
)
def test_values_are_written_as_what_they_are(argument: str, written: str) -> None:
    argument = argument.replace("x]", '"x"]')
    text = f"1. a()\n2. b(value={argument})\n3. join()"
    assert step_of(text, "b") == f"uses: b\nwith:\n  value: {written}"


def test_a_text_of_several_lines_stays_one() -> None:
    text = '1. a()\n2. b(value="Dear ${1.name},\\n\\nhello: #1\\n")\n3. join()'
    assert step_of(text, "b") == (
        "uses: b\nwith:\n  value: |\n    Dear ${{ steps.a.output.name }},\n\n    hello: #1"
    )


def test_without_names_in_join_what_nobody_reads_is_put_out() -> None:
    text = frozen("1. a()\n2. b(x=$1)\n3. c()\n4. join()")
    assert text.partition("outputs:\n")[2] == (
        "  b: ${{ steps.b.output }}\n  c: ${{ steps.c.output }}\n"
    )


def test_steps_are_named_after_their_tools_and_never_alike() -> None:
    tools = ["geo", "geo", "geo_2", "web.find-it", "_x", "9", "größe", "geo", "true"]
    plan = Plan(tuple(Task(TaskId(str(n)), tool) for n, tool in enumerate(tools)))
    assert re.findall(r"(?m)^  (\S+):$", to_yaml(plan)) == [
        "geo",
        "geo_2",
        "geo_2_2",
        "web_find_it",
        "x",
        "step_9",
        "gr_e",
        "geo_3",
        '"true"',
    ]


def test_a_name_of_several_words_that_a_person_gave_stays() -> None:
    plan = Plan(
        (
            Task(TaskId("the-town"), "geo"),
            Task(TaskId("2"), "look", {"at": Ref(TaskId("the-town"))}),
        )
    )
    assert 'at: ${{ steps["the-town"].output }}' in to_yaml(plan)


def test_how_a_step_is_run_is_written_down() -> None:
    policy = Policy(
        timeout=90.0,
        retry=Retry(3, delay=0.5, factor=1.0, ceiling=4.0, jitter=0.1, on=("TimeoutError",)),
        approve="it costs money",
        cache=True,
        limit=4,
        effects="write",
        resource="till",
    )
    refs = Each(Ref(TaskId("1"), ("items",)))
    plan = Plan((Task(TaskId("1"), "list"), Task(TaskId("2"), "buy", {"it": refs}, policy=policy)))
    assert to_yaml(plan).partition("  buy:\n")[2].partition("outputs")[0] == (
        "    uses: buy\n"
        "    for_each:\n"
        "      in: ${{ steps.list.output.items }}\n"
        "      limit: 4\n"
        "    with:\n"
        "      it: ${{ item }}\n"
        "    timeout: 1m30s\n"
        "    retry:\n"
        "      limit: 3\n"
        "      delay: 500ms\n"
        "      backoff: constant\n"
        "      jitter: 100ms\n"
        "      max_delay: 4s\n"
        '      "on": [TimeoutError]\n'
        "    approve: always\n"
        "    cache: true\n"
    )


def test_a_comment_is_one_line_however_long_the_step_is() -> None:
    text = frozen('1. say(text="' + "a\\n\u2028" * 500 + '")\n2. join()')
    comments = [line for line in text.splitlines() if line.startswith("  #")]
    assert [len(line) for line in comments] == [4 + 160]
    assert comments[0].isprintable()


# -- what cannot be written --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({"x": Ref(TaskId("9"))}, "step 2: there is no step '9' in the plan"),
        ({"x": Outlook(TaskId("1"))}, "step 2: '$1' stands outside of an expression"),
        (
            {"x": Ref(TaskId("1"), (Star(), "*"))},
            "step 2: the name '*' in $1[*][\"*\"] would be read as every element",
        ),
        ({"x": {"${{ a": 1}}, "step 2: the key '${{ a' would be read as an expression"),
        ({"x": float("nan")}, "step 2: nan is not a JSON number"),
        ({"x": [Each(Ref(TaskId("1")))]}, "step 2: 'each $1' cannot be written in a workflow file"),
    ],
)
def test_what_no_workflow_can_say_is_refused(args: dict[str, Argument], problem: str) -> None:
    plan = Plan((Task(TaskId("1"), "a"), Task(TaskId("2"), "b", args)))
    with pytest.raises(PlanError) as caught:
        to_yaml(plan)
    assert str(caught.value) == problem
    assert caught.value.task == "2"


def test_a_plan_without_steps_is_refused() -> None:
    with pytest.raises(PlanError, match="a plan without steps is no workflow"):
        to_yaml(Plan())


def test_an_argument_without_a_name_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        to_yaml(parse_plan('1. say("a")\n2. join()'))
    assert str(caught.value) == (
        "step 1: an argument has no name: check the plan against its tools first"
    )


def test_a_tool_with_the_name_of_something_built_in_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        to_yaml(parse_plan('1. agent(text="a")\n2. join()'))
    assert str(caught.value) == "step 1: a workflow takes the tool 'agent' for its own"


def test_joining_what_is_not_in_the_plan_is_refused() -> None:
    plan = Plan((Task(TaskId("1"), "a"),), joins=(TaskId("7"),))
    with pytest.raises(PlanError) as caught:
        to_yaml(plan)
    assert str(caught.value) == "join() names the step '7', which is not in the plan"
