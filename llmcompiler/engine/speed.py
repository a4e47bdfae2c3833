"""How fast does this machine run a model: prompts, replies, the first token, many at once?

Every figure is taken from outside, as a user would; it does not know how the engine comes by them,
nor how they are shown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.cost import WIDTHS, measure
from llmcompiler.engine.devices import free_memory
from llmcompiler.engine.gguf import Header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.memory import MemoryPlan, plan_memory
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import Ended, Failed, Job, Output, Request
from llmcompiler.engine.sampler import Logits, Places, Sampler
from llmcompiler.errors import ModelError
from llmcompiler.messages import Sampling

__all__ = [
    "STREAMS",
    "FirstToken",
    "Speed",
    "measure_decode",
    "measure_first_token",
    "measure_prefill",
    "measure_speed",
    "measure_streams",
    "random_prompts",
]

STREAMS = (1, 2, 4, 8, 16)
_PATIENCE = 300.0  # seconds without a sign of life from the engine
_LEAST = 128  # tokens of context without which nothing can be measured

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Seconds to the first token of a prompt: `cold`, and `hot` when `shared` tokens are known.

    `new` tokens follow the shared ones; `reused` were not computed again in the hot case.
    """

    shared: int
    new: int
    cold: float
    hot: float
    reused: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured: rates in tokens a second, times in seconds.

    `passes` are forward passes by their number of tokens, each with scores; `streams` the tokens a
    second of so many requests together. Drafts are off in all of it. `kernels` are the instructions
    that our own code computes with, None where all is left to llama.cpp.
    """

    model: str
    weights_bytes: int
    threads: int
    n_gpu_layers: int
    kernels: str | None
    n_ctx: int
    n_cells: int
    load: float
    prefill: float
    decode: float
    passes: dict[int, float]
    first_token: FirstToken
    streams: dict[int, float]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


def measure_speed(
    header: Header,
    options: EngineOptions,
    *,
    streams: Sequence[int] = STREAMS,
    quick: bool = False,
    tell: Callable[[str], None] = lambda stage: None,
    clock: Clock = perf_counter,
) -> Speed:
    """Load a model and measure all there is; `tell` hears what is measured next.

    `quick` measures shorter, and less exactly.

    Raises:
        ConfigurationError: the model cannot be loaded with these options.
        ModelError: it cannot compute, or its context is too short to measure anything.
    """
    options = replace(options, drafts=False, draft_model=None, rows=max(options.rows, *streams))
    plan = plan_memory(header, options, free_memory())
    if plan.n_ctx < _LEAST:
        raise ModelError(f"a context of {plan.n_ctx} tokens is too short: take {_LEAST} or more")
    options = replace(options, n_ctx=plan.n_ctx, n_gpu_layers=plan.n_gpu_layers)
    tell("loading")
    began = clock()
    model = Model(header, options)
    load = clock() - began
    try:
        prefill, decode, passes = _alone(model, options, quick=quick, tell=tell, clock=clock)
        engine = Engine(model, options, plan)
    except BaseException:
        model.close()
        raise
    try:
        tell("first token")
        first = measure_first_token(
            engine, shared=300 if quick else 1500, repeats=1 if quick else 3, clock=clock
        )
        rates: dict[int, float] = {}
        for count in streams:
            tell(f"{count} at once")
            rates[count] = measure_streams(
                engine, count, length=16 if quick else 48, repeats=1 if quick else 2, clock=clock
            )
    finally:
        engine.close()
    return _speed(model, plan, (load, prefill, decode), passes, first, rates)


def _alone(
    model: Model,
    options: EngineOptions,
    *,
    quick: bool,
    tell: Callable[[str], None],
    clock: Clock,
) -> tuple[float, float, dict[int, float]]:
    """Measure what needs no engine, on a context of its own that is gone afterwards."""
    context = Context(model, options)
    try:
        tell("prompts")
        prefill = measure_prefill(context, 128 if quick else 512, clock=clock)
        tell("replies")
        decode = measure_decode(context, 8 if quick else 48, clock=clock)
        tell("passes")
        best: dict[int, float] = {}
        for _ in range(1 if quick else 3):
            curve = measure(context, budget=2.0 if quick else 10.0, clock=clock)
            for width in WIDTHS:
                if width <= context.batch:
                    best[width] = min(curve.seconds(width), best.get(width, float("inf")))
        return prefill, decode, best
    finally:
        context.close()


def _speed(
    model: Model,
    plan: MemoryPlan,
    measured: tuple[float, float, float],
    passes: dict[int, float],
    first: FirstToken,
    streams: dict[int, float],
) -> Speed:
    load, prefill, decode = measured
    return Speed(
        model=model.header.text("general.name") or model.header.path.name,
        weights_bytes=plan.weights_bytes,
        threads=model.threads,
        kernels=model.kernels,
        n_gpu_layers=plan.n_gpu_layers,
        n_ctx=plan.n_ctx,
        n_cells=plan.n_cells,
        load=load,
        prefill=prefill,
        decode=decode,
        passes=passes,
        first_token=first,
        streams=streams,
    )


def measure_prefill(
    context: Context, length: int = 512, *, repeats: int = 2, clock: Clock = perf_counter
) -> float:
    """Return how many tokens a second of a prompt of `length` are computed, at best; slot 0 is used.

    Raises:
        ModelError: the context could not compute.
    """
    length = min(length, context.n_ctx)
    tokens = [place * 31 % context.n_vocab for place in range(length)]
    best = 0.0
    for _ in range(repeats):
        context.clear(0)
        began = clock()
        for start in range(0, length, context.batch):
            part = tuple(tokens[start : start + context.batch])
            last = start + len(part) == length
            context.evaluate(Batch((Row(0, start, part, 1 if last else 0),)))
        best = max(best, length / max(clock() - began, 1e-9))
    context.clear(0)
    return best


def measure_decode(
    context: Context, length: int = 48, *, behind: int = 32, clock: Clock = perf_counter
) -> float:
    """Return how many tokens a second come one at a time, `behind` others; slot 0 is used.

    Raises:
        ModelError: the context could not compute.
    """
    context.clear(0)
    behind = min(behind, context.batch, context.n_ctx // 2)
    length = min(length, context.n_ctx - behind)
    context.evaluate(Batch((Row(0, 0, tuple(range(behind)), 1),)))
    began = clock()
    for place in range(length):
        context.evaluate(Batch((Row(0, behind + place, (place % context.n_vocab,), 1),)))
    seconds = max(clock() - began, 1e-9)
    context.clear(0)
    return length / seconds


def measure_first_token(
    engine: Engine,
    *,
    shared: int = 1500,
    new: int = 24,
    repeats: int = 3,
    clock: Clock = perf_counter,
) -> FirstToken:
    """Time the first token of a prompt that is new, and of one whose `shared` first tokens are known.

    Both are the best of `repeats`. Where the context is short, fewer tokens are shared.

    Raises:
        ModelError: the engine failed.
    """
    shared = max(1, min(shared, engine.context.n_ctx - new - 8))
    make = random_prompts(engine.model)
    _run(engine, [make(8)], 1, clock)  # the first request also pays for starting up
    cold: list[float] = []
    hot: list[float] = []
    reused: list[int] = []
    for _ in range(repeats):
        known = make(shared)
        seconds, _, _ = _run(engine, [known + make(new)], 1, clock)
        cold.append(seconds)
        seconds, _, again = _run(engine, [known + make(new)], 1, clock)
        hot.append(seconds)
        reused.append(again)
    return FirstToken(shared, new, min(cold), min(hot), min(reused))


def measure_streams(
    engine: Engine,
    count: int,
    *,
    length: int = 48,
    repeats: int = 2,
    clock: Clock = perf_counter,
) -> float:
    """Return how many tokens a second `count` requests get together, at best, `length` each.

    Their prompts are known to the engine before, so that the time is spent on replies.

    Raises:
        ModelError: the engine failed.
    """
    make = random_prompts(engine.model)
    prompts = [make(16) for _ in range(count)]
    _run(engine, prompts, 1, clock)
    best = 0.0
    for _ in range(repeats):
        seconds, written, _ = _run(engine, prompts, length, clock)
        best = max(best, written / seconds)
    return best


def random_prompts(model: Model, seed: int = 0) -> Callable[[int], list[int]]:
    """Return a function from a length to a prompt of plain tokens, another one at each call."""
    chance = random.Random(seed)  # noqa: S311 - prompts, not secrets
    drawn = (chance.randrange(model.n_vocab) for _ in range(4096))
    plain = [token for token in drawn if token not in model.end_tokens]
    plain = [token for token in plain if not model.is_control(token)] or [0]
    return lambda length: chance.choices(plain, k=length)


class _Endless(Sampler):
    """Takes the best token that does not end the reply, so that replies have the length asked for."""

    __slots__ = ("_ends",)

    def __init__(self, ends: frozenset[int]) -> None:
        super().__init__(Sampling())
        self._ends = ends

    @property
    def greedy(self) -> bool:
        return False

    def pick(self, logits: Logits, among: Places | None = None) -> int:
        token = super().pick(logits, among)
        if token in self._ends:
            return next((other for other in self.order(logits) if other not in self._ends), token)
        return token


def _run(
    engine: Engine, prompts: Sequence[list[int]], length: int, clock: Clock
) -> tuple[float, int, int]:
    """Serve prompts at once; return the seconds, the tokens written and the tokens reused."""
    outputs: SimpleQueue[Output] = SimpleQueue()
    written = reused = 0
    sampling = Sampling(max_tokens=length)
    jobs: list[Job] = []
    began = clock()
    try:
        for prompt in prompts:
            sampler = _Endless(engine.model.end_tokens)
            request = Request(prompt.copy, sampling=sampling, sampler=sampler)
            jobs.append(engine.submit(request, outputs.put))
        left = len(jobs)
        while left:
            match outputs.get(timeout=_PATIENCE):
                case Failed(error):
                    raise error
                case Ended(_, usage):
                    left -= 1
                    written += usage.completion_tokens
                    reused += usage.reused_tokens
                case _:
                    pass
    except Empty:
        raise ModelError(f"the engine did nothing for {_PATIENCE:g} s") from None
    finally:
        for job in jobs:
            job.cancel()
    return max(clock() - began, 1e-9), written, reused
