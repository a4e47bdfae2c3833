from __future__ import annotations

import random
from pathlib import Path

import gguf as reference
import pytest

from llmcompiler.engine import gguf
from llmcompiler.engine.gguf import read_header
from llmcompiler.errors import ModelFileError


def test_the_header_of_a_whole_file_is_read(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    assert header.text("general.name") == "tiny random"
    assert header.metadata["llama.context_length"] == 4096
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert [part.path for part in header.parts] == [tiny_gguf]
    assert header.text("llama.context_length") is None


def test_the_sizes_of_tensor_types_are_ggmls() -> None:
    assert {int(kind): size for kind, size in reference.GGML_QUANT_SIZES.items()} == gguf._BLOCKS


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_named_as_such(tiny_gguf: Path, tmp_path: Path, share: float) -> None:
    data = tiny_gguf.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match=r"it is truncated: .*download it again"):
        read_header(cut)


def test_one_missing_byte_is_noticed(tiny_gguf: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes().rstrip(b"\x00")[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        read_header(cut)


@pytest.mark.parametrize("data", [b"", b"GG", b"PK\x03\x04 something else altogether"])
def test_a_foreign_file_is_not_gguf(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="it is not a GGUF file"):
        read_header(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no\.gguf': there is no such file"):
        read_header(tmp_path / "no.gguf")


def test_a_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="it is a directory"):
        read_header(tmp_path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + bytes(32))
    with pytest.raises(ModelFileError, match="its GGUF version is 1"):
        read_header(path)


def test_two_tokens_of_one_text_are_noticed_since_llama_cpp_would_end_the_process(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    data = tiny_gguf.read_bytes()
    path = tmp_path / "twice.gguf"
    path.write_bytes(data.replace(b"Repla", b"Answe").replace(b"Repl", b"Answ"))
    with pytest.raises(ModelFileError, match="two tokens have one text"):
        read_header(path)


def test_damaged_headers_raise_only_typed_errors(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    chance = random.Random(1)
    path = tmp_path / "damaged.gguf"
    for _ in range(300):
        damaged = bytearray(data[:12000] + data[-1000:])
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(4, 12000)] = chance.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            read_header(path)


def test_the_sizes_of_tensors_are_known_by_name(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    told = reference.GGUFReader(tiny_gguf)
    assert header.tensors == {tensor.name: tensor.n_bytes for tensor in told.tensors}
    assert header.parts[0].data_start == told.data_offset


def test_short_lists_of_numbers_are_kept_and_long_ones_are_not(tmp_path: Path) -> None:
    writer = reference.GGUFWriter(tmp_path / "lists.gguf", "llama")
    writer.add_head_count_kv([4, 0, 2])
    writer.add_array("llama.window", [True, False])
    writer.add_array("llama.names", ["a", "b"])
    writer.add_array("llama.long", list(range(2000)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    header = read_header(tmp_path / "lists.gguf")
    assert header.lists == {
        "llama.attention.head_count_kv": (4, 0, 2),
        "llama.window": (True, False),
    }
