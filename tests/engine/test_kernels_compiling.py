"""How kernels are compiled, with compilers that are real, and with such as only pretend."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine.kernels import compiling
from llmcompiler.engine.kernels.compiling import KernelsUnavailable, compiled
from llmcompiler.engine.kernels.library import find_kernels
from llmcompiler.engine.kernels.programs import Stopped
from tests.engine.kernel_programs import Machine, toolchain

_SOURCES = sorted(
    path.name for path in Path(compiling.__file__).parent.iterdir() if path.suffix in (".c", ".h")
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_kernels_are_compiled_once_and_found_again(machine: Machine) -> None:
    machine.compiler("gcc")
    first = compiled(toolchain())
    assert first.parent == machine.place / "cache" / "llmcompiler" / "kernels"
    assert compiled(toolchain()) == first
    assert machine.called() == ["gcc"]
    assert machine.kept() == [first.name]


def test_all_sources_are_there_for_the_compiler(machine: Machine) -> None:
    machine.compiler("gcc")
    given = compiled(toolchain()).read_text()
    for name in _SOURCES:
        if name.endswith(".c"):
            assert f"/{name} " in given
    assert f"-I{toolchain().headers}" in given


@pytest.mark.parametrize("changed", _SOURCES)
def test_a_source_that_was_changed_is_compiled_anew(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    machine.compiler("gcc")
    sources = machine.place / "sources"
    sources.mkdir()
    for name in _SOURCES:
        shutil.copy(Path(compiling.__file__).with_name(name), sources)
    monkeypatch.setattr(compiling, "_HERE", sources)
    before = compiled(toolchain())
    with (sources / changed).open("a") as file:
        file.write("// another line\n")
    assert compiled(toolchain()) != before


def test_another_llama_cpp_processor_or_compiler_has_a_library_of_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcc = machine.compiler("gcc")
    found = {compiled(toolchain()), compiled(replace(toolchain(), version="0.0.1"))}
    monkeypatch.setattr(compiling, "_processor", lambda: "flags : avx_vnni")
    found.add(compiled(toolchain()))
    os.utime(gcc, (1, 1))
    found.add(compiled(toolchain()))
    machine.compiler("other")
    monkeypatch.setenv("CC", "other")
    found.add(compiled(toolchain()))
    assert len(found) == 5


def test_without_a_compiler_it_says_what_to_install(machine: Machine) -> None:
    with pytest.raises(KernelsUnavailable, match=r"^there is no C compiler: install gcc$"):
        compiled(toolchain())
    assert machine.kept() == []


@pytest.mark.parametrize("absolute", [False, True])
def test_the_compiler_that_cc_names_comes_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    machine.compiler("gcc")
    wanted = machine.compiler("mine")
    monkeypatch.setenv("CC", str(wanted) if absolute else "mine")
    compiled(toolchain())
    assert machine.called() == ["mine"]


def test_where_cc_names_none_another_is_taken(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.compiler("clang")
    monkeypatch.setenv("CC", "not-there")
    compiled(toolchain())
    assert machine.called() == ["clang"]


def test_where_one_compiler_fails_the_next_is_tried(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    machine.compiler("clang")
    found = compiled(toolchain())
    assert machine.called() == ["gcc", "clang"]
    assert machine.kept(".so") == [found.name]


def test_a_compiler_that_fails_is_quoted_with_its_first_error(machine: Machine) -> None:
    machine.compiler(
        "gcc",
        "echo 'plugin.c: In function any:' >&2",
        "echo 'plugin.c:3:1: error: there is no such thing' >&2",
        "echo 'plugin.c:4:1: error: nor such' >&2",
        "exit 1",
    )
    machine.compiler("clang", "exit 3")
    with pytest.raises(KernelsUnavailable) as caught:
        compiled(toolchain())
    assert str(caught.value) == "gcc: there is no such thing; clang: it failed"
    assert machine.kept(".so") == []


def test_a_compiler_that_cannot_be_started_says_why(machine: Machine) -> None:
    machine.compiler("gcc").write_bytes(b"\x7fELF no program")
    with pytest.raises(KernelsUnavailable, match=r"^gcc: Exec format error$"):
        compiled(toolchain())
    assert machine.kept(".so") == []


def test_a_cache_folder_that_cannot_be_used_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.compiler("gcc")
    (machine.place / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.place / "file"))
    with pytest.raises(KernelsUnavailable, match=r"file/llmcompiler/kernels cannot be"):
        compiled(toolchain())
    assert machine.called() == []


def test_a_user_without_a_home_has_no_kernels_and_no_failure(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    machine.compiler("gcc")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(KernelsUnavailable):
        compiled(toolchain())


def test_without_ggmls_headers_there_are_none(machine: Machine) -> None:
    machine.compiler("gcc")
    with pytest.raises(KernelsUnavailable, match="without ggml's headers"):
        compiled(replace(toolchain(), headers=machine.place))
    assert machine.called() == []


@pytest.mark.parametrize(
    ("system", "machine_kind"), [("darwin", "x86_64"), ("win32", "AMD64"), ("linux", "aarch64")]
)
def test_on_other_machines_there_are_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, system: str, machine_kind: str
) -> None:
    machine.compiler("gcc")
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine_kind)
    with pytest.raises(KernelsUnavailable, match="for x86-64 processors under Linux"):
        compiled(toolchain())
    assert machine.called() == []


def test_on_a_processor_without_the_instructions_nothing_is_compiled(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.compiler("gcc")
    monkeypatch.setattr(compiling, "_processor", lambda: "flags : avx2 fma avx512f")
    with pytest.raises(KernelsUnavailable, match="neither AVX512-VNNI nor AVX-VNNI"):
        compiled(toolchain())
    assert machine.called() == []


def test_compiling_can_be_stopped_and_goes_on_another_time(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exec sleep 60")
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(machine.calls.exists())  # not before it is under way
        return asked[-1]

    with pytest.raises(Stopped, match=r"^compiling was stopped$"):
        find_kernels(stopped)
    assert machine.called() == ["gcc"]
    assert machine.kept() == []
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    with pytest.raises(KernelsUnavailable, match="gcc: it failed"):
        find_kernels()
    assert machine.called() == ["gcc", "gcc"]


def test_a_compiler_that_never_ends_is_ended(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_PATIENCE", 0.2)
    machine.compiler("gcc", "exec sleep 60")
    with pytest.raises(KernelsUnavailable, match=r"^gcc: compiling took longer than 0\.2 s$"):
        compiled(toolchain())
    assert machine.kept(".so") == []


def test_that_there_are_none_is_found_out_once(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    for _ in range(2):
        with pytest.raises(KernelsUnavailable, match="gcc: it failed"):
            find_kernels()
        os.utime(machine.failure(), (1, 1))  # what is remembered here is of no use to a process
    assert machine.called() == ["gcc"]


def test_when_compiling_is_stopped_no_other_compiler_is_started(machine: Machine) -> None:
    for name in ("gcc", "clang"):
        machine.compiler(name, "echo $0 >> {calls}", "exec sleep 60")
    with pytest.raises(Stopped, match=r"^compiling was stopped$"):
        find_kernels(machine.calls.exists)
    assert machine.called() == ["gcc"]


def test_what_a_compiler_started_ends_with_it(machine: Machine) -> None:
    child = machine.place / "child"
    machine.compiler("gcc", "sleep 60 &", f"echo $! > {child}", "echo $0 >> {calls}", "wait")
    with pytest.raises(Stopped):
        find_kernels(machine.calls.exists)
    end = time.monotonic() + 10
    while _runs(int(child.read_text())) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _runs(int(child.read_text()))


def _runs(process: int) -> bool:
    """Say whether a process is there, and not only what nobody asked how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_one_compiler_of_two_names_fails_once(machine: Machine) -> None:
    gcc = machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    (machine.programs / "cc").symlink_to(gcc)
    with pytest.raises(KernelsUnavailable, match=r"^gcc: it failed$"):
        compiled(toolchain())
    assert len(machine.called()) == 1
