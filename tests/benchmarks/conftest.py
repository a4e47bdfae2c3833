"""A model small enough to be made by a test in the way of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import models
from benchmarks.models import model_file
from tests.benchmarks.small import SMALL


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the session's models are written to."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def small_model(small_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model of 500 tokens, which `model_file` calls "small"; written once a session."""
    monkeypatch.setattr(models, "HOME", small_home)
    monkeypatch.setitem(models.SHAPES, "small", SMALL)
    return model_file("small", lambda line: None)
