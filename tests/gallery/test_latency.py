"""Complaint: frameworks are slow, and one cannot see where the time goes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading

import anyio
import pytest
from pydantic import BaseModel

from llmcompiler import Limits, tool
from llmcompiler.events import PlanStarted
from llmcompiler.messages import Prompt
from llmcompiler.plan import Ok
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.trace import bottleneck
from tests.gallery.scene import ANSWER, TOOLS, Seen, follow, play

HEAVY = ("openai", "httpx", "llama_cpp", "numpy", "jinja2", "rich", "typer", "networkx", "sqlite3")
_RUN = """
import json, sys
import llmcompiler
at_import = sorted(name for name in sys.modules if name in HEAVY)
from llmcompiler import Agent, tool
from llmcompiler.testing import ScriptedLLM, run_virtual

@tool
async def double(number: int) -> int:
    "Double a number."
    return 2 * number

plan = "1. double(number=2)\\n2. double(number=$1)\\n3. join()"
agent = Agent(ScriptedLLM([plan, "Answer: 8"]), tools=[double])
made = sorted(name for name in sys.modules if name in HEAVY)
before = set(sys.modules)
during = []
def sink(event):
    during.extend(sorted(name for name in sys.modules if name not in before and name in HEAVY))
async def main():
    await agent.run("Go.", sinks=[sink])
run_virtual(main)
print(json.dumps([at_import, made, during]))
"""


def test_pydantic_ai_7405_neither_the_import_nor_a_first_run_loads_what_it_does_not_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY!r}\n{_RUN}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [[], [], []], "at import, with an agent, in a run"


def test_parlant_587_a_run_takes_no_time_beyond_that_of_its_model_and_tools() -> None:
    """To the microsecond, in virtual time; how long the work itself takes, benchmarks/ measures."""
    lines = [f'{n}. work(name="{n}", seconds=2, after=${n - 1})' for n in range(2, 21)]
    plan = "\n".join(['1. work(name="1", seconds=2)', *lines, "21. join()"])
    seen = play(plan, ANSWER, first_delay=0.5)
    assert seen.result.seconds == pytest.approx(0.5 + 20 * 2 + 0.5, abs=1e-6)


def test_langgraph_2920_one_can_see_where_the_time_went() -> None:
    slow_tool = play('1. work(name="a", seconds=9)\n2. work(name="b")\n3. join()', ANSWER)
    found = bottleneck(slow_tool.result, slow_tool.events)
    assert (found.kind, found.name, found.tool) == ("step", "1", "work")
    assert found.text.startswith("step 1 (work) took 9")
    slow_model = play('1. work(name="a")\n2. join()', ANSWER, first_delay=20)
    assert bottleneck(slow_model.result, slow_model.events).kind == "turn"
    lines = [f'{n}. work(name="{n}", seconds=3)' for n in range(1, 7)]
    queued = play("\n".join([*lines, "7. join()"]), ANSWER, limits=Limits(concurrency=1))
    waiting = bottleneck(queued.result, queued.events)
    assert (waiting.kind, waiting.best_tools, waiting.total) == ("limits", 3.0, 18.0)


class _Item(BaseModel):
    name: str
    parts: list[str]


class _Order(BaseModel):
    items: list[_Item]


@pytest.mark.parametrize("number", [3342, 277])
def test_pydantic_ai_3342_and_277_an_answer_with_a_type_costs_no_further_turn(number: int) -> None:
    order = {"items": [{"name": f"n{n}", "parts": ["a", "b"]} for n in range(number % 10)]}
    seen = play("1. say(value=1)\n2. join()", f"Answer: {json.dumps(order)}", output_type=_Order)
    assert seen.result.output == _Order.model_validate(order)
    assert [event.purpose for event in seen.of(PlanStarted)] == ["plan", "join"]


def _texts(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message.kind, message.text) for message in prompt.messages]


def test_home_generative_agent_617_the_prompt_holds_no_clock_and_no_counter() -> None:
    async def twice() -> tuple[Seen, Seen]:
        first = await follow(ScriptedLLM(["1. say(value=1)\n2. join()", ANSWER]))
        await anyio.sleep(86_400 * 400)
        return first, await follow(ScriptedLLM(["1. say(value=1)\n2. join()", ANSWER]))

    first, second = run_virtual(twice)
    assert [_texts(p) for p in first.llm.prompts] == [_texts(p) for p in second.llm.prompts]


def test_hermes_agent_27339_the_order_in_which_tools_are_given_changes_no_token() -> None:
    forwards = play(ANSWER, tools=TOOLS)
    backwards = play(ANSWER, tools=TOOLS[::-1])
    assert _texts(forwards.llm.prompts[0]) == _texts(backwards.llm.prompts[0])


def test_hermes_agent_pr_18547_rules_and_tools_stand_first_and_stay_as_they_are() -> None:
    one = play("1. say(value=1)\n2. join()", ANSWER, request="One thing")
    other = play(ANSWER, request="Another thing", limits=Limits(replans=7, concurrency=3))
    assert one.llm.prompts[0].messages[0].kind == "rules"
    assert one.llm.prompts[0].messages[0] == other.llm.prompts[0].messages[0]


@pytest.mark.parametrize("purpose", ["replan", "mend", "repair", "chat"])
def test_openhands_3690_and_eclipse_peon_ai_60_a_conversation_only_ever_grows(
    purpose: str,
) -> None:
    replies = {
        "replan": ["1. say(value=1)\n2. join()", "Replan: more.\n2. say(value=2)\n3. join()"],
        "mend": ['1. fail(message="x")\n2. join()', "1. say(value=1)\n2. join()"],
        "repair": ["1. sai(value=1)\n2. join()", "1. say(value=1)"],
        "chat": ["1. say(value=1)\n2. join()"],
    }
    seen = play(*replies[purpose], ANSWER)
    prompts = [_texts(prompt) for prompt in seen.llm.prompts]
    if purpose == "chat":
        after = play(ANSWER, request="And now?", history=seen.result.transcript)
        prompts += [_texts(prompt) for prompt in after.llm.prompts]
    for before, later in itertools.pairwise(prompts):
        assert later[: len(before)] == before
        assert len(later) > len(before)


def test_wish_a_slow_function_does_not_hold_up_the_loop_on_which_others_wait() -> None:
    released = threading.Event()

    @tool
    def blocks() -> str:
        """Block until the other tool has run."""
        return "free" if released.wait(10) else "stuck"

    @tool
    async def release() -> str:
        """Let the other one go."""
        released.set()
        return "released"

    seen = play("1. blocks()\n2. release()\n3. join()", ANSWER, tools=[blocks, release])
    assert seen.result["1"] == Ok("free")
