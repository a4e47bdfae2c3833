"""What does it save that prefixes are remembered: between calls, over a restart, while tools run?

It does not know who else answers such calls; here the engine is compared with itself when cold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.engine_calls import Call, ask, opened, source_tokens, warm
from benchmarks.engine_probe import Probe
from benchmarks.engine_table import Bench, Reach, Row
from llmcompiler.engine.loop import Engine

__all__ = ["computed_twice", "first_token", "joiner"]

_SHARED = 1500
_OWN = 24


def computed_twice(bench: Bench) -> Iterator[Row]:
    """Count tokens computed twice over the calls of two chat turns, with two bursts after each."""
    for name in bench.models("44M"):
        with (
            opened(bench.path(name), bench.gpu, n_ctx=8192, drafts=False) as engine,
            Probe() as probe,
        ):
            asked = _conversation(engine)
        shadow = probe.shadow
        yield Row(
            "tokens computed twice: planner, joiner, replan, next chat turn, 8 parallel calls "
            "behind a known prefix and 8 behind a new one",
            name,
            float(shadow.twice),
            "",
            Reach("=", 0, ""),
            f"{shadow.computed:,} tokens computed for {asked:,} asked",
            details={"computed": shadow.computed, "asked": asked},
        )


def _conversation(engine: Engine) -> int:
    """Make the calls; return how many tokens they asked for, prompts and replies together."""
    source = source_tokens(engine)
    asked = 0

    def call(*calls: Call) -> list[list[int]]:
        nonlocal asked
        replies = ask(engine, *calls)
        asked += sum(
            len(each.prompt) + len(r.tokens) for each, r in zip(calls, replies, strict=True)
        )
        return [reply.tokens for reply in replies]

    rules, rest = source[:1200], iter(range(1200, len(source), 40))

    def piece() -> list[int]:
        at = next(rest)
        return source[at : at + 40]

    so_far = [*rules]
    for turn in range(2):
        so_far += piece()  # the request
        for _part in range(4):  # plan, judge, plan again, answer
            so_far += call(Call(so_far, 24))[0]
            so_far += piece()  # what the tools say
        call(*(Call([*rules, *piece()], 12) for _ in range(8)))
        new = source[5000 + 600 * turn :][:600]
        call(*(Call([*new, *piece()], 12) for _ in range(8)))
    return asked


def first_token(bench: Bench) -> Iterator[Row]:
    """Measure the first token behind a known prefix, in this process and in the next."""
    for name in bench.models("213M"):
        path = bench.path(name)
        cold: list[float] = []
        hot: list[float] = []
        again: list[float] = []
        for _ in range(bench.repeat):
            with tempfile.TemporaryDirectory() as folder:
                with opened(path, bench.gpu, cache_dir=folder) as engine:
                    source = source_tokens(engine)
                    prefix = source[:_SHARED]
                    ends = [source[at : at + _OWN] for at in range(3000, 3400, 40)]
                    cold.append(_first(bench, engine, [*prefix, *ends[0]]))
                    hot += [_first(bench, engine, [*prefix, *end]) for end in ends[1:4]]
                    warm(engine, prefix, keep=True)
                with opened(path, bench.gpu, cache_dir=folder) as engine:
                    again.append(_first(bench, engine, [*prefix, *ends[4]]))
        for claim, reach, found in (
            ("first token, 1,500 shared + 24 new tokens, against cold", 20, hot),
            ("the same after a restart, from disk", 15, again),
        ):
            yield Row(
                claim,
                name,
                min(cold) / min(found),
                "x",
                Reach(">=", reach),
                f"{min(found) * 1e3:.0f} ms",
                f"cold {min(cold) * 1e3:.0f} ms",
                {"seconds": found, "cold_seconds": cold},
            )


def joiner(bench: Bench) -> Iterator[Row]:
    """Measure the joiner's first token when the last of four observations arrives."""
    for name in bench.models("213M"):
        path = bench.path(name)
        cold: list[float] = []
        hot: list[float] = []
        prompt: list[int] = []
        for _ in range(bench.repeat):
            with opened(path, bench.gpu) as engine:
                source = source_tokens(engine)
                prompt = source[:1240]  # rules, tools and request
                prompt += ask(engine, Call(prompt, 24))[0].tokens  # the plan
                for at in (2000, 2100, 2200):
                    prompt += source[at : at + 60]
                    warm(engine, prompt)  # while the other tools run
                prompt += source[2300:2324]
                hot.append(_first(bench, engine, prompt))
            with opened(path, bench.gpu) as engine:
                cold.append(_first(bench, engine, prompt))
        yield Row(
            "joiner's first token after the last of 4 observations, against a cold joiner",
            name,
            min(cold) / min(hot),
            "x",
            Reach(">=", 10),
            f"{min(hot) * 1e3:.0f} ms",
            f"cold {min(cold) * 1e3:.0f} ms for {len(prompt):,} tokens",
            {"seconds": hot, "cold_seconds": cold},
        )


def _first(bench: Bench, engine: Engine, prompt: Sequence[int]) -> float:
    """Return the seconds until the first token behind `prompt`."""
    return bench.seconds(lambda: ask(engine, Call(prompt, 1)))
