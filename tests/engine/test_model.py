from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import pytest

from llmcompiler.engine.binding import binding
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import _LOAD, Model
from llmcompiler.engine.options import EngineOptions, LoadMode
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError, ModelFileError
from tests.engine.tiny_model import write_tiny_model


def test_tokens_and_text_are_inverse(tiny_model: Model) -> None:
    for text in ("the place Oslo", "é€🎉\n\t x", "", "a" * 3000):
        tokens = tiny_model.tokenize(text, special=False)
        assert b"".join(map(tiny_model.piece, tokens)).decode() == text


def test_control_tokens_are_read_only_where_they_count(tiny_model: Model) -> None:
    assert tiny_model.tokenize("<|end|>", special=True) == [1]
    plain = tiny_model.tokenize("<|end|>", special=False)
    assert not any(map(tiny_model.is_control, plain))
    assert tiny_model.is_control(1)
    assert tiny_model.piece(1) == b""


def test_the_vocabulary_tells_its_marks(tiny_model: Model) -> None:
    assert tiny_model.end_tokens == {1}
    assert tiny_model.first_token == 0
    assert tiny_model.marks == {"bos_token": "<|begin|>", "eos_token": "<|end|>"}
    assert tiny_model.markup is not None
    assert tiny_model.markup.findall("a <|end|> b <|user|><|nothing|>") == ["<|end|>", "<|user|>"]


def test_the_context_defaults_to_what_the_model_was_trained_for(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "short.gguf", context=300)
    model = Model(read_header(path), EngineOptions(threads=1))
    assert model.n_ctx == 300
    model.close()


def test_closing_twice_is_harmless(tiny_gguf: Path) -> None:
    model = Model(read_header(tiny_gguf), EngineOptions(threads=1))
    model.close()
    model.close()


def test_more_shares_than_devices_are_refused(tiny_gguf: Path) -> None:
    with pytest.raises(ConfigurationError, match="tensor_split has 1000 shares"):
        Model(read_header(tiny_gguf), EngineOptions(tensor_split=(1.0,) * 1000))


def test_a_context_beyond_the_trained_one_is_refused(tiny_gguf: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"n_ctx is 4097.* trained for 4096"):
        Model(read_header(tiny_gguf), EngineOptions(n_ctx=4097))


def test_a_whole_file_that_llama_cpp_refuses_says_why(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(data.replace(b"output_norm.weight", b"output_xxxx.weight"))
    with pytest.raises(ModelFileError, match=r"llama\.cpp refuses it: .*output_norm"):
        Model(read_header(renamed), EngineOptions())


def test_loading_can_be_stopped(tiny_gguf: Path) -> None:
    with pytest.raises(ModelError, match=r"loading 'tiny\.gguf' was stopped"):
        Model(read_header(tiny_gguf), EngineOptions(), stopped=lambda: True)


@pytest.mark.parametrize("mode", get_args(LoadMode))
def test_weights_are_mapped_or_locked_as_it_is_asked_for(tiny_gguf: Path, mode: LoadMode) -> None:
    assert binding().llama_load_mode_name(_LOAD[mode]).decode() == mode
    before = _locked()
    model = Model(read_header(tiny_gguf), EngineOptions(kernels="off", load_mode=mode, threads=1))
    assert model.tokenize("the place", special=False)
    if sys.platform == "linux":
        mapped = str(tiny_gguf) in Path("/proc/self/maps").read_text("utf-8")
        assert mapped == (mode in ("auto", "mmap", "mmap+mlock"))
        if "mlock" not in mode or _may_lock(tiny_gguf.stat().st_size):
            assert (_locked() > before) == ("mlock" in mode)
    model.close()


def _locked() -> int:
    """Return how many KiB of this process cannot be swapped out, where that can be asked."""
    status = Path("/proc/self/status")
    lines = status.read_text("ascii").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmLck:"))


def _may_lock(size: int) -> bool:
    import resource  # there is none on Windows

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return limit == resource.RLIM_INFINITY or limit > 2 * size


def test_an_unknown_architecture_says_so(tiny_gguf: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(tiny_gguf.read_bytes().replace(b"llama", b"lxama"))
    with pytest.raises(ModelFileError, match="unknown model architecture: 'lxama'"):
        Model(read_header(renamed), EngineOptions())


def test_llama_cpp_writes_nothing_to_the_terminal(
    tiny_gguf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Model(read_header(tiny_gguf), EngineOptions(threads=1)).close()
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_the_message_says_what_to_install(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binding.cache_clear()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llmcompiler-runtime\[local\]'"):
        Model(read_header(tiny_gguf), EngineOptions())
