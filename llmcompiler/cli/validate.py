"""Are these workflow files right, and if not, what is wrong where?

It does not know what is right: loading a workflow finds everything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmcompiler.cli.exits import FINISHED
from llmcompiler.cli.problems import status_of_file, tell
from llmcompiler.errors import LLMCompilerError
from llmcompiler.workflow import Workflow, WorkflowError

__all__ = ["validate"]


def validate(files: Sequence[Path], *, as_json: bool) -> int:
    """Check every file; return 1 where one has problems, 2 where one cannot be read."""
    status = FINISHED
    shown: list[dict[str, Any]] = []
    for file in files:
        error: LLMCompilerError | None = None
        steps = 0
        try:
            steps = len(Workflow.load(file).file.steps)
        except LLMCompilerError as raised:
            error = raised
        status = max(status, status_of_file(error))
        shown.append(_as_json(file, steps, error))
        if as_json:
            continue
        if error is None:
            print(f"{file}: fine, {steps:,} step{'s' * (steps != 1)}", flush=True)
        else:
            tell(error)
    if as_json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    return status


def _as_json(file: Path, steps: int, error: LLMCompilerError | None) -> dict[str, Any]:
    problems: list[dict[str, Any]] = []
    if isinstance(error, WorkflowError):
        problems = [
            {
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "message": each.message,
            }
            for each in error.problems
        ]
    elif error is not None:
        problems = [{"file": str(file), "line": None, "column": None, "message": str(error)}]
    return {
        "file": str(file),
        "valid": error is None,
        "steps": steps if error is None else None,
        "problems": problems,
    }
