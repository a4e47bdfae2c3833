"""The public doubles: scripted, computed and recorded models."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.errors import ConfigurationError, EndpointError, ScriptExhaustedError
from llmcompiler.messages import (
    LLM,
    Delta,
    Finished,
    Kind,
    Message,
    Prompt,
    Sampling,
    TextDelta,
    Usage,
)
from llmcompiler.testing import FunctionLLM, RecordedLLM, Reply, ScriptedLLM, run_virtual


def prompt(*messages: tuple[Kind, str]) -> Prompt:
    return Prompt(tuple(Message(kind, text) for kind, text in messages))


ASK = prompt(("rules", "Be brief."), ("request", "How warm is Oslo?"))


async def collect(llm: LLM, asked: Prompt = ASK) -> list[Delta]:
    return [delta async for delta in llm.stream(asked, Sampling())]


def say(llm: LLM, asked: Prompt = ASK) -> list[Delta]:
    return run_virtual(collect, llm, asked)


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


# ScriptedLLM


def test_replies_come_in_order_and_prompts_are_remembered() -> None:
    llm = ScriptedLLM(["1. join()", Reply("Answer: and", reason="length")])
    second = prompt(("request", "Again?"))
    assert text_of(say(llm)) == "1. join()"
    assert say(llm, second) == [
        TextDelta("Answer: and"),
        Finished("length", Usage(1, 0, 2, 1, estimated=True)),
    ]
    assert llm.prompts == [ASK, second]
    assert [(call.said, call.ended) for call in llm.calls] == [
        ("1. join()", True),
        ("Answer: and", True),
    ]


@settings(deadline=None)
@given(st.text(), st.integers(1, 9))
def test_chunks_are_of_the_length_asked_for_and_sum_up_to_the_reply(text: str, chunk: int) -> None:
    *pieces, end = say(ScriptedLLM([text], chunk=chunk))
    assert text_of(pieces) == text
    assert all(isinstance(piece, TextDelta) and len(piece.text) == chunk for piece in pieces[:-1])
    assert isinstance(end, Finished)


def test_a_reply_may_name_its_own_chunks() -> None:
    llm = ScriptedLLM([Reply(chunks=("1. jo", "in", "()"))], chunk=1)
    assert say(llm)[:-1] == [TextDelta("1. jo"), TextDelta("in"), TextDelta("()")]
    with pytest.raises(ValueError, match="differ"):
        Reply("1. join()", chunks=("2. ", "join()"))


def test_delays_lie_between_the_pieces() -> None:
    async def main() -> list[float]:
        llm = ScriptedLLM(["abc"], chunk=1, delay=2.0, first_delay=60.0)
        return [anyio.current_time() async for _ in llm.stream(ASK, Sampling())]

    assert run_virtual(main) == [60.0, 62.0, 64.0, 64.0]


def test_a_cut_reply_ends_in_a_cut() -> None:
    assert say(ScriptedLLM([Reply("1. a(", "cut")]))[-1] == Finished(
        "cut", Usage(6, 0, 1, 1, estimated=True)
    )


def test_an_error_comes_after_the_text() -> None:
    llm = ScriptedLLM([Reply("1. a", error=EndpointError("u", "server", "fails"))])
    heard: list[Delta] = []

    async def main() -> None:
        async for delta in llm.stream(ASK, Sampling()):
            heard.append(delta)

    with pytest.raises(EndpointError):
        anyio.run(main)
    assert heard == [TextDelta("1. a")]
    assert not llm.calls[0].ended


def test_a_stream_closed_early_has_not_ended() -> None:
    llm = ScriptedLLM(["abcdef"], chunk=2)

    async def main() -> None:
        async with aclosing(llm.stream(ASK, Sampling())) as stream:
            await anext(stream)

    anyio.run(main)
    assert (llm.calls[0].said, llm.calls[0].ended) == ("ab", False)


def test_one_reply_too_few_says_what_it_was_asked() -> None:
    llm = ScriptedLLM(["Hello"], name="tiny")
    say(llm)
    with pytest.raises(ScriptExhaustedError) as caught:
        say(llm)
    assert str(caught.value) == (
        "the scripted model 'tiny' has 1 reply and was asked once more: "
        "add a reply to what ends in 'How warm is Oslo?'"
    )


def test_replies_that_nobody_asked_for_are_told() -> None:
    llm = ScriptedLLM([("Oslo", "a"), ("Lima", "b"), "c", "d"])
    say(llm)
    say(llm, prompt(("request", "Else?")))
    with pytest.raises(AssertionError, match=r"'d', 'b' for 'Lima'$"):
        llm.assert_complete()
    say(llm, prompt(("request", "Lima?")))
    say(llm, prompt(("request", "Else?")))
    llm.assert_complete()


def test_replies_may_be_found_by_what_the_model_has_not_answered_yet() -> None:
    llm = ScriptedLLM({"Oslo": "1. forecast()", "$1 =": "Answer: 3"})
    assert text_of(say(llm)) == "1. forecast()"
    later = prompt(
        ("rules", "$1 = nothing"),
        ("request", "How warm is Oslo?"),
        ("turn", "1. forecast()"),
        ("observation", "$1 = 3"),
    )
    assert text_of(say(llm, later)) == "Answer: 3"
    assert text_of(say(llm)) == "1. forecast()"
    with pytest.raises(ScriptExhaustedError, match=r"no reply for this.*none of 'Oslo', '\$1 ='"):
        say(llm, prompt(("request", "Lima?")))


def test_a_function_may_find_a_reply_by_the_whole_prompt() -> None:
    llm = ScriptedLLM([(lambda asked: asked.grammar is not None, "held"), ("", "free")])
    assert text_of(say(llm, Prompt(ASK.messages, grammar="start:"))) == "held"
    assert text_of(say(llm)) == "free"


@pytest.mark.parametrize("chunk", [0, -1])
def test_a_script_that_makes_no_sense_is_refused(chunk: int) -> None:
    with pytest.raises(TypeError, match=r"ScriptedLLM\(\[reply\]\)"):
        ScriptedLLM("reply")
    with pytest.raises(ValueError, match="chunk"):
        ScriptedLLM([], chunk=chunk)


# FunctionLLM


def test_a_function_may_return_text_or_pieces_now_or_later() -> None:
    def pieces(_: Prompt) -> Iterator[str]:
        yield from ("He", "llo")

    async def later(_: Prompt) -> str:
        await anyio.sleep(3600)
        return "Hello"

    async def stream(_: Prompt) -> AsyncGenerator[str, None]:
        for piece in ("He", "llo"):
            await anyio.sleep(3600)
            yield piece

    end = Finished("stop", Usage(6, 0, 1, 1, estimated=True))
    assert say(FunctionLLM(lambda asked: asked.messages[1].text[:3]))[0] == TextDelta("How")
    assert say(FunctionLLM(later)) == [TextDelta("Hello"), end]
    for fn in (pieces, stream):
        assert say(FunctionLLM(fn)) == [TextDelta("He"), TextDelta("llo"), end]


def test_closing_early_closes_the_functions_own_stream() -> None:
    closed: list[bool] = []

    async def stream(_: Prompt) -> AsyncGenerator[str, None]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    llm = FunctionLLM(stream)

    async def main() -> bool:
        async with aclosing(llm.stream(ASK, Sampling())) as said:
            await anext(said)
        return bool(closed)

    assert anyio.run(main)
    assert (llm.calls[0].said, llm.calls[0].ended) == ("one", False)


# RecordedLLM


def test_a_reply_is_recorded_once_and_then_needs_no_model(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "said.jsonl"
    model = ScriptedLLM(["Grüße,\u2028\nthere", Reply("1. a(", "cut")], chunk=3, name="big")
    other = prompt(("request", "Else?"))
    recorder = RecordedLLM(path, model)
    first, second = say(recorder), say(recorder, other)
    assert say(recorder) == [TextDelta("Grüße,\u2028\nthere"), first[-1]]
    assert len(model.calls) == 2
    replayed = RecordedLLM(path, chunk=3)
    assert say(replayed, other) == second
    assert say(replayed) == first
    assert (recorder.name, replayed.name) == ("big", "said")


def test_a_recording_reads_well_and_can_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    say(RecordedLLM(path, ScriptedLLM(["Hallo Ä"])))
    say(RecordedLLM(path, ScriptedLLM(["else"])), prompt(("request", "Else?")))
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert "Hallo Ä" in path.read_text(encoding="utf-8")
    assert (first["model"], first["reply"], first["reason"]) == ("scripted", "Hallo Ä", "stop")
    assert first["messages"][1] == {"kind": "request", "text": "How warm is Oslo?"}
    assert second["reply"] == "else"


def test_observations_may_come_in_another_order_and_nothing_else_may(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    ask, turn = Message("request", "Sum?"), Message("turn", "1. a()\n2. b()")
    one, two = Message("observation", "$1 = 3"), Message("observation", "$2 = 4")
    notice = Message("notice", "The time is up.")
    recorder = RecordedLLM(path, ScriptedLLM(["Answer: 7"]))
    say(recorder, Prompt((ask, turn, one, two, notice)))
    replayed = RecordedLLM(path)
    assert text_of(say(replayed, Prompt((ask, turn, two, one, notice)))) == "Answer: 7"
    held = Prompt((ask, turn, one, two, notice), grammar="start:", schema={})
    assert text_of(say(replayed, held)) == "Answer: 7"
    with pytest.raises(ScriptExhaustedError):
        say(replayed, Prompt((ask, turn, one, notice, two)))
    say(RecordedLLM(path, ScriptedLLM(["Answer: 8"])), Prompt((ask, turn, one, two)))
    assert text_of(say(RecordedLLM(path), Prompt((ask, turn, two, one)))) == "Answer: 8"


def test_an_unknown_prompt_is_shown_beside_the_closest_one(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    recorder = RecordedLLM(path, ScriptedLLM(["a", "b"]))
    say(recorder, prompt(("rules", "Be kind."), ("request", "Something else entirely")))
    say(recorder)
    with pytest.raises(ScriptExhaustedError) as caught:
        say(RecordedLLM(path), prompt(("rules", "Be brief."), ("request", "How warm is Lima?")))
    said = str(caught.value)
    assert "line 2, but message 2 was (request) …'How warm is Oslo?'" in said
    assert "and is (request) …'How warm is Lima?'" in said
    assert "RecordedLLM(path, llm=...)" in said
    with pytest.raises(ScriptExhaustedError, match=r"this one goes on with 'Be quick\.'"):
        say(RecordedLLM(path), Prompt((*ASK.messages, Message("notice", "Be quick."))))
    with pytest.raises(ScriptExhaustedError, match="it goes on with 'How warm is Oslo"):
        say(RecordedLLM(path), Prompt(ASK.messages[:1]))


def test_a_reply_of_which_enough_was_read_is_recorded_that_far(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"

    async def read_some(llm: LLM) -> str:
        async with aclosing(llm.stream(ASK, Sampling())) as stream:
            delta = await anext(stream)
            assert isinstance(delta, TextDelta)
            return delta.text

    model = ScriptedLLM(["1. join()\nand so on"], chunk=10)
    assert anyio.run(read_some, RecordedLLM(path, model)) == "1. join()\n"
    assert anyio.run(read_some, RecordedLLM(path)) == "1. join()\n"
    with pytest.raises(ScriptExhaustedError, match=r"line 1 .* reads on"):
        say(RecordedLLM(path))


def test_an_interrupted_recording_keeps_the_replies_it_has(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"

    async def hang(asked: Prompt) -> str:
        if asked is not ASK:
            await anyio.sleep_forever()
        return "kept"

    async def main() -> None:
        recorder = RecordedLLM(path, FunctionLLM(hang))
        await collect(recorder)
        with anyio.move_on_after(1):
            await collect(recorder, prompt(("request", "Else?")))

    run_virtual(main)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    assert text_of(say(RecordedLLM(path))) == "kept"


def test_a_failed_call_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    broken = ScriptedLLM([Reply(error=EndpointError("u", "server", "fails"))])
    with pytest.raises(EndpointError):
        say(RecordedLLM(path, broken))
    assert not path.exists()


def test_a_file_that_is_missing_or_foreign_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    with pytest.raises(ConfigurationError, match=r"RecordedLLM\(path, llm=\.\.\.\)"):
        RecordedLLM(path)
    say(RecordedLLM(path, ScriptedLLM(["a"])))
    for line in ('{"half', "[]", '{"reply": "x"}', ""):
        path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"line 2 of .* is no recording: delete it"):
            RecordedLLM(path)
        path.write_text(path.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")


def test_closing_a_recorder_closes_its_model(tmp_path: Path) -> None:
    closed: list[bool] = []

    class Closable(ScriptedLLM):
        async def aclose(self) -> None:
            closed.append(True)

    anyio.run(RecordedLLM(tmp_path / "said.jsonl", Closable(["a"])).aclose)
    assert closed == [True]
