"""Is every plan that fits its tools in the grammar, and does all that it allows read and check?"""

from __future__ import annotations

import random
import re
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.grammar import plan_grammar, result_schema
from llmcompiler.language import TurnReader, parse_line, write_plan, write_task
from llmcompiler.plan import Task, TaskId
from llmcompiler.roles import AnswerText, Ignored, Read, Sealed, Unreadable
from llmcompiler.toolbox import Toolbox
from tests.grammar.drawing import FIRST, toolboxes_and_plans
from tests.grammar.matching import FORMS, Form, accepts, walk
from tests.grammar.painting import TOOLBOX

# A text that begins with a dollar sign and a number may not go on like a path, even where it is
# none in the end: it has to be written with \u0024.
NEAR_REFERENCE = re.compile(r'"\$[0-9]+(?:["$\[]|\.[^0-9])')


@given(toolboxes_and_plans(), st.sampled_from(FORMS))
@settings(max_examples=100, deadline=None)
def test_every_canonical_plan_that_fits_its_tools_is_allowed(
    drawn: tuple[Toolbox, list[Task]], form: Form
) -> None:
    toolbox, tasks = drawn
    text = write_plan(tasks)
    assume(not NEAR_REFERENCE.search(text))
    assert accepts(plan_grammar(toolbox, next_id=FIRST), text, form), text


@given(toolboxes_and_plans(), st.randoms(use_true_random=False), st.sampled_from(FORMS))
@settings(max_examples=60, deadline=None)
def test_a_plan_with_a_wrong_name_or_type_is_refused(
    drawn: tuple[Toolbox, list[Task]], rng: random.Random, form: Form
) -> None:
    toolbox, tasks = drawn
    index = rng.randrange(len(tasks))
    task = tasks[index]
    written = write_task(task)
    wrong = [
        written.replace(f". {task.tool}(", f". {task.tool}x(", 1),
        written.replace(")", ", zzzzzz=1)", 1) if not task.args else written[:-1] + ", zzzzzz=1)",
        written[:-1],
        f"1{written}",
    ]
    properties: dict[str, Any] = dict(toolbox[task.tool].parameters["properties"])
    for name in task.args:
        wrong.append(written.replace(f"{name}=", f"{name}x=", 1))
        if properties[name] in ({"type": "boolean"}, {"type": "null"}, {"type": "integer"}):
            others = dict(task.args) | {name: "text"}
            wrong.append(write_task(Task(task.id, task.tool, others)))
    for name in toolbox[task.tool].parameters["required"]:
        rest = {other: value for other, value in task.args.items() if other != name}
        wrong.append(write_task(Task(task.id, task.tool, rest)))
    lines = write_plan(tasks).split("\n")
    broken = "\n".join([*lines[:index], rng.choice(wrong), *lines[index + 1 :]])
    assume("\n".join(lines) != broken)
    assert not accepts(plan_grammar(toolbox, next_id=FIRST), broken, form), broken


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("allow", ["any", "join", "lines"])
def test_whatever_the_grammar_allows_can_be_read_and_is_legal(
    allow: Literal["any", "join", "lines"], form: Form
) -> None:
    earlier = [
        'search(query="a")',
        "now()",
        'people(near="b")',
        "search(query=each $3[*].name)",
        'paint(color="red", kind=3, who=$3[0])',
    ]
    read = 0
    for seed in range(40):
        scope = Scope()
        known = {}
        for number, call in enumerate(earlier, 1):
            task = check(parse_line(f"{number}. {call}"), TOOLBOX, scope)
            scope.accept(task)
            known[task.id] = result_schema(task, TOOLBOX)
        rejected = [TaskId("6"), TaskId("7")] if allow == "lines" else None
        scope.awaited.update(rejected or ())
        grammar = plan_grammar(
            TOOLBOX, allow, next_id=scope.next_id, known=known, rejected=rejected
        )
        text = walk(grammar, random.Random(seed), 2000, form)
        if text is None:
            continue
        read += 1
        reader = TurnReader(allow=allow)
        items = reader.feed(text) + reader.close("stop")
        assert not [item for item in items if isinstance(item, Unreadable | Ignored)], text
        assert [item for item in items if isinstance(item, Read | AnswerText | Sealed)], text
        for item in items:
            if isinstance(item, Read):
                assert item.task == parse_line(write_task(item.task), item.task.line)
                scope.accept(check(item.task, TOOLBOX, scope, item.source))
            if isinstance(item, Sealed):
                assert set(item.joins or ()) <= scope.tasks.keys() | scope.awaited
    assert read > 15


@given(toolboxes_and_plans(), st.randoms(use_true_random=False), st.sampled_from(FORMS))
@settings(max_examples=40, deadline=None)
def test_a_line_of_any_tools_refers_only_where_it_may(
    drawn: tuple[Toolbox, list[Task]], rng: random.Random, form: Form
) -> None:
    toolbox, _ = drawn
    scope = Scope()
    text = walk(plan_grammar(toolbox), rng, 1500, form)
    assume(text is not None and not text.startswith("Answer:"))
    reader = TurnReader()
    for item in reader.feed(text or "") + reader.close("stop"):
        assert not isinstance(item, Ignored)
        if isinstance(item, Unreadable):
            assert "is given twice" in item.error.problem, text  # a key, which no grammar counts
            assume(False)
        if isinstance(item, Read):
            try:
                scope.accept(check(item.task, toolbox, scope, item.source))
            except PlanError as error:
                raise AssertionError(f"{error}\n{text}") from error
