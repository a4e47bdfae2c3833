from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, Context
from llmcompiler.errors import ModelError
from llmcompiler.llms.local import LocalLLM
from llmcompiler.messages import Finished, Message, Prompt, Sampling
from tests.engine.asked import OPTIONS


def test_a_hint_that_comes_late_does_not_load_a_model_that_was_closed(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Any] = []

    def thread(target: Any, args: Any, **more: Any) -> Any:
        late.append(lambda: target(*args))
        return SimpleNamespace(start=lambda: None)

    llm = LocalLLM(tiny_gguf, OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", thread)
        llm.anticipate((Message("rules", "Write plans."),))

    anyio.run(llm.aclose)
    for each in late:
        each()
    loaded = llm._loaded
    anyio.run(llm.aclose)
    assert loaded is None


@pytest.mark.anyio
async def test_warming_that_was_cut_off_is_told(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = await LocalLLM.load(tiny_gguf, OPTIONS)
    evaluate = Context.evaluate
    begun, gate = threading.Event(), threading.Event()

    def slow(context: Context, batch: Batch) -> None:
        begun.set()
        gate.wait(10)
        evaluate(context, batch)

    monkeypatch.setattr(Context, "evaluate", slow)

    async def close() -> None:
        await anyio.to_thread.run_sync(begun.wait, 10)
        async with anyio.create_task_group() as closing:
            closing.start_soon(llm.aclose)
            while not llm._loaded or not llm._loaded.engine._worker.inbox.closed:
                await anyio.lowlevel.checkpoint()
            gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        with pytest.raises(ModelError):
            await llm.warm((Message("rules", "Write plans. " * 20),))


@pytest.mark.anyio
async def test_a_model_whose_engine_broke_for_good_is_loaded_anew(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = await LocalLLM.load(tiny_gguf, OPTIONS)
    prompt = Prompt((Message("request", "Go on."),))
    assert llm._loaded is not None
    broken = llm._loaded.engine

    def fail(*given: Any, **more: Any) -> Any:
        raise Broken("half way")

    with monkeypatch.context() as patch:
        patch.setattr(broken.context, "evaluate", fail)
        patch.setattr("llmcompiler.engine.loop.Context", fail)
        with pytest.raises(ModelError):
            async for _ in llm.stream(prompt, Sampling(max_tokens=3)):
                pass
        await anyio.to_thread.run_sync(broken._thread.join, 10)
    assert not broken.alive
    deltas = [delta async for delta in llm.stream(prompt, Sampling(max_tokens=3))]
    assert isinstance(deltas[-1], Finished)
    await llm.aclose()
