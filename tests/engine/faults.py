"""What if a forward pass fails? Failures of every kind, put between workers and their contexts.

It does not know what should come of them.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, Context, NoRoom
from llmcompiler.engine.worker import Worker
from llmcompiler.errors import ModelError

__all__ = ["INJECTED", "Faults"]

INJECTED = "injected"


class Faults:
    """Lets one pass in `rarely` fail, in all engines that serve, while `active`; `counts` them."""

    def __init__(self, seed: int, rarely: int = 60) -> None:
        self._chance = random.Random(seed)
        self._rarely = rarely
        self._serving = threading.local()
        self.active = False
        self.counts: Counter[str] = Counter()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand between the workers and their contexts; measuring is left alone."""
        compute, evaluate = Worker._compute, Context.evaluate
        serving = self._serving

        def computing(worker: Worker, batch: Batch) -> None:
            serving.context = worker.context
            try:
                compute(worker, batch)
            finally:
                serving.context = None

        def evaluating(context: Context, batch: Batch) -> None:
            mine = getattr(serving, "context", None) is context
            kind = self._kind() if mine and self.active else None
            if kind is None:
                evaluate(context, batch)
                return
            self.counts[kind] += 1
            if kind in ("Broken", "late error"):
                evaluate(context, batch)
            raise _failure(kind)

        with (
            mock.patch.object(Worker, "_compute", computing),
            mock.patch.object(Context, "evaluate", evaluating),
        ):
            yield

    def _kind(self) -> str | None:
        if self._chance.randrange(self._rarely):
            return None
        kinds = ("NoRoom", "NoRoom", "ModelError", "error", "late error", "Broken")
        return self._chance.choice(kinds)


def _failure(kind: str) -> Exception:
    message = f"{INJECTED}: {kind}"
    if kind in ("NoRoom", "ModelError", "Broken"):
        return {"NoRoom": NoRoom, "ModelError": ModelError, "Broken": Broken}[kind](message)
    return OSError(message)
