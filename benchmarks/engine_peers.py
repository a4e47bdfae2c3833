"""What do llama-cpp-python's `Llama` and xllamacpp's server make of the same calls?

Each is used as its users would use it well: the prefix is resident, one thread computes, the
grammar is its own. It does not know our engine. xllamacpp brings a second llama.cpp along, so it
runs in a process of its own, which measures itself: ``python -m benchmarks.engine_peers MODEL``.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

__all__ = [
    "PEERS",
    "Burst",
    "MissingPeer",
    "Sequential",
    "main",
    "require",
    "sequential",
    "xllamacpp_bursts",
]

PEERS = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}
"""The peers by the names of their distributions, and the modules to be imported."""


class MissingPeer(Exception):
    """A peer is not installed."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"{peer} is not installed: pip install '.[local,bench]'")


def require(peer: str) -> str:
    """Return the version of a peer.

    Raises:
        MissingPeer: it is not installed.
    """
    if importlib.util.find_spec(PEERS[peer]) is None:
        raise MissingPeer(peer)
    return version(peer)


class Sequential:
    """`Llama`, which answers one call after the other and keeps the last prompt's cells."""

    def __init__(self, path: Path, *, gpu: bool) -> None:
        from llama_cpp import Llama

        class Steered(Llama):  # type: ignore[misc]  # it has no types
            """Chooses what is still to be replayed: its own sampler, over scores that say so."""

            replayed: list[int] = []  # noqa: RUF012 - replaced, never changed in place

            def sample(self, *arguments: Any, **options: Any) -> Any:
                if self.replayed:
                    token, self.replayed = self.replayed[0], self.replayed[1:]
                    self._ctx.get_logits_ith(-1)[token] = 1e30
                return super().sample(*arguments, **options)

        self._llama = Steered(
            str(path),
            n_ctx=4096,
            n_threads=1,
            n_threads_batch=1,
            n_gpu_layers=-1 if gpu else 0,
            flash_attn=True,
            verbose=False,
        )

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of `text` alone."""
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=False))

    def write(
        self,
        prompt: Sequence[int],
        limit: int,
        grammar: str | None = None,
        replay: Sequence[int] = (),
    ) -> int:
        """Go on from `prompt` greedily and return how many tokens were written.

        `grammar` is GBNF; `replay` are tokens that replace the choices.
        """
        from llama_cpp import LlamaGrammar

        self._llama.replayed = list(replay)
        held = None if grammar is None else LlamaGrammar.from_string(grammar, verbose=False)
        done = self._llama.create_completion(
            list(prompt), max_tokens=limit, temperature=0.0, grammar=held
        )
        return int(cast("Any", done)["usage"]["completion_tokens"])

    def close(self) -> None:
        """Free the model."""
        self._llama.close()


@contextmanager
def sequential(path: Path, gpu: bool) -> Generator[Sequential]:
    """Load a model into `Llama` for a while.

    Raises:
        MissingPeer: llama-cpp-python is not installed.
    """
    require("llama-cpp-python")
    peer = Sequential(path, gpu=gpu)
    try:
        yield peer
    finally:
        peer.close()


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls that come at once: what they share, an end for each, and how much each writes.

    `again` are other ends, for a second burst behind the same beginning.
    """

    shared: str
    ends: tuple[str, ...]
    again: tuple[str, ...]
    limit: int


def xllamacpp_bursts(path: Path, bursts: Sequence[Burst]) -> list[tuple[float, float]]:
    """Run the bursts in xllamacpp's server and return the CPU seconds of each and its repetition.

    Before a burst its beginning is made resident by a call alone.

    Raises:
        MissingPeer: xllamacpp is not installed.
        RuntimeError: its process failed.
    """
    require("xllamacpp")
    command = [sys.executable, "-m", "benchmarks.engine_peers", str(path)]
    done = subprocess.run(
        command,
        input=json.dumps([asdict(burst) for burst in bursts]),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"xllamacpp failed: {done.stderr[-500:]}")
    return [
        (float(first), float(again)) for first, again in json.loads(done.stdout.splitlines()[-1])
    ]


def main() -> None:
    """Run the bursts that stdin names in xllamacpp and print their CPU seconds."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    bursts = [Burst(**each) for each in json.load(sys.stdin)]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.n_ctx = 8192
    parameters.n_parallel = max(len(burst.ends) for burst in bursts)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)

    def call(prompt: str, limit: int) -> None:
        asked = {"prompt": prompt, "max_tokens": limit, "temperature": 0, "ignore_eos": True}
        written = server.handle_completions(asked)["usage"]["completion_tokens"]
        if written != limit:
            raise RuntimeError(f"{written} tokens were written, not {limit}")

    def at_once(burst: Burst, ends: Sequence[str]) -> float:
        begun = time.process_time()
        with ThreadPoolExecutor(len(ends)) as threads:
            for done in [threads.submit(call, burst.shared + end, burst.limit) for end in ends]:
                done.result()
        return time.process_time() - begun

    spent = []
    for burst in bursts:
        call(burst.shared, 1)
        spent.append((at_once(burst, burst.ends), at_once(burst, burst.again)))
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
