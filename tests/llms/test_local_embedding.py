from __future__ import annotations

import math
from pathlib import Path

import anyio
import pytest

from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ContextLengthError, ModelError
from llmcompiler.llms.local import LocalLLM
from llmcompiler.messages import Message, Prompt, Sampling, TextDelta

pytestmark = pytest.mark.anyio

_TEXTS = ["the place", "Answer the place and find Oslo", "join" * 40]


async def test_each_text_has_a_vector_of_length_one_in_their_order(llm: LocalLLM) -> None:
    found = await llm.embed(_TEXTS)
    assert [len(vector) for vector in found] == [64, 64, 64]
    assert all(abs(math.hypot(*vector) - 1) < 1e-5 for vector in found)
    turned = await llm.embed(_TEXTS[::-1])
    for one, other in zip(found, turned[::-1], strict=True):
        assert sum(a * b for a, b in zip(one, other, strict=True)) > 0.995
    assert await llm.embed([]) == []


async def test_an_empty_or_too_long_text_is_refused(llm: LocalLLM) -> None:
    with pytest.raises(ModelError, match="text 2 of 2 is empty"):
        await llm.embed(["the", ""])
    with pytest.raises(ContextLengthError, match="the context holds 1024"):
        await llm.embed(["x" * 1024])


async def test_texts_are_embedded_while_a_reply_is_written(tiny_gguf: Path) -> None:
    options = EngineOptions(n_ctx=1024, threads=1, chunk=64, reproducible=True)
    llm = LocalLLM(tiny_gguf, options)
    prompt = Prompt((Message("request", "Which place is warmer?"),))
    texts: list[str] = []
    vectors: list[list[list[float]]] = []

    async def write() -> None:
        text = ""
        async for delta in llm.stream(prompt, Sampling(max_tokens=60)):
            if isinstance(delta, TextDelta):
                text += delta.text
        texts.append(text)

    async def embed() -> None:
        vectors.append(await llm.embed(_TEXTS))

    await write()
    await embed()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(write)
            group.start_soon(embed)
    assert len(set(texts)) == 1
    assert all(each == vectors[0] for each in vectors)
    await llm.aclose()


async def test_after_closing_texts_are_embedded_by_weights_loaded_anew(llm: LocalLLM) -> None:
    before = await llm.embed(_TEXTS)
    await llm.aclose()
    assert await llm.embed(_TEXTS) == before


async def test_who_gives_up_is_not_kept_waiting(llm: LocalLLM) -> None:
    await llm.embed(["the"])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await llm.embed(["join" * 200] * 200)
    assert scope.cancelled_caught
    assert await llm.embed(["the"])
