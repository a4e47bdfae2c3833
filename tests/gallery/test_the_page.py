"""Does docs/failures.md tell the truth: its examples, and the names of its tests?"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.gallery.cases import BLOCK, CASES, PAGE, shown

TEXT = PAGE.read_text("utf-8")
NAMED = set(re.findall(r"`(test_\w+)`", TEXT))
HERE = Path(__file__).parent
ANEW = "run python -m tests.gallery.cases, and read what has changed"


def _found_below(folder: Path) -> dict[str, Path]:
    """Return every test function below a folder, and the file that it stands in."""
    return {
        node.name: path
        for path in sorted(folder.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_is_there() -> None:
    assert sorted(NAMED - _found_below(ROOT / "tests").keys()) == []


def test_every_test_of_the_gallery_is_on_the_page() -> None:
    found = _found_below(HERE)
    here = {name for name, path in found.items() if path != Path(__file__)}
    assert sorted(here - NAMED) == []


def test_the_page_shows_every_case_once() -> None:
    titles = [title for title, _, _ in BLOCK.findall(TEXT)]
    assert titles == list(CASES)


@pytest.mark.parametrize("title", CASES)
def test_what_the_page_shows_is_what_happens(title: str) -> None:
    blocks = {name: block for name, _, block in BLOCK.findall(TEXT)}
    assert blocks[title] == shown(CASES[title]), ANEW


def test_every_example_names_the_test_that_holds_it() -> None:
    for title, between, _ in BLOCK.findall(TEXT):
        assert re.search(r"`test_outcome_\w+`", between), title


def test_every_link_within_the_page_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}
    links = set(re.findall(r"\]\(#([\w-]+)\)", TEXT))
    assert links
    assert links <= anchors
