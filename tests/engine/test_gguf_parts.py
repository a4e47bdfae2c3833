"""Models that come in several files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import gguf as reference
import numpy as np
import pytest

from llmcompiler.engine.footprint import footprint
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.store import fingerprint
from llmcompiler.errors import ModelFileError
from tests.engine.asked import OPTIONS, Asked, running, short, tokens
from tests.engine.tiny_model import write_tiny_model

NAMES = [f"tiny-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Return the three files of the tiny model, written by llama.cpp's own tool for Python."""
    write_tiny_model(tmp_path / "tiny.gguf", tensors_each=8)
    found = sorted(tmp_path.iterdir())
    assert [path.name for path in found] == NAMES
    return found


def test_the_tensors_of_all_parts_are_those_of_the_whole(
    parts: list[Path], tiny_gguf: Path
) -> None:
    header, whole = read_header(parts[0]), read_header(tiny_gguf)
    assert (header.tensors, header.types) == (whole.tensors, whole.types)
    assert header.text("general.name") == "tiny random"
    assert header.path == parts[0]
    assert [part.path for part in header.parts] == parts
    offsets = [reference.GGUFReader(path).data_offset for path in parts]
    assert [part.data_start for part in header.parts] == offsets


def test_a_model_in_parts_takes_as_much_as_the_whole(parts: list[Path], tiny_gguf: Path) -> None:
    options = EngineOptions()
    assert footprint(read_header(parts[0]), options) == footprint(read_header(tiny_gguf), options)


@pytest.mark.parametrize("bare_first", [False, True])
def test_a_model_in_parts_writes_what_the_whole_writes(
    tmp_path: Path, tiny_gguf: Path, bare_first: bool
) -> None:
    first = write_tiny_model(tmp_path / "tiny.gguf", tensors_each=5, bare_first=bare_first)
    assert first.name == f"tiny-00001-of-0000{6 if bare_first else 5}.gguf"
    written = []
    for path in (tiny_gguf, first):
        with running(path) as engine:
            asked = Asked(engine, tokens(40), short(20))
            asked.end()
            written.append(asked.wrote)
    assert written[0] == written[1]
    assert len(written[0]) >= 10


def test_saved_states_of_a_model_in_parts_are_found_by_the_next_process(parts: list[Path]) -> None:
    folder = parts[0].parent / "states"
    options = replace(OPTIONS, cache_dir=str(folder))
    reused = []
    for _ in range(2):
        with running(parts[0], options) as engine:
            reused.append(Asked(engine, tokens(200), short(1)).usage().reused_tokens)
    assert reused[0] == 0
    assert reused[1] > 100


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_other_weights_in_any_part_have_another_fingerprint(
    parts: list[Path], changed: int
) -> None:
    def name() -> str:
        return fingerprint(
            read_header(parts[0]).parts,
            version="1",
            kv_type="f16",
            flash_attention="on",
            n_ctx=512,
            unified=True,
        )

    before = name()
    data = parts[changed].read_bytes()
    parts[changed].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert name() != before


@pytest.mark.parametrize(("gone", "said"), [([2], ""), ([1, 2], " and 1 more")])
def test_a_missing_part_is_named(parts: list[Path], gone: list[int], said: str) -> None:
    for place in gone:
        parts[place].unlink()
    with pytest.raises(
        ModelFileError,
        match=rf"{NAMES[0]}': it is the first of 3 parts, and '{NAMES[gone[0]]}'{said} should be",
    ):
        read_header(parts[0])


@pytest.mark.parametrize("number", [2, 3])
def test_who_names_a_later_part_is_told_the_first(parts: list[Path], number: int) -> None:
    with pytest.raises(
        ModelFileError, match=f"it is part {number} of 3: name the first, '{NAMES[0]}'"
    ):
        read_header(parts[number - 1])


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_half_of_a_part_is_named(parts: list[Path], share: float) -> None:
    data = parts[1].read_bytes()
    parts[1].write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match=rf"{NAMES[1]}': it is truncated"):
        read_header(parts[0])


def test_parts_in_a_wrong_order_are_noticed(parts: list[Path], tmp_path: Path) -> None:
    parts[1].rename(tmp_path / "aside")
    parts[2].rename(parts[1])
    (tmp_path / "aside").rename(parts[2])
    with pytest.raises(ModelFileError, match=rf"{NAMES[1]}': it is not part 2, which its name"):
        read_header(parts[0])


def test_a_part_that_is_a_whole_model_is_noticed(parts: list[Path], tiny_gguf: Path) -> None:
    shutil.copyfile(tiny_gguf, parts[1])
    with pytest.raises(ModelFileError, match=rf"{NAMES[1]}': it is not part 2"):
        read_header(parts[0])


def test_a_renamed_first_part_cannot_find_the_others(parts: list[Path]) -> None:
    renamed = parts[0].rename(parts[0].with_name("model.gguf"))
    with pytest.raises(
        ModelFileError, match=r"only where its name ends in '-00001-of-00003.gguf': rename it"
    ):
        read_header(renamed)


def _write_part(path: Path, number: int, count: int, total: int, *names: str) -> None:
    """Write a part with tensors of one number each."""
    writer = reference.GGUFWriter(path, "llama")
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", count)
    writer.add_int32("split.tensors.count", total)
    for name in names:
        writer.add_tensor(name, np.ones(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_parts_of_different_models_are_noticed(tmp_path: Path) -> None:
    first, second = (tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2))
    _write_part(first, 0, 2, 3, "a", "b")
    _write_part(second, 1, 2, 3, "b")
    with pytest.raises(ModelFileError, match=r"m-00002.*an earlier part has the same tensors"):
        read_header(first)
    _write_part(second, 1, 2, 3, "c", "d")
    with pytest.raises(ModelFileError, match="2 parts hold 4 tensors, and 3 are promised"):
        read_header(first)
    _write_part(second, 1, 2, 3, "c")
    assert read_header(first).tensors == {"a": 4, "b": 4, "c": 4}


def test_a_part_beyond_the_last_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m-00003-of-00002.gguf"
    _write_part(path, 2, 2, 1, "a")
    with pytest.raises(ModelFileError, match=r"damaged \(it is part 3 of 2\); download it again"):
        read_header(path)


def test_one_part_of_one_is_a_whole(tmp_path: Path) -> None:
    _write_part(tmp_path / "any.gguf", 0, 1, 1, "a")
    assert read_header(tmp_path / "any.gguf").tensors == {"a": 4}
