"""Does the wheel work where nothing else of the project is?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 30

pytestmark = pytest.mark.slow

REQUEST = '''
import json
import llmcompiler
from llmcompiler import Agent, tool
from llmcompiler.registry import bundled_tools, installed
from llmcompiler.testing import ScriptedLLM


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


plan = '1. double(number=4)\\n2. double(number=$1)\\n3. calculate(expression="${2} + 1")\\n4. join()'
llm = ScriptedLLM([plan, "Answer: It is 17."])
result = Agent(llm, tools=[double, *bundled_tools().values()]).run_sync("Twice doubled, and one?")
print(json.dumps({
    "home": llmcompiler.__file__,
    "answer": result.answer,
    "outputs": [step.outcome.value for step in result.steps],
    "models": list(installed("models")),
    "planners": list(installed("planners")),
}))
'''


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    target = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=ROOT)
    (built,) = target.glob("llmcompiler_runtime-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, without extras, into an environment that has nothing else."""
    home = tmp_path_factory.mktemp("elsewhere")
    _run(sys.executable, "-m", "venv", home / "venv", cwd=home)
    pip = (home / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    _run(*pip, "install", "--quiet", wheel, cwd=home)
    return home


def test_the_wheel_holds_three_packages_that_are_typed_and_the_model(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    packages = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"llmcompiler", "llmcompiler_tools", "llmcompiler_planners"}
    for package in packages:
        assert f"{package}/py.typed" in names
    models = [name for name in names if name.endswith(".gguf")]
    assert models == ["llmcompiler_planners/embedded/model.gguf"]
    assert 100_000 < sizes[models[0]] < 20_000_000
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_announces_command_tools_planners_and_models(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("entry_points.txt")]
        points = ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {"llmcompiler": "llmcompiler.cli:main"}
    assert set(points["llmcompiler.models"]) == {"embedded"}
    assert set(points["llmcompiler.planners"]) == {"dag"}
    assert {"arithmetic", "units", "time", "text", "sqlite", "web"} <= set(
        points["llmcompiler.tools"]
    )


def test_the_command_runs_from_another_directory(elsewhere: Path) -> None:
    command = elsewhere / "venv" / "bin" / "llmcompiler"
    assert _run(command, "--version", cwd=elsewhere).startswith("llmcompiler 0.")
    assert "convert(" in _run(command, "tools", "list", cwd=elsewhere)
    called = _run(command, "tools", "call", "calculate", "expression=6*7", cwd=elsewhere)
    assert called == "42\n"


def test_a_request_with_a_scripted_model_runs_from_another_directory(elsewhere: Path) -> None:
    said = json.loads(_run(elsewhere / "venv/bin/python", "-c", REQUEST, cwd=elsewhere))
    assert str(elsewhere) in said["home"]
    assert said["answer"] == "It is 17."
    assert said["outputs"] == [8, 16, 17]
    assert (said["models"], said["planners"]) == (["embedded"], ["dag"])


def test_the_embedded_model_asks_for_the_extra_where_it_is_missing(elsewhere: Path) -> None:
    command = elsewhere / "venv" / "bin" / "llmcompiler"
    done = subprocess.run(
        [str(command), "run", "What is 6 times 7?"],
        capture_output=True,
        text=True,
        cwd=elsewhere,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'llmcompiler-runtime[local]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_core_brings_at_most_thirty_distributions(elsewhere: Path) -> None:
    pip = (elsewhere / "venv/bin/python", "-m", "pip", "--disable-pip-version-check")
    listed = json.loads(_run(*pip, "list", "--format=json", cwd=elsewhere))
    names = {each["name"] for each in listed} - {"pip", "setuptools", "wheel"}
    assert len(names) <= MOST, sorted(names)
    assert "llama_cpp_python" not in names
