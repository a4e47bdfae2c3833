"""docs/recipes.md: each block of YAML loads, fits the schema and runs; each block of Python does too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from jsonschema import Draft202012Validator

from llmcompiler.approval import ApprovalRequest
from llmcompiler.cli.schema import schema_of
from llmcompiler.plan import Json
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.workflow import Workflow, WorkflowResult
from llmcompiler.workflow.reading import read_file

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "recipes.md"
WORKFLOWS: Final = ROOT / "examples" / "workflows"
README: Final = (ROOT / "README.md").read_text("utf-8")
LICENSE: Final = (ROOT / "LICENSE").read_text("utf-8")
SECRET: Final = "a-key-of-nobody"


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the blocks of the page in one language, each with the heading above it."""
    found: list[tuple[str, str]] = []
    heading = ""
    pattern = rf"^#+ ([^\n]+)$|^```{language}\n(.*?)^```$"
    for match in re.finditer(pattern, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        heading = match[1] or heading
        if match[2]:
            found.append((heading, match[2]))
    return found


YAML: Final = blocks("yaml")
PYTHON: Final = blocks("python")
OUTPUTS: Final[list[dict[str, Any]]] = [
    {"words_a_line": round(len(README.split()) / len(README.splitlines()), 1)},
    {"most": 23},
    {"names": ["rope", "ladder"], "feet": [98.4252, 13.1234]},
    {"sum": 24828.03},
    {"to_pay": 108.0},
    {"state": "done"},
    {"euros": 92.5},
    {"shop": "market"},
    {
        "letter": "sent to Ben: The paint costs I do not know what.",
        "why": "the corner shop does not answer",
    },
    {"released": "right"},
    {"sum": 6},
    {"letter": "sent to Carla: The roof is mended."},
    {"euros": 80.0},
    {"letter": "sent to Anna: my key is ***"},
    {"words": len(LICENSE.split())},
    {"name": "Ben", "double": 160},
    {"answer": "4.83 km"},
    {"words": 49},
    {"total": len(README.split()) + len(LICENSE.split())},
]
REPLIES: Final = {
    "writer": ['{"name": "Ben", "euros": 80}'],
    "planner": ['1. convert(value=3, from_unit="mi", to_unit="km")\n2. join()', "Answer: 4.83 km"],
}


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def yes(request: ApprovalRequest) -> bool:
    return True


async def run(workflow: Workflow) -> WorkflowResult:
    models = {name: ScriptedLLM(REPLIES[name]) for name in workflow.file.models}
    environment = {"LETTER_KEY": SECRET}
    return await workflow.run(models=models, approver=yes, environment=environment)


def test_there_are_recipes() -> None:
    assert len(YAML) == len(OUTPUTS)
    assert len(PYTHON) == 4


@pytest.mark.parametrize(
    ("text", "outputs"),
    [pytest.param(text, out, id=name) for (name, text), out in zip(YAML, OUTPUTS, strict=False)],
)
def test_a_recipe_comes_to_what_it_should(text: str, outputs: dict[str, Json]) -> None:
    workflow = Workflow.loads(text, str(WORKFLOWS / "recipe.yaml"))
    result = run_virtual(lambda: run(workflow))
    assert (result.status, result.error, result.missing) == ("finished", None, {})
    assert result.outputs == outputs


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in YAML])
def test_a_recipe_fits_the_schema(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text.replace("./desk.py", str(WORKFLOWS / "desk.py")), "utf-8")
    errors = Draft202012Validator(schema_of(file)).iter_errors(read_file(file).data)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PYTHON])
def test_the_python_of_a_recipe_runs(text: str) -> None:
    exec(compile(text, str(PAGE), "exec"), names())


def names() -> dict[str, Any]:
    """Return what the page's Python speaks of without saying where it comes from."""
    frozen = next(text for _, text in YAML if text.startswith("version: 1\nname: words\n"))
    model = ScriptedLLM(
        [
            '1. count_words_below(folder="examples/workflows/letters")\n2. join()',
            "Answer: The letters have 49 words.",
        ]
    )
    planner = ScriptedLLM(
        [
            '1. count_words(path="README.md")\n'
            '2. count_words(path="LICENSE")\n'
            "3. total(values=[$1, $2])\n"
            "4. join($3)"
        ]
    )
    return {"anyio": anyio, "model": model, "planner": planner, "frozen": frozen}


def test_a_secret_is_shown_to_nobody() -> None:
    text = next(text for name, text in YAML if "secret" in name)
    seen: list[str] = []

    async def main() -> WorkflowResult:
        workflow = Workflow.loads(text, str(WORKFLOWS / "recipe.yaml"))
        return await workflow.run(
            environment={"LETTER_KEY": SECRET}, sinks=[lambda event: seen.append(repr(event))]
        )

    result = run_virtual(main)
    assert "***" in "".join(seen)
    assert SECRET not in "".join(seen) + repr(result) + str(result.to_json())
