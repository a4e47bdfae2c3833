"""The bundled tools as a whole: found by their entry points, described, and as the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmcompiler import Tool
from llmcompiler.registry import bundled_tools, load_tools

README = Path(__file__).parents[2] / "tools" / "README.md"


def test_every_bundled_tool_is_in_the_readme_with_its_parameters() -> None:
    table = README.read_text("utf-8").split("## The bundled tools")[1]
    told = dict(re.findall(r"`(\w+)\(([\w, ]*)\)`", table))
    assert {
        name: ", ".join(made.parameters["properties"]) for name, made in bundled_tools().items()
    } == told


@pytest.mark.parametrize("made", bundled_tools().values(), ids=lambda made: made.name)
def test_a_bundled_tool_says_what_it_does_takes_and_gives(made: Tool[..., Any]) -> None:
    assert made.description.endswith(".")
    assert len(made.description) < 120
    assert all(one.get("description") for one in made.parameters["properties"].values())
    assert made.returns
    assert made.effects == "read"


def test_the_tool_in_ten_lines_of_the_readme_works(tmp_path: Path) -> None:
    code = README.read_text("utf-8").split("```python\n")[1].split("```")[0]
    file = tmp_path / "weather.py"
    file.write_text(code)
    temperature = load_tools([str(file)])["temperature"]
    assert anyio.run(temperature.invoke, {"city": "Oslo"}) == -3.5
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def marked(mark: str) -> set[str]:
    return {name for name, made in bundled_tools().items() if getattr(made, mark)}


def test_the_bundled_tools_say_what_they_are() -> None:
    assert marked("pure") == {
        *("calculate", "total", "average", "most", "least", "convert"),
        *("days_between", "add_days", "weekday"),
    }
    assert marked("untrusted") == marked("sends") == {"fetch"}
    assert marked("private") == {"read_file", "search_files", "query"}
    assert all(made.repeatable for made in bundled_tools().values())
