"""What does a benchmark of the engine say: a claim, two costs, a ratio, and is it reached?

It does not know how anything is measured.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.models import model_file, quantization

__all__ = ["Bench", "Reach", "Row", "as_json", "as_table"]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a value must be: at least, at most, or exactly `bound`, in `unit`."""

    relation: Literal[">=", "<=", "="]
    bound: float
    unit: str = "x"

    def met(self, value: float) -> bool:
        """Say whether `value` does."""
        match self.relation:
            case ">=":
                return value >= self.bound
            case "<=":
                return value <= self.bound
            case "=":
                return value == self.bound

    def __str__(self) -> str:
        sign = {">=": "≥ ", "<=": "≤ ", "=": ""}[self.relation]
        return f"{sign}{self.bound:g}{self.unit if self.unit == 'x' else f' {self.unit}'}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `value` is what `reach` asks about; `ours` and `theirs` are what it
    was made of, in words; without a value, `theirs` says why.
    """

    claim: str
    model: str
    value: float | None
    unit: str
    reach: Reach | None = None
    ours: str = ""
    theirs: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the reach is met; None where there is none, or nothing was measured."""
        return None if self.reach is None or self.value is None else self.reach.met(self.value)

    @property
    def shown(self) -> str:
        """The value as it is printed."""
        if self.value is None:
            return "–"
        whole = self.unit == "" and self.value == int(self.value)
        digits = 0 if whole else 1 if self.value >= 10 else 2
        return f"{self.value:.{digits}f}{'' if self.unit in ('x', '') else ' '}{self.unit}"


@dataclass(frozen=True, slots=True)
class Bench:
    """How to measure: the best of `repeat`, on `model` alone if one is named.

    With `gpu` every layer is offloaded and a clock on the wall is read: the CPU's time says nothing.
    """

    repeat: int = 3
    model: str | None = None
    gpu: bool = False
    say: Callable[[str], None] = print

    def models(self, *usual: str) -> Sequence[str]:
        """Return which models a row is measured on; `usual` are its own."""
        return usual if self.model is None else (self.model,)

    def path(self, name: str) -> Path:
        """Return the file of a model."""
        return model_file(name, self.say)

    def reach(
        self, name: str, relation: Literal[">=", "<="], bound: float, unit: str = "x"
    ) -> Reach | None:
        """Return what is to be reached on a model: stated for Q8_0, None for the others."""
        return Reach(relation, bound, unit) if quantization(name) == "Q8_0" else None

    def seconds(self, work: Callable[[], object]) -> float:
        """Return what `work` costs: CPU seconds of this process, or seconds with a GPU."""
        clock = time.perf_counter if self.gpu else time.process_time
        gc.collect()
        begun = clock()
        work()
        return clock() - begun


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with all they hold."""
    return [
        {**asdict(row), "reach": str(row.reach) if row.reach else None, "met": row.met}
        for row in rows
    ]


def as_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| Claim | Model | Measured | Reach | | Ours | Theirs |",
        "|---|---|---|---|---|---|---|",
    ]
    mark = {True: "met", False: "missed", None: ""}
    for row in rows:
        reach = str(row.reach) if row.reach else ""
        cells = (row.claim, row.model, row.shown, reach, mark[row.met], row.ours, row.theirs)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
