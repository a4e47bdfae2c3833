"""Is what changed in a plan said in lines, and nothing else?"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.language import diff_plans, line_of, parse_plan
from llmcompiler.plan import Plan, Ref, Task, TaskId, Template

BEFORE = parse_plan(
    '1. geocode(place="Oslo")\n2. geocode(place="Lillestrom")\n'
    "3. forecast(at=$1)\n4. compare(left=$2, right=$3)\n5. tell(text=$4)\n6. join($5)"
)
AFTER = parse_plan(
    '1. geocode(place="Oslo")\n2. geocode(place="Lillestrøm")\n'
    "3. forecast(at=$1)\n4. compare(left=$2, right=$3)\n5. tell(text=$4)\n6. join($5)"
)


def test_a_plan_does_not_differ_from_itself() -> None:
    assert diff_plans(BEFORE, BEFORE) == ()


def test_a_changed_step_is_shown_with_those_that_read_it() -> None:
    assert diff_plans(BEFORE, AFTER) == (
        '- 2. geocode(place="Lillestrom")',
        '+ 2. geocode(place="Lillestrøm")',
        "  4. compare(left=$2, right=$3)",
    )


def test_steps_come_and_go_at_their_place() -> None:
    tasks = [Task(TaskId(str(n)), "f", {"n": n}) for n in range(1, 6)]
    gone = diff_plans(tasks, [tasks[0], tasks[3]])
    assert gone == ("- 2. f(n=2)", "- 3. f(n=3)", "- 5. f(n=5)")
    assert diff_plans([tasks[0], tasks[3]], tasks[1:4]) == (
        "- 1. f(n=1)",
        "+ 2. f(n=2)",
        "+ 3. f(n=3)",
    )


def test_what_is_joined_is_compared_in_whole_plans() -> None:
    other = replace(BEFORE, joins=None)
    assert diff_plans(BEFORE, other) == ("- join($5)", "+ join()")
    assert diff_plans(BEFORE.tasks, other) == ()


def test_a_step_without_a_form_in_plan_text_is_shown_as_json() -> None:
    one = Task(TaskId("geo-1"), "geocode", {"place": "Oslo"})
    two = replace(one, when=Template((Ref(TaskId("ask")),)))
    assert diff_plans([one], [two]) == (
        '- {"id": "geo-1", "tool": "geocode", "args": {"place": "Oslo"}}',
        '+ {"id": "geo-1", "tool": "geocode", "args": {"place": "Oslo"}, "when": {"template": "${ask}"}}',
    )
    assert line_of(Task(TaskId("x"), "f", {}, (1,))).endswith('"positional": [1]}')


def test_where_a_line_stood_and_how_it_runs_do_not_count() -> None:
    moved = [replace(task, line=task.line + 7) for task in BEFORE]
    assert diff_plans(BEFORE.tasks, moved) == ()


NUMBERED = st.dictionaries(st.integers(1, 9), st.integers(0, 2), max_size=6).map(
    lambda plan: [Task(TaskId(str(n)), "f", {"v": value}) for n, value in sorted(plan.items())]
)


@given(NUMBERED, NUMBERED)
def test_taking_away_and_adding_gives_the_other_plan(before: list[Task], after: list[Task]) -> None:
    said = diff_plans(Plan(tuple(before)), Plan(tuple(after)))
    lines = {line_of(task) for task in before}
    lines -= {line[2:] for line in said if line.startswith("- ")}
    lines |= {line[2:] for line in said if line.startswith("+ ")}
    assert lines == {line_of(task) for task in after}
