"""Which steps does the grammar of a turn hear of from the conversation so far?"""

from __future__ import annotations

from llmcompiler.errors import PlanError
from llmcompiler.plan import Failed, Observation, Ok, Task, TaskId, Timing
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    Entry,
    Mend,
    Observed,
    Rejected,
    Request,
    Transcript,
    Turn,
)
from llmcompiler_planners.steps import Steps, steps_of


def after(*entries: Entry) -> Steps:
    return steps_of(Transcript((Request("a"), Turn("1. f()\n2. join()"), Request("b"), *entries)))


def rejected(*ids: str | None) -> Rejected:
    return Rejected(tuple(PlanError("no", task=one) for one in ids))


def test_steps_are_those_of_the_last_request() -> None:
    assert after() == Steps()
    steps = after(Turn('1. g(x="a")\n2. h(y=each $1)\n3. join()'))
    assert {name: task.tool for name, task in steps.tasks.items()} == {"1": "g", "2": "h"}


def test_a_step_that_only_an_observation_tells_of_counts() -> None:
    task = Task(TaskId("7"), "f")
    steps = after(Observed(Observation(task, Ok(1), Timing(0, 0, 1))))
    assert steps.tasks == {"7": task}


def test_a_rejected_line_is_no_step_until_it_is_written_again() -> None:
    plan = Turn("1. f()\n2. g()\n3. join()")
    steps = after(plan, rejected("2"))
    assert list(steps.tasks) == ["1"]
    assert steps.rejected == ["2"]
    assert not steps.goes_on
    mended = after(plan, rejected("2"), Turn("2. h()"))
    assert mended.tasks[TaskId("2")].tool == "h"
    assert not mended.rejected


def failed(*ids: str) -> Mend:
    outcome = Failed("ToolError", "there is no such place")
    return Mend(tuple(Observation(Task(TaskId(one), "f"), outcome, Timing(0, 0, 1)) for one in ids))


def test_a_failed_step_may_be_written_again_in_the_coming_turn() -> None:
    plan = Turn("1. f()\n2. g()\n3. h(x=$2)\n4. join()")
    steps = after(plan, failed("2"))
    assert list(steps.tasks) == ["1", "3"]
    assert steps.rejected == ["2"]
    assert steps.mending
    assert not steps.goes_on
    again = after(plan, failed("2"), Turn("2. k()"))
    assert again.tasks[TaskId("2")].tool == "k"
    assert not again.rejected
    assert not again.mending
    assert not after(plan, failed("2"), Turn("2. join()")).rejected
    refused = after(plan, failed("2"), Turn("2. k("), rejected("2"))
    assert (refused.rejected, refused.mending) == (["2"], False)


def test_a_plan_that_was_cut_or_has_lines_without_a_number_goes_on() -> None:
    plan = Turn("1. f()\n2. g(")
    assert after(plan, CutOff(1)).goes_on
    assert after(plan, rejected(None, "2")) == Steps(
        {TaskId("1"): Task(TaskId("1"), "f", line=1)}, [TaskId("2")], goes_on=True
    )
    assert not after(plan, CutOff(1), Turn("2. g()\n3. join()")).goes_on


def test_an_answer_tells_of_no_step() -> None:
    assert after(Turn("Answer: 1. f()"), BadForm("the answer is empty")) == Steps()
