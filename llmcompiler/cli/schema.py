"""What does an editor have to know of workflow files that use certain tools?

It does not know the language of workflows: it brings tools and schema together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmcompiler.toolbox import Toolbox
from llmcompiler.workflow import Workflow, WorkflowError
from llmcompiler.workflow.model import ModelSpec, StepSpec
from llmcompiler.workflow.reading import Source, read, read_file
from llmcompiler.workflow.reporting import Report
from llmcompiler.workflow.schema import BUILT_IN, json_schema
from llmcompiler.workflow.uses import Runtime, Uses, tools_of

__all__ = ["print_schema", "schema_of"]


def print_schema(file: Path | None) -> None:
    """Print the JSON Schema of workflow files as one JSON object."""
    print(json.dumps(schema_of(file), ensure_ascii=False, indent=2))


def schema_of(file: Path | None) -> dict[str, Any]:
    """Return the schema for the tools that `file` names; without one, for the bundled ones.

    Of the file only `tools` and `models` are read: the rest may still be unfinished. Raises
    `WorkflowError` for tools that cannot be loaded.
    """
    source = read("{}", "nothing") if file is None else read_file(file)
    report = Report(source, "")
    toolbox = _toolbox(source, Path() if file is None else file.resolve().parent, report)
    if report.problems:
        raise WorkflowError(report.problems)
    named = source.data.get("models")
    models = {name: ModelSpec(use="embedded") for name in named} if isinstance(named, dict) else {}
    uses = Uses(toolbox, models, Path(), _no_other, Runtime())
    asking = {name: uses.tool(name, StepSpec(uses=name), report, ()) for name in BUILT_IN}
    return json_schema(
        toolbox, {name: tool.parameters for name, tool in asking.items() if tool is not None}
    )


def _toolbox(source: Source, folder: Path, report: Report) -> Toolbox:
    named = source.data.get("tools") or []
    names = [named] if isinstance(named, str) else named
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return tools_of(names, folder, report, Workflow.load)[0]
    report.say(("tools",), "must be a name or a list of names")
    return Toolbox(())


def _no_other(path: Path) -> Any:
    raise AssertionError(f"no step uses {path}")
