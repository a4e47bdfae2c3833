"""The workflows in examples/workflows, run as their comments say, on doubles where a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from llmcompiler.approval import ApprovalRequest
from llmcompiler.cli.schema import schema_of
from llmcompiler.messages import LLM
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.workflow import Workflow, WorkflowResult
from llmcompiler.workflow.reading import read_file

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "examples" / "workflows"
FILES: Final = sorted(FOLDER.glob("*.yaml"))
SCHEMA_LINE: Final = "# yaml-language-server: $schema=./llmcompiler.schema.json"


def agree(request: ApprovalRequest) -> bool:
    return True


def refuse(request: ApprovalRequest) -> bool:
    return False


@dataclass(frozen=True)
class Scene:
    """A run of an example: what it is given, and exactly what it comes to."""

    file: str
    outputs: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approver: Callable[[ApprovalRequest], bool] | None = None
    status: str = "finished"
    error: str | None = None

    def __str__(self) -> str:
        return "-".join([self.file, *map(str, self.inputs.values()), self.status][:3])


SCENES: Final = (
    Scene(
        "fan_out",
        {
            "miles": [0.621371, 3.10686, 26.2188],
            "report": "3 distances, 29.95 miles in all, 9.98 on average",
        },
    ),
    Scene(
        "fan_out",
        {"miles": [0.621371], "report": "1 distances, 0.62 miles in all, 0.62 on average"},
        {"distances": [1]},
    ),
    Scene(
        "map_reduce",
        {
            "files": 3,
            "words": 49,
            "lines": 16,
            "longest": "examples/workflows/letters/anna.txt",
        },
    ),
    Scene("conditional", {"way": "train", "minutes": 120, "nights": 0}),
    Scene("conditional", {"way": "on foot", "minutes": 36, "nights": 0}, {"kilometers": 3}),
    Scene("conditional", {"way": "train", "minutes": 780, "nights": 1}, {"kilometers": 1000}),
    Scene("retry_fallback", {"shop": "market", "euros": 50}),
    Scene(
        "retry_fallback",
        {"shop": None, "euros": None},
        {"item": "gold"},
        status="failed",
        error="step 'ask' failed: the corner shop does not answer; and its fallback: no shop has 'gold'",
    ),
    Scene(
        "approval",
        {
            "sum": 140.5,
            "sent": True,
            "receipt": "sent to Anna: Dear Anna, it comes to 140.5 euros.",
            "why_not": None,
        },
        approver=agree,
    ),
    Scene(
        "approval",
        {"sum": 140.5, "sent": False, "receipt": None, "why_not": "it was not approved"},
        {"customer": "Anna"},
        approver=refuse,
    ),
    Scene(
        "agent_step",
        {"letter": "sent to Ben: 3 miles are 4.83 kilometers."},
        replies={
            "planner": (
                '1. convert(value=3, from_unit="mi", to_unit="km")\n2. join($1)',
                "Answer: 3 miles are 4.83 kilometers.",
            )
        },
    ),
    Scene("sub_workflow", {"words": 49, "longest": ["examples/workflows/letters/anna.txt"]}),
    Scene(
        "structured_output",
        {"who": "CARLA", "brings": "paint", "months_to_wait": 1},
        replies={"reader": ('{"writer": "Carla", "brings": "paint", "month": 6}',)},
    ),
    Scene(
        "structured_output",
        {"who": "BEN", "brings": None, "months_to_wait": 0},
        {"letter": "examples/workflows/letters/ben.txt"},
        replies={
            "reader": (
                '{"writer": "Ben", "month": "May"}',
                '{"writer": "Ben", "brings": null, "month": 5}',
            )
        },
    ),
    Scene("repeat_until", {"begun": "paint the door: waiting", "ended": "done"}),
    Scene("clean_up", {"on_the_shelf": 2, "complaint": None, "released": "left"}),
    Scene(
        "clean_up",
        {
            "on_the_shelf": None,
            "complaint": "sent to Carla: It did not work: 4 things do not fit on the shelf 'left'",
            "released": "left",
        },
        {"items": ["a", "b", "c", "d"]},
        status="failed",
        error="step 'put' failed: 4 things do not fit on the shelf 'left'",
    ),
)


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def played(scene: Scene) -> WorkflowResult:
    models: dict[str, LLM] = {name: ScriptedLLM(said) for name, said in scene.replies.items()}

    async def main() -> WorkflowResult:
        workflow = Workflow.load(FOLDER / f"{scene.file}.yaml")
        return await workflow.run(scene.inputs, models=models, approver=scene.approver)

    return run_virtual(main)


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_an_example_comes_to_what_it_says(scene: Scene) -> None:
    result = played(scene)
    assert (result.status, result.error) == (scene.status, scene.error)
    assert result.outputs == scene.outputs


def test_every_example_is_played() -> None:
    assert {scene.file for scene in SCENES} == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_fits_the_schema_that_an_editor_has_of_it(file: Path) -> None:
    schema = schema_of(file)
    Draft202012Validator.check_schema(schema)
    data = read_file(file).data
    assert [error.message for error in Draft202012Validator(schema).iter_errors(data)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_schema_of_an_example_knows_its_tools(file: Path) -> None:
    data = read_file(file).data
    for step in data["steps"].values():
        step["with"] = {"no_such_argument": 1, **step["with"]}
    found = list(Draft202012Validator(schema_of(file)).iter_errors(data))
    plain = [step for step in data["steps"].values() if not step["uses"].endswith(".yaml")]
    assert len(found) == len(plain)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_says_what_it_shows_and_how_to_run_it(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    assert lines[:2] == [SCHEMA_LINE, "#"]
    comment = lines[2 : lines.index("")]
    assert all(line.startswith("#") for line in comment)
    assert f"#   llmcompiler run examples/workflows/{file.name}" in "\n".join(comment)
    assert Workflow.load(file).file.description


def test_without_anybody_to_ask_a_letter_waits() -> None:
    result = played(Scene("approval", {}))
    assert result.status == "pending"
    assert [(one.tool, one.args["to"]) for one in result.pending] == [("send_letter", "Anna")]


def test_the_first_shop_is_asked_three_times() -> None:
    result = played(Scene("retry_fallback", {}))
    attempts = {
        str(step.task.id): getattr(step.outcome, "attempts", None) for step in result.result.steps
    }
    assert attempts["ask.try"] == 3


def test_a_reserved_shelf_is_free_again_after_a_failure() -> None:
    for _ in range(2):
        assert played(Scene("clean_up", {}, {"items": list("abcd")}))["reserve"].status == "ok"


def test_the_job_is_asked_for_until_it_is_done() -> None:
    begun = run_virtual(_seconds_of_a_job)
    assert begun == pytest.approx(0.4)


async def _seconds_of_a_job() -> float:
    result = await Workflow.load(FOLDER / "repeat_until.yaml").run()
    return result.result.seconds


def test_the_agent_step_needs_no_more_than_the_embedded_model() -> None:
    result = Workflow.load(FOLDER / "agent_step.yaml").run_sync()
    assert (result.status, result.error) == ("finished", None)
    assert str(result.outputs["letter"]).startswith("sent to Ben: ")
    assert "4.8" in str(result.outputs["letter"])
