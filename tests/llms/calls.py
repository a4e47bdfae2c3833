"""How does a test call a model and look at its reply? It does not know which model."""

from __future__ import annotations

from typing import Any

from llmcompiler.messages import LLM, Delta, Finished, Message, Prompt, Sampling, TextDelta

PROMPT = Prompt((Message("rules", "Be brief."), Message("request", "How warm is Oslo?")))


async def reply(llm: LLM, prompt: Prompt = PROMPT, **sampling: Any) -> list[Delta]:
    return [delta async for delta in llm.stream(prompt, Sampling(**sampling))]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def end_of(deltas: list[Delta]) -> Finished:
    assert [type(delta) for delta in deltas[:-1]] == [TextDelta] * (len(deltas) - 1)
    assert isinstance(deltas[-1], Finished)
    return deltas[-1]
