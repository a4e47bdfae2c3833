from __future__ import annotations

import shutil
import threading
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.gguf import Part, read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.state_folder import StateFolder
from llmcompiler.engine.store import StateStore, StoredMatch, fingerprint
from llmcompiler.errors import ModelFileError


def _in_ram(size: int = 1000) -> StateStore:
    return StateStore("model", ram_bytes=size)


def _on_disk(folder: Path, size: int = 10_000, mark: str = "model") -> StateStore:
    return StateStore(mark, ram_bytes=0, folder=folder, disk_bytes=size)


def _had(store: StateStore, tokens: Sequence[int]) -> bytes | None:
    """Return the data of the state of just these tokens."""
    found = store.match(tokens)
    if found is None or found.length < len(tokens) or found.count > len(tokens):
        return None
    return store.get(found.key)


def test_what_was_put_is_found_and_had() -> None:
    store = _in_ram()
    store.put([1, 2, 3], b"abc")
    found = store.match((1, 2, 4, 5))
    assert found is not None
    assert (found.length, found.count) == (2, 3)
    assert store.get(found.key) == b"abc"
    assert store.match([2]) is None
    assert store.match([]) is None


def test_the_longest_common_prefix_is_found(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=20, folder=tmp_path, disk_bytes=1000)
    store.put([1, 2, 3, 4], b"long")
    store.put([1, 2], b"short")
    assert store.ram_used == 13
    for prompt, length, count in (([1, 2, 3, 9], 3, 4), ([1, 2, 3, 4, 5], 4, 4), ([1, 9], 1, 2)):
        found = store.match(prompt)
        assert found is not None
        assert (found.length, found.count) == (length, count)


def test_of_equals_one_in_ram_is_found_and_then_the_shortest(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=34, folder=tmp_path, disk_bytes=1000)
    store.put([1, 2], b"0123456789")
    store.put([1, 2, 3, 4, 5], b"0123456789")
    store.flush()
    assert store.match([1, 2]) == StoredMatch(_key(store, [1, 2, 3, 4, 5]), 2, 5)
    store.put([1, 2, 3], b"01")
    assert store.match([1, 2]) == StoredMatch(_key(store, [1, 2, 3]), 2, 3)


def _key(store: StateStore, tokens: Sequence[int]) -> str:
    found = store.match(tokens)
    assert found is not None
    assert found.count == len(tokens)
    return found.key


def test_a_whole_match_is_of_a_state_that_needs_no_trimming() -> None:
    store = _in_ram()
    store.put([1, 2, 3, 4], b"x")
    assert store.match([1, 2, 3, 5], whole=True) is None
    store.put([1, 2], b"x")
    found = store.match([1, 2, 3, 5], whole=True)
    assert found is not None
    assert (found.length, found.count) == (2, 2)


def test_a_state_of_no_tokens_or_without_data_is_not_saved() -> None:
    store = _in_ram()
    store.put([], b"abc")
    store.put([1], b"")
    assert store.ram_used == 0


def test_ram_forgets_what_was_used_longest_ago_where_there_is_no_folder() -> None:
    store = _in_ram(3 * 14)
    for first in (1, 2, 3):
        store.put([first], b"0123456789")
    assert _had(store, [1]) is not None
    store.put([4], b"0123456789")
    assert [first for first in (1, 2, 3, 4) if _had(store, [first])] == [1, 3, 4]
    assert store.ram_used == 3 * 14


def test_ram_that_is_full_spills_to_the_folder_and_takes_back_what_is_used(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=14, folder=tmp_path, disk_bytes=1000)
    store.put([1], b"0123456789")
    assert store.disk_used == 0
    store.put([2], b"abcdefghij")
    assert store.ram_used == 14
    store.flush()
    written = store.disk_used
    assert written > 14
    assert _had(store, [1]) == b"0123456789"
    store.flush()
    assert store.disk_used == 2 * written
    shutil.rmtree(tmp_path)
    assert _had(store, [1]) == b"0123456789"
    assert _had(store, [2]) is None


def test_a_state_put_again_is_counted_once() -> None:
    store = _in_ram()
    store.put([1], b"0123456789")
    store.put([1], b"01234")
    assert store.ram_used == 9
    assert _had(store, [1]) == b"01234"


def test_a_state_that_is_larger_than_all_there_is_room_for_is_forgotten(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=20, folder=tmp_path, disk_bytes=200)
    store.put([1], b"small")
    store.put([2], b"x" * 50)
    store.put([3], b"x" * 500)
    store.flush()
    assert _had(store, [1]) == b"small"
    assert _had(store, [2]) == b"x" * 50
    assert _had(store, [3]) is None
    assert store.ram_used == 9


def test_what_is_kept_is_there_in_the_next_process(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=1000, folder=tmp_path, disk_bytes=1000)
    store.put([1], b"kept", keep=True)
    store.put([2], b"not kept")
    store.close()
    store = StateStore("model", ram_bytes=1000, folder=tmp_path, disk_bytes=1000)
    assert _had(store, [1]) == b"kept"
    assert _had(store, [2]) is None


def test_what_is_used_from_ram_is_used_on_the_disk_too(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=24, folder=tmp_path, disk_bytes=250)
    store.put([1], b"one", keep=True)
    store.put([2], b"two", keep=True)
    store.flush()
    assert _had(store, [1]) == b"one"
    store.put([3], b"three", keep=True)
    store.close()
    store = _on_disk(tmp_path, 250)
    assert [first for first in (1, 2, 3) if _had(store, [first])] == [1, 3]


def test_closing_can_write_what_only_ram_holds(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=1000, folder=tmp_path, disk_bytes=1000)
    store.put([2], b"not kept")
    store.close(spill=True)
    assert store.ram_used == 0
    assert _had(_on_disk(tmp_path), [2]) == b"not kept"


def test_nothing_is_written_where_the_disk_may_hold_nothing(tmp_path: Path) -> None:
    store = StateStore("model", ram_bytes=0, folder=tmp_path)
    store.put([1], b"abc", keep=True)
    store.close(spill=True)
    assert list(tmp_path.rglob("*")) == []


def test_a_saved_state_of_another_model_is_a_miss_and_stays(tmp_path: Path) -> None:
    store = _on_disk(tmp_path)
    store.put([1, 2], b"one")
    store.flush()
    other = _on_disk(tmp_path, mark="other model")
    assert other.match([1, 2]) is None
    found = store.match([1, 2])
    assert found is not None
    assert other.get(found.key) is None
    assert store.get(found.key) == b"one"


def test_saved_states_of_another_process_are_found(tmp_path: Path) -> None:
    one, other = _on_disk(tmp_path), _on_disk(tmp_path)
    assert other.match([1]) is None
    one.put([1], b"one")
    one.flush()
    assert _had(other, [1]) == b"one"


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[str]]]:
    """Hold every write up until the event; the list says what was written."""
    go, written = threading.Event(), list[str]()
    save = StateFolder.save

    def wait(folder: StateFolder, key: str, tokens: array[int], data: bytes) -> bool:
        assert go.wait(60)
        written.append(key)
        return save(folder, key, tokens, data)

    monkeypatch.setattr(StateFolder, "save", wait)
    yield go, written
    go.set()


def test_what_is_being_written_is_found_and_nobody_waits_for_it(
    tmp_path: Path, held_up: tuple[threading.Event, list[str]]
) -> None:
    store = _on_disk(tmp_path)
    store.put([1], b"one")
    store.put([1], b"one")
    store.put([2], b"two")
    assert _had(store, [1]) == b"one"
    assert _had(store, [2]) == b"two"
    assert store.disk_used == 0
    held_up[0].set()
    store.close()
    assert len(held_up[1]) == 2
    assert _had(store, [1]) == b"one"


def test_a_third_write_waits_for_the_first(
    tmp_path: Path, held_up: tuple[threading.Event, list[str]]
) -> None:
    store = _on_disk(tmp_path)
    go, done = held_up

    def put() -> None:
        for first in (1, 2, 3):
            store.put([first], b"x")
        done.append("put")

    thread = threading.Thread(target=put)
    thread.start()
    thread.join(0.05)
    go.set()
    thread.join()
    assert done.index("put") > 0
    store.close()
    assert [_had(store, [first]) for first in (1, 2, 3)] == [b"x"] * 3


@pytest.mark.parametrize("ram", [0, 1000])
def test_a_discarded_state_is_gone_from_ram_and_disk(tmp_path: Path, ram: int) -> None:
    store = StateStore("model", ram_bytes=ram, folder=tmp_path, disk_bytes=1000)
    store.put([1], b"one", keep=True)
    store.discard(_key(store, [1]))
    assert store.match([1]) is None
    assert store.ram_used == store.disk_used == 0
    store.put([1], b"one", keep=True)
    assert _had(store, [1]) == b"one"
    store.close()


def test_a_saved_sequence_goes_on_in_another_context_as_if_it_had_been_computed(
    tiny_model: Model, tmp_path: Path
) -> None:
    options = EngineOptions(n_ctx=128, chunk=64, threads=1)
    prompt = list(range(5, 35))
    first, second = (Context(tiny_model, options, n_slots=2) for _ in range(2))
    first.evaluate(Batch((Row(0, 0, tuple(prompt)),)))
    store = _on_disk(tmp_path, 1 << 20)
    store.put(prompt, first.save(0), keep=True)
    store.close()
    store = _on_disk(tmp_path, 1 << 20)
    found = store.match([*prompt[:20], 7])
    assert found is not None
    data = store.get(found.key)
    assert data is not None
    assert second.restore(1, data, found.count)
    assert second.trim(1, found.length)
    assert first.trim(0, found.length)
    scores = []
    for context, slot in ((first, 0), (second, 1)):
        context.evaluate(Batch((Row(slot, 20, (7,), 1),)))
        scores.append(context.logits().copy())
        context.close()
    np.testing.assert_array_equal(scores[0], scores[1])


_PUT = st.tuples(st.just("put"), st.integers(1, 6), st.integers(1, 40), st.booleans())
_GET = st.tuples(st.just("get"), st.integers(1, 6), st.just(0), st.just(False))


@settings(max_examples=60, deadline=None)
@given(st.lists(_PUT | _GET, max_size=20), st.integers(0, 80), st.integers(0, 400))
def test_bytes_are_counted_and_limits_hold(
    steps: list[tuple[str, int, int, bool]], ram: int, disk: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = StateStore("model", ram_bytes=ram, folder=folder, disk_bytes=disk)
        put: dict[int, set[bytes]] = {}
        for what, first, size, keep in steps:
            if what == "put":
                put.setdefault(first, set()).add(bytes([first]) * size)
                store.put([first, 0], bytes([first]) * size, keep=keep)
            else:
                data = _had(store, [first, 0])
                assert data is None or data in put[first]
            store.flush()
            assert store.ram_used == sum(len(data) + 8 for _, data in store._states.values()) <= ram
            files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            assert store.disk_used == sum(files) <= disk
        store.close()


@pytest.fixture(scope="module")
def start(tiny_gguf: Path) -> int:
    """Return where the header of the tiny model ends, in bytes."""
    return read_header(tiny_gguf).parts[0].data_start


def _fingerprint(path: Path, start: int, **changed: object) -> str:
    given = {
        "version": "1.0",
        "kv_type": "f16",
        "flash_attention": "on",
        "n_ctx": 512,
        "unified": True,
    }
    return fingerprint([Part(path, start)], **(given | changed))  # type: ignore[arg-type]  # of the types above


def test_a_copied_model_has_the_same_fingerprint(
    tiny_gguf: Path, start: int, tmp_path: Path
) -> None:
    copy = shutil.copyfile(tiny_gguf, tmp_path / "copy.gguf")
    assert _fingerprint(copy, start) == _fingerprint(tiny_gguf, start)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1.1"},
        {"kv_type": "q8_0"},
        {"flash_attention": "off"},
        {"n_ctx": 513},
        {"unified": False},
        {"rope": (10_000.0,)},
    ],
)
def test_another_setting_has_another_fingerprint(
    tiny_gguf: Path, start: int, changed: dict[str, object]
) -> None:
    assert _fingerprint(tiny_gguf, start, **changed) != _fingerprint(tiny_gguf, start)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_another_header_has_another_fingerprint(
    tiny_gguf: Path, start: int, data: st.DataObject
) -> None:
    content = bytearray(tiny_gguf.read_bytes())
    content[data.draw(st.integers(0, start - 1))] ^= 1
    with TemporaryDirectory() as name:
        changed = Path(name) / "changed.gguf"
        changed.write_bytes(content)
        assert _fingerprint(changed, start) != _fingerprint(tiny_gguf, start)


def test_other_weights_or_another_size_have_another_fingerprint(
    tiny_gguf: Path, start: int, tmp_path: Path
) -> None:
    content = tiny_gguf.read_bytes()
    other = bytes(byte ^ 1 for byte in content[start:])
    empty = content[:start] + bytes(len(other))
    variants = (
        *(content, content[:-1] + other[-1:], content[:start] + other, content + b"x"),
        *(empty, empty + b"\0"),
    )
    prints: set[str] = set()
    for number, variant in enumerate(variants):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(variant)
        prints.add(_fingerprint(path, start))
    assert len(prints) == len(variants)


def test_a_model_that_cannot_be_read_has_no_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        _fingerprint(tmp_path / "none.gguf", 0)
