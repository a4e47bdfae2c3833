"""How does a GGUF model on this machine go on from a conversation, as an `LLM`?

It does not know llama.cpp or tokens: the engine computes, the template lays out, this is the door.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import to_thread

from llmcompiler.engine.binding import binding
from llmcompiler.engine.gguf import Header, read_header
from llmcompiler.engine.mailbox import Mailbox
from llmcompiler.engine.options import EngineOptions, read_options
from llmcompiler.engine.request import (
    BACKGROUND,
    Ended,
    Failed,
    Job,
    Output,
    Piece,
    Progress,
    Request,
)
from llmcompiler.errors import ConfigurationError, LLMCompilerError, ModelError, ModelFileError
from llmcompiler.llms.assembly import Written, assemble, lost_tokens
from llmcompiler.llms.template import CHATML, ChatTemplate, Part
from llmcompiler.messages import (
    Delta,
    Finished,
    Logprob,
    Message,
    Prompt,
    Sampling,
    TextDelta,
    Usage,
)

if TYPE_CHECKING:
    from llmcompiler.engine.loop import Engine

__all__ = ["LocalLLM", "Reply"]

_log = logging.getLogger("llmcompiler.llms.local")

# What ends a turn for a model without a template, whose vocabulary may not know ChatML's marks.
_CHATML_STOP = "<|im_end|>"

_AHEAD = 16  # conversations that may be computed ahead at a time


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, how it ended, and the logprobs of its tokens if they were asked for."""

    text: str
    finished: Finished
    logprobs: tuple[Logprob, ...] = ()


class LocalLLM:
    """A GGUF model in this process, on a thread of its own; of one in parts `path` is the first.

    The file's header is read at once, so that a wrong file is told early; the weights are loaded,
    off the event loop, by the first request or by `load`. Requests are computed together, as many
    as `rows` at a time, and what a prompt shares with any that is still in the cache is not
    computed again. After `aclose` the next request loads the weights anew.

    Raises:
        ModelFileError: the file is missing, is not GGUF, or is truncated.
        ConfigurationError: an option does not fit.
    """

    def __init__(
        self, path: str | Path, options: EngineOptions | Mapping[str, Any] | None = None
    ) -> None:
        self._options = (
            options if isinstance(options, EngineOptions) else read_options(options or {})
        )
        self._header = read_header(path)
        self._loading = threading.Lock()
        self._loaded: _Loaded | None = None
        self._ahead: list[tuple[tuple[Message, ...], Job]] = []
        self._hints_end = threading.Event()

    @classmethod
    async def load(
        cls, path: str | Path, options: EngineOptions | Mapping[str, Any] | None = None
    ) -> LocalLLM:
        """Open a model and load its weights now, so that the first request need not wait.

        Raises:
            ModelFileError: the file cannot be used.
            ConfigurationError: an option does not fit this machine or this model.
            MissingExtraError: the packages of the local back end are not installed.
        """
        llm = await to_thread.run_sync(cls, path, options)
        await llm._ready()
        return llm

    @property
    def name(self) -> str:
        """The name that the file gives the model, or the file's own."""
        return self._header.text("general.name") or self._header.path.name

    @property
    def mends(self) -> int | None:
        """How many turns of mends the file says that its model is good at; None if it does not."""
        said = self._header.metadata.get("llmcompiler.mends")
        return said if isinstance(said, int) and not isinstance(said, bool) else None

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt`; closing the iterator stops the generation within a step.

        Raises:
            ContextLengthError: the prompt and one token more do not fit the context.
            ModelError: nothing was evaluated or written for `sampling.timeout` seconds; waiting for
                requests that came before does not count.
            MissingExtraError: a grammar is asked for and llguidance is not installed.
        """
        loaded = await self._ready()
        mailbox: Mailbox[Output] = Mailbox()
        job = loaded.engine.submit(loaded.request(prompt, sampling), mailbox.put)
        begun = False
        patience: float | None = None
        try:
            while True:
                output: Output | None = None
                with anyio.move_on_after(patience):
                    output = await mailbox.get()
                delta = _delta(output, sampling.timeout, begun=begun)
                patience = sampling.timeout
                if delta is None:
                    continue
                begun = True
                yield delta
                if isinstance(delta, Finished):
                    return
        finally:
            job.cancel()

    async def sample(self, prompt: Prompt, sampling: Sampling, count: int) -> list[Reply]:
        """Write `count` replies to one prompt, together; the prompt is computed once.

        Where a seed is given, each reply has the next.

        Raises:
            ModelError: one of them failed; the others are stopped.
        """
        replies: list[Reply | None] = [None] * count

        async def write(place: int) -> None:
            seed = None if sampling.seed is None else sampling.seed + place
            text, logprobs = "", tuple[Logprob, ...]()
            async for delta in self.stream(prompt, replace(sampling, seed=seed)):
                if isinstance(delta, Finished):
                    replies[place] = Reply(text, delta, logprobs)
                else:
                    text, logprobs = text + delta.text, logprobs + delta.logprobs

        try:
            async with anyio.create_task_group() as group:
                for place in range(count):
                    group.start_soon(write, place)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [reply for reply in replies if reply is not None]

    def anticipate(self, messages: tuple[Message, ...]) -> None:
        """Compute what prompts that begin with `messages` have in common, while nothing else waits.

        A hint: it returns at once and never fails. The first one begins to load the weights.
        """
        loaded = self._loaded
        if loaded is None:
            loading = threading.Thread(
                target=self._load_ahead,
                args=(messages, self._hints_end),
                name="llmcompiler-loading",
                daemon=True,
            )
            loading.start()
            return
        ahead = []
        for before, job in self._ahead[-_AHEAD:]:
            if before == messages[: len(before)]:
                job.cancel()
            else:
                ahead.append((before, job))
        try:
            job = loaded.engine.submit(loaded.beginning(messages), lambda output: None)
        except ModelError:  # it is being closed
            return
        self._ahead = [*ahead, (messages, job)]

    async def warm(self, messages: tuple[Message, ...]) -> None:
        """Load the weights, compute what prompts that begin with `messages` share, and keep it.

        With a `cache_dir` it is on disk from then on, and the next process begins with it.

        Raises:
            ModelError: it could not be computed.
            ContextLengthError: it does not fit the context.
        """
        loaded = await self._ready()
        mailbox: Mailbox[Output] = Mailbox()
        job = loaded.engine.submit(loaded.beginning(messages, keep=True), mailbox.put)
        try:
            while True:
                match await mailbox.get():
                    case Ended("stop"):
                        return
                    case Ended():
                        raise ModelError("the model was closed while it read: load it again")
                    case Failed(error):
                        raise error
                    case _:
                        pass
        finally:
            job.cancel()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text, of length 1; near ones are of texts that mean alike.

        How much alike depends on the model: one that was trained for it is the better judge.

        Raises:
            ContextLengthError: a text does not fit the context.
            ConfigurationError: there is no memory for the longest text.
            ModelError: a text is empty, or the model was closed meanwhile.
        """
        loaded = await self._ready()
        stopped = threading.Event()
        try:
            found = await to_thread.run_sync(
                loaded.engine.embed, tuple(texts), stopped.is_set, abandon_on_cancel=True
            )
        finally:
            stopped.set()
        return cast("list[list[float]]", found.tolist())

    async def aclose(self) -> None:
        """Stop what is under way, which ends as cut, and free the model's memory."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close)

    async def _ready(self) -> _Loaded:
        if self._loaded is not None and self._loaded.engine.alive:
            return self._loaded
        stopped = threading.Event()
        try:
            return await to_thread.run_sync(self._load, stopped, abandon_on_cancel=True)
        finally:
            stopped.set()

    def _load(self, stopped: threading.Event) -> _Loaded:
        """Load the weights unless they are; whoever waits for the same may have given up."""
        with self._loading:
            if self._loaded is not None and not self._loaded.engine.alive:
                self._loaded.engine.close()  # it broke, and its end has been told
                self._loaded = None
            if self._loaded is None and stopped.is_set():
                raise ModelError(f"loading {self._header.path.name!r} was stopped")
            if self._loaded is None:
                self._loaded = _Loaded.start(self._header, self._options, stopped.is_set)
            return self._loaded

    def _load_ahead(self, messages: tuple[Message, ...], stopped: threading.Event) -> None:
        try:
            self._load(stopped)
        except LLMCompilerError as error:  # whoever asks next is told
            _log.debug("loading ahead failed: %s", error)
        else:
            if not stopped.is_set():
                self.anticipate(messages)

    def _close(self) -> None:
        self._hints_end.set()  # a hint that still loads gives up, one that comes late does nothing
        self._hints_end = threading.Event()
        with self._loading:
            if self._loaded is not None:
                self._loaded.engine.close()
                self._loaded = None
                self._ahead.clear()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model at work: its engine, and what turns conversations into its tokens."""

    engine: Engine
    template: ChatTemplate
    written: Written
    stops: tuple[str, ...]

    @classmethod
    def start(cls, header: Header, options: EngineOptions, stopped: Callable[[], bool]) -> _Loaded:
        binding()  # says what to install where it is missing: the rest needs numpy, too
        from llmcompiler.engine.loop import Engine

        engine = Engine.open(header, options, stopped)
        source = header.text("tokenizer.chat_template")
        try:
            template = ChatTemplate(source or CHATML, engine.model.marks)
        except ConfigurationError as error:
            engine.close()
            raise ModelFileError(str(header.path), str(error)) from None
        stops = () if source else (_CHATML_STOP,)
        return cls(engine, template, Written(engine.model), stops)

    def request(self, prompt: Prompt, sampling: Sampling) -> Request:
        """Put `prompt` in the engine's words."""
        return Request(
            prompt=partial(self._whole, prompt.messages),
            wrote=self.written.remember,
            sampling=replace(sampling, stop=(*sampling.stop, *self.stops)),
            grammar=prompt.grammar,
            schema=prompt.schema,
            sources=_sources(prompt.messages),
            priority=sampling.priority,
        )

    def beginning(self, messages: tuple[Message, ...], *, keep: bool = False) -> Request:
        """Ask for what prompts that begin with `messages` share to be computed."""
        return Request(
            prompt=lambda: self._tokens(self.template.prefix(messages)),
            priority=0 if keep else BACKGROUND,
            silent=True,
            keep=keep,
        )

    def _whole(self, messages: tuple[Message, ...]) -> list[int]:
        tokens = self._tokens(self.template.render(messages))
        if forgotten := self.template.forgotten(messages):
            lost = lost_tokens(self._tokens(forgotten), tokens)
            _log.info("the chat template begins anew: %d tokens are not used again", lost)
        return tokens

    def _tokens(self, parts: tuple[Part, ...]) -> list[int]:
        return assemble(parts, self.engine.model, self.written)


def _sources(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """Return what the model was told since the last request, that included."""
    first = max((i for i, each in enumerate(messages) if each.kind == "request"), default=0)
    return tuple(each.text for each in messages[first:] if each.kind not in ("rules", "turn"))


def _delta(output: Output | None, timeout: float, *, begun: bool) -> Delta | None:
    """Put what the engine says in the words of an `LLM`; nothing at all is a timeout."""
    match output:
        case Progress():
            return None
        case Piece(text, logprobs):
            return TextDelta(text, logprobs)
        case Ended(reason, usage, figures):
            return Finished(reason, usage, figures)
        case Failed(error) if not begun:
            raise error
        case Failed(error):
            _log.warning("the reply was cut: %s", error)
        case None if not begun:
            raise ModelError(
                f"the model did nothing for {timeout:g} s: "
                f"take a smaller model or raise the timeout"
            )
        case None:
            _log.warning("the reply was cut: nothing for %g s", timeout)
    return Finished("cut", Usage(model_calls=1, estimated=True))
