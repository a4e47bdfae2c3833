"""What of kernels is kept on disk: libraries, and that some could not be made."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine.kernels import compiling
from llmcompiler.engine.kernels.compiling import KernelsUnavailable, compiled, folder
from llmcompiler.engine.kernels.library import find_kernels
from tests.engine.kernel_graphs import kernels_here
from tests.engine.kernel_programs import _PRETENDS, Machine, said, start, toolchain

_DAY = 86_400
_FIND = """
from llmcompiler.engine.kernels.library import find_kernels
print(find_kernels().path)
"""
Damage = Callable[[Path], object]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def _age(path: Path, days: float) -> None:
    """Let a file be as old as that."""
    then = time.time() - days * _DAY
    os.utime(path, (then, then))


def _fails(*, anew: bool = False) -> str:
    with pytest.raises(KernelsUnavailable) as caught:
        compiled(toolchain(), anew=anew)
    return str(caught.value)


def test_a_failure_is_remembered_for_a_day(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "echo 'a.c:1: error: it is too old'", "exit 1")
    for days in (0.0, 0.9):
        assert _fails() == "gcc: it is too old"
        assert machine.called() == ["gcc"]
        _age(machine.failure(), days)
    _age(machine.failure(), 1.1)
    assert _fails() == "gcc: it is too old"
    assert machine.called() == ["gcc", "gcc"]
    assert _fails() == "gcc: it is too old"
    assert machine.called() == ["gcc", "gcc"]


def test_a_failure_is_forgotten_by_who_asks_anew(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    for calls in (1, 2):
        assert _fails(anew=True) == "gcc: it failed"
        assert len(machine.called()) == calls
    assert _fails() == "gcc: it failed"
    assert len(machine.called()) == 2


def test_a_process_that_asks_anew_forgets_what_it_knew(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    for anew, calls in ((False, 1), (False, 1), (True, 2), (False, 2)):
        with pytest.raises(KernelsUnavailable, match=r"^gcc: it failed$"):
            find_kernels(anew=anew)
        assert len(machine.called()) == calls


def test_a_compiler_that_was_replaced_is_asked_though_it_failed(machine: Machine) -> None:
    machine.compiler("gcc", "exit 1")
    assert _fails() == "gcc: it failed"
    os.utime(machine.compiler("gcc"), (1, 1))
    assert compiled(toolchain()).exists()


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_that_a_folder_takes_no_file_is_not_remembered(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    def fail(**_: Any) -> None:
        raise OSError(problem, os.strerror(problem))

    machine.compiler("gcc")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", fail)
        assert _fails() == f"gcc: {os.strerror(problem)}"
    assert machine.kept() == []
    assert compiled(toolchain()).exists()


def test_that_there_was_no_room_for_a_library_is_not_remembered(machine: Machine) -> None:
    """A disk that is full takes a name, and nothing to go with it."""
    full = "/usr/bin/ld: final link failed: No space left on device"
    machine.compiler("gcc", f"echo '{full}'", "echo 'collect2: error: ld returned 1'", "exit 1")
    assert _fails() == "gcc: No space left on device"
    assert machine.kept() == []
    machine.compiler("gcc")
    assert compiled(toolchain()).exists()


def test_a_failure_whose_reason_was_not_written_is_none(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    _fails()
    machine.failure().write_text("")
    assert _fails() == "gcc: it failed"
    assert len(machine.called()) == 2


def test_a_library_that_fails_its_trial_is_made_by_the_next_compiler(machine: Machine) -> None:
    for name in ("gcc", "clang"):
        machine.compiler(name)
    tried: list[Path] = []

    def trial(made: Path) -> None:
        tried.append(made)
        if len(tried) == 1:
            raise KernelsUnavailable("it computes nonsense")

    found = compiled(toolchain(), trial)
    assert machine.called() == ["gcc", "clang"]
    assert machine.kept(".so") == [found.name]
    assert machine.failure().read_text() == "it computes nonsense"
    assert compiled(toolchain(), trial) == found
    assert len(tried) == 2


def test_a_library_has_its_name_after_its_trial_and_not_before(machine: Machine) -> None:
    machine.compiler("gcc")
    tried: list[Path] = []

    def trial(made: Path) -> None:
        assert made.is_file()
        tried.append(made)

    found = compiled(toolchain(), trial)
    assert tried != [found]
    assert not tried[0].exists()


_DAMAGES: dict[str, Damage] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "changed": lambda path: path.write_bytes(b"!" + path.read_bytes()[1:]),
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES)
def test_a_library_that_was_damaged_is_made_anew(machine: Machine, damage: Damage) -> None:
    machine.compiler("gcc")
    first = compiled(toolchain())
    damage(first)
    second = compiled(toolchain())
    assert len(machine.called()) == 2
    assert machine.kept() == [second.name]
    assert compiled(toolchain()) == second


@pytest.mark.parametrize("left", [0, 20_000])
def test_a_real_library_that_was_cut_is_compiled_anew(tmp_path: Path, left: int) -> None:
    kernels_here()
    path = Path(said(start(_FIND, XDG_CACHE_HOME=tmp_path)).strip())
    whole = path.read_bytes()
    os.truncate(path, left)
    assert said(start(_FIND, XDG_CACHE_HOME=tmp_path)).strip() == str(path)
    assert path.read_bytes() == whole


def test_what_nobody_used_for_90_days_is_removed(machine: Machine) -> None:
    machine.compiler("gcc")

    def made(version: str) -> Path:
        return compiled(replace(toolchain(), version=version))

    used, unused, recent = made("1"), made("2"), made("3")
    left = folder() / "tmp0.so"
    left.touch()
    for path, days in ((used, 91), (unused, 91), (recent, 89), (left, 91)):
        _age(path, days)
    assert made("1") == used
    latest = made("4")
    assert machine.kept() == sorted([used.name, recent.name, latest.name])


def test_two_processes_that_compile_at_once_both_have_kernels(tmp_path: Path) -> None:
    kernels_here()
    programs = [start(_FIND, XDG_CACHE_HOME=tmp_path)]
    while programs[0].poll() is None and not list(tmp_path.rglob("*.so")):
        time.sleep(0.01)
    programs.append(start(_FIND, XDG_CACHE_HOME=tmp_path))  # while the other one compiles
    (path,) = {said(program).strip() for program in programs}
    kept = sorted(each.name for each in Path(path).parent.iterdir())
    assert kept == [Path(path).name]
    assert Path(path).is_relative_to(tmp_path)


def test_a_library_that_cannot_be_touched_is_used_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was made with a container's image, or lies on a disk that is read only."""
    machine.compiler("gcc")
    made = compiled(toolchain())

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refuse)
    assert compiled(toolchain()) == made
    assert machine.called() == ["gcc"]


def test_a_compiler_that_took_too_long_is_asked_another_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.compiler("gcc", "exec sleep 60")
    monkeypatch.setattr(compiling, "_PATIENCE", 0.3)
    assert _fails() == "gcc: compiling took longer than 0.3 s"
    assert machine.kept() == []


def test_a_compiler_that_was_killed_is_asked_another_time(machine: Machine) -> None:
    machine.compiler("gcc", "kill -9 $$")
    assert _fails() == "gcc: compiling was killed: there may be too little memory"
    assert machine.kept() == []


def test_compilers_are_asked_in_english(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    machine.compiler("gcc", 'echo "a.c:1: error: in $LC_ALL"', "exit 1")
    assert _fails() == "gcc: in C"


def test_names_that_are_no_text_are_no_failure(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsencode(machine.place) + b"/caf\xe9"
    os.mkdir(odd)
    gcc = machine.compiler("gcc")
    gcc.rename(os.fsdecode(odd + b"/gcc"))
    monkeypatch.setenv("PATH", f"{machine.programs}:{os.fsdecode(odd)}")
    assert compiled(toolchain()).exists()


def test_compilers_that_go_through_ccache_are_told_apart(machine: Machine) -> None:
    ccache = machine.compiler("ccache", 'case "$0" in *gcc) exit 1;; esac', *_PRETENDS)
    for name in ("gcc", "clang"):
        (machine.programs / name).symlink_to(ccache)
    compiled(toolchain())
    assert machine.called() == ["clang"]


def test_ggmls_own_openmp_is_found_where_a_path_has_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libggml-cpu.so").write_bytes(b"\0libgomp-24e.so.1\0libc.so.6\0")
    tools = replace(toolchain(), libraries=tmp_path)
    line = "7f00-7f01 r-xp 00000000 08:01 42    "
    own = "/home/u/My Project/lib/libgomp-24e.so.1.0.0"
    maps = "\n".join(
        [f"{line}{own}", f"{line}/usr/lib/libgomp.so.1.0.0", "7f02-7f03 rw-p 0 0:0 0", ""]
    )
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda p: maps.encode() if str(p) == "/proc/self/maps" else read(p)
    )
    assert compiling._openmp(tools) == [own]
