"""How much slower is a step while other Python work runs, and what helps?

A thread of pure Python holds the interpreter's lock for up to the switch interval each time the
engine comes back from llama.cpp. Times here are wall-clock, so it does not know what else the
machine does: let nothing else run.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from statistics import mean

from benchmarks.engine_calls import Call, ask, opened, source_tokens, warm
from benchmarks.engine_table import Bench, Row
from llmcompiler.engine.loop import Engine

__all__ = ["busy_thread"]

_STEPS = 64


def busy_thread(bench: Bench) -> Iterator[Row]:
    """Measure a step of one stream alone, and beside a busy thread or process."""
    ways: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "alone": nullcontext,
        "beside a busy thread": _spinning,
        "the same, switch interval 1 ms": _switching,
        "beside a busy process": _process,
    }
    for name in bench.models("44M"):
        found = dict.fromkeys(ways, float("inf"))
        with opened(bench.path(name), bench.gpu, drafts=False) as engine:
            prompt = source_tokens(engine)[:64]
            warm(engine, prompt)
            for _ in range(bench.repeat):
                for way, beside in ways.items():
                    with beside():
                        found[way] = min(found[way], _step(engine, prompt))
        yield Row(
            "slow-down of a step by one busy Python thread (wall clock)",
            name,
            (found["beside a busy thread"] - found["alone"]) * 1e3,
            "ms",
            None,
            ", ".join(f"{way} {seconds * 1e3:.1f}" for way, seconds in found.items()),
            details={"seconds": found},
        )


def _step(engine: Engine, prompt: list[int]) -> float:
    """Return the mean seconds between tokens."""
    arrivals = ask(engine, Call(prompt, _STEPS))[0].figures.arrivals
    return mean(later - earlier for earlier, later in pairwise(arrivals))


@contextmanager
def _spinning() -> Generator[None]:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _switching() -> Generator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.001)
    try:
        with _spinning():
            yield
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _process() -> Generator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
