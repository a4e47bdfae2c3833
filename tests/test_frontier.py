"""The frontier as arithmetic: what happened goes in, what to do comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.frontier import Break, Command, Frontier, Settle, Start
from llmcompiler.plan import (
    Each,
    Failed,
    Json,
    Ok,
    Policy,
    Ref,
    Skipped,
    Star,
    Task,
    TaskId,
    Template,
)


def t(name: str) -> TaskId:
    return TaskId(name)


def call(name: str, **args: object) -> Task:
    return Task(t(name), "tool", args)  # type: ignore[arg-type]


def starts(commands: list[Command]) -> list[str]:
    return [c.task.id for c in commands if isinstance(c, Start)]


def writing(name: str, resource: str | None = None, **args: object) -> Task:
    policy = Policy(effects="write", resource=resource)
    return Task(t(name), "tool", args, policy=policy)  # type: ignore[arg-type]


def settles(commands: list[Command]) -> dict[str, object]:
    return {c.task.id: c.outcome for c in commands if isinstance(c, Settle)}


def breaks(commands: list[Command]) -> dict[str, str]:
    return {c.task.id: c.outcome.message for c in commands if isinstance(c, Break)}


def only_start(commands: list[Command]) -> Start:
    (command,) = commands
    assert isinstance(command, Start)
    return command


def test_a_task_without_references_starts_at_once() -> None:
    assert only_start(Frontier().add(call("1", x=3))).args == {"x": 3}


def test_a_task_starts_the_moment_its_last_reference_exists() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2"))
    assert frontier.add(call("3", a=Ref(t("1")), b=Ref(t("2")))) == []
    assert frontier.finish(t("2"), Ok(20)) == []
    assert only_start(frontier.finish(t("1"), Ok(10))).args == {"a": 10, "b": 20}


def test_a_reference_to_a_task_not_yet_added_is_waited_for() -> None:
    frontier = Frontier()
    assert frontier.add(call("2", a=Ref(t("1")))) == []
    assert starts(frontier.add(call("1"))) == ["1"]
    assert starts(frontier.finish(t("1"), Ok(1))) == ["2"]


def test_a_late_task_finds_results_that_are_there_already() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok({"price": 5}))
    assert only_start(frontier.add(call("2", a=Ref(t("1"), ("price",))))).args == {"a": 5}


def test_failure_skips_only_descendants_and_says_why() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2"))
    frontier.add(call("3", a=Ref(t("1"))))
    frontier.add(call("4", a=Ref(t("3"))))
    frontier.add(call("5", a=Ref(t("2"))))
    skipped = settles(frontier.finish(t("1"), Failed("ValueError", "no")))
    assert skipped == {"3": Skipped("it needs $1", t("1")), "4": Skipped("it needs $3", t("3"))}
    assert starts(frontier.finish(t("2"), Ok(1))) == ["5"]
    assert frontier.unsettled == 1


def test_a_task_added_after_a_failure_it_needs_is_skipped() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Failed("ValueError", "no"))
    assert settles(frontier.add(call("2", a=Ref(t("1"))))) == {"2": Skipped("it needs $1", t("1"))}


def test_a_writing_task_waits_for_the_seal_and_a_reading_one_does_not() -> None:
    frontier = Frontier()
    assert frontier.add(writing("1")) == []
    assert starts(frontier.add(call("2"))) == ["2"]
    assert starts(frontier.seal()) == ["1"]


def test_a_further_plan_holds_its_writes_back_again() -> None:
    frontier = Frontier()
    frontier.seal()
    frontier.reopen()
    assert frontier.add(writing("1")) == []
    assert starts(frontier.seal()) == ["1"]


def test_a_whole_reference_keeps_its_type_and_a_template_makes_text() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok({"n": 3, "on": True}))
    start = only_start(
        frontier.add(
            call(
                "2",
                whole=Ref(t("1")),
                text=Template(("n is ", Ref(t("1"), ("n",)), ", ", Ref(t("1")))),
                nested={"list": [1, Ref(t("1"), ("on",))]},
            )
        )
    )
    assert start.args == {
        "whole": {"n": 3, "on": True},
        "text": 'n is 3, {"n": 3, "on": true}',
        "nested": {"list": [1, True]},
    }


def test_substituted_text_is_never_scanned_again() -> None:
    """Defect 20 of the original: an observation that contains ``$1`` was rewritten."""
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2"))
    frontier.finish(t("1"), Ok("secret"))
    frontier.finish(t("2"), Ok("pay ${1} $1"))
    start = only_start(frontier.add(call("3", text=Template((Ref(t("2")), "!")))))
    assert start.args == {"text": "pay ${1} $1!"}


def test_none_is_a_result_like_any_other() -> None:
    """Defect 21: an observation of None left the raw placeholder."""
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok(None))
    assert only_start(frontier.add(call("2", a=Ref(t("1"))))).args == {"a": None}


def test_each_makes_one_call_for_every_element() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok(["a", "b"]))
    start = only_start(frontier.add(call("2", url=Each(Ref(t("1"))), n=1)))
    assert start.elements == ({"url": "a", "n": 1}, {"url": "b", "n": 1})


def test_two_each_go_in_step() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok({"a": [1, 2], "b": [3, 4]}))
    task = call("2", x=Each(Ref(t("1"), ("a",))), y=Each(Ref(t("1"), ("b",))))
    assert only_start(frontier.add(task)).elements == ({"x": 1, "y": 3}, {"x": 2, "y": 4})


@pytest.mark.parametrize(
    ("value", "task", "message"),
    [
        ({"a": [1], "b": []}, call("2", x=Each(Ref(t("1"), ("a",))), y=Each(Ref(t("1"), ("b",)))), "one length"),
        ("text", call("2", x=Each(Ref(t("1")))), "needs a list, and $1 is a text"),
        ({"prices": 1}, call("2", x=Ref(t("1"), ("price",))), "$1 has no 'price'; did you mean 'prices'?"),
        ([1], call("2", x=Ref(t("1"), (1,))), "$1 has 1 elements and no [1]"),
        (None, call("2", x=Ref(t("1"), ("a", "b"))), "$1 is null and has no 'a'"),
        ({"a": 1}, call("2", x=Ref(t("1"), ("a", Star()))), "$1.a is a number, not a list"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_in_breaks_that_task_alone(
    value: Json, task: Task, message: str
) -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok(value))
    (command,) = frontier.add(task)
    assert isinstance(command, Break)
    assert message in command.outcome.message
    assert frontier.unsettled == 1, "it is for whoever is told to say that this is its end"


def test_a_star_reads_that_of_every_element() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok([{"n": 1}, {"n": 2}]))
    assert only_start(frontier.add(call("2", x=Ref(t("1"), (Star(), "n"))))).args == {"x": [1, 2]}


def test_each_over_nothing_is_an_empty_list_and_its_dependents_start() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2", x=Each(Ref(t("1")))))
    frontier.add(call("3", x=Ref(t("2"))))
    commands = frontier.finish(t("1"), Ok([]))
    assert settles(commands) == {"2": Ok([])}
    assert starts(commands) == ["3"]


def test_a_guard_that_is_false_skips_the_task() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.finish(t("1"), Ok(""))
    guarded = Task(t("2"), "tool", when=Template((Ref(t("1")),)))
    assert settles(frontier.add(guarded)) == {"2": Skipped("its condition is false")}


def test_a_chain_of_ten_thousand_skips_does_not_exhaust_the_stack() -> None:
    frontier = Frontier()
    frontier.add(call("0"))
    for n in range(1, 10_000):
        frontier.add(call(str(n), x=Ref(t(str(n - 1)))))
    assert len(frontier.finish(t("0"), Failed("E", "no"))) == 9_999
    assert frontier.unsettled == 0


def test_a_chain_of_ten_thousand_empty_fan_outs_does_not_exhaust_the_stack() -> None:
    frontier = Frontier()
    frontier.add(call("0"))
    for n in range(1, 10_000):
        frontier.add(call(str(n), x=Each(Ref(t(str(n - 1))))))
    assert len(frontier.finish(t("0"), Ok([]))) == 9_999


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    """Tasks that refer to earlier ones; some write, and some share one of two resources."""
    tasks: list[Task] = []
    for index in range(draw(st.integers(1, 12))):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        policy = Policy(
            effects=draw(st.sampled_from(["read", "write"])),
            resource=draw(st.sampled_from([None, "a", "b"])),
        )
        refs = {f"a{need}": Ref(t(str(need))) for need in needs}
        tasks.append(Task(t(str(index)), "tool", refs, policy=policy))
    return tasks


@given(graphs(), st.data())
def test_every_task_is_settled_or_started_once_and_never_before_its_inputs(
    graph: list[Task], data: st.DataObject
) -> None:
    frontier = Frontier()
    order = data.draw(st.permutations(range(len(graph))))
    running: list[str] = []
    begun: list[str] = []
    done: dict[str, object] = {}
    sealed = False

    def take(commands: list[Command]) -> None:
        for command in commands:
            task = command.task
            assert task.id not in begun
            assert task.id not in done
            if isinstance(command, Start):
                assert all(isinstance(done.get(need), Ok) for need in task.needs)
                assert sealed or task.policy.effects == "read"
                begun.append(task.id)
                running.append(task.id)
            else:
                done[task.id] = command.outcome

    def finish_one() -> None:
        key = running.pop(data.draw(st.integers(0, len(running) - 1)))
        for other in graph:  # those before it at its resource had their turn
            task = graph[int(key)]
            writes = "write" in (task.policy.effects, other.policy.effects)
            shared = task.policy.resource is not None
            if shared and task.policy.resource == other.policy.resource and writes:
                known = sealed or other.policy.effects == "write"
                if int(other.id) < int(key) and known and task.policy.effects == "write":
                    assert other.id in done
        outcome = Ok(1) if data.draw(st.integers(0, 4)) else Failed("E", "no")
        done[key] = outcome
        take(frontier.finish(t(key), outcome))

    for index in order:
        take(frontier.add(graph[index]))
        while running and data.draw(st.booleans()):
            finish_one()
    sealed = True
    take(frontier.seal())
    while running:
        finish_one()
    assert set(done) == {str(i) for i in range(len(graph))}
    assert frontier.unsettled == 0
    assert dict(frontier.outcomes) == done


def test_writes_to_one_resource_keep_the_order_of_the_plan() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(writing("2", "disk", x=Ref(t("1"))))
    frontier.add(writing("3", "disk"))
    frontier.add(writing("4", "mail"))
    assert starts(frontier.seal()) == ["4"]
    assert starts(frontier.finish(t("1"), Ok(1))) == ["2"]
    assert starts(frontier.finish(t("2"), Failed("E", "no"))) == ["3"]


def test_a_read_waits_for_the_writes_before_it_at_its_resource_and_no_others() -> None:
    frontier = Frontier()
    read = Policy(resource="disk")
    assert starts(frontier.add(Task(t("1"), "tool", policy=read))) == ["1"]
    assert frontier.add(writing("2", "disk")) == []
    assert frontier.add(Task(t("3"), "tool", policy=read)) == []
    assert starts(frontier.add(call("4"))) == ["4"]
    assert frontier.seal() == [], "the write waits for the read before it"
    assert starts(frontier.finish(t("1"), Ok(1))) == ["2"]
    assert starts(frontier.finish(t("2"), Ok(1))) == ["3"]


def test_a_line_that_is_written_again_keeps_its_place_at_its_resource() -> None:
    frontier = Frontier()
    frontier.add(writing("2", "disk"))
    frontier.add(writing("1", "disk"))
    assert starts(frontier.seal()) == ["1"]


def test_parked_tasks_come_back_with_all_they_need_when_something_needs_them() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2", x=Ref(t("1"))))
    frontier.add(call("3", x=Ref(t("2"))))
    frontier.add(call("4", x=Ref(t("1"))))
    frontier.park([t("2"), t("3")])
    assert frontier.unsettled == 2
    assert starts(frontier.finish(t("1"), Ok(1))) == ["4"]
    assert starts(frontier.add(call("5", x=Ref(t("3"))))) == ["2"]
    assert frontier.parked == ()
    assert starts(frontier.finish(t("2"), Ok(1))) == ["3"]
    assert starts(frontier.finish(t("3"), Ok(1))) == ["5"]


def test_parked_tasks_can_be_asked_back_by_name() -> None:
    frontier = Frontier()
    frontier.add(call("1", x=Ref(t("0"))))
    frontier.park([t("1")])
    frontier.finish(t("0"), Ok(1))
    assert starts(frontier.revive([t("1"), t("7")])) == ["1"]


def test_a_parked_read_lets_the_write_behind_it_go() -> None:
    frontier = Frontier()
    frontier.add(Task(t("1"), "tool", {"x": Ref(t("0"))}, policy=Policy(resource="disk")))
    frontier.add(writing("2", "disk"))
    assert frontier.seal() == []
    assert starts(frontier.park([t("1")])) == ["2"]


def test_a_replaced_task_starts_anew_and_what_needs_it_goes_on_waiting() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2", x=Ref(t("1"))))
    assert starts(frontier.replace(call("1", place="Oslo"))) == ["1"]
    assert frontier.unsettled == 2
    assert only_start(frontier.finish(t("1"), Ok(5))).args == {"x": 5}


def test_a_replaced_task_may_need_something_else_than_before() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2"))
    frontier.add(call("3", x=Ref(t("1"))))
    assert frontier.replace(call("3", x=Ref(t("2")))) == []
    assert frontier.finish(t("1"), Ok(1)) == []
    assert only_start(frontier.finish(t("2"), Ok(2))).args == {"x": 2}


def test_the_cone_of_a_task_is_all_that_waits_for_it() -> None:
    frontier = Frontier()
    frontier.add(call("1"))
    frontier.add(call("2", x=Ref(t("1"))))
    frontier.add(call("3", x=Ref(t("2")), y=Ref(t("1"))))
    frontier.add(call("4"))
    assert frontier.dependents([t("1")]) == {"2", "3"}
