"""How much does the core bring along, and is every dependency bounded and explained?"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import ROOT

MOST = 30
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def _needed(requirement: Requirement, found: set[str]) -> set[str]:
    """Add a distribution and all that it needs here, as the installed metadata say."""
    name = canonicalize_name(requirement.name)
    if name in found:
        return found
    found.add(name)
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return found
    for line in lines:
        needed = Requirement(line)
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            _needed(needed, found)
    return found


def test_the_core_is_at_most_thirty_distributions() -> None:
    found: set[str] = {"llmcompiler-runtime"}
    for line in PROJECT["dependencies"]:
        _needed(Requirement(line), found)
    assert len(found) <= MOST, sorted(found)


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["local"]])
def test_every_dependency_has_a_lower_bound(line: str) -> None:
    assert ">=" in str(Requirement(line).specifier)


def test_every_dependency_is_explained_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## Dependencies")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([\w.-]+)`", section, re.MULTILINE))
    named = {
        Requirement(line).name
        for line in [*PROJECT["dependencies"], *EXTRAS["local"], *EXTRAS["train"]]
    }
    assert explained == named


def test_no_lock_file_names_a_host() -> None:
    locks = [path for pattern in ("*.lock", "*requirements*.txt") for path in ROOT.glob(pattern)]
    assert not [path for path in locks if "://" in Path(path).read_text("utf-8")]
