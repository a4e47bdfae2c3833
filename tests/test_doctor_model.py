"""What the doctor says of a model's file, before it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcompiler.doctor import Check, check_file, model_file
from tests.engine.tiny_model import write_tiny_model

DATED = (
    "{{ strftime_now('%d %b') }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def _memory(path: Path, **options: object) -> Check:
    return check_file(f"local:{path}", options)[0]


def test_a_file_tells_what_it_takes_and_how_it_would_be_loaded(tiny: Path) -> None:
    check = _memory(tiny)
    assert (check.name, check.status) == ("memory for tiny.gguf", "ok")
    assert "512 bytes of cache a token" in check.detail
    assert "requests of 4096 tokens (trained: 4096), a cache of 12288 in 64" in check.detail


def test_options_change_how_it_would_be_loaded(tiny: Path) -> None:
    detail = _memory(tiny, n_ctx=1024, n_cells=2048, n_seq=4, kv_type="q8_0").detail
    assert "272 bytes of cache a token" in detail
    assert "requests of 1024 tokens (trained: 4096), a cache of 2048 in 4 sequences" in detail


def test_a_draft_model_is_counted(tiny: Path) -> None:
    assert " to draft)" not in _memory(tiny).detail
    assert " to draft)" in _memory(tiny, draft_model=str(tiny)).detail
    missing = _memory(tiny, draft_model="none.gguf")
    assert missing.status == "fail"
    assert "'none.gguf': there is no such file" in missing.detail


def test_options_that_do_not_fit_are_a_failure(tiny: Path) -> None:
    check = _memory(tiny, n_ctx=5000)
    assert check.status == "fail"
    assert "was trained for 4096" in check.detail


def test_without_llama_cpp_the_file_can_still_be_read(tiny: Path) -> None:
    check = check_file(f"local:{tiny}", llama=False)[0]
    assert check.status == "ok"
    assert "cache a token" in check.detail


def test_a_template_that_only_appends_is_well(tiny: Path) -> None:
    check = check_file(str(tiny))[1]
    assert (check.name, check.status) == ("template of tiny.gguf", "ok")


def test_a_template_that_rewrites_what_was_said_is_reported(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "odd.gguf", template=DATED)
    check = check_file(str(path))[1]
    assert check.status == "warn"
    assert "the chat template would print the date anew" in check.detail


def test_a_template_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "odd.gguf", template="{% if %}")
    assert check_file(str(path))[1].status == "fail"


def test_a_model_without_a_template_gets_chatml(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "plain.gguf", template=None)
    assert "ChatML" in check_file(str(path))[1].detail


def test_of_servers_and_of_files_that_are_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert check_file("http://127.0.0.1:9/v1#m") == ()
    assert check_file(f"local:{tmp_path / 'none.gguf'}") == ()


def test_a_model_is_named_by_path_by_spec_or_by_the_name_it_is_installed_under() -> None:
    assert model_file("a/b.gguf") == Path("a/b.gguf")
    assert model_file("local:a/b") == Path("a/b")
    embedded = model_file("embedded")
    assert embedded is not None
    assert embedded.suffix == ".gguf"
    assert model_file("openai:gpt") is None
