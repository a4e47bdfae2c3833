"""What did a real model say to this prompt, and how does a test hear it again without the model?

It does not know what was asked for: prompts are matched by what they say.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Any

import anyio

from llmcompiler.errors import ConfigurationError, ScriptExhaustedError
from llmcompiler.messages import (
    LLM,
    Delta,
    Finished,
    FinishReason,
    Message,
    Prompt,
    Sampling,
    TextDelta,
    Usage,
)

__all__ = ["RecordedLLM"]


@dataclass(frozen=True, slots=True)
class _Recording:
    """One line of a file. `reason` None: the caller had read enough and closed the stream."""

    messages: tuple[tuple[str, str], ...]
    text: str
    reason: FinishReason | None
    usage: Usage
    line: int


class RecordedLLM:
    """A model whose replies are kept in a file, so that they need a model only once.

    With `llm`, a prompt that the file does not know goes to it, and its reply is added to the
    file; without, it raises `ScriptExhaustedError`. Delete the file to record everything anew.
    The file is JSON Lines, one reply a line, each on disk as soon as its reply has ended, so that
    an interrupted recording keeps what it has.

    Prompts are the same when their messages are; neighbouring observations may come in any order,
    since it is that of completion. Grammar, schema and sampling play no part. A reply is given
    again in pieces of `chunk` characters (None: in one), `delay` seconds between them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        llm: LLM | None = None,
        *,
        chunk: int | None = None,
        delay: float = 0.0,
    ) -> None:
        self._path = Path(path)
        self._llm = llm
        self._chunk = chunk
        self._delay = delay
        recordings = _load(self._path)
        self._lines = len(recordings)
        self._known = {_key(recording.messages): recording for recording in recordings}
        if llm is None and not self._known:
            raise ConfigurationError(
                f"there are no recordings in {str(self._path)!r}: "
                f"record some with RecordedLLM(path, llm=...)"
            )

    @property
    def name(self) -> str:
        """The recorded model's name, or the file's where there is no model."""
        return self._llm.name if self._llm is not None else self._path.stem

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Give the recorded reply again, or ask the model and record it."""
        messages = _comparable(prompt.messages)
        known = self._known.get(_key(messages))
        if known is not None:
            source = self._replay(known)
        elif self._llm is not None:
            source = self._record(self._llm, prompt, sampling, messages)
        else:
            raise ScriptExhaustedError(self._unknown(messages))
        async with aclosing(source):
            async for delta in source:
                yield delta

    async def aclose(self) -> None:
        """Close the model, if there is one."""
        if self._llm is not None:
            await self._llm.aclose()

    async def _replay(self, known: _Recording) -> AsyncGenerator[Delta, None]:
        size = self._chunk or max(1, len(known.text))
        for start in range(0, len(known.text), size):
            await anyio.sleep(self._delay if start else 0)
            yield TextDelta(known.text[start : start + size])
        if known.reason is None:
            raise ScriptExhaustedError(
                f"the recording in line {known.line} of {str(self._path)!r} ends where its reader "
                f"stopped, and this one reads on: delete the line and record it again"
            )
        yield Finished(known.reason, known.usage)

    async def _record(
        self, llm: LLM, prompt: Prompt, sampling: Sampling, messages: tuple[tuple[str, str], ...]
    ) -> AsyncGenerator[Delta, None]:
        said: list[str] = []
        try:
            async with aclosing(llm.stream(prompt, sampling)) as stream:
                async for delta in stream:
                    match delta:
                        case TextDelta(text):
                            said.append(text)
                        case Finished(reason, usage):
                            self._add(messages, "".join(said), reason, usage)
                    yield delta
        except GeneratorExit:  # the caller has what it wanted: a plan ends with its join()
            if said and _key(messages) not in self._known:
                usage = Usage(0, 0, sum(map(len, said)) // 4, 1, estimated=True)
                self._add(messages, "".join(said), None, usage)
            raise

    def _add(
        self,
        messages: tuple[tuple[str, str], ...],
        text: str,
        reason: FinishReason | None,
        usage: Usage,
    ) -> None:
        self._lines += 1
        self._known[_key(messages)] = _Recording(messages, text, reason, usage, self._lines)
        entry = {
            "model": self.name,
            "reply": text,
            "reason": reason,
            "usage": {name: getattr(usage, name) for name in _USAGE},
            "messages": [{"kind": kind, "text": text} for kind, text in messages],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _unknown(self, messages: tuple[tuple[str, str], ...]) -> str:
        closest = max(self._known.values(), key=lambda known: _likeness(known.messages, messages))
        return (
            f"no recording in {str(self._path)!r} fits this prompt; the closest is in line "
            f"{closest.line}, but {_difference(closest.messages, messages)}: "
            f"to record it, run once with RecordedLLM(path, llm=...)"
        )


_USAGE = ("prompt_tokens", "reused_tokens", "completion_tokens", "model_calls", "estimated")


def _comparable(messages: Iterable[Message]) -> tuple[tuple[str, str], ...]:
    """Return messages as pairs, each run of observations sorted."""
    pairs: list[tuple[str, str]] = []
    run: list[tuple[str, str]] = []
    for message in messages:
        pair = (message.kind, message.text)
        if message.kind == "observation":
            run.append(pair)
            continue
        pairs += [*sorted(run), pair]
        run.clear()
    return (*pairs, *sorted(run))


def _key(messages: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps(messages).encode()).hexdigest()


def _load(path: Path) -> list[_Recording]:
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    recordings: list[_Recording] = []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            recordings.append(_recording(json.loads(line), number))
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"line {number} of {str(path)!r} is no recording: delete it and record it again"
            ) from error
    return recordings


def _recording(entry: dict[str, Any], line: int) -> _Recording:
    messages = tuple((str(message["kind"]), str(message["text"])) for message in entry["messages"])
    if entry["reason"] not in ("stop", "length", "cut", None):
        raise ValueError(entry["reason"])
    usage = Usage(**entry["usage"])
    return _Recording(messages, str(entry["reply"]), entry["reason"], usage, line)


def _likeness(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> float:
    """Return how much two conversations share, 0 to 2: their beginnings count before their words."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    was, is_now = (" ".join(text for _, text in side[same:])[:2000] for side in (old, new))
    words = difflib.SequenceMatcher(a=was, b=is_now, autojunk=False).ratio()
    return same / max(len(old), len(new), 1) + words


def _difference(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> str:
    for number, (was, is_now) in enumerate(zip(old, new, strict=False), 1):
        if was != is_now:
            start = len(commonpath([was[1], is_now[1]]))
            here, there = (
                f"({kind}) …{text[max(0, start - 20) :][:80]!r}" for kind, text in (was, is_now)
            )
            return f"message {number} was {here} and is {there}"
    if len(old) > len(new):
        return f"it goes on with {old[len(new)][1][:80]!r}"
    return f"this one goes on with {new[len(old)][1][:80]!r}"
