"""A real model for the tests of the local back end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmcompiler.engine.options import EngineOptions
from llmcompiler.llms.local import LocalLLM
from tests.engine.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF with random weights and a chat template, written once a session."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
async def llm(tiny_gguf: Path) -> AsyncIterator[LocalLLM]:
    """Return the tiny model with a context of 1,024 tokens, evaluated in chunks of 64."""
    llm = LocalLLM(tiny_gguf, EngineOptions(n_ctx=1024, threads=1, chunk=64))
    yield llm
    await llm.aclose()
