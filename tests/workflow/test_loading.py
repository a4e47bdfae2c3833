"""Loading: files that use tools and each other, and what is wrong with any of them, at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llmcompiler.errors import ConfigurationError
from llmcompiler.testing import run_virtual
from llmcompiler.workflow import InputError, Workflow, WorkflowError
from tests.workflow.trying import HERE, loaded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the tools in it, where tests stand."""
    shutil.copy(HERE / "deeds.py", tmp_path / "deeds.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(path: str) -> list[str]:
    with pytest.raises(WorkflowError) as raised:
        Workflow.load(path)
    return [str(one) for one in raised.value.problems]


def test_a_file_is_loaded_with_the_tools_beside_it_wherever_one_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "w.yaml").write_text("tools: ./deeds.py\nsteps: {a: {uses: say, with: {text: hi}}}\n")
    monkeypatch.chdir(folder.parent)
    workflow = Workflow.load(folder / "w.yaml")
    assert workflow.name == "w"
    assert "geocode" in workflow.tools
    assert workflow.to_yaml().startswith("tools: ./deeds.py\n")
    result = workflow.run_sync()
    assert result.to_json()["workflow"] == "w"
    assert result["a"] == result.result["a"]


def test_without_tools_the_bundled_ones_are_there() -> None:
    workflow = Workflow.loads("steps: {a: {uses: calculate, with: {expression: 1 + 1}}}\n")
    assert "calculate" in workflow.tools


def test_where_tools_do_not_load_only_that_is_said_of_them(folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    (folder / "w.yaml").write_text(
        "tools: [./broken.py, ./deeds.py, ./gone.py]\n"
        "steps:\n"
        "  a: {uses: unheard, with: {x: 1}}\n"
        "  b: {uses: say, with: {txt: 1}}\n"
        "  c: {uses: echo, with: {value: '${{ steps.a.output.x }} ${{ steps.d.output }}'}}\n"
    )
    assert problems("w.yaml") == [
        "w.yaml:1:9: cannot load tools from 'broken.py': it fails at line 1 with "
        "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        "w.yaml:1:34: cannot load tools from 'gone.py': there is no such file; "
        "did you mean 'broken.py'?",
        "w.yaml:4:18: say needs the argument 'text'",
        "w.yaml:4:25: say has no argument 'txt'; did you mean 'text'?",
        "w.yaml:5:68: there is no step 'd'",
    ]


def test_two_tools_of_one_name_are_refused(folder: Path) -> None:
    shutil.copy(folder / "deeds.py", folder / "again.py")
    (folder / "w.yaml").write_text(
        "tools: [./deeds.py, ./again.py]\nsteps: {a: {uses: say, with: {text: a}}}\n"
    )
    [said] = problems("w.yaml")
    assert said.startswith("w.yaml:1:21: two tools are named 'counted' (")


def test_a_file_that_is_not_there_is_said_so(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Workflow.load("w.yaml")
    assert str(raised.value) == "cannot read the workflow 'w.yaml': no such file or directory"
    (folder / "w.yaml").write_text("steps: {a: {uses: ./sub/none.yaml}}\n")
    assert problems("w.yaml") == [
        "w.yaml:1:19: cannot read the workflow 'sub/none.yaml': no such file or directory"
    ]


def test_the_problems_of_a_file_that_is_used_are_told_with_its_own_name_once(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "other.yaml").write_text(
        "tools: [../deeds.py]\nsteps: {a: {uses: sai}}\noutputs: {x: '${{ steps.b.output }}'}\n"
    )
    (folder / "w.yaml").write_text(
        "tools: [./deeds.py]\n"
        "steps:\n"
        "  a: {uses: ./sub/other.yaml}\n"
        "  b: {uses: sub/other.yaml}\n"
        "  c: {uses: say}\n"
    )
    assert problems("w.yaml") == [
        "sub/other.yaml:2:19: there is no tool 'sai'; did you mean 'say'?",
        "sub/other.yaml:3:25: there is no step 'b'",
        "w.yaml:3:13: './sub/other.yaml' cannot be used: it has 2 problems",
        "w.yaml:4:13: 'sub/other.yaml' cannot be used: it has 2 problems",
        "w.yaml:5:3: say needs the argument 'text'",
    ]


def test_files_that_use_each_other_in_a_circle_are_refused(folder: Path) -> None:
    (folder / "a.yaml").write_text("steps: {one: {uses: ./b.yaml}}\n")
    (folder / "b.yaml").write_text("steps: {two: {uses: ./c.yaml}}\n")
    (folder / "c.yaml").write_text("steps: {three: {uses: ./a.yaml}}\n")
    assert problems("a.yaml") == [
        "a.yaml:1:21: './b.yaml' cannot be used: it has 2 problems",
        "b.yaml:1:21: './c.yaml' cannot be used: it has a problem",
        "c.yaml:1:23: the workflows use each other in a circle: "
        "a.yaml -> b.yaml -> c.yaml -> a.yaml",
    ]
    (folder / "d.yaml").write_text("steps: {one: {uses: ./d.yaml}}\n")
    assert problems("d.yaml") == [
        "d.yaml:1:21: the workflows use each other in a circle: d.yaml -> d.yaml"
    ]


def test_files_that_use_each_other_in_a_long_row_are_refused(folder: Path) -> None:
    for number in range(11):
        (folder / f"{number}.yaml").write_text(
            f"steps: {{a: {{uses: ./{number + 1}.yaml}}, b: {{uses: ./{number + 1}.yaml}}}}\n"
        )
    (folder / "11.yaml").write_text("steps: {a: {uses: calculate, with: {expression: '1'}}}\n")
    assert "9.yaml:1:19: more than 10 workflows use each other in a row" in problems("0.yaml")


def test_arguments_and_outputs_of_a_workflow_that_is_used_are_checked(folder: Path) -> None:
    (folder / "other.yaml").write_text(
        "tools: [./deeds.py]\n"
        "inputs: {place: {type: string}, loud: {type: boolean, default: false}}\n"
        "steps: {a: {uses: geocode, with: {place: '${{ inputs.place }}'}}}\n"
        "outputs: {lat: '${{ steps.a.output.lat }}'}\n"
    )
    (folder / "w.yaml").write_text(
        "tools: [./deeds.py]\n"
        "steps:\n"
        "  a: {uses: ./other.yaml, with: {plcae: Oslo, loud: 'no'}}\n"
        "  b: {uses: say, with: {text: '${{ steps.a.output.lat }}'}}\n"
        "  c: {uses: say, with: {text: '${{ steps.a.output.lon }}'}}\n"
    )
    assert problems("w.yaml") == [
        "w.yaml:3:27: ./other.yaml needs the argument 'place'",
        "w.yaml:3:34: ./other.yaml has no argument 'plcae'; did you mean 'place'?",
        'w.yaml:3:53: ./other.yaml: loud must be true or false, not "no"',
        "w.yaml:4:31: say: text must be a text, and steps.a.output.lat is null or a number; "
        "write ${{ steps.a.output.lat | string }}",
        "w.yaml:5:36: steps.a.output has no 'lon'",
    ]


INPUTS = """\
inputs:
  place: {type: string}
  count: {type: integer, minimum: 1, default: 2}
  share: {type: number, default: 1}
  note: {type: string, required: false}
steps:
  a:
    uses: echo
    with: {value: ["${{ inputs.place }}", "${{ inputs.count }}", "${{ inputs.share }}", "${{ inputs.note }}"]}
outputs: {all: "${{ steps.a.output }}"}
"""


def test_inputs_have_defaults_and_numbers_of_the_kind_asked_for() -> None:
    workflow = loaded(INPUTS)
    assert workflow.inputs_of({"place": "Oslo"}) == {
        "place": "Oslo",
        "count": 2,
        "share": 1,
        "note": None,
    }
    given = workflow.inputs_of({"place": "Oslo", "count": 3.0, "share": 2})
    assert (given["count"], given["share"]) == (3, 2.0)
    assert (type(given["count"]), type(given["share"])) == (int, float)

    async def main() -> object:
        return (await workflow.run({"place": "Oslo", "count": 3})).outputs["all"]

    assert run_virtual(main) == ["Oslo", 3, 1, None]


def test_all_that_is_wrong_with_inputs_is_told_before_anything_runs() -> None:
    workflow = loaded(INPUTS)
    with pytest.raises(InputError) as raised:
        workflow.run_sync({"plaec": "Oslo", "count": 0, "share": "much", "x": 1})
    assert raised.value.problems == (
        "there is no input 'plaec'; did you mean 'place'?",
        "there is no input 'x'; there are place, count, share, note",
        "the input 'place' is missing",
        "count must be at least 1, not 0",
        'share must be a number, not "much"',
    )
    assert str(raised.value) == "\n".join(raised.value.problems)


def test_the_environment_is_read_by_declared_names_only() -> None:
    workflow = loaded(
        """\
        env: {HOME_TOWN: null, MOOD: fine}
        secrets: [KEY]
        steps: {a: {uses: say, with: {text: "${{ env.HOME_TOWN }} ${{ env.MOOD }}"}}}
        outputs: {text: "${{ steps.a.output }}"}
        """
    )
    with pytest.raises(InputError) as raised:
        workflow.run_sync(environment={"OTHER": "x"})
    assert raised.value.problems == (
        "the environment variable 'HOME_TOWN' is not set",
        "the secret 'KEY' is not set: it is read from the environment",
    )
    result = workflow.run_sync(environment={"HOME_TOWN": "Oslo", "KEY": "hidden"})
    assert dict(result.outputs) == {"text": "Oslo fine"}


def test_models_of_other_names_than_the_file_s_are_refused() -> None:
    workflow = loaded("models: {planner: embedded}\nsteps: {a: {uses: say, with: {text: a}}}\n")
    with pytest.raises(ConfigurationError) as raised:
        workflow.run_sync(models={"planer": None})
    assert str(raised.value) == ("the workflow names no model 'planer'; did you mean 'planner'?")
