"""Tests on public data, which lie beside the project; where they are not, the tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plans_data import DATA, is_here

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the data sets where they are not there."""
    if is_here():
        return
    skip = pytest.mark.skip(reason=f"the public data sets are not in {DATA}")
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(skip)
