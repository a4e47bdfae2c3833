"""The folder report on models that plan and digest by script."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from examples.report import main, report
from llmcompiler.messages import Prompt
from llmcompiler.testing import FunctionLLM

PLAN = '1. list_files(folder="notes", pattern="*.md")\n2. digest(path=each $1, question="Why?")\n3. join($2)'


@pytest.fixture(autouse=True)
def _notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ants", "bees", "cats"):
        file = tmp_path / "notes" / f"{name}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"All about {name}.")


class Reader:
    """Plans the report, digests three files only when asked for all at once, and answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.all_asked = anyio.Event()
        self.read = ""

    async def __call__(self, prompt: Prompt) -> str:
        last = prompt.messages[-1]
        if last.text.startswith("File "):
            self.asked += 1
            if self.asked == 3:
                self.all_asked.set()
            with anyio.fail_after(10):
                await self.all_asked.wait()
            return f"digest of: {last.text.splitlines()[2]}"
        if last.kind == "observation":
            self.read = last.text
            return "Answer: because."
        return PLAN


def test_files_are_digested_at_the_same_time_and_answered_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reader = Reader()
    assert report("Why?", "notes", FunctionLLM(reader)) == "because."
    for name in ("ants", "bees", "cats"):
        assert f"digest of: All about {name}." in reader.read
        assert f'"notes/{name}.md"' in reader.read
    assert "2. digest(path=each $1" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_does_not_lose_the_others() -> None:
    Path("notes/dogs.md").write_bytes(b"\0not a text")
    reader = Reader()
    assert report("Why?", "notes", FunctionLLM(reader)) == "because."
    assert "'notes/dogs.md' is not a text file" in reader.read
    assert "digest of: All about bees." in reader.read


def test_the_embedded_model_is_told_apart_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["Why?"]) == 2
    said = capsys.readouterr().err
    assert "--model local:PATH.gguf" in said
    assert said.count("\n") == 1


def test_a_model_that_cannot_be_used_is_a_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Why?", "--model", "local:missing.gguf"]) == 1
    said = capsys.readouterr().err
    assert "missing.gguf" in said
    assert said.count("\n") == 1
