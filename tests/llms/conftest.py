"""A real model for the tests of the local back end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF with random weights and a chat template, written once a session."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")
