from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from array import array
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine.state_folder import StateFolder, state_key

_RUN = array("i", [1, 2, 3])
_KEY = state_key(_RUN)
_DATA = bytes(range(200))


def _folder(path: Path, mark: str = "model", limit: int = 10_000) -> StateFolder:
    return StateFolder(path, mark, limit)


def _run(first: int) -> tuple[str, array[int]]:
    run = array("i", [first])
    return state_key(run), run


def _file(path: Path) -> Path:
    """Return the only file there."""
    (found,) = [each for each in path.rglob("*") if each.is_file()]
    return found


def _keys(path: Path, mark: str = "model") -> set[str]:
    folder = _folder(path, mark)
    folder.look()
    return set(folder.index)


def test_a_saved_state_is_found_by_its_tokens_and_read_again(tmp_path: Path) -> None:
    assert _folder(tmp_path).save(_KEY, _RUN, _DATA)
    folder = _folder(tmp_path)
    folder.look()
    assert folder.index == {_KEY: _RUN}
    assert folder.load(_KEY) == _DATA


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "none")
    folder.look()
    assert folder.index == {}
    assert folder.used == 0
    assert folder.load(_KEY) is None
    assert not folder.touch(_KEY)


def test_only_the_owner_may_read_what_is_saved(tmp_path: Path) -> None:
    _folder(tmp_path).save(_KEY, _RUN, _DATA)
    path = _file(tmp_path)
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_looking_does_not_read_the_data(tmp_path: Path) -> None:
    _folder(tmp_path).save(_KEY, _RUN, _DATA)
    content = bytearray(_file(tmp_path).read_bytes())
    content[-40] ^= 1
    _file(tmp_path).write_bytes(content)
    folder = _folder(tmp_path)
    folder.look()
    assert folder.index == {_KEY: _RUN}
    assert folder.load(_KEY) is None
    assert folder.index == {}
    assert list(tmp_path.rglob("*.state")) == []


_DAMAGE = st.sampled_from(["flip", "cut", "longer"])


@settings(max_examples=100, deadline=None)
@given(how=_DAMAGE, where=st.floats(0, 1, exclude_max=True), looks=st.booleans())
def test_a_damaged_file_is_a_miss_and_is_removed(how: str, where: float, looks: bool) -> None:
    with TemporaryDirectory() as name:
        _folder(Path(name)).save(_KEY, _RUN, _DATA)
        path = _file(Path(name))
        content = bytearray(path.read_bytes())
        place = int(where * len(content) * 8)
        if how == "flip":
            content[place // 8] ^= 1 << place % 8
        elif how == "cut":
            del content[place // 8 :]
        else:
            content += b"\0" * (place + 1)
        path.write_bytes(content)
        folder = _folder(Path(name))
        if looks:
            folder.look()
            assert how == "flip" or folder.index == {}
        assert folder.load(_KEY) is None
        assert not path.exists()
        assert folder.save(_KEY, _RUN, _DATA)
        assert folder.load(_KEY) == _DATA


def test_a_file_with_the_name_of_another_is_a_miss(tmp_path: Path) -> None:
    _folder(tmp_path).save(_KEY, _RUN, _DATA)
    other, _ = _run(7)
    _file(tmp_path).rename(_file(tmp_path).with_name(f"{other}.state"))
    assert _keys(tmp_path) == set()
    assert list(tmp_path.rglob("*.state")) == []


def test_a_file_of_another_model_under_our_name_is_a_miss(tmp_path: Path) -> None:
    _folder(tmp_path / "other", "other").save(_KEY, _RUN, _DATA)
    _folder(tmp_path / "ours").save(_KEY, _RUN, b"")
    _file(tmp_path / "other").replace(_file(tmp_path / "ours"))
    assert _folder(tmp_path / "ours").load(_KEY) is None


def test_a_key_that_is_no_digest_leads_nowhere(tmp_path: Path) -> None:
    _folder(tmp_path).save(_KEY, _RUN, _DATA)
    name = _file(tmp_path).parent.name
    assert _folder(tmp_path).load(f"../{name}/{_KEY}") is None
    assert _file(tmp_path).exists()


def test_a_bad_file_that_cannot_be_removed_is_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    folder.save(_KEY, _RUN, _DATA)
    path = _file(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    assert folder.load(_KEY) is None
    (path.parent / "something new").touch()
    folder.look()
    assert folder.index == {}


def test_a_file_that_cannot_be_read_is_a_miss_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    folder.save(_KEY, _RUN, _DATA)

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError

    with monkeypatch.context() as context:
        context.setattr(Path, "open", refuse)
        assert folder.load(_KEY) is None
    folder.look()
    assert folder.index == {}
    assert _folder(tmp_path).load(_KEY) == _DATA


def test_files_may_vanish_at_any_time(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.save(_KEY, _RUN, _DATA)
    folder.look()
    _file(tmp_path).unlink()
    assert folder.load(_KEY) is None
    assert folder.index == {}
    folder.save(_KEY, _RUN, _DATA)
    folder.look()
    assert folder.index == {_KEY: _RUN}
    _file(tmp_path).unlink()
    folder.look()
    assert folder.index == {}


def test_equal_states_of_two_processes_are_one_file(tmp_path: Path) -> None:
    assert _folder(tmp_path).save(_KEY, _RUN, _DATA)
    written = _file(tmp_path).stat()
    assert _folder(tmp_path).save(_KEY, _RUN, _DATA)
    assert _folder(tmp_path).used == written.st_size
    assert _file(tmp_path).stat().st_ino == written.st_ino


def test_a_state_saved_in_the_same_tick_of_the_disk_is_found(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.save(*_run(1), _DATA)
    folder.look()
    home = _file(tmp_path).parent
    tick = home.stat().st_mtime_ns
    folder.save(*_run(2), _DATA)
    os.utime(home, ns=(tick, tick))
    folder.look()
    assert set(folder.index) == {_run(1)[0], _run(2)[0]}


def test_what_was_used_longest_ago_goes_first_whosever_it_is(tmp_path: Path) -> None:
    _folder(tmp_path, "other").save(*_run(1), _DATA)
    each = _file(tmp_path).stat().st_size
    folder = _folder(tmp_path, limit=3 * each)
    folder.save(*_run(2), _DATA)
    _folder(tmp_path, "other").save(*_run(3), _DATA)
    assert folder.load(_run(2)[0]) == _DATA
    folder.save(*_run(4), _DATA)
    folder.save(*_run(5), _DATA)
    assert folder.used == 3 * each
    assert _keys(tmp_path, "other") == set()
    assert _keys(tmp_path) == {_run(first)[0] for first in (2, 4, 5)}


def test_a_state_larger_than_the_folder_may_be_removes_nothing(tmp_path: Path) -> None:
    folder = _folder(tmp_path, limit=1000)
    folder.save(*_run(1), _DATA)
    assert not folder.save(*_run(2), b"x" * 1000)
    assert _keys(tmp_path) == {_run(1)[0]}


def test_nothing_is_written_where_no_room_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path, limit=400)
    folder.save(*_run(1), _DATA)

    def refuse(path: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)
    assert not folder.save(*_run(2), _DATA)
    assert _keys(tmp_path) == {_run(1)[0]}


def test_unfinished_files_count_and_are_removed_when_nobody_is_writing_them(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.save(*_run(1), _DATA)
    part = _file(tmp_path).with_name("x.part")
    part.write_bytes(b"1234567")
    assert folder.used == _file_sizes(tmp_path)
    folder.save(*_run(2), _DATA)
    assert part.exists()
    os.utime(part, (0, 0))
    folder.save(*_run(3), _DATA)
    assert not part.exists()


def _file_sizes(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    for name in ("letters/old.state", "old.state"):
        (tmp_path / name).write_bytes(b"x" * 1000)
        os.utime(tmp_path / name, (0, 0))
    folder = _folder(tmp_path, limit=400)
    folder.save(*_run(1), _DATA)
    folder.save(*_run(2), _DATA)
    assert (tmp_path / "letters/old.state").exists()
    assert (tmp_path / "old.state").exists()
    assert _keys(tmp_path) == {_run(2)[0]}


def test_a_folder_that_cannot_be_written_to_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    folder = _folder(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        assert not folder.save(*_run(1), _DATA)
        assert not folder.save(*_run(2), _DATA)
    (said,) = caplog.messages
    assert "cannot be written to" in said
    assert folder.load(_KEY) is None


def test_a_full_disk_leaves_no_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    folder = _folder(tmp_path, limit=1 << 30)
    folder.save(*_run(1), _DATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        assert not folder.save(*_run(2), bytes(2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written to" in caplog.text
    assert _file(tmp_path).stem == _run(1)[0]
    assert folder.load(_run(1)[0]) == _DATA


_DIES = """
import os, resource, signal, sys
from array import array
from pathlib import Path
from llmcompiler.engine.state_folder import StateFolder, state_key

where, folder = sys.argv[1:]
if where == "writing":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
else:
    os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
run = array("i", [1, 2, 3])
StateFolder(Path(folder), "model", 1 << 30).save(state_key(run), run, bytes(2 << 20))
"""


@pytest.mark.parametrize(("where", "size"), [("writing", 1 << 20), ("renaming", 2 << 20)])
def test_a_process_killed_in_the_middle_leaves_nothing_that_is_found(
    tmp_path: Path, where: str, size: int
) -> None:
    pytest.importorskip("resource")
    died = subprocess.run([sys.executable, "-c", _DIES, where, str(tmp_path)], check=False)
    assert died.returncode == {"writing": -signal.SIGXFSZ, "renaming": -signal.SIGKILL}[where]
    left = _file(tmp_path)
    assert left.suffix == ".part"
    assert left.stat().st_size >= size
    folder = _folder(tmp_path, limit=1 << 30)
    folder.look()
    assert folder.index == {}
    assert folder.load(_KEY) is None
    assert folder.save(_KEY, _RUN, _DATA)
    assert folder.load(_KEY) == _DATA
