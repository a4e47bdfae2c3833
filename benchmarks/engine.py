"""Is the engine as fast as is claimed? One table, each claim beside what it is compared with.

    python -m benchmarks.engine [--only NAME ...] [--model 44M|213M|1B|8B|"213M Q4_K_M"] [--repeat N] [--gpu] [--json]

Models have random weights and are made on the spot; peers are llama-cpp-python's `Llama` and
xllamacpp: ``pip install '.[local,bench]'``. One thread computes, and times are CPU seconds of the
process, the best of the repeats, so that other programs matter little. It does not know whether a
model is any good.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.engine_constraint import constraint_cost, embedded_plans, replayed_plan
from benchmarks.engine_kernels import passes, rounding
from benchmarks.engine_peers import MissingPeer
from benchmarks.engine_prefix import computed_twice, first_token, joiner
from benchmarks.engine_streams import burst, constrained, python_time, reproducible, streams
from benchmarks.engine_table import Bench, Row, as_json, as_table
from benchmarks.engine_threads import busy_thread
from benchmarks.models import NAMES

__all__ = ["MEASURES", "main", "measured", "versions"]

Measure: TypeAlias = Callable[[Bench], Iterator[Row]]

MEASURES: Final[dict[str, Measure]] = {
    "twice": computed_twice,
    "first-token": first_token,
    "joiner": joiner,
    "python": python_time,
    "streams": streams,
    "constrained": constrained,
    "constraint": constraint_cost,
    "replay": replayed_plan,
    "embedded": embedded_plans,
    "burst": burst,
    "busy": busy_thread,
    "reproducible": reproducible,
    "passes": passes,
    "rounding": rounding,
}
"""What can be measured, by the names that ``--only`` takes."""

_PACKAGES = ("llmcompiler-runtime", "llama-cpp-python", "llguidance", "xllamacpp", "numpy")


def versions() -> str:
    """Return what is measured on and with, in one line."""
    said = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            said.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            said.append(f"{package} not installed")
    return f"{_processor()}, {os.cpu_count()} CPUs; {', '.join(said)}"


def measured(name: str, bench: Bench) -> list[Row]:
    """Measure what `name` stands for; a peer that is not installed makes a row that says so."""
    begun = time.perf_counter()
    bench.say(f"{name} ...")
    rows: list[Row] = []
    try:
        for row in MEASURES[name](bench):
            rows.append(row)
            bench.say(f"  {row.model}: {row.shown}  {row.ours}  {row.theirs}")
    except MissingPeer as missing:
        rows.append(Row(name, "", None, "", theirs=str(missing)))
        bench.say(f"  {missing}")
    bench.say(f"  ({time.perf_counter() - begun:.0f} s)")
    return rows


def main() -> None:
    """Measure and print a table in Markdown, or JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], metavar="NAME")
    parser.add_argument("--model", choices=NAMES, metavar="MODEL", help="measure on this one alone")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many (default 3)")
    parser.add_argument("--gpu", action="store_true", help="offload everything; wall-clock times")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if chosen.repeat < 1:
        parser.error("--repeat is 1 or more")
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # read by what is loaded from here on
    bench = Bench(
        chosen.repeat,
        chosen.model,
        chosen.gpu,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    bench.say(versions())
    rows = [row for name in chosen.only or MEASURES for row in measured(name, bench)]
    if chosen.json:
        json.dump({"versions": versions(), "rows": as_json(rows)}, sys.stdout, indent=2)
        print()
    else:
        print(f"{versions()}\n\n{as_table(rows)}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "?")


if __name__ == "__main__":
    main()
