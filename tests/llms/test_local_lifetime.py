from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.gguf import Header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ModelError, ModelFileError
from llmcompiler.llms.local import LocalLLM
from llmcompiler.messages import Finished, Message, Sampling
from tests.engine.tiny_model import write_tiny_model
from tests.llms.test_local import _OPTIONS, _prompt, _reply, _some

pytestmark = pytest.mark.anyio


async def test_a_wrong_sampling_is_told_before_the_first_piece(llm: LocalLLM) -> None:
    with pytest.raises(ConfigurationError, match="temperature"):
        await _reply(llm, _prompt(), Sampling(temperature=-1))


async def test_a_model_without_a_template_talks_chatml(tmp_path: Path) -> None:
    llm = LocalLLM(write_tiny_model(tmp_path / "bare.gguf", template=None), _OPTIONS)
    grammar = 'start: "yes" "<|im_end|>" "no"'
    text, finished = await _reply(llm, _prompt(grammar=grammar), Sampling())
    assert text == "yes"
    assert finished.reason == "stop"
    await llm.aclose()


async def test_a_template_that_cannot_be_read_is_the_files_fault(tmp_path: Path) -> None:
    llm = LocalLLM(write_tiny_model(tmp_path / "bad.gguf", template="{% if %}"), _OPTIONS)
    with pytest.raises(ModelFileError, match=r"bad\.gguf': the chat template cannot be read"):
        await _reply(llm, _prompt(), _some())


async def test_a_template_that_refuses_fails_the_request(tmp_path: Path) -> None:
    template = "{{ raise_exception('never') }}"
    llm = LocalLLM(write_tiny_model(tmp_path / "bad.gguf", template=template), _OPTIONS)
    with pytest.raises(ConfigurationError, match="refuses the conversation: never"):
        await _reply(llm, _prompt(), _some())
    await llm.aclose()


def test_a_wrong_file_is_told_when_it_is_named(tmp_path: Path, tiny_gguf: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no such file"):
        LocalLLM(tmp_path / "none.gguf")
    foreign = tmp_path / "foreign.gguf"
    foreign.write_text("<html>")
    with pytest.raises(ModelFileError, match="not a GGUF"):
        LocalLLM(foreign)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match="truncated"):
        LocalLLM(cut)


async def test_an_unknown_option_is_told_at_once(tiny_gguf: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'n_ctx'"):
        LocalLLM(tiny_gguf, {"nctx": 5})


async def test_a_silent_model_is_given_up_after_the_timeout(
    llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _reply(llm, _prompt(), _some(1))
    assert llm._loaded is not None
    context, released = llm._loaded.engine.context, threading.Event()
    evaluate = context.evaluate

    def stuck(batch: Batch) -> None:
        released.wait(20)
        evaluate(batch)

    monkeypatch.setattr(context, "evaluate", stuck)
    with pytest.raises(ModelError, match=r"did nothing for 0\.05 s"):
        await _reply(llm, _prompt(), Sampling(timeout=0.05))
    released.set()


async def test_reading_a_long_prompt_is_no_silence(
    llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _reply(llm, _prompt(), _some(1))
    assert llm._loaded is not None
    context = llm._loaded.engine.context
    evaluate, never = context.evaluate, threading.Event()

    def slow(batch: Batch) -> None:
        never.wait(0.1)
        evaluate(batch)

    monkeypatch.setattr(context, "evaluate", slow)
    long = _prompt(Message("request", "x" * 500))
    _, finished = await _reply(llm, long, Sampling(max_tokens=1, timeout=0.5))
    assert finished.reason == "length"


async def test_silence_after_the_first_piece_cuts_the_reply(
    llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _reply(llm, _prompt(), _some(1))
    assert llm._loaded is not None
    context, released = llm._loaded.engine.context, threading.Event()
    evaluate, calls = context.evaluate, []

    def stuck_later(batch: Batch) -> None:
        calls.append(batch)
        if len(calls) > 30:
            released.wait(20)
        evaluate(batch)

    monkeypatch.setattr(context, "evaluate", stuck_later)
    text, finished = await _reply(llm, _prompt(), Sampling(timeout=0.2))
    assert text
    assert (finished.reason, finished.usage.estimated) == ("cut", True)
    released.set()


async def test_a_failure_after_the_first_piece_cuts_the_reply(
    llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _reply(llm, _prompt(), _some(1))
    assert llm._loaded is not None
    context = llm._loaded.engine.context
    evaluate, calls = context.evaluate, []

    def fail_later(batch: Batch) -> None:
        calls.append(batch)
        if len(calls) > 30:
            raise ModelError("broken")
        evaluate(batch)

    monkeypatch.setattr(context, "evaluate", fail_later)
    text, finished = await _reply(llm, _prompt(), Sampling())
    assert text
    assert finished.reason == "cut"


async def test_a_closed_model_loads_anew(llm: LocalLLM) -> None:
    first, _ = await _reply(llm, _prompt(), _some())
    await llm.aclose()
    await llm.aclose()
    second, finished = await _reply(llm, _prompt(), _some())
    assert first == second
    assert finished.usage.reused_tokens == 0


async def test_closing_cuts_what_is_under_way(llm: LocalLLM) -> None:
    seen: list[object] = []
    async with anyio.create_task_group() as group:

        async def read() -> None:
            async for delta in llm.stream(_prompt(), Sampling(max_tokens=None)):
                seen.append(delta)
                if len(seen) == 5:
                    group.start_soon(llm.aclose)

        group.start_soon(read)
    assert isinstance(seen[-1], Finished)
    assert seen[-1].reason == "cut"


async def test_first_requests_at_once_load_the_model_once(tiny_gguf: Path) -> None:
    llm = LocalLLM(tiny_gguf, _OPTIONS)
    before = threading.active_count()
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(_reply, llm, _prompt(), _some(3))
    engines = [each for each in threading.enumerate() if each.name == "llmcompiler-engine"]
    assert len(engines) == 1, before
    await llm.aclose()
    assert not any(each.name == "llmcompiler-engine" for each in threading.enumerate())


async def test_a_request_that_leaves_while_loading_stops_it_and_the_next_loads(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = LocalLLM(tiny_gguf, _OPTIONS)
    begun = threading.Event()

    def slow(header: Header, options: EngineOptions, stopped: Callable[[], bool]) -> Model:
        begun.set()
        while not stopped():
            threading.Event().wait(0.001)
        return Model(header, options, stopped)

    with monkeypatch.context() as patch:
        patch.setattr("llmcompiler.engine.loop.Model", slow)
        async with anyio.create_task_group() as group:
            group.start_soon(_reply, llm, _prompt(), _some(3))
            await to_thread.run_sync(begun.wait, 20)
            group.cancel_scope.cancel()
    with anyio.fail_after(20):
        _, finished = await _reply(llm, _prompt(), _some(3))
    assert finished.usage.completion_tokens == 3
    await llm.aclose()


def test_one_model_serves_event_loops_one_after_another(tiny_gguf: Path) -> None:
    llm = LocalLLM(tiny_gguf, _OPTIONS)
    texts = [anyio.run(_reply, llm, _prompt(), _some())[0] for _ in range(3)]
    assert texts[0] == texts[1] == texts[2]
    anyio.run(llm.aclose)


def test_an_event_loop_that_ends_mid_reply_harms_nothing(tiny_gguf: Path) -> None:
    llm = LocalLLM(tiny_gguf, _OPTIONS)

    async def leave() -> None:
        with anyio.move_on_after(0.05):
            await _reply(llm, _prompt(), Sampling(max_tokens=None))

    for _ in range(5):
        anyio.run(leave)
    _, finished = anyio.run(_reply, llm, _prompt(), _some())
    assert finished.reason == "length"
    anyio.run(llm.aclose)
