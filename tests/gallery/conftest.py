"""Fixtures of the gallery."""

import pytest

from tests.gallery.scene import calls


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    """Begin every test with nothing done."""
    calls.clear()
