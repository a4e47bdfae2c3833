"""Real models for the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from tests.engine.held import compiler, guided, model
from tests.engine.recurrent_model import FAMILIES, WHOLE, write_family
from tests.engine.tiny_model import write_tiny_model

if TYPE_CHECKING:
    from llmcompiler.engine.loop import Engine

__all__ = [
    "close_and_check",
    "compiler",
    "families",
    "guided",
    "model",
    "q8_gguf",
    "tiny_gguf",
    "tiny_model",
    "whole",
]


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF with random weights and a chat template, written once a session."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def q8_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model in Q8_0, whose kernels add up alike in batches of any size."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "q8.gguf", quantised=True)


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a GGUF of each family of layers, written once a session."""
    folder = tmp_path_factory.mktemp("families")
    return {family: write_family(folder / f"{family}.gguf", family) for family in FAMILIES}


@pytest.fixture(params=WHOLE)
def whole(request: pytest.FixtureRequest, families: dict[str, Path]) -> Path:
    """Return a model that has states alone, then one that has a cache as well."""
    family: str = request.param
    return families[family]


@pytest.fixture
def tiny_model(tiny_gguf: Path) -> Iterator[Model]:
    """Return the tiny model with a context of 512 tokens, evaluated in chunks of 64."""
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, chunk=64, threads=1))
    yield model
    model.close()


def close_and_check(engine: Engine) -> None:
    """Stop an engine; what it thinks it holds must be what llama.cpp holds, whatever happened."""
    problems: list[BaseException] = []
    leave = engine.seats.save_all

    def check_first() -> None:
        try:
            engine.seats.check()
            assert not engine.seats.taken
        except BaseException as problem:  # noqa: BLE001 - raised again on the test's own thread
            problems.append(problem)
        leave()

    engine.seats.save_all = check_first  # type: ignore[method-assign]  # looked at in passing
    engine.close()
    for problem in problems:
        raise problem
