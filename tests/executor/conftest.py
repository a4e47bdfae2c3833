"""Fixtures of the executor's tests."""

import pytest

from tests.agent.scenario import calls


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    """Begin every test with no calls made."""
    calls.clear()
