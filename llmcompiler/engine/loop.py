"""How does a request become a stream of text: admit, batch, evaluate, choose, deliver?

One thread owns the model and serves requests in the order in which they came; it does not know
event loops or conversations, and hands what it makes to a callable that must not block.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TypeAlias

from llmcompiler.engine.batcher import next_batch
from llmcompiler.engine.cache import PrefixCache
from llmcompiler.engine.constraint import Constraint, GrammarCompiler, schema_grammar
from llmcompiler.engine.model import Model
from llmcompiler.engine.quotes import METADATA_KEY, Quotes
from llmcompiler.engine.sampler import Sampler
from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.errors import ContextLengthError, LLMCompilerError, ModelError
from llmcompiler.messages import FinishReason, Sampling, Usage

__all__ = ["Ended", "Engine", "Failed", "Job", "Output", "Piece", "Progress", "Request"]

_log = logging.getLogger("llmcompiler.engine")
_EXIT_PATIENCE = 10.0  # seconds that an exiting interpreter waits for the step in progress


@dataclass(frozen=True, slots=True)
class Request:
    """What to go on from, how to choose, and what the reply is held to.

    `prompt` makes the token ids and `wrote` hears which were generated, in whole or in part; both
    are called on the engine's thread, where the vocabulary may be used. `grammar` is llguidance's,
    `schema` a JSON Schema for where there is none. `sources` are the texts that may be quoted, if
    the model asks for quotes.
    """

    prompt: Callable[[], Sequence[int]]
    wrote: Callable[[Sequence[int]], None]
    sampling: Sampling = field(default_factory=Sampling)
    grammar: str | None = None
    schema: dict[str, object] | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """The request left the queue, or a part of its prompt was evaluated: it is being worked on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that may be shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The reply is over; nothing follows."""

    reason: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed; nothing follows."""

    error: LLMCompilerError


Output: TypeAlias = "Progress | Piece | Ended | Failed"


class Job:
    """A request on its way through the engine."""

    __slots__ = ("_deliver", "cancelled", "request")

    def __init__(self, request: Request, deliver: Callable[[Output], None]) -> None:
        self.request = request
        self.cancelled = False
        self._deliver = deliver

    def cancel(self) -> None:
        """Stop generating after the step in progress; any thread may ask for it."""
        self.cancelled = True

    def deliver(self, output: Output) -> None:
        """Hand something to whoever asked; one that cannot take it any more has gone away."""
        try:
            self._deliver(output)
        except RuntimeError:  # its event loop is closed
            self.cancelled = True


class Engine:
    """A model at work on its own thread. It owns the model: `close` frees it.

    An engine that is dropped, or alive at the interpreter's exit, closes itself.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._worker = _Worker(model)
        self._thread = threading.Thread(
            target=self._worker.run, name="llmcompiler-engine", daemon=True
        )
        self._close = weakref.finalize(self, _stop, self._worker, self._thread, _EXIT_PATIENCE)
        self._thread.start()

    def submit(self, request: Request, deliver: Callable[[Output], None]) -> Job:
        """Queue a request; `deliver` gets its outputs, called on the engine's thread.

        Raises:
            ModelError: the engine was closed.
        """
        job = Job(request, deliver)
        self._worker.queue(job)
        return job

    def close(self) -> None:
        """Stop after the step in progress, fail what is queued and free the model; blocks."""
        self._close.detach()
        _stop(self._worker, self._thread, None)


def _stop(worker: _Worker, thread: threading.Thread, patience: float | None) -> None:
    worker.stop()
    if thread is not threading.current_thread():
        thread.join(patience)
        if thread.is_alive():
            worker.model.abandon()


@dataclass(slots=True)
class _Slot:
    """A request that is being served."""

    job: Job
    sequence: TokenSequence
    sampler: Sampler
    constraint: Constraint | None
    text: TextStream
    limit: int


class _Worker:
    """What the engine's thread does; only `queue` and `stop` are for other threads."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._cache = PrefixCache()
        self._compiler = GrammarCompiler(model.table)
        self._wanted = tuple((model.header.text(METADATA_KEY) or "").split(","))
        self._inbox: SimpleQueue[Job | None] = SimpleQueue()
        self._door = threading.Lock()
        self._stopping = False

    def queue(self, job: Job) -> None:
        with self._door:
            if self._stopping:
                raise ModelError("the model was closed: load it again")
            self._inbox.put(job)

    def stop(self) -> None:
        with self._door:
            if not self._stopping:
                self._stopping = True
                self._inbox.put(None)

    def run(self) -> None:
        """Serve until told to stop, then free the model."""
        try:
            while (job := self._inbox.get()) is not None:
                if self._stopping:
                    job.deliver(Failed(ModelError("the model was closed: load it again")))
                elif not job.cancelled:
                    self._serve(job)
        finally:
            self.model.close()

    def _serve(self, job: Job) -> None:
        """Take one request to its end; whatever goes wrong is this request's failure alone."""
        try:
            slot = self._admit(job)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            job.deliver(Failed(_typed(error)))
            return
        try:
            while (reason := self._step(slot)) is None:
                pass
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            self._forget()
            job.deliver(Failed(_typed(error)))
            return
        job.request.wrote(slot.sequence.generated)
        self._deliver(slot, slot.text.finish())
        job.deliver(Ended(reason, _usage(slot.sequence)))

    def _admit(self, job: Job) -> _Slot:
        """Make everything ready for the first step; the cache is trimmed to the shared prefix."""
        job.deliver(Progress())
        request = job.request
        sequence = TokenSequence(request.prompt())
        room = self.model.n_ctx - sequence.prompt_length
        if room < 1:
            raise ContextLengthError(sequence.prompt_length + 1, self.model.n_ctx)
        if not sequence.prompt_length:
            raise ModelError("the prompt is empty: there is nothing to go on from")
        slot = _Slot(
            job,
            sequence,
            Sampler(request.sampling),
            self._constraint(request),
            TextStream(request.sampling.stop),
            min(room, request.sampling.max_tokens or room),
        )
        reusable = self._cache.reusable(sequence.tokens)
        if reusable < len(self._cache):
            if reusable and self.model.trim(reusable):
                self._cache.keep(reusable)
            else:
                self._forget()
        sequence.reused = sequence.evaluated = len(self._cache)
        return slot

    def _constraint(self, request: Request) -> Constraint | None:
        grammar = request.grammar
        if grammar is None and request.schema is not None:
            grammar = schema_grammar(request.schema)
        quotes = Quotes(self._wanted, request.sources) if any(self._wanted) else None
        if grammar is None and quotes is None:
            return None
        return Constraint(
            None if grammar is None else self._compiler.matcher(grammar),
            quotes,
            n_vocab=self.model.n_vocab,
            end_tokens=self.model.end_tokens,
            piece=self.model.piece,
        )

    def _step(self, slot: _Slot) -> FinishReason | None:
        """Evaluate one batch and, at the end of the sequence, choose a token; say when it is over."""
        if slot.job.cancelled or self._stopping:
            return "cut"
        sequence = slot.sequence
        batch = next_batch(sequence.tokens, sequence.evaluated, self.model.chunk)
        self.model.evaluate(batch)
        self._cache.add(batch.tokens)
        sequence.evaluated += len(batch.tokens)
        if not batch.wants_logits:
            slot.job.deliver(Progress())
            return None
        token = self._choose(slot)
        if token in self.model.end_tokens:
            return "stop"
        sequence.tokens.append(token)
        if slot.constraint is not None:
            slot.constraint.advance(token)
        self._deliver(slot, slot.text.push(self.model.piece(token)))
        if slot.text.stopped or (slot.constraint is not None and slot.constraint.complete):
            return "stop"
        return "length" if sequence.generated_length >= slot.limit else None

    def _choose(self, slot: _Slot) -> int:
        logits = self.model.logits()
        if slot.constraint is None:
            return slot.sampler.pick(logits)
        return slot.constraint.choose(logits, slot.sampler)

    def _deliver(self, slot: _Slot, text: str) -> None:
        if text:
            slot.job.deliver(Piece(text))

    def _forget(self) -> None:
        """Empty the cache, because what it holds is unknown or of no use."""
        self.model.clear()
        self._cache.keep(0)


def _usage(sequence: TokenSequence) -> Usage:
    return Usage(sequence.prompt_length, sequence.reused, sequence.generated_length, 1)


def _typed(error: Exception) -> LLMCompilerError:
    if isinstance(error, LLMCompilerError):
        return error
    _log.error("the engine failed", exc_info=error)
    failure = ModelError(f"the engine failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
