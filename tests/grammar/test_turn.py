"""Which forms does the grammar of a turn allow, line by line, and which lines follow which?"""

from __future__ import annotations

from typing import Any, Literal

import pytest

from llmcompiler.grammar import MAX_LINES, plan_grammar, result_schema
from llmcompiler.plan import Each, Ref, Task, TaskId
from llmcompiler.toolbox import Toolbox
from tests.grammar.matching import BYTES, FORMS, Form, accepts, begin, guidance
from tests.grammar.painting import TOOLBOX, Person, made_tool, now, plan, search

Allow = Literal["any", "join", "answer", "lines"]
TEXT: dict[str, Any] = {"type": "string"}


def ids(*numbers: int) -> dict[TaskId, None]:
    return {TaskId(str(number)): None for number in numbers}


@pytest.mark.parametrize("allow", ["any", "join", "answer", "lines"])
def test_the_grammar_of_every_form_is_one_without_complaints(allow: Allow) -> None:
    for toolbox in (TOOLBOX, Toolbox()):
        for schema in (None, Person.model_json_schema()):
            grammar = plan_grammar(toolbox, allow, next_id=3, answer_schema=schema)
            for written in ("", "Replan: so\n", '3. search(query="a")\n', "4."):
                assert begin(grammar, written, "gbnf") or grammar.gbnf(written) is None
                text = grammar.lark(written)
                if text is not None:
                    check = guidance.LLMatcher.validate_grammar_with_warnings
                    assert check(text, BYTES) == (False, [])


@pytest.mark.parametrize("form", FORMS)
def test_a_first_turn_is_a_plan_or_an_answer(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "any")
    assert accepts(grammar, "1. now()\n2. now()\n3. join($1, $2)", form)
    assert accepts(grammar, "Answer: Hello!\n\n* (how) are you?", form)
    for text in ("Answer: ", "Answer:x", "2. now()\n3. join()", "1. join()", "1. now()", "Hello!"):
        assert not accepts(grammar, text, form)
    assert not accepts(grammar, "Replan: so\n1. now()\n2. join()", form)


@pytest.mark.parametrize("form", FORMS)
def test_a_turn_after_observations_is_an_answer_or_a_replan_that_goes_on_counting(
    form: Form,
) -> None:
    grammar = plan_grammar(TOOLBOX, "join", next_id=7)
    assert accepts(grammar, "Answer: 3", form)
    assert accepts(grammar, "Replan: no such place (yet).\n7. now()\n8. join()", form)
    for text in ("7. now()\n8. join()", "Replan: so\n8. now()\n9. join()", "Replan: so"):
        assert not accepts(grammar, text, form)
    assert not accepts(grammar, "Replan: so\n7. join()", form)


@pytest.mark.parametrize("form", FORMS)
def test_a_last_turn_is_an_answer(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "answer")
    assert accepts(grammar, "Answer: 3", form)
    assert not accepts(grammar, "1. now()\n2. join()", form)


def test_each_line_of_a_plan_has_the_next_number() -> None:
    grammar = plan_grammar(TOOLBOX)
    assert accepts(grammar, "1. now()\n2. now()\n3. now()\n4. join()")
    for text in ("1. now()\n3. now()\n4. join()", "1. now()\n1. now()\n2. join()"):
        assert not accepts(grammar, text)
    assert not accepts(grammar, "1. now()\n2. join()\n")
    assert not accepts(grammar, "1. now()\n2. join()\n3. now()\n4. join()")


@pytest.mark.parametrize("form", FORMS)
def test_join_names_only_steps_that_there_are(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "any", next_id=5, known=ids(2, 4))
    for joins in ("$2", "$4, $5", "$5, $2", ""):
        assert accepts(grammar, f"5. now()\n6. join({joins})", form)
    for joins in ("$1", "$6", "$2,$4", "2", "$2.name", "$2, "):
        assert not accepts(grammar, f"5. now()\n6. join({joins})", form)


@pytest.mark.parametrize("form", FORMS)
def test_a_line_refers_only_to_steps_before_it(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "any", next_id=3, known=ids(1))
    for query in ("$1", '"${1}"', "$3", '"a ${3} b"', "$1.a[0]", '"${1[\\"a b\\"][*]}"'):
        assert accepts(grammar, f"3. now()\n4. search(query={query})\n5. join()", form)
    for query in ("$2", "$4", "$5", '"${2}"', '"${4}"', "$10", '"$2"'):
        assert not accepts(grammar, f"3. now()\n4. search(query={query})\n5. join()", form)


def test_where_nothing_is_known_of_earlier_steps_all_numbers_are_theirs() -> None:
    grammar = plan_grammar(TOOLBOX, "join", next_id=3)
    for query in ("$1", "$2.a.b"):
        assert accepts(grammar, f"Replan: so\n3. search(query={query})\n4. join()")
    assert not accepts(grammar, "Replan: so\n3. search(query=$3)\n4. join()")


def test_steps_whose_names_are_no_numbers_cannot_be_referred_to() -> None:
    known = {TaskId("first"): TEXT, TaskId("1"): TEXT}
    grammar = plan_grammar(TOOLBOX, next_id=2, known=known)
    assert accepts(grammar, "2. search(query=$1)\n3. join($1)")
    assert not accepts(grammar, "2. search(query=$first)\n3. join()")


# Repairs


@pytest.mark.parametrize("form", FORMS)
def test_a_repair_turn_of_unknown_lines_is_lines_with_their_own_numbers(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "lines")
    for text in ("3. now()", "3. now()\n1. now()", "3. now()\n4. join()", "9. join()"):
        assert accepts(grammar, text, form)
    for text in ("Answer: 3", "3. now()\n", "", "3. join()\n4. now()", "03. now()"):
        assert not accepts(grammar, text, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_repair_turn_has_only_the_numbers_that_were_rejected(form: Form) -> None:
    rejected = [TaskId("2"), TaskId("4")]
    grammar = plan_grammar(TOOLBOX, "lines", next_id=6, known=ids(1, 3, 5), rejected=rejected)
    for text in ("2. now()", "2. now()\n4. now()", "4. now()\n2. now()", "2. join($4)"):
        assert accepts(grammar, text, form)
    for text in ("1. now()", "3. now()", "6. now()", "2. now()\n2. now()", "2. now()\n4. now()\n"):
        assert not accepts(grammar, text, form)


def test_a_single_rejected_line_is_forced_to_its_number_and_ends_the_turn() -> None:
    rejected = [TaskId("2")]
    grammar = plan_grammar(TOOLBOX, "lines", next_id=4, known=ids(1, 3), rejected=rejected)
    assert (grammar.lark("") or "").count('"2. "') == 1
    assert accepts(grammar, "2. now()")
    assert not accepts(grammar, "2. now()\n")
    assert grammar.lark("2. now()") is None


def test_a_mended_line_refers_only_to_what_stands_before_it() -> None:
    rejected = [TaskId("2"), TaskId("4")]
    grammar = plan_grammar(TOOLBOX, "lines", next_id=6, known=ids(1, 3, 5), rejected=rejected)
    assert accepts(grammar, "2. search(query=$1)\n4. search(query=$2)")
    assert accepts(grammar, "4. search(query=$2)")
    for query in ("$2", "$3", "$4", "$5"):
        assert not accepts(grammar, f"2. search(query={query})")


def test_a_repair_goes_on_with_the_plan_where_it_was_cut() -> None:
    grammar = plan_grammar(
        TOOLBOX, "lines", next_id=4, known=ids(1, 3), rejected=[TaskId("2")], goes_on=True
    )
    for text in ("2. now()\n4. now()\n5. join()", "4. now()\n2. now()", "4. join()"):
        assert accepts(grammar, text)
    for text in ("5. now()", "2. now()\n5. join()", "4. now()\n4. now()"):
        assert not accepts(grammar, text)
    alone = plan_grammar(TOOLBOX, "lines", next_id=4, known=ids(1, 2, 3), rejected=[])
    assert accepts(alone, "4. search(query=$3)\n5. now()\n6. join($5)")
    assert not accepts(alone, "3. now()")


# Answers


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_may_have_a_type(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, "join", answer_schema=Person.model_json_schema())
    assert accepts(grammar, 'Answer: {"name": "$x ${1} \\n", "age": 3, "children": []}', form)
    assert accepts(grammar, 'Answer: {"name": "x", "children": [{"name": "y"}]}', form)
    assert accepts(grammar, "Replan: so\n1. now()\n2. join()", form)
    for text in ("Answer: x", 'Answer: {"age": 3}', 'Answer: {"name":"x"}', 'Answer: {"name": $1}'):
        assert not accepts(grammar, text, form)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_of_a_type_is_json_with_one_blank_after_commas_and_colons(form: Form) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}}}
    grammar = plan_grammar(Toolbox([now]), "answer", answer_schema=schema)
    assert accepts(grammar, 'Answer: {"a": [1, "x"]}', form)
    assert not accepts(grammar, 'Answer: {"a":[1]}', form)
    assert not accepts(grammar, 'Answer: {"a": 3}', form)


@pytest.mark.parametrize("form", FORMS)
def test_without_tools_there_is_only_an_answer(form: Form) -> None:
    grammar = plan_grammar(Toolbox())
    assert accepts(grammar, "Answer: 3", form)
    assert not accepts(grammar, "1. join()", form)


def test_a_plan_is_bounded() -> None:
    grammar = plan_grammar(Toolbox([now]))
    assert accepts(grammar, plan(*["now()"] * MAX_LINES))
    assert not accepts(grammar, plan(*["now()"] * (MAX_LINES + 1)))


def test_a_text_is_as_long_as_it_likes() -> None:
    assert accepts(plan_grammar(Toolbox([search])), plan(f'search(query="{"x" * 5000}")'))


# What is known of a step's result


def test_the_result_of_a_step_is_what_its_tool_returns() -> None:
    toolbox = Toolbox([made_tool("f", {"x": TEXT}, returns=TEXT), made_tool("g", {})])
    one = Task(TaskId("1"), "f", {"x": "a"})
    assert result_schema(one, toolbox) == TEXT
    assert result_schema(Task(TaskId("2"), "g"), toolbox) is None
    assert result_schema(Task(TaskId("3"), "lost"), toolbox) is None
    several = Task(TaskId("4"), "f", {"x": Each(Ref(TaskId("2")))})
    assert result_schema(several, toolbox) == {"type": "array", "items": TEXT}


def test_a_line_of_this_turn_that_runs_for_every_element_gives_a_list() -> None:
    toolbox = Toolbox(
        [
            made_tool("names", {}, returns={"type": "array", "items": TEXT}),
            made_tool("f", {"x": TEXT}, returns=TEXT),
        ]
    )
    grammar = plan_grammar(toolbox)
    assert accepts(grammar, plan("names()", "f(x=each $1)", "f(x=$2[0])", "f(x=each $2)"))
    assert not accepts(grammar, plan("names()", "f(x=each $1)", "f(x=$2)"))
    assert accepts(grammar, plan("names()", 'f(x=", x=each $1")', "f(x=$2)"))
    assert not accepts(grammar, plan("names()", 'f(x=", x=each $1")', "f(x=each $2)"))
