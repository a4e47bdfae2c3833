"""Does untrusted text or private data flow into a step that sends or writes, and by which way?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Tool, Toolbox, tool
from llmcompiler.dataflow import Flow, Flows, Label, lint
from llmcompiler.plan import Argument, Each, Json, Plan, Policy, Ref, Task, TaskId, Template


@tool
def join_texts(a: str = "", b: str = "") -> str:
    return a + b


SEARCH: Tool[..., str] = replace(join_texts, name="search", untrusted=True)
FETCH: Tool[..., str] = replace(join_texts, name="fetch", untrusted=True, sends=True)
INBOX: Tool[..., str] = replace(join_texts, name="inbox", private=True)
NOTES: Tool[..., str] = replace(join_texts, name="notes", private=True, untrusted=True)
SEND: Tool[..., str] = replace(join_texts, name="send_mail", sends=True)
SAVE: Tool[..., str] = replace(join_texts, name="save", effects="write")
TOOLS = Toolbox([join_texts, SEARCH, FETCH, INBOX, NOTES, SEND, SAVE])


@dataclass(frozen=True)
class Guard:
    refs: tuple[Ref, ...]

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        return True


def ref(task: int | str) -> Ref:
    return Ref(TaskId(str(task)))


def step(id: int | str, name: str, a: Argument = "", b: Argument = "") -> Task:
    return Task(TaskId(str(id)), name, {"a": a, "b": b})


def ids(*steps: int | str) -> tuple[TaskId, ...]:
    return tuple(TaskId(str(one)) for one in steps)


def after(*tasks: Task) -> Flows:
    flows = Flows(TOOLS)
    for task in tasks:
        flows.add(task)
    return flows


@pytest.mark.parametrize("into", ["send_mail", "save", "fetch"])
@pytest.mark.parametrize(
    ("source", "label", "words"),
    [("search", "untrusted", "untrusted text"), ("inbox", "private", "private data")],
)
def test_what_is_labelled_may_not_flow_into_what_sends_or_writes(
    source: str, label: Label, words: str, into: str
) -> None:
    flow = after(step(1, source)).add(step(2, into, a=ref(1)))
    assert flow is not None
    assert flow == Flow(TaskId("2"), into, label, ids(1, 2), source)
    assert flow.text == f"{words} from $1 ({source}) flows into $2 ({into})"
    assert flow.path_text == "$1 -> $2"


def test_what_is_not_labelled_may_flow_anywhere_and_anything_into_what_only_reads() -> None:
    flows = after(step(1, "join_texts"), step(2, "search"))
    assert flows.add(step(3, "send_mail", a=ref(1), b="a text")) is None
    assert flows.add(step(4, "join_texts", a=ref(2))) is None
    assert flows.add(step(5, "save")) is None


def test_the_mark_of_a_tool_is_on_its_result_and_not_on_what_it_reads() -> None:
    flows = after(step(1, "join_texts"))
    assert flows.add(step(2, "fetch", a=ref(1))) is None
    flow = flows.add(step(3, "fetch", a=ref(2)))
    assert flow is not None
    assert flow.text == "untrusted text from $2 (fetch) flows into $3 (fetch)"


def test_a_step_that_its_policy_says_writes_is_one_that_writes() -> None:
    flows = after(step(1, "inbox"))
    writing = replace(step(2, "join_texts", a=ref(1)), policy=Policy(effects="write"))
    assert flows.add(writing) is not None
    stamped = replace(step(3, "save", a=ref(1)), policy=Policy(effects="read"))
    assert flows.add(stamped) is not None  # the tool writes, whatever is said of the step


@pytest.mark.parametrize(
    "argument",
    [
        Ref(TaskId("1"), ("text", 0)),
        Each(ref(1)),
        Template(("to ", ref(1))),
        {"deep": [1, {"down": ref(1)}]},
    ],
)
def test_every_way_of_referring_carries_a_label(argument: Argument) -> None:
    assert after(step(1, "search")).add(step(2, "save", a=argument)) is not None


def test_a_guard_reads_too() -> None:
    flows = after(step(1, "inbox"))
    guarded = replace(step(2, "join_texts"), when=Guard((ref(1),)))
    flows.add(guarded)
    flow = flows.add(step(3, "send_mail", a=ref(2)))
    assert flow is not None
    assert flow.path == ids(1, 2, 3)
    assert flows.add(replace(step(4, "send_mail"), when=Guard((ref(1),)))) is not None


def test_of_several_ways_the_shortest_is_told_and_of_two_labels_untrusted_comes_first() -> None:
    flows = after(
        step(1, "notes"),
        step(2, "join_texts", a=ref(1)),
        step(3, "search"),
        step(4, "join_texts", a=ref(2), b=ref(3)),
    )
    first = flows.add(step(5, "send_mail", a=ref(4)))
    assert first is not None
    assert (first.label, first.path) == ("untrusted", ids(3, 4, 5))
    assert [flow.path_text for flow in flows.into(TaskId("5"))] == [
        "$3 -> $4 -> $5",
        "$1 -> $2 -> $4 -> $5",
    ]


# -- through the model -------------------------------------------------------------------------


def test_what_the_model_had_read_may_be_in_what_it_wrote_then() -> None:
    flows = after(step(1, "search"), step(2, "inbox"))
    assert flows.add(step(3, "send_mail", a="a text")) is None
    flow = flows.add(step(4, "send_mail", a="a text"), seen=ids(2))
    assert flow is not None
    assert flow == Flow(TaskId("4"), "send_mail", "private", ids(2, 4), "inbox", True)
    assert flow.text == (
        "private data from $2 (inbox), which the model has read, may be in $4 (send_mail)"
    )


def test_what_the_model_had_read_flows_on_from_the_line() -> None:
    flows = after(step(1, "inbox"))
    flows.add(step(2, "join_texts", a="a text"), seen=ids(1))
    flow = flows.add(step(3, "save", a=ref(2)))
    assert flow is not None
    assert (flow.path, flow.through_model) == (ids(1, 2, 3), True)


def test_a_reference_is_told_before_what_the_model_had_read() -> None:
    flows = after(step(1, "search"), step(2, "inbox"), step(3, "join_texts", a=ref(2)))
    flow = flows.add(step(4, "send_mail", a=ref(3)), seen=ids(1, 2, 3))
    assert flow is not None
    assert (flow.label, flow.path, flow.through_model) == ("private", ids(2, 3, 4), False)
    assert [other.label for other in flows.into(TaskId("4"))] == ["private", "untrusted"]


def test_what_was_read_in_an_earlier_request_is_not_forgotten() -> None:
    first = after(step(1, "inbox"), step(2, "join_texts", a=ref(1)), step(3, "search"))
    assert first.sources(ids(2)) == ("inbox",)
    second = Flows(TOOLS, first.sources(ids(2)))
    assert second.add(step(1, "join_texts")) is None
    flow = second.add(step(2, "save", a=ref(1)))
    assert flow is not None
    assert flow.text == (
        "private data from inbox, which the model has read in an earlier request, "
        "may be in $2 (save)"
    )
    assert flow.path == ids(2)
    assert second.sources([]) == ("inbox",)
    assert Flows(TOOLS, ["join_texts", "gone"]).add(step(1, "save")) is None


# -- changes -----------------------------------------------------------------------------------


def test_a_step_that_is_written_again_changes_what_flows_downstream() -> None:
    flows = after(step(1, "inbox"), step(2, "join_texts", a=ref(1)), step(3, "send_mail", a=ref(2)))
    assert flows.into(TaskId("3")) != ()
    flows.add(step(1, "join_texts"))
    assert flows.into(TaskId("3")) == ()
    assert flows.downstream(TaskId("1")) == ()
    flows.add(step(2, "search"))
    (flow,) = flows.downstream(TaskId("2"))
    assert (flow.step, flow.label, flow.path) == (TaskId("3"), "untrusted", ids(2, 3))
    flows.add(step(1, "inbox"))
    assert [flow.label for flow in flows.into(TaskId("3"))] == ["untrusted"]


def test_a_step_that_no_longer_reads_another_is_not_downstream_of_it() -> None:
    flows = after(step(1, "inbox"), step(2, "search"), step(3, "save", a=ref(1)))
    flows.add(step(3, "save", a=ref(2)))
    assert flows.downstream(TaskId("1")) == ()
    assert [flow.label for flow in flows.downstream(TaskId("2"))] == ["untrusted"]


def test_a_step_may_be_known_before_what_it_reads() -> None:
    flows = Flows(TOOLS)
    assert flows.add(step("send", "send_mail", a=ref("mail"))) is None
    assert flows.add(step("mail", "inbox")) is None
    assert [flow.step for flow in flows.downstream(TaskId("mail"))] == ["send"]
    assert lint(Plan((step("send", "save", a=ref("x")), step("x", "inbox"))), TOOLS) != ()


def test_what_the_model_had_read_stays_read_when_the_step_is_written_again() -> None:
    flows = after(step(1, "inbox"))
    flows.add(step(2, "save"), seen=ids(1))
    flows.add(step(1, "join_texts"))
    assert flows.into(TaskId("2")) != ()


def test_a_tool_that_there_is_not_has_no_label() -> None:
    flows = after(step(1, "gone"))
    assert flows.add(step(2, "save", a=ref(1), b=ref(9))) is None
    assert flows.into(TaskId("9")) == ()


def test_lint_tells_every_flow_of_a_plan_in_the_order_of_its_lines() -> None:
    plan = Plan(
        (
            step(1, "notes"),
            step(2, "join_texts", a=ref(1)),
            step(3, "save", a=ref(2)),
            step(4, "send_mail", a="fine"),
            step(5, "fetch", a=ref(3)),
        )
    )
    assert [(flow.label, flow.path_text) for flow in lint(plan, TOOLS)] == [
        ("untrusted", "$1 -> $2 -> $3"),
        ("private", "$1 -> $2 -> $3"),
        ("untrusted", "$1 -> $2 -> $3 -> $5"),
        ("private", "$1 -> $2 -> $3 -> $5"),
    ]
    assert lint(Plan(plan.tasks[:2]), TOOLS) == ()


def test_a_long_chain_is_followed_to_its_end() -> None:
    flows = after(step(0, "inbox"))
    for number in range(1, 3000):
        flows.add(step(number, "join_texts", a=ref(number - 1)))
    flow = flows.add(step(3000, "save", a=ref(2999)))
    assert flow is not None
    assert len(flow.path) == 3001
    flows.add(step(0, "search"))
    assert [flow.label for flow in flows.into(TaskId("3000"))] == ["untrusted"]


# -- against the plain way ---------------------------------------------------------------------

NAMES = ["join_texts", "search", "fetch", "inbox", "notes", "send_mail", "save"]
LABELS: tuple[Label, ...] = ("untrusted", "private")


@dataclass
class Written:
    """A step as the plain way keeps it: labels the model had read, and what the step reads."""

    name: str
    needs: set[int]
    read: frozenset[Label]


def own(name: str) -> set[Label]:
    marks = {"untrusted": TOOLS[name].untrusted, "private": TOOLS[name].private}
    return {label for label in LABELS if marks[label]}


def flowing(steps: dict[int, Written], into: int, reading: bool) -> set[Label]:
    """Walk back from a step to everything that it reads: no order, nothing remembered."""
    found: set[Label] = set()
    met: set[int] = set()
    left = [(into, not reading)]
    while left:
        here, counts = left.pop()
        if here not in steps:
            continue
        found |= steps[here].read | (own(steps[here].name) if counts else set())
        for need in steps[here].needs - met:
            met.add(need)
            left.append((need, True))
    return found


WRITING = st.tuples(
    st.integers(0, 9),
    st.sampled_from(NAMES),
    st.sets(st.integers(0, 8), max_size=3),
    st.sets(st.integers(0, 9), max_size=2),
    st.booleans(),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(WRITING, max_size=14))
def test_labels_are_those_of_everything_that_can_be_reached_backwards(
    writings: list[tuple[int, str, set[int], set[int], bool]],
) -> None:
    flows = Flows(TOOLS)
    steps: dict[int, Written] = {}
    for number, name, needs, seen, guarded in writings:
        earlier = {need for need in needs if need < number}
        read: set[Label] = set()
        for one in seen & steps.keys():
            read |= flowing(steps, one, reading=False)
        refs = [ref(need) for need in sorted(earlier)]
        task = replace(step(number, name, a=refs), when=None)
        if guarded:
            task = replace(step(number, name), when=Guard(tuple(refs)))
        steps[number] = Written(name, earlier, frozenset(read))
        first = flows.add(task, ids(*seen))
        assert first == next(iter(flows.into(task.id)), None)
        for known, written in steps.items():
            told = flows.into(TaskId(str(known)))
            dangerous = TOOLS[written.name].sends or TOOLS[written.name].effects == "write"
            expected = flowing(steps, known, reading=True) if dangerous else set[Label]()
            assert {flow.label for flow in told} == expected
            assert len(told) == len(expected)
            for flow in told:
                _look_at(flow, steps, known)


def _look_at(flow: Flow, steps: dict[int, Written], into: int) -> None:
    """A path ends where it is said to, and one that the model is not on follows references."""
    path = [int(one) for one in flow.path]
    assert path[-1] == into
    assert len(path) > 1
    assert flow.label in own(flow.source)
    if not flow.through_model:
        assert steps[path[0]].name == flow.source
        assert all(one in steps[two].needs for one, two in pairwise(path))
