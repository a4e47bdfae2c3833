"""The fifteen lines that a stranger runs first, run as a stranger runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.llms.server import serve_in_thread, streams

ROOT = Path(__file__).resolve().parents[2]
PLAN = (
    '1. count_words(path="README.md")\n',
    '2. count_words(path="LICENSE")\n3. count_words(path="pyproject.toml")\n',
    '4. most(names=["README.md", "LICENSE", "pyproject.toml"], values=[$1, $2, $3])\n',
    '5. hours_between(first="Tokyo", second="Lima")\n6. join($4, $5)',
)


def hello(*arguments: str) -> list[str]:
    # llama_cpp keeps two files on /dev/null open for as long as it lives.
    warnings = ["-W", "error", "-W", "ignore:unclosed file <_io.TextIOWrapper name='/dev/null'"]
    command = [sys.executable, *warnings, "examples/hello.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_it_has_fifteen_lines() -> None:
    assert len((ROOT / "examples" / "hello.py").read_text("utf-8").splitlines()) <= 15


def test_it_prints_the_answer_and_when_each_step_ran() -> None:
    answer = streams("Answer: README.md, ", "and 14 hours.")
    with serve_in_thread(streams(*PLAN, delay=0.05), answer) as server:
        said, *bars = hello(f"{server.url}#m")
    assert said == "README.md, and 14 hours."
    assert [bar.split()[:2] for bar in bars] == [
        ["1.", "count_words"],
        ["2.", "count_words"],
        ["3.", "count_words"],
        ["4.", "most"],
        ["5.", "hours_between"],
    ]
    assert all(bar.endswith("━") for bar in bars)


def test_it_needs_nothing_but_the_embedded_model() -> None:
    said, *bars = hello()
    assert "README.md" in said
    assert {bar.split()[1] for bar in bars} >= {"file_size", "hours_between"}
