"""What does it cost to hold a plan to its grammar, and what is gained by what the grammar knows?

A model of random weights copies nothing, so its choices are replaced by the plan's next token; all
costs stay real. That is called a replay wherever it is shown. It does not know how well a model
plans; the embedded one is asked for that, and not replayed.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from benchmarks.engine_calls import Call, Reply, ask, opened, warm
from benchmarks.engine_peers import Sequential, sequential
from benchmarks.engine_plans import GBNF, PLAN, REQUEST, RULES, toolbox
from benchmarks.engine_probe import Probe, Replay
from benchmarks.engine_table import Bench, Reach, Row
from llmcompiler import Agent
from llmcompiler.engine.constraint import Constraint
from llmcompiler.engine.cost import CostCurve
from llmcompiler.engine.loop import Engine
from llmcompiler.errors import LLMCompilerError
from llmcompiler.grammar import plan_grammar
from llmcompiler.messages import LLM, Delta, Figures, Finished, Grammar, Message, Prompt, Sampling
from llmcompiler.registry import bundled_tools, load_model

__all__ = ["Recorded", "constraint_cost", "embedded_plans", "replayed_plan"]

_HANDWRITTEN = Path(__file__).parents[1] / "planners" / "recipe" / "handwritten.jsonl"
_MEASURE = "llmcompiler.engine.loop.measure"
_FLAT = CostCurve({1: 0.010, 32: 0.012})
_DECOY = "\x01"  # no grammar here allows it


def replayed_plan(bench: Bench) -> Iterator[Row]:
    """Measure one constrained plan as a replay against `Llama` with its grammar."""
    grammar = plan_grammar(toolbox())
    for name in bench.models("213M", "213M Q4_K_M"):
        path = bench.path(name)
        with sequential(path, bench.gpu) as llama:
            theirs = [_replay_on_llama(bench, llama, GBNF) for _ in range(bench.repeat)]
        with opened(path, bench.gpu) as engine:
            runs = [_replay(bench, engine, grammar) for _ in range(bench.repeat)]
        with opened(path, bench.gpu, drafts=False) as engine:
            less = {
                "without drafts": _replay(bench, engine, grammar).seconds,
                "without grammar and drafts": _replay(bench, engine, None).seconds,
            }
        best = min(runs, key=lambda run: run.seconds)
        yield Row(
            "one constrained plan, a replay, against Llama with its grammar",
            name,
            min(theirs) / best.seconds,
            "x",
            bench.reach(name, ">=", 1.3),
            f"{best.seconds:.2f} s "
            f"({', '.join(f'{way} {spent:.2f}' for way, spent in less.items())})",
            f"{min(theirs):.2f} s",
            {"seconds": [run.seconds for run in runs], "llama_seconds": theirs, **less},
        )
        with patch(_MEASURE, return_value=_FLAT), opened(path, bench.gpu) as engine:
            flat = _replay(bench, engine, grammar)
        for claim, run in (
            ("tokens a step in that replay, drafts as this machine makes them worth", best),
            ("the same with the curve of a machine where a longer pass costs little more", flat),
        ):
            yield _tokens_a_step(claim, name, run, bench.reach(name, ">=", 2.3, ""))


def _tokens_a_step(claim: str, model: str, run: _Replayed, reach: Reach | None) -> Row:
    written, figures = len(run.reply.tokens), run.reply.figures
    said = (
        f"{written} tokens in {run.steps} steps, {figures.forced} forced, "
        f"{figures.accepted} of {figures.drafted} drafts accepted"
    )
    return Row(claim, model, written / run.steps, "", reach, said)


def constraint_cost(bench: Bench) -> Iterator[Row]:
    """Measure what the grammar costs for each token when the model's own choice never fits."""
    for name in bench.models("thin128k"):
        path = bench.path(name)
        with opened(path, bench.gpu, drafts=False) as engine:
            _replay(bench, engine, plan_grammar(toolbox()), decoy=True)  # reads the vocabulary
            runs = [
                _replay(bench, engine, plan_grammar(toolbox()), decoy=True)
                for _ in range(bench.repeat)
            ]
            size = engine.model.n_vocab
        ours = min(run.constraint / len(run.reply.tokens) for run in runs)
        with sequential(path, bench.gpu) as llama:
            held, free = (
                min(_replay_on_llama(bench, llama, it) for _ in range(bench.repeat))
                for it in (GBNF, None)
            )
            theirs = (held - free) / len(llama.tokenize(PLAN))
        yield Row(
            f"constraint per token at a vocabulary of {size:,}, every choice a miss (replay)",
            name,
            ours * 1e3,
            "ms",
            Reach("<=", 0.2, "ms"),
            f"{len(runs[0].reply.tokens)} tokens",
            f"Llama with its grammar {theirs * 1e3:.1f} ms",
            {"seconds": ours, "llama_seconds": theirs},
        )


@dataclass(frozen=True, slots=True)
class _Replayed:
    """What the plan cost: seconds in all and under the constraint, and passes."""

    seconds: float
    constraint: float
    steps: int
    reply: Reply


def _replay(
    bench: Bench, engine: Engine, grammar: str | Grammar | None, *, decoy: bool = False
) -> _Replayed:
    model = engine.model
    prompt = model.tokenize(f"{RULES}{REQUEST}\n", special=False)

    def tokenize(text: str) -> list[int]:
        return model.tokenize(text, special=False)

    warm(engine, prompt[:-1])
    replay = Replay(len(prompt), PLAN, model.piece, tokenize, _DECOY if decoy else None)
    limit = len(tokenize(PLAN)) * (1 if grammar is None else 2)  # a grammar ends the plan itself
    call = Call(prompt, limit, grammar, (REQUEST,))
    replies: list[Reply] = []
    with Probe(replay) as probe, _timed_constraint() as spent:
        seconds = bench.seconds(lambda: replies.extend(ask(engine, call))) - probe.replaying
    reply = replies[0]
    if not reply.text.startswith(PLAN):
        raise AssertionError(f"the replay left the plan: {reply.text!r}")
    return _Replayed(seconds, spent[0], probe.steps, reply)


def _replay_on_llama(bench: Bench, llama: Sequential, grammar: str | None) -> float:
    prompt, plan = llama.tokenize(f"{RULES}{REQUEST}\n"), llama.tokenize(PLAN)
    llama.write(prompt[:-1], 1)
    return bench.seconds(lambda: llama.write(prompt, len(plan), grammar, plan))


@contextmanager
def _timed_constraint() -> Generator[list[float]]:
    """Sum the CPU seconds that the thread of the engine spends under constraints."""
    spent = [0.0]
    names = ("choose", "advance", "forced", "admit")
    originals = {name: getattr(Constraint, name) for name in names}

    def timed(original: Any) -> Any:
        def call(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                return original(*arguments)
            finally:
                spent[0] += time.thread_time() - begun

        return call

    for name, original in originals.items():
        setattr(Constraint, name, timed(original))
    try:
        yield spent
    finally:
        for name, original in originals.items():
            setattr(Constraint, name, original)


@dataclass
class Recorded:
    """A model whose replies' figures are kept."""

    llm: LLM
    figures: list[Figures] = field(default_factory=list)
    written: int = 0

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.llm.name

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt`, as the model does."""
        async for delta in self.llm.stream(prompt, sampling):
            if isinstance(delta, Finished):
                self.figures.append(delta.figures or Figures())
                self.written += delta.usage.completion_tokens
            yield delta

    def anticipate(self, messages: tuple[Message, ...]) -> None:
        """Pass the hint on."""
        hint = getattr(self.llm, "anticipate", None)
        if hint is not None:
            hint(messages)

    async def aclose(self) -> None:
        """Close the model."""
        await self.llm.aclose()


def embedded_plans(bench: Bench) -> Iterator[Row]:
    """Count tokens a step and accepted drafts while the embedded model answers requests."""
    lines = [json.loads(line) for line in _HANDWRITTEN.read_text("utf-8").splitlines()]
    asked = [each for each in lines if any(each["plans"])]
    recorded = Recorded(load_model("embedded", {"threads": 1}))
    with tempfile.TemporaryDirectory() as folder, _inside(folder), Probe() as probe:
        _write_files(Path(folder), json.dumps(asked))
        anyio.run(_answer, recorded, [each["request"] for each in asked])
    total = recorded.figures
    drafted, accepted = sum(f.drafted for f in total), sum(f.accepted for f in total)
    forced = sum(f.forced for f in total)
    yield Row(
        "tokens a step on plans and answers of the embedded model, not replayed",
        "embedded",
        recorded.written / probe.steps,
        "",
        None,
        f"{recorded.written} tokens in {probe.steps} steps of {len(total)} replies, {forced} forced, "
        f"{accepted} of {drafted} drafts accepted",
        details={
            "written": recorded.written,
            "steps": probe.steps,
            "forced": forced,
            "drafted": drafted,
            "accepted": accepted,
        },
    )


async def _answer(llm: Recorded, requests: list[str]) -> None:
    async with Agent(llm, tools=[*bundled_tools().values()]) as agent:
        for request in requests:
            try:
                await agent.run(request)
            except LLMCompilerError:  # a wrong plan has its tokens and steps, too
                continue


def _write_files(folder: Path, text: str) -> None:
    """Write a file for every name in `text` that looks like one, some longer than others."""
    for name in sorted(set(re.findall(r"[\w/-]+\.(?:md|txt|py|csv|json)\b", text))):
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one word after another\n" * len(name), "utf-8")


@contextmanager
def _inside(folder: str) -> Generator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
