"""A turn in which failed steps are written again: why, and then their lines, or join() at once."""

from __future__ import annotations

import anyio
import pytest

from llmcompiler import Toolbox, tool
from llmcompiler.messages import Grammar
from llmcompiler.plan import Failed, Json, Observation, Ok, Outcome, Task, TaskId, Timing
from llmcompiler.registry import bundled_tools, load_model
from llmcompiler.roles import Allow, Read, Sealed, TurnItem, TurnRequest
from llmcompiler.transcript import Mend, Observed, Request, Transcript, Turn
from llmcompiler_planners.dag import DagPlanner
from llmcompiler_planners.mending import MendGrammar


@tool
def place(name: str) -> str:
    """Find a place."""
    return name


PLAN = '1. place(name="a")\n2. place(name=$1)\n3. place(name="c")\n4. join()'


def observed(step: str, outcome: Outcome, name: str = "place", **args: Json) -> Observation:
    return Observation(Task(TaskId(step), name, args), outcome, Timing(0, 0, 1))


def failed(*steps: str) -> Mend:
    return Mend(tuple(observed(step, Failed("ToolError", "no such place")) for step in steps))


def grammar(*steps: str, allow: Allow = "lines") -> Grammar:
    transcript = Transcript((Request("Where?"), Turn(PLAN), failed(*steps)))
    return DagPlanner().grammar(TurnRequest(transcript, Toolbox([place]), allow, 5))


@pytest.mark.parametrize("form", ["lark", "gbnf"])
def test_the_turn_begins_with_a_reason_or_is_join(form: str) -> None:
    of = getattr(grammar("1", "3"), form)
    first = of("")
    assert '"Replan: "' in first
    assert '"join()"' in first
    assert "Answer" not in first
    assert of("join()") is None


@pytest.mark.parametrize("form", ["lark", "gbnf"])
def test_after_the_reason_come_the_failed_lines_and_no_others(form: str) -> None:
    of = getattr(grammar("1", "3"), form)
    number = of("Replan: it is misspelt.\n")
    assert '"1." | "3."' in number
    assert '"2."' not in number
    line = of("Replan: it is misspelt.\n1.")
    assert "place" in line
    assert '"join(' in line or "join\\(" in line
    assert '"3. ' in of('Replan: it is misspelt.\n1. place(name="A")\n')
    assert of('Replan: it is misspelt.\n1. place(name="A")\n3. place(name="C")') is None


def test_other_turns_are_as_they_were() -> None:
    assert isinstance(grammar("1"), MendGrammar)
    assert not isinstance(grammar("1", allow="answer"), MendGrammar)
    transcript = Transcript((Request("Where?"),))
    asked = TurnRequest(transcript, Toolbox([place]), "any", 1)
    assert not isinstance(DagPlanner().grammar(asked), MendGrammar)


def written_again(request: str, plan: str, *entries: Observed | Mend) -> list[TurnItem]:
    """Ask the embedded model to mend the first plan."""
    pytest.importorskip("llama_cpp")
    transcript = Transcript((Request(request), Turn(plan), *entries))
    asked = TurnRequest(transcript, bundled_tools(), "lines", plan.count("\n") + 2)
    items: list[TurnItem] = []

    async def main() -> None:
        llm = load_model("embedded")
        items.extend([item async for item in DagPlanner().turn(asked, llm)])
        await llm.aclose()

    anyio.run(main)
    return items


def calls_in(items: list[TurnItem]) -> list[str]:
    return [item.source for item in items if isinstance(item, Read)]


def test_the_embedded_model_mends_the_line_that_failed() -> None:
    plan = '1. count_words(path="notse.md")\n2. count_lines(path="todo.md")\n3. join()'
    missing = Failed("ToolError", "there is no file 'notse.md'; did you mean 'notes.md'?")
    items = written_again(
        "How many words are in notse.md, and how many lines does todo.md have?",
        plan,
        Observed(observed("2", Ok(7), "count_lines")),
        Mend((observed("1", missing, "count_words"),)),
    )
    assert calls_in(items) == ['1. count_words(path="notes.md")']


def test_the_embedded_model_leaves_what_it_cannot_mend() -> None:
    plan = '1. calculate(expression="3 / 0")\n2. join()'
    wrong = Failed("ToolError", "division by zero in '3 / 0'")
    items = written_again("What is 3 / 0?", plan, Mend((observed("1", wrong, "calculate"),)))
    assert calls_in(items) == []
    assert any(isinstance(item, Sealed) for item in items)
