"""How does a GGUF model on this machine go on from a conversation, as an `LLM`?

It does not know llama.cpp or tokens: the engine computes, the template lays out, this is the door.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.mailbox import Mailbox
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions, read_options
from llmcompiler.errors import ConfigurationError, ModelError, ModelFileError
from llmcompiler.llms.assembly import Written, assemble
from llmcompiler.llms.template import CHATML, ChatTemplate
from llmcompiler.messages import Delta, Finished, Message, Prompt, Sampling, TextDelta, Usage

if TYPE_CHECKING:
    from llmcompiler.engine.loop import Engine, Output, Request

__all__ = ["LocalLLM"]

_log = logging.getLogger("llmcompiler.llms.local")

# What ends a turn for a model without a template, whose vocabulary may not know ChatML's marks.
_CHATML_STOP = "<|im_end|>"


class LocalLLM:
    """A GGUF model in this process, on a thread of its own.

    The file's header is read at once, so that a wrong file is told early; the weights are loaded,
    off the event loop, by the first request or by `load`. Requests are served one after another,
    in the order in which they come, and what a prompt shares with the last one is not computed
    again. After `aclose` the next request loads the weights anew.

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

    async def aclose(self) -> None:
        """Stop what is under way, which ends as cut, and free the model's memory."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close)

    async def _ready(self) -> _Loaded:
        if self._loaded is not None:
            return self._loaded
        stopped = threading.Event()
        try:
            return await to_thread.run_sync(self._load, stopped, abandon_on_cancel=True)
        finally:
            stopped.set()

    def _load(self, stopped: threading.Event) -> _Loaded:
        """Load the weights unless they are; whoever waits for the same may have given up."""
        with self._loading:
            if self._loaded is None:
                model = Model(self._header, self._options, stopped.is_set)
                self._loaded = _Loaded.start(model)
            return self._loaded

    def _close(self) -> None:
        with self._loading:
            if self._loaded is not None:
                self._loaded.engine.close()
                self._loaded = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model at work: its engine, and what turns conversations into its tokens."""

    engine: Engine
    template: ChatTemplate
    written: Written
    stops: tuple[str, ...]

    @classmethod
    def start(cls, model: Model) -> _Loaded:
        from llmcompiler.engine.loop import Engine  # needs numpy, which loading has asked for

        source = model.header.text("tokenizer.chat_template")
        try:
            template = ChatTemplate(source or CHATML, model.marks)
        except ConfigurationError as error:
            model.close()
            raise ModelFileError(str(model.header.path), str(error)) from None
        stops = () if source else (_CHATML_STOP,)
        return cls(Engine(model), template, Written(model), stops)

    def request(self, prompt: Prompt, sampling: Sampling) -> Request:
        """Put `prompt` in the engine's words."""
        from llmcompiler.engine.loop import Request

        def tokens() -> list[int]:
            return assemble(self.template.render(prompt.messages), self.engine.model, self.written)

        return Request(
            prompt=tokens,
            wrote=self.written.remember,
            sampling=replace(sampling, stop=(*sampling.stop, *self.stops)),
            grammar=prompt.grammar,
            schema=prompt.schema,
            sources=_sources(prompt.messages),
        )


def _sources(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """Return what the model was told since the last request, that included."""
    first = max((i for i, each in enumerate(messages) if each.kind == "request"), default=0)
    return tuple(each.text for each in messages[first:] if each.kind not in ("rules", "turn"))


def _delta(output: Output | None, timeout: float, *, begun: bool) -> Delta | None:
    """Put what the engine says in the words of an `LLM`; nothing at all is a timeout."""
    from llmcompiler.engine.loop import Ended, Failed, Piece, Progress

    match output:
        case Progress():
            return None
        case Piece(text):
            return TextDelta(text)
        case Ended(reason, usage):
            return Finished(reason, usage)
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
