"""Does the README tell the truth: its map, its Python, its commands?"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llmcompiler.agent
from llmcompiler.cli.app import app
from llmcompiler.messages import LLM
from llmcompiler.testing import ScriptedLLM
from tests.architecture.source import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
]
LISTED = ("llmcompiler", "tools/llmcompiler_tools", "planners/llmcompiler_planners")

REPLIES = [
    '1. price(product="pen")\n2. price(product="ink")\n3. join()',
    "Answer: A pen is 1.5 euros, ink is 4.",
]


def _map() -> dict[str, str]:
    """Return the paths that the map names, and what it says of each."""
    section = README.partition("## The map")[2]
    text = section.partition("```text\n")[2].partition("```")[0]
    paths: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        name, _, about = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        above[depth:] = [name.rstrip("/")]
        paths["/".join(above)] = about.strip()
    return paths


def _here(folder: Path) -> set[str]:
    """Return the modules and packages in a folder."""
    found = {path.name for path in folder.glob("*.py") if path.name != "__init__.py"}
    return found | {path.parent.name for path in folder.glob("*/__init__.py")}


def test_the_map_names_only_what_is_there() -> None:
    assert [path for path in _map() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("folder", LISTED)
def test_the_map_names_all_that_is_there(folder: str) -> None:
    named = {path.rpartition("/")[2] for path in _map() if path.rpartition("/")[0] == folder}
    assert named == _here(ROOT / folder)


def test_the_map_says_something_of_everything() -> None:
    silent = [path for path, about in _map().items() if not about]
    assert silent == ["tools/llmcompiler_tools", "planners/llmcompiler_planners"]


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_of_the_readme_runs(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(spec: str) -> LLM:
        if ":1/" in spec:  # the example of an error is a real one
            return real(spec)
        return ScriptedLLM(REPLIES)

    real = llmcompiler.agent.load_model
    monkeypatch.setattr(llmcompiler.agent, "load_model", load)
    exec(compile(PYTHON[number], f"README.md, block {number}", "exec"), {"__name__": "readme"})
    if "run_sync" in PYTHON[number] and "print" in PYTHON[number]:
        out = capsys.readouterr().out
        assert (
            "A pen is 1.5 euros" in out
            or out.startswith("EndpointError: the model server at")
            or re.fullmatch(r"\d+ tokens read, \d+ known already, \d\.\d a step\n", out)
        )


def test_there_are_examples_to_run() -> None:
    assert len(PYTHON) >= 4
    assert len(COMMANDS) >= 8


def test_the_first_example_is_fifteen_lines() -> None:
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_are_real(command: str) -> None:
    for part in command.split(" && "):
        words = shlex.split(part)
        if Path(words[0]).name == "make":
            target = next((word for word in words[1:] if "=" not in word), "help")
            assert f"\n{target}:" in (ROOT / "Makefile").read_text("utf-8")
        elif Path(words[0]).name == "llmcompiler":
            shown = CliRunner().invoke(app, [*words[1:], "--help"])  # parses all, runs nothing
            assert shown.exit_code == 0, shown.output
        else:
            assert words[0] in ("python3", "uv", ".venv/bin/pip")


def test_the_name_is_explained() -> None:
    assert "cannot share an environment" in README
    assert "httpx, continued" in README
