"""Complaint: frameworks are heavy, and they phone home."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.architecture.source import ROOT
from tests.architecture.test_dependencies import MOST, PROJECT, _needed

_QUIET = """
import json, os, sys
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or "TELEMETRY" in name.upper():
        del os.environ[name]
seen = []
def watch(event, args):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")):
        seen.append([event, repr(args[1:] or args)])
sys.addaudithook(watch)
import llmcompiler, llmcompiler.testing, llmcompiler.registry, llmcompiler.trace
import llmcompiler.llms.openai, llmcompiler.cli.app, llmcompiler.recall
from llmcompiler import Agent
from llmcompiler.registry import bundled_tools
from llmcompiler.testing import ScriptedLLM
plan = '1. calculate(expression="1 + 1")\\n2. join()'
result = Agent(ScriptedLLM([plan, "Answer: 2"])).run_sync("What is 1 + 1?")
assert result.answer == "2"
print(json.dumps(seen))
"""


def core() -> set[str]:
    """Return every distribution that an installation without extras brings along."""
    found: set[str] = {"llmcompiler-runtime"}
    for line in PROJECT["dependencies"]:
        _needed(Requirement(line), found)
    return found


def test_crewai_3026_the_core_is_a_few_distributions_and_not_137() -> None:
    assert len(core()) <= MOST <= 30


def test_dspy_9413_and_fastmcp_3166_the_cache_needs_no_package_and_unpickles_nothing() -> None:
    assert "diskcache" not in core()
    for path in (ROOT / "llmcompiler" / "recall").glob("*.py"):
        text = path.read_text("utf-8")
        assert "pickle" not in text, path
        assert "marshal.load" not in text, path


@pytest.mark.parametrize("package", ["langchain", "langchain-core", "langflow", "langfuse"])
def test_langflow_4913_5545_and_langfuse_pr_1399_no_framework_comes_along(package: str) -> None:
    every = core()
    for extra in PROJECT["optional-dependencies"].values():
        for line in extra:
            every.add(Requirement(line).name)
    assert package not in every
    assert not [name for name in every if name.startswith(("langchain", "langgraph"))]


def test_wish_nothing_phones_home_at_import_or_in_a_run() -> None:
    """Four frameworks do by default: a trace, two kinds of telemetry, a client of a service."""
    done = subprocess.run(
        [sys.executable, "-c", _QUIET], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
    sent = {"posthog", "opentelemetry-exporter-otlp", "langsmith", "sentry-sdk", "scarf-sdk"}
    assert not core() & sent


def test_wish_no_dependency_is_taken_from_a_place_of_its_own() -> None:
    project: dict[str, Any] = tomllib.loads(Path(ROOT / "pyproject.toml").read_text("utf-8"))
    assert not [line for line in project["project"]["dependencies"] if "@" in line]
