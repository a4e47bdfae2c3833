"""How is a model put to work on a thread of its own, and how do requests reach it?

It puts the rooms of the engine together; it does not know event loops or conversations, and hands
what is made to a callable that must not block.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llmcompiler.engine.binding import version
from llmcompiler.engine.constraint import Constraint, GrammarCompiler
from llmcompiler.engine.context import Context
from llmcompiler.engine.cost import WIDTHS, CostCurve, DraftPolicy, measure
from llmcompiler.engine.devices import free_memory
from llmcompiler.engine.draft_model import DraftEngine
from llmcompiler.engine.drafts import Drafts, Forms, NgramDrafts
from llmcompiler.engine.embedding import EmbeddingContext
from llmcompiler.engine.figures import Meter
from llmcompiler.engine.gguf import Header, read_header
from llmcompiler.engine.live import Live
from llmcompiler.engine.memory import MemoryPlan, plan_memory
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.quotes import METADATA_KEY, Quotes
from llmcompiler.engine.request import Job, Output, Request
from llmcompiler.engine.sampler import PENALTY_WINDOW, Sampler
from llmcompiler.engine.seats import Seats
from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.engine.store import StateStore, fingerprint
from llmcompiler.engine.threads import share_threads
from llmcompiler.engine.tree_cache import TreePrefixCache
from llmcompiler.engine.worker import Desk, Worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Engine"]

_log = logging.getLogger("llmcompiler.engine")
_EXIT_PATIENCE = 10.0  # seconds that an exiting interpreter waits for the step in progress
_INDEXED = 4096  # tokens at a prompt's end that drafts are copied from
_TRIES = 20  # to measure that curve while nobody asks
_PATIENCE = 0.03  # seconds that somebody who comes meanwhile is let wait
_MEASURING = 1.0  # seconds for measuring the cost curve


class Engine:
    """A model at work on its own thread. It owns the model: `close` frees it.

    An engine that is dropped, or alive at the interpreter's exit, closes itself.
    """

    def __init__(self, model: Model, options: EngineOptions, plan: MemoryPlan) -> None:
        self.model = model
        try:
            self._setting = _Setting(model, options, plan)
            self._embedding = EmbeddingContext(model, options)
        except BaseException:
            model.close()
            raise
        self._worker = self._setting.worker
        self._thread = threading.Thread(
            target=self._setting.run, name="llmcompiler-engine", daemon=True
        )
        self._close = weakref.finalize(self, _stop, self._setting, self._thread, _EXIT_PATIENCE)
        self._thread.start()

    @classmethod
    def open(
        cls, header: Header, options: EngineOptions, stopped: Callable[[], bool] = lambda: False
    ) -> Engine:
        """Load a model, as much of it on GPUs and as large a cache as the free memory allows.

        Raises:
            ModelError: loading was stopped.
            ModelFileError: llama.cpp refuses the file.
            ConfigurationError: an option does not fit this machine or this model.
            MissingExtraError: the packages of the local back end are not installed.
        """
        small = None if options.draft_model is None else read_header(options.draft_model)
        plan = plan_memory(header, options, free_memory(), small)
        options = replace(options, n_ctx=plan.n_ctx, n_gpu_layers=plan.n_gpu_layers)
        return cls(Model(header, options, stopped), options, plan)

    @property
    def alive(self) -> bool:
        """Whether requests are taken: not after `close`, nor when it broke for good."""
        return not self._worker.inbox.closed

    @property
    def context(self) -> Context:
        """The context that is computed with; its own thread uses it."""
        return self._worker.context

    @property
    def seats(self) -> Seats:
        """Who sits where, and what is remembered; its own thread changes it."""
        return self._setting.seats

    def wait_rested(self, timeout: float | None = None) -> bool:
        """Wait until all is done that is better done before it is needed, while nobody asks.

        Until then grammars and guesses cost more, or are not made; for measurements and tests.
        """
        return self._worker.inbox.rested.wait(timeout)

    def submit(self, request: Request, deliver: Callable[[Output], None]) -> Job:
        """Queue a request; `deliver` gets its outputs, called on the engine's thread.

        Raises:
            ModelError: the engine was closed.
        """
        job = Job(request, deliver)
        self._worker.queue(job)
        return job

    def embed(
        self, texts: Sequence[str], stopped: Callable[[], bool] = lambda: False
    ) -> NDArray[np.float32]:
        """Compute the vectors of texts, shape (texts, width), each of length 1; blocks.

        The memory for it is taken by the first call. It is computed on the caller's thread, beside
        what is being written; `stopped` is asked now and then whether to give up.

        Raises:
            ContextLengthError: a text is too long.
            ConfigurationError: there is no memory for the longest text.
            ModelError: a text is empty, the engine was closed, or it was stopped.
        """
        tokens = [self._embedding.tokens(text) for text in texts]
        return self._embedding.embed(tokens, stopped=stopped)

    def close(self) -> None:
        """Stop after the step in progress, fail what is queued and free the model; blocks."""
        self._close.detach()
        _stop(self._setting, self._thread, None)


class _Interrupted(Exception):
    """Somebody asks for something: that comes first."""


class _Setting:
    """The engine's rooms, put together around one model; `run` is for the engine's thread."""

    def __init__(self, model: Model, options: EngineOptions, plan: MemoryPlan) -> None:
        self._model = model
        self._options = options
        self._plan = plan
        self._compiler = GrammarCompiler(model)
        self._forms = Forms(model.piece)
        self._wanted = tuple((model.header.text(METADATA_KEY) or "").split(","))
        self._guesser: DraftEngine | None = None
        self._curve: CostCurve | None = None
        self._passes: dict[int, list[float]] = {}  # measured for that curve so far
        self._read = False
        self._tries = _TRIES
        if options.draft_model is not None:
            small = options.of_draft(plan.draft_ctx)
            self._guesser = DraftEngine(
                Model(read_header(options.draft_model), small),
                model,
                small,
                n_slots=min(options.rows, plan.n_seq),
                n_cells=plan.n_cells,
            )
        context = self._context()
        self.seats = Seats(context, TreePrefixCache(), _store(model, context, options))
        self.worker = Worker(
            Desk(
                context=context,
                seats=self.seats,
                threads=share_threads(options.threads),
                open_live=self._live,
                open_context=self._context,
                chore=self._prepare,
                fill=self._fill,
                rows=min(options.rows, context.n_slots),
                alone=options.reproducible,
            )
        )

    def run(self) -> None:
        """Serve until told to stop, and free the model at the end."""
        try:
            self.worker.run()
        finally:
            if self._guesser is not None:
                self._guesser.close()
            self._model.close()

    def _prepare(self, somebody: Callable[[], bool]) -> bool:
        """Do what is better done before it is needed, while nobody asks; say whether more is left.

        First the vocabulary is read for grammars, then measured what a pass costs: until then
        nothing is guessed ahead.
        """
        try:
            if not self._read:
                self._read = True
                self._compiler.prepare()
                return self._options.drafts and self._model.partial
            self._measure(somebody)
        except _Interrupted:
            self._tries -= 1
        except Exception:  # noqa: BLE001 - whoever needs it is told when it is asked for
            _log.exception("the engine goes on without guessing ahead")
            return False
        return self._curve is None and self._tries > 0

    def _measure(self, somebody: Callable[[], bool]) -> None:
        def pause() -> None:
            if time.perf_counter() > patience and self._tries > 1 and somebody():
                raise _Interrupted

        # Who comes waits a moment; but where somebody always comes, one has to wait once for all.
        patience = time.perf_counter() + _PATIENCE
        context, slot = self.worker.context, self.seats.spare(WIDTHS[-1])
        if slot is None:
            raise _Interrupted
        try:
            self._curve = measure(
                context,
                slot=slot,
                budget=_MEASURING,
                # On the CPU alone, what other programs do is not to count.
                clock=time.perf_counter if self._options.n_gpu_layers else time.thread_time,
                known=self._passes,
                pause=pause,
            )
        finally:
            context.clear(slot)

    def _fill(self, tokens: int) -> int:
        return tokens if self._curve is None else self._curve.filled(tokens)

    def _context(self) -> Context:
        return Context(
            self._model, self._options, n_cells=self._plan.n_cells, n_slots=self._plan.n_seq
        )

    def _live(self, job: Job, order: int) -> Live:
        """Make everything ready that a request needs before its first step."""
        request, model = job.request, self._model
        meter = Meter()
        tokens = list(request.prompt())
        curve = self._curve
        return Live(
            job,
            order,
            TokenSequence(tokens),
            n_ctx=self.worker.context.n_ctx,
            piece=model.piece,
            end_tokens=model.end_tokens,
            sampler=request.sampler or Sampler(request.sampling, tokens[-PENALTY_WINDOW:]),
            constraint=None if request.silent else self._constraint(request),
            text=TextStream(request.sampling.stop),
            meter=meter,
            drafts=None if curve is None else partial(self._drafts, tokens, request.sources),
            policy=None if curve is None else DraftPolicy(curve),
        )

    def _drafts(self, prompt: list[int], sources: tuple[str, ...]) -> Drafts:
        if self._guesser is not None:
            return self._guesser.open(prompt)
        quoted = [self._model.tokenize(source, special=False) for source in sources]
        return NgramDrafts(prompt[-_INDEXED:], quoted, self._forms)

    def _constraint(self, request: Request) -> Constraint | None:
        quotes = Quotes(self._wanted, request.sources) if any(self._wanted) else None
        return self._compiler.open(request.grammar, request.schema, quotes)


def _store(model: Model, context: Context, options: EngineOptions) -> StateStore | None:
    """Open the place for evicted prefixes, if there is to be one."""
    folder = Path(options.cache_dir).expanduser() if options.cache_dir else None
    if not (options.cache_ram or folder):
        return None
    name = fingerprint(
        model.header.parts,
        version=f"{version()} {model.kernels or ''}".rstrip(),
        kv_type=f"{options.kv_type}/{options.value_type}",
        flash_attention=options.attention,
        n_ctx=context.n_ctx,
        unified=context.unified,
    )
    return StateStore(
        name, ram_bytes=options.cache_ram << 20, folder=folder, disk_bytes=options.cache_disk << 20
    )


def _stop(setting: _Setting, thread: threading.Thread, patience: float | None) -> None:
    setting.worker.stop()
    if thread is not threading.current_thread():
        thread.join(patience)
        if thread.is_alive():
            setting.worker.context.abandon()
