"""What does a pass cost with the engine's own kernels, and with llama.cpp's; which of them rounds less?

Both compute the same file on one thread, pass by pass in turn. It does not know requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine_table import Bench, Row
from benchmarks.models import requantized
from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.batcher import Row as Part
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions, KernelUse

__all__ = ["passes", "rounding"]

_BEHIND = 300
_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32)
_PROMPT = 256
_FEW = 8  # tokens of the pass that the claim is about
_JUDGED = 64
_UNROUNDED = "F32"
_USES: tuple[KernelUse, ...] = ("auto", "off")  # ours, llama.cpp's


def passes(bench: Bench) -> Iterator[Row]:
    """Measure passes of few tokens, and of a prompt, by both."""
    for name in bench.models("44M", "213M", "213M Q4_0", "213M Q4_K_M"):
        with (
            _context(bench.path(name), "auto") as ours,
            _context(bench.path(name), "off") as theirs,
        ):
            if ours.model.kernels is None:
                yield Row(f"a pass of {_FEW} tokens", name, None, "x", theirs="no kernels here")
                continue
            spent: dict[int, tuple[list[float], list[float]]] = {}
            for width in (*_WIDTHS, _PROMPT):
                both = spent[width] = ([], [])
                for _ in range(bench.repeat):
                    for each, seconds in zip((ours, theirs), both, strict=True):
                        seconds.append(each.cost(bench, width))
            best = {width: (min(mine), min(other)) for width, (mine, other) in spent.items()}
        yield Row(
            f"a pass of {_FEW} tokens, against llama.cpp's own code",
            name,
            best[_FEW][1] / best[_FEW][0],
            "x",
            None,
            _listed({width: mine for width, (mine, _) in best.items()}),
            _listed({width: other for width, (_, other) in best.items()}),
            {"seconds": best},
        )


def rounding(bench: Bench) -> Iterator[Row]:
    """Measure how far scores are from those of the same weights computed without rounding."""
    for name in bench.models("44M", "44M Q4_K_M"):
        path = bench.path(name)
        with _context(requantized(path, _UNROUNDED), "off") as exact:
            want = exact.scores()
        far: list[float] = []
        for use in _USES:
            with _context(path, use) as each:
                far.append(float(np.sqrt(np.mean((each.scores() - want) ** 2)) / np.std(want)))
        yield Row(
            "scores' distance from those without rounding (root mean square, of their spread)",
            name,
            far[0],
            "",
            None,
            f"{far[0]:.3f}",
            f"llama.cpp's own code {far[1]:.3f}",
            {"ours": far[0], "llama": far[1]},
        )


class _Computing:
    """A context with a prompt in it, to compute passes behind."""

    def __init__(self, model: Model, context: Context) -> None:
        self.model = model
        self._context = context
        tokens = np.random.default_rng(0).integers(8, model.n_vocab // 2, _BEHIND + _PROMPT)
        self._tokens: Sequence[int] = tokens.tolist()
        self._compute(0, _BEHIND, 1)

    def cost(self, bench: Bench, width: int) -> float:
        """Return the seconds of a pass of so many tokens; all but a prompt's have scores."""
        outputs = 1 if width == _PROMPT else width
        seconds = bench.seconds(lambda: self._compute(_BEHIND, width, outputs))
        self._context.trim(0, _BEHIND)
        return seconds

    def scores(self) -> NDArray[np.float32]:
        """Return the scores of some tokens behind the prompt."""
        self._compute(_BEHIND, _JUDGED, _JUDGED)
        return self._context.logits().copy()

    def _compute(self, start: int, count: int, outputs: int) -> None:
        end = start + count
        for at in range(start, end, self._context.batch):
            part = tuple(self._tokens[at : min(end, at + self._context.batch)])
            self._context.evaluate(Batch((Part(0, at, part, min(outputs, len(part))),)))


@contextlib.contextmanager
def _context(path: Path, kernels: KernelUse) -> Generator[_Computing]:
    options = EngineOptions(threads=1, n_gpu_layers=0, n_ctx=1024, kernels=kernels)
    model = Model(read_header(path), options)
    try:
        yield _Computing(model, Context(model, options))
    finally:
        model.close()


def _listed(seconds: dict[int, float]) -> str:
    return ", ".join(f"{width}: {each * 1e3:.3g}" for width, each in seconds.items()) + " ms"
