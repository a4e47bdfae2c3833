"""What does it save that many calls share a pass: against one after another, against a server?

Every call has 273 tokens in common with the others, which are resident on both sides, and 12 of its
own. It does not know plans; the constrained calls are held to a grammar of four tools.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.engine_calls import Call, Reply, ask, opened, source_tokens, warm
from benchmarks.engine_peers import Burst, Sequential, require, sequential, xllamacpp_bursts
from benchmarks.engine_plans import GBNF, LARK
from benchmarks.engine_probe import Probe
from benchmarks.engine_table import Bench, Reach, Row
from llmcompiler.engine.loop import Engine

__all__ = ["burst", "constrained", "python_time", "reproducible", "streams"]

_STREAMS = 16
_LIMIT = 32
_REACH = {"44M": 1.45, "213M": 1.75}


def streams(bench: Bench) -> Iterator[Row]:
    """Measure 16 calls at once against `Llama`, which answers them one by one."""
    for name in bench.models("44M", "213M", "213M Q4_K_M"):
        reach = Reach(">=", _REACH[name]) if name in _REACH else None
        yield _against_llama(bench, name, "16 streams against sequential Llama", reach, held=False)


def constrained(bench: Bench) -> Iterator[Row]:
    """Measure the same under a grammar, its own on each side, of the same language."""
    for name in bench.models("44M", "213M", "213M Q4_K_M"):
        claim = "the same, constrained, against sequential Llama with its grammar"
        yield _against_llama(bench, name, claim, bench.reach(name, ">=", 2.5), held=True)


def _against_llama(bench: Bench, name: str, claim: str, reach: Reach | None, *, held: bool) -> Row:
    path = bench.path(name)
    ours: list[float] = []
    theirs: list[float] = []
    with opened(path, bench.gpu) as engine, sequential(path, bench.gpu) as llama:
        source = source_tokens(engine)
        shared = source[:273]
        for turn in range(bench.repeat):
            prompts = _prompts(source, turn, _STREAMS)
            warm(engine, shared)
            calls = [Call(prompt, _LIMIT, LARK if held else None) for prompt in prompts]
            replies: list[Reply] = []
            spent = bench.seconds(lambda calls=calls, got=replies: got.extend(ask(engine, *calls)))  # type: ignore[misc]  # bound on purpose
            ours.append(spent / sum(len(reply.tokens) for reply in replies))
            llama.write(shared, 1)
            theirs.append(_one_by_one(bench, llama, prompts, GBNF if held else None))
    return Row(
        claim,
        name,
        min(theirs) / min(ours),
        "x",
        reach,
        f"{1 / min(ours):.0f} tokens/s",
        f"{1 / min(theirs):.0f} tokens/s",
        {"seconds_per_token": ours, "llama_seconds_per_token": theirs},
    )


def _one_by_one(
    bench: Bench, llama: Sequential, prompts: Sequence[Sequence[int]], grammar: str | None
) -> float:
    """Return the seconds for each token that `Llama` writes."""
    written = 0

    def work() -> None:
        nonlocal written
        for prompt in prompts:
            written += llama.write(prompt, _LIMIT, grammar)

    return bench.seconds(work) / written


def burst(bench: Bench) -> Iterator[Row]:
    """Measure 8 calls at once against xllamacpp's server, the beginning resident in both."""
    require("xllamacpp")
    text = Path(argparse.__file__).read_text("utf-8")
    ends = [text[at : at + 60] for at in range(12_000, 12_000 + 160 * 16, 160)]
    bursts = [
        Burst(text[at : at + 1200], tuple(ends[:8]), tuple(ends[8:]), 24)
        for at in range(0, 2000 * bench.repeat, 2000)
    ]
    for name in () if bench.gpu else bench.models("213M"):  # PyPI's xllamacpp has no GPU back end
        path = bench.path(name)
        ours: list[tuple[float, float]] = []
        with opened(path, bench.gpu) as engine:
            for each in bursts:
                warm(engine, engine.model.tokenize(each.shared, special=False))
                ours.append(
                    (
                        _at_once(bench, engine, each, each.ends),
                        _at_once(bench, engine, each, each.again),
                    )
                )
        theirs = xllamacpp_bursts(path, bursts)
        first = min(seconds for seconds, _ in ours), min(seconds for seconds, _ in theirs)
        again = min(seconds for _, seconds in ours), min(seconds for _, seconds in theirs)
        for claim, reach, (mine, other) in (
            ("burst of 8 calls behind a shared prefix, against xllamacpp", Reach(">=", 1.5), first),
            ("a second burst behind it, when it is in all of their slots", None, again),
        ):
            yield Row(
                claim,
                name,
                other / mine,
                "x",
                reach,
                f"{mine:.2f} s",
                f"{other:.2f} s",
                {"seconds": ours, "xllamacpp_seconds": theirs},
            )


def _at_once(bench: Bench, engine: Engine, burst: Burst, ends: Sequence[str]) -> float:
    model = engine.model
    prompts = [model.tokenize(burst.shared + end, special=False) for end in ends]
    return bench.seconds(lambda: ask(engine, *(Call(prompt, burst.limit) for prompt in prompts)))


def python_time(bench: Bench) -> Iterator[Row]:
    """Measure the time of a step outside llama.cpp, in the thread that computes."""
    for name in bench.models("213M"):
        found: dict[int, float] = {}
        with opened(bench.path(name), bench.gpu) as engine:
            source = source_tokens(engine)
            warm(engine, source[:273])
            for turn in range(bench.repeat):
                for count in (1, 2, 4, 8, 16):
                    with Probe() as probe:
                        prompts = _prompts(source, count + turn, count)
                        ask(engine, *(Call(prompt, 48) for prompt in prompts))
                    spent = probe.python_per_step(count)
                    found[count] = min(spent, found.get(count, spent))
        yield Row(
            "Python time a step, 1 to 16 streams, unconstrained",
            name,
            max(found.values()) * 1e3,
            "ms",
            Reach("<=", 0.45, "ms"),
            ", ".join(f"{count}: {seconds * 1e3:.2f}" for count, seconds in found.items()),
            details={"seconds": found},
        )


def reproducible(bench: Bench) -> Iterator[Row]:
    """Compare texts where they must be equal: each alone and cold, or in company and warm."""
    for name in bench.models("44M"):
        path = bench.path(name)
        same = 0
        with opened(path, bench.gpu, reproducible=True, n_ctx=1024) as engine:
            source = source_tokens(engine)
            prompts = _prompts(source, 0, 8)
            warm(engine, source[:273])
            together = ask(engine, *(Call(prompt, _LIMIT) for prompt in prompts))
        for prompt, reply in zip(prompts, together, strict=True):
            with opened(
                path, bench.gpu, reproducible=True, n_ctx=1024, cache_ram=0, drafts=False
            ) as alone:
                same += ask(alone, Call(prompt, _LIMIT))[0].tokens == reply.tokens
        if same != len(prompts):
            raise AssertionError(f"{len(prompts) - same} of {len(prompts)} texts differ")
        yield Row(
            "texts in company, warm and with drafts that equal those alone, cold and without "
            "(reproducible mode; asserted)",
            name,
            float(same),
            "",
            Reach("=", len(prompts), ""),
            f"of {len(prompts)}",
        )


def _prompts(source: Sequence[int], turn: int, count: int) -> list[list[int]]:
    """Return prompts with 273 tokens in common and 12 of their own, others for each `turn`."""
    shared = source[:273]
    starts = range(1000 + 400 * turn, 1000 + 400 * turn + 24 * count, 24)
    return [[*shared, *source[at : at + 12]] for at in starts]
