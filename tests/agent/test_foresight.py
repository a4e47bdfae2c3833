"""A model reads what tools said while other tools are still at work."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from llmcompiler import Agent, Limits, Result, tool
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import LLMCompilerError
from llmcompiler.llms.local import LocalLLM
from llmcompiler.messages import Delta, Figures, Message, Prompt, Sampling
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler_planners.dag import DagPlanner
from tests.engine.tiny_model import write_tiny_model

_PLAN = "1. wait(seconds=1)\n2. wait(seconds=3)\n3. wait(seconds=2)\n4. join()"


@tool
async def wait(seconds: float) -> str:
    """Take a while."""
    await anyio.sleep(seconds)
    return f"after {seconds:g}"


class _Reader:
    """A scripted model that notes when it was told what to read ahead."""

    name = "reader"

    def __init__(self, *replies: str) -> None:
        self.inner = ScriptedLLM(list(replies))
        self.told: list[tuple[float, tuple[Message, ...]]] = []
        self.prompts: list[Prompt] = []

    def anticipate(self, messages: tuple[Message, ...]) -> None:
        self.told.append((anyio.current_time(), messages))

    async def warm(self, messages: tuple[Message, ...]) -> None:
        self.told.append((-1.0, messages))

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        self.prompts.append(prompt)
        async for delta in self.inner.stream(prompt, sampling):
            yield delta

    async def aclose(self) -> None:
        await self.inner.aclose()


def _observed(messages: tuple[Message, ...]) -> list[str]:
    return [each.text for each in messages if each.kind == "observation"]


def test_each_result_is_told_as_it_arrives_in_the_words_of_the_coming_prompt() -> None:
    llm = _Reader(_PLAN, "Answer: done.")

    async def work() -> None:
        await Agent(llm, tools=[wait]).run("Wait thrice.")

    run_virtual(work)
    seen = [_observed(messages) for _, messages in llm.told]
    assert seen == [
        [],
        ['$1 = "after 1"'],
        ['$1 = "after 1"', '$3 = "after 2"'],
    ]
    joiner = llm.prompts[1].messages
    for _, messages in llm.told:
        assert joiner[: len(messages)] == messages
    moments = [moment for moment, _ in llm.told]
    assert moments[2] - moments[1] == pytest.approx(1.0)


def test_rules_and_history_are_read_while_the_user_types() -> None:
    llm = _Reader("Answer: one.", "Answer: two.")
    agent = Agent(llm, tools=[wait])

    async def work() -> None:
        await agent.warm()
        first = await agent.run("First?")
        agent.foresee(first.transcript)
        await agent.run("Second?", history=first.transcript)

    run_virtual(work)
    (_, rules), (_, history) = llm.told
    assert [each.kind for each in rules] == ["rules"]
    assert [each.kind for each in history] == ["rules", "request", "turn"]
    for messages, prompt in zip((rules, history), llm.prompts, strict=True):
        assert prompt.messages[: len(messages)] == messages


def test_results_that_the_plan_does_not_join_are_not_read_ahead() -> None:
    llm = _Reader(_PLAN.replace("join()", "join($2)"), "Answer: done.")

    async def work() -> None:
        await Agent(llm, tools=[wait]).run("Wait thrice.")

    run_virtual(work)
    assert all(_observed(messages) == [] for _, messages in llm.told)


def test_the_joiner_computes_the_last_result_and_nothing_else(tmp_path: Path) -> None:
    """On the real engine: all that was known before was computed while the last tool ran."""
    model = write_tiny_model(tmp_path / "tiny.gguf", context=8192)
    options = EngineOptions(n_ctx=8192, chunk=256, threads=1, drafts=False)
    long = "word " * 100

    @tool
    async def report(number: int, seconds: float) -> str:
        """Report at length."""
        await anyio.sleep(seconds)
        return long if number < 3 else "last"

    plan = "1. report(1, 0)\n2. report(2, 0)\n3. report(3, 2)\n4. join()"

    async def work() -> Figures:
        joiner = await LocalLLM.load(model, options)
        agent = Agent(
            ScriptedLLM([plan]),
            tools=[report],
            joiner=joiner,
            planner=DagPlanner(Sampling(max_tokens=8)),
            limits=Limits(replans=0, repairs=0),
        )
        try:
            with pytest.raises(LLMCompilerError) as failed:
                await agent.run("Report.")
        finally:
            await joiner.aclose()
        result = failed.value.result
        assert isinstance(result, Result)
        return result.calls[1].figures

    figures = anyio.run(work)
    assert figures.reused > 1000
    assert figures.evaluated < 60
