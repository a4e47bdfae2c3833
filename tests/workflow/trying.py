"""Workflows of the tools in `deeds`, loaded from texts and run in virtual time."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest

from llmcompiler.plan import Failed, Ok, Outcome
from llmcompiler.testing import run_virtual
from llmcompiler.workflow import Workflow, WorkflowError, WorkflowResult

HERE: Final = Path(__file__).parent
FILE: Final = str(HERE / "w.yaml")
TOOLS: Final = "tools: [./deeds.py]\n"


def loaded(text: str) -> Workflow:
    """Load a workflow; its first line names the tools."""
    return Workflow.loads(TOOLS + dedent(text), FILE)


def said(text: str) -> list[str]:
    """Return all that is wrong with a workflow, as ``line:column: message``, line 1 names the tools."""
    with pytest.raises(WorkflowError) as raised:
        loaded(text)
    return [str(one).removeprefix(f"{FILE}:") for one in raised.value.problems]


def ran(text: str, inputs: dict[str, Any] | None = None, **options: Any) -> WorkflowResult:
    """Run a workflow in virtual time."""
    workflow = loaded(text)

    async def main() -> WorkflowResult:
        return await workflow.run(inputs, **options)

    return run_virtual(main)


def told(result: WorkflowResult) -> dict[str, Any]:
    """Return of each step its result, or what was said of it."""
    return {name: _told(outcome) for name, outcome in result.steps.items()}


def _told(outcome: Outcome) -> Any:
    if isinstance(outcome, Ok):
        return outcome.value
    if isinstance(outcome, Failed):
        return f"{outcome.kind}: {outcome.message}"
    return f"{outcome.status}: {outcome.reason}"
