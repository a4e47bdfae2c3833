"""Does the engine stay whole whatever comes? Random requests, for as long as one likes.

Two models serve in one process. Requests of all kinds come and are cancelled, passes fail, saved
states are deleted and damaged, and one engine is closed and opened again over the same folder. It
does not know what a model should say, only what must hold of every reply and of the ledger.
Run it alone for long: ``python -m tests.engine.soak --minutes 5 --seed 1``.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import Ended, Failed, Piece, Request
from llmcompiler.errors import LLMCompilerError
from llmcompiler.messages import Sampling
from tests.engine.asked import Asked, tokens
from tests.engine.conftest import close_and_check
from tests.engine.faults import INJECTED, Faults
from tests.engine.held import LINE_SHAPE, PLAN, PLAN_SHAPE, Lines
from tests.engine.tiny_model import write_tiny_model

__all__ = ["Soak", "Tally", "main"]

GROWTH = 5.0  # MB that the process may grow between the second and the last quarter
N_CTX = 256
SMALL = EngineOptions(
    n_ctx=N_CTX, n_cells=700, n_seq=6, rows=4, chunk=64, threads=1, cache_ram=1, cache_disk=3
)
WORD = "start: /[a-z]+/ /[.]/"
ANSWER = 'start: "Answer: " /[a-z]{3,9}/ "."'
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
EXPECTED = (
    INJECTED,
    "the model was closed",
    "the prompt is empty",
    "the prompt needs",
    "the grammar cannot be used",  # the one that is none
    "there is no room for the request",  # where what is kept leaves none
)


@dataclass
class Tally:
    """What came of the requests, and how large the process was, in MB, after each round."""

    ends: Counter[str] = field(default_factory=Counter[str])
    injected: Counter[str] = field(default_factory=Counter[str])
    figures: Counter[str] = field(default_factory=Counter[str])
    sizes: list[float] = field(default_factory=list[float])

    @property
    def growth(self) -> float:
        """How much larger the process was in the last quarter than in the second, in MB."""
        quarter = len(self.sizes) // 4
        if not quarter:
            return 0.0
        second, last = self.sizes[quarter : 2 * quarter], self.sizes[-quarter:]
        return statistics.median(last) - statistics.median(second)

    def __str__(self) -> str:
        shown = ", ".join(f"{count} {name}" for name, count in sorted(self.ends.items()))
        failed = ", ".join(f"{count} {name}" for name, count in self.injected.items())
        counts = ", ".join(f"{name} {count}" for name, count in self.figures.items())
        size = f"{self.sizes[-1]:.1f} MB" if self.sizes else "no"
        return (
            f"requests: {shown}\nfailures put in: {failed or 'none'}\nfigures: {counts}\n"
            f"memory: {size} at the end of {len(self.sizes)} rounds, grown by {self.growth:+.2f} MB"
        )


@dataclass
class _Sent:
    """A request under way, and what must hold of its reply."""

    asked: Asked
    prompt: list[int]
    sampling: Sampling
    grammar: object
    silent: bool
    cancelled: bool = False


class Soak:
    """Engines at work on one or two models, and the requests to them.

    `folder` is for saved states. With `reproducible` what a request wrote must not depend on
    anything else that happened. With `guessing` the last model guesses for the first.
    """

    def __init__(
        self,
        models: list[Path],
        folder: Path,
        seed: int = 0,
        *,
        reproducible: bool = False,
        guessing: bool = True,
    ) -> None:
        self._models = models
        self._folder = folder
        self._chance = random.Random(seed)
        self._reproducible = reproducible
        self._guessing = guessing and not reproducible
        self._texts = [tokens(self._chance.randrange(2, 240), each) for each in range(16)]
        self._wrote: dict[tuple[int, ...], list[int]] = {}
        self.tally = Tally()
        self._faults = Faults(seed)
        self.tally.injected = self._faults.counts

    def run(self, more: Callable[[int], bool], *, requests: int = 120) -> Tally:
        """Serve rounds of about `requests` while `more`, told of their number, says so.

        Raises:
            AssertionError: something does not hold that must.
        """
        with self._faults.installed():
            resident = self._open(self._models[0], "resident", drafts=True)
            try:
                rounds = 0
                while more(rounds):
                    self._round(resident, requests)
                    rounds += 1
                    self.tally.sizes.append(_resident())
            finally:
                self._faults.active = False
                close_and_check(resident)
        return self.tally

    def _open(self, model: Path, name: str, *, drafts: bool) -> Engine:
        options = replace(
            SMALL,
            drafts=drafts,
            reproducible=self._reproducible,
            n_cells=None if self._reproducible else SMALL.n_cells,
            cache_dir=str(self._folder / name),
        )
        if name == "resident" and drafts and self._guessing:
            options = replace(options, draft_model=str(self._models[-1]))
        return Engine.open(read_header(model), options)

    def _round(self, resident: Engine, requests: int) -> None:
        """Serve with both engines, the second of which is closed in the middle of its work."""
        chance = self._chance
        drafts = chance.random() < 0.5
        passing = self._open(self._models[-1], "passing", drafts=drafts)
        sent: list[_Sent] = []
        try:
            self._faults.active = True
            for _ in range(requests):
                engine = chance.choice((resident, passing))
                sent += self._ask(engine)
                if chance.random() < 0.15:
                    chosen = chance.choice(sent)
                    chosen.cancelled = True
                    chosen.asked.job.cancel()
                if chance.random() < 0.3:
                    self._settle(sent.pop(chance.randrange(len(sent))))
                if chance.random() < 0.03:
                    self._damage()
            self._faults.active = False
            if chance.random() < 0.5:
                for each in sent:
                    self._settle(each)
                sent.clear()
                self._quiet(passing)
        finally:
            self._faults.active = False
            close_and_check(passing)
        for each in sent:
            self._settle(each, closing=True)
        self._quiet(resident)

    def _ask(self, engine: Engine) -> list[_Sent]:
        """Send a request, or a few samples of one prompt."""
        chance = self._chance
        text = chance.choice(self._texts)
        prompt = text[: chance.randrange(1, len(text) + 1)] + [5] * chance.randrange(3)
        if chance.random() < 0.02:
            prompt = prompt + tokens(N_CTX)
        silent = chance.random() < 0.1
        grammar = chance.choice((None, None, None, WORD, ANSWER, PLAN, "lines", "schema", "bad"))
        samples = chance.choice((1, 1, 1, 1, 3))
        sent: list[_Sent] = []
        for _ in range(samples):
            warm = samples > 1 or chance.random() < 0.4
            sampling = Sampling(
                max_tokens=chance.choice((1, 5, 20, 60, None)),
                temperature=1.0 if warm else 0.0,
                seed=chance.choice((None, chance.randrange(1000))),
                top_k=chance.choice((None, 20)),
                top_p=chance.choice((None, 0.9)),
                repetition_penalty=chance.choice((None, None, 1.2)),
                logprobs=chance.choice((None, None, 0, 3)),
                stop=chance.choice(((), (), ("e",), ("join", ")\n"))),
            )
            asked = Asked(
                engine,
                prompt,
                sampling,
                grammar={"lines": Lines(), "schema": None, "bad": "start: missing"}.get(
                    str(grammar), grammar
                ),
                schema=SCHEMA if grammar == "schema" else None,
                priority=chance.choice((0, 0, 3, 100)),
                silent=silent,
                keep=chance.random() < (0.1 if silent else 0.005),
            )
            sent.append(_Sent(asked, prompt, sampling, grammar, silent))
        return sent

    def _settle(self, sent: _Sent, *, closing: bool = False) -> None:
        """Wait for a request's end and look at what came of it."""
        if sent.cancelled:
            if not closing:
                return  # one that waited in the queue ends without a word
            outputs = _drained(sent.asked)
            assert sum(isinstance(each, Ended | Failed) for each in outputs) <= 1, outputs
            self.tally.ends["cancelled"] += 1
            return
        outputs = sent.asked.rest()
        assert sent.asked.outputs.empty(), "something came behind the end"
        last = outputs[-1]
        if isinstance(last, Failed):
            assert isinstance(last.error, LLMCompilerError)
            assert any(each in str(last.error) for each in EXPECTED), last.error
            assert "cannot be used" not in str(last.error) or sent.grammar == "bad"
            known = next(each for each in EXPECTED if each in str(last.error))
            self.tally.ends[f"failed: {known}"] += 1
            return
        assert isinstance(last, Ended)
        self.tally.ends[last.reason] += 1
        pieces = [each for each in outputs if isinstance(each, Piece)]
        self._check(sent, last, pieces)

    def _check(self, sent: _Sent, end: Ended, pieces: list[Piece]) -> None:
        """Look at a reply: its figures, its text and its logprobs."""
        figures, usage, sampling = end.figures, end.usage, sent.sampling
        text = "".join(each.text for each in pieces)
        assert usage.prompt_tokens == len(sent.prompt)
        assert len(sent.asked.wrote) == usage.completion_tokens == len(figures.arrivals)
        assert list(figures.arrivals) == sorted(figures.arrivals)
        assert 0 <= figures.accepted <= figures.drafted
        assert figures.prefills <= figures.steps
        assert figures.reused == usage.reused_tokens <= len(sent.prompt)
        if usage.completion_tokens > figures.forced or (sent.silent and end.reason == "stop"):
            assert figures.evaluated + figures.reused >= usage.prompt_tokens, figures
        if sampling.max_tokens is not None:
            assert usage.completion_tokens <= sampling.max_tokens
        for stop in sampling.stop:
            assert stop not in text, (stop, text)
        if not sent.silent and end.reason == "stop" and not sampling.stop:
            _check_grammar(sent.grammar, text)
        logprobs = [each for piece in pieces for each in piece.logprobs]
        assert len(logprobs) <= (0 if sampling.logprobs is None else usage.completion_tokens)
        if sampling.logprobs is not None and not sampling.stop:
            assert len(logprobs) == usage.completion_tokens, "a token without its logprob"
        assert all(each.logprob <= 1e-6 for each in logprobs), logprobs
        self._compare(sent)
        for name in ("evaluated", "reused", "forced", "drafted", "accepted", "steps"):
            self.tally.figures[name] += getattr(figures, name)
        self.tally.figures["tokens"] += usage.completion_tokens

    def _compare(self, sent: _Sent) -> None:
        """Hold a plain greedy reply against the earlier ones to the same prompt."""
        sampling = sent.sampling
        plain = replace(sampling, max_tokens=None, stop=(), logprobs=None, seed=None)
        if not self._reproducible or sent.silent or sent.grammar is not None:
            return
        if plain != replace(Sampling(max_tokens=None), top_k=plain.top_k, top_p=plain.top_p):
            return
        before, now = self._wrote.get(tuple(sent.prompt), []), sent.asked.wrote
        assert all(one == other for one, other in zip(before, now, strict=False)), (before, now)
        if len(now) > len(before):
            self._wrote[tuple(sent.prompt)] = now

    def _quiet(self, engine: Engine) -> None:
        """Look at the ledger on the engine's own thread, while nobody is served."""
        problems: list[BaseException] = []

        def look() -> list[int]:
            try:
                assert not engine.seats.taken, engine.seats.taken
                engine.seats.check()
                guesser = engine._setting._guesser
                assert guesser is None or len(guesser._idle) == SMALL.rows, "a slot to guess in"
            except AssertionError as problem:
                problems.append(problem)
            return []

        done = threading.Event()
        engine.submit(Request(look, silent=True), lambda output: done.set())
        assert done.wait(60), "the engine does not answer"
        for problem in problems:
            raise problem

    def _damage(self) -> None:
        """Delete, cut off or change a saved state."""
        files = sorted(each for each in self._folder.rglob("*") if each.is_file())
        if not files:
            return
        file = self._chance.choice(files)
        try:
            data = bytearray(file.read_bytes())
            match self._chance.randrange(3):
                case 0:
                    file.unlink()
                case 1:
                    file.write_bytes(data[: len(data) // 2])
                case _:
                    data[self._chance.randrange(len(data))] ^= 1
                    file.write_bytes(data)
        except (OSError, ValueError):  # the engine removed it meanwhile, or it is empty
            return


def _check_grammar(grammar: object, text: str) -> None:
    shapes = {
        WORD: re.compile("[a-z]+[.]"),
        ANSWER: re.compile("Answer: [a-z]{3,9}[.]"),
        PLAN: PLAN_SHAPE,
        "schema": re.compile(r'\{"n": -?\d+(, .*)?\}', re.DOTALL),
    }
    if grammar == "lines":
        lines = text.splitlines()
        assert 1 <= len(lines) <= 4, text
        assert lines[-1].endswith("join()"), text
        for number, line in enumerate(lines, 1):
            found = LINE_SHAPE.fullmatch(line)
            assert found, text
            assert int(found[1]) == number, text
            assert found[3] is None or int(found[3]) < number, text
    elif isinstance(grammar, str) and grammar != "bad":
        assert shapes[grammar].fullmatch(text), text


def _drained(asked: Asked) -> list[Any]:
    outputs: list[Any] = []
    while not asked.outputs.empty():
        outputs.append(asked.outputs.get())
    return outputs


def _resident() -> float:
    """Return how much memory the process holds, in MB, once what is free was given back."""
    gc.collect()
    if sys.platform != "linux":
        return 0.0
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Soak for as long as the command line says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reproducible", action="store_true")
    parser.add_argument("--model", type=Path, help="a GGUF in place of the tiny random one")
    given = parser.parse_args()
    logging.getLogger("llmcompiler.engine").setLevel(logging.CRITICAL)  # failures are put in
    begun, minutes = time.monotonic(), float(given.minutes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [write_tiny_model(folder / "tiny.gguf", quantised=True)]
        models = [given.model or models[0], models[0]]
        (folder / "states").mkdir()
        soak = Soak(models, folder / "states", given.seed, reproducible=given.reproducible)

        def more(rounds: int) -> bool:
            if rounds:
                print(f"round {rounds}, {soak.tally.sizes[-1]:.1f} MB", flush=True)
            return time.monotonic() - begun < 60 * minutes

        tally = soak.run(more)
    print(tally)
    if tally.growth > GROWTH:
        raise SystemExit(f"the process grew by more than {GROWTH} MB")


if __name__ == "__main__":
    main()
