"""Are plans run as well as they can be, and are wrong ones refused? One table, on public data.

    python -m benchmarks.plans [--only NAME ...] [--repeat N] [--json]

Graphs and gold plans lie beside the project, in ../shared/data; every tool is a stand-in that sleeps or
gives a value of the type it is declared with. No model is asked. It does not know how fast a model
writes plans: that is what orchestration.py measures.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from benchmarks.plans_checks import gold, mutated
from benchmarks.plans_data import MissingData
from benchmarks.plans_passes import calls, cost
from benchmarks.plans_schedules import real_time, unlimited, workers
from benchmarks.plans_table import Row, Say, as_json, as_table
from benchmarks.plans_workflows import workflows

__all__ = ["MEASURES", "main", "measured"]

Measure: TypeAlias = Callable[[Say, int], Iterator[Row]]

MEASURES: Final[dict[str, Measure]] = {
    "unlimited": unlimited,
    "real": real_time,
    "workers": workers,
    "gold": gold,
    "mutated": mutated,
    "calls": calls,
    "cost": cost,
    "workflows": workflows,
}
"""What can be measured, by the names that ``--only`` takes."""


def measured(name: str, say: Say, repeat: int) -> list[Row]:
    """Measure what `name` stands for; data that are not there make a row that says so."""
    begun = time.perf_counter()
    say(f"{name} ...")
    rows: list[Row] = []
    try:
        for row in MEASURES[name](say, repeat):
            rows.append(row)
            say(f"  {row.claim}: {row.shown}  {row.note}")
    except MissingData as missing:
        rows.append(Row(name, None, note=str(missing)))
        say(f"  {missing}")
    say(f"  ({time.perf_counter() - begun:.0f} s)")
    return rows


def main() -> None:
    """Measure and print a table in Markdown, or JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], metavar="NAME")
    parser.add_argument(
        "--repeat", type=int, default=3, help="repeats of what is timed (default 3)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if chosen.repeat < 1:
        parser.error("--repeat is 1 or more")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    rows = [row for name in chosen.only or MEASURES for row in measured(name, say, chosen.repeat)]
    if chosen.json:
        json.dump(
            {"python": platform.python_version(), "rows": as_json(rows)}, sys.stdout, indent=2
        )
        print()
    else:
        print(f"Python {platform.python_version()}, {platform.machine()}\n\n{as_table(rows)}")


if __name__ == "__main__":
    main()
