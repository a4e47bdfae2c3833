"""What does a model say that says what it was told to, in the pieces and at the pace it was told?

It does not know plans: a reply is text.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import anyio
import anyio.lowlevel

from llmcompiler.errors import ScriptExhaustedError
from llmcompiler.messages import Delta, Finished, FinishReason, Prompt, Sampling, TextDelta, Usage

__all__ = ["Call", "FunctionLLM", "Reply", "ScriptedLLM"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its text, how its stream ends, and an error to raise after the text, if any.

    `chunks` are the exact pieces to stream instead of `text`, which is then their sum.
    """

    text: str = ""
    reason: FinishReason = "stop"
    error: Exception | None = None
    chunks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.chunks is not None:
            whole = "".join(self.chunks)
            if self.text not in ("", whole):
                raise ValueError(f"text {self.text!r} and chunks {self.chunks!r} differ")
            object.__setattr__(self, "text", whole)


@dataclass(slots=True)
class Call:
    """One call of a double: what was asked, what was `said` so far, and whether it came to its end.

    `ended` stays False when the caller closed the stream early or an error was raised.
    """

    prompt: Prompt
    sampling: Sampling
    said: str = ""
    ended: bool = False


_Matcher: TypeAlias = str | Callable[[Prompt], bool]
_Answer: TypeAlias = str | Reply
_Script: TypeAlias = "Sequence[_Answer | tuple[_Matcher, _Answer]] | Mapping[str, _Answer]"
_Said: TypeAlias = "str | Iterable[str] | AsyncIterable[str]"


class ScriptedLLM:
    """A model that gives the replies it was given, and remembers what it was asked.

    Plain replies are given one per call, in order. A mapping, or pairs of a matcher and a reply,
    are given by what is asked, as often as it is asked, and before any plain reply: a text matches
    when it occurs in what the model has not answered yet (the messages after its last turn, rules
    apart), a function when it says so of the whole prompt; the first match wins.

    `chunk` is the length of a piece in characters (None: a reply is one piece), `delay` the
    seconds between pieces, `first_delay` those before the first; all of them by the event loop's
    clock, so that they cost nothing in virtual time. Counts of tokens are guesses.
    """

    def __init__(
        self,
        replies: _Script,
        *,
        chunk: int | None = None,
        delay: float = 0.0,
        first_delay: float = 0.0,
        name: str = "scripted",
    ) -> None:
        if isinstance(replies, str):
            raise TypeError("replies must be a sequence: write ScriptedLLM([reply])")
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be 1 or more, not {chunk!r}")
        entries = replies.items() if isinstance(replies, Mapping) else replies
        self._rules = [(entry[0], entry[1]) for entry in entries if isinstance(entry, tuple)]
        self._line = [entry for entry in entries if not isinstance(entry, tuple)]
        self._used: set[int] = set()
        self._given = 0
        self._pace = (chunk, delay, first_delay)
        self._name = name
        self.calls: list[Call] = []

    @property
    def name(self) -> str:
        """What the model is called."""
        return self._name

    @property
    def prompts(self) -> list[Prompt]:
        """Every prompt so far, oldest first."""
        return [call.prompt for call in self.calls]

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Give the reply that is due; raise `ScriptExhaustedError` where there is none."""
        call = Call(prompt, sampling)
        self.calls.append(call)
        answer = self._answer(prompt)
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        chunk, delay, first_delay = self._pace
        pieces = reply.chunks if reply.chunks is not None else _pieces(reply.text, chunk)
        await anyio.sleep(first_delay)
        for number, piece in enumerate(pieces):
            if number:
                await anyio.sleep(delay)
            call.said += piece
            yield TextDelta(piece)
        if reply.error is not None:
            raise reply.error
        call.ended = True
        yield Finished(reply.reason, _guess(prompt, call.said))

    async def aclose(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def assert_complete(self) -> None:
        """Raise AssertionError unless every reply was asked for at least once."""
        left = [repr(_text(answer)) for answer in self._line[self._given :]]
        left += [
            f"{_text(answer)!r} for {matcher!r}"
            for number, (matcher, answer) in enumerate(self._rules)
            if number not in self._used
        ]
        if left:
            raise AssertionError(f"{self._name!r} was never asked for: {', '.join(left)}")

    def _answer(self, prompt: Prompt) -> _Answer:
        new = _unanswered(prompt)
        for number, (matcher, answer) in enumerate(self._rules):
            if matcher in new if isinstance(matcher, str) else matcher(prompt):
                self._used.add(number)
                return answer
        if self._given < len(self._line):
            self._given += 1
            return self._line[self._given - 1]
        count = len(self._line)
        has = f"{count} {'reply' if count == 1 else 'replies'}" if count else "no reply for this"
        rules = [repr(matcher) for matcher, _ in self._rules]
        tried = f"; none of {', '.join(rules)} matches" if rules else ""
        raise ScriptExhaustedError(
            f"the scripted model {self._name!r} has {has} and was asked once more{tried}: "
            f"add a reply to what ends in {_tail(new)!r}"
        )


class FunctionLLM:
    """A model that says what `fn` returns for a prompt: a text, or its pieces one by one.

    `fn` may be a coroutine function or an async generator function; the time it takes between
    pieces is the model's. Counts of tokens are guesses.
    """

    def __init__(
        self, fn: Callable[[Prompt], _Said | Awaitable[_Said]], *, name: str = "function"
    ) -> None:
        self._fn = fn
        self._name = name
        self.calls: list[Call] = []

    @property
    def name(self) -> str:
        """What the model is called."""
        return self._name

    @property
    def prompts(self) -> list[Prompt]:
        """Every prompt so far, oldest first."""
        return [call.prompt for call in self.calls]

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Say what the function says; what it raises is raised here."""
        call = Call(prompt, sampling)
        self.calls.append(call)
        said = self._fn(prompt)
        if inspect.isawaitable(said):
            said = await said
        async with aclosing(_one_by_one(said)) as pieces:
            async for piece in pieces:
                call.said += piece
                yield TextDelta(piece)
        call.ended = True
        yield Finished("stop", _guess(prompt, call.said))

    async def aclose(self) -> None:
        """Do nothing: there is nothing to let go of."""


async def _one_by_one(said: _Said) -> AsyncGenerator[str, None]:
    if isinstance(said, AsyncIterable):
        try:
            async for piece in said:
                yield piece
        finally:
            if isinstance(said, AsyncGenerator):
                await said.aclose()
        return
    for piece in (said,) if isinstance(said, str) else said:
        await anyio.lowlevel.checkpoint()
        yield piece


def _pieces(text: str, size: int | None) -> tuple[str, ...]:
    if size is None:
        return (text,) if text else ()
    return tuple(text[start : start + size] for start in range(0, len(text), size))


def _guess(prompt: Prompt, said: str) -> Usage:
    asked = sum(len(message.text) for message in prompt.messages)
    return Usage(asked // 4, 0, len(said) // 4, 1, estimated=True)


def _unanswered(prompt: Prompt) -> str:
    """Return the text after the model's last turn, without rules."""
    new: list[str] = []
    for message in prompt.messages:
        if message.kind == "turn":
            new.clear()
        elif message.kind != "rules":
            new.append(message.text)
    return "\n".join(new)


def _text(answer: _Answer) -> str:
    return answer.text if isinstance(answer, Reply) else answer


def _tail(text: str) -> str:
    return text if len(text) <= 200 else "…" + text[-200:]
