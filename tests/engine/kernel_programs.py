"""Compilers and programs of their own, for tests of how kernels are made and found."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import llmcompiler
from llmcompiler.engine.binding import binding, version
from llmcompiler.engine.kernels import compiling, library
from llmcompiler.engine.kernels.compiling import Toolchain, folder

_ROOT = Path(llmcompiler.__file__).parents[1]
_PATH = os.environ.get("PATH", os.defpath)  # as it is before a test changes it
_COMPILER = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)
# Notes that it was called, and writes what it was called with where a library should be.
_PRETENDS = (
    'echo "$0" >> {calls}',
    'all="$*"; while [ "$1" != -o ]; do shift; done; echo "$all" > "$2"',
)


class Machine:
    """What a test says of the machine: which compilers there are, and where caches lie."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if sys.platform != "linux" or not (toolchain().libraries / "libggml.so").is_file():
            pytest.skip("kernels are compiled under Linux, for libraries of llama-cpp-python's own")
        self.place = place
        self.calls = place / "calls"
        self.programs = place / "programs"
        self.programs.mkdir(parents=True)
        for tool in ("sh", "sleep"):
            (self.programs / tool).symlink_to(str(shutil.which(tool)))
        monkeypatch.setenv("PATH", str(self.programs))
        monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(library, "_found", None)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(compiling, "_processor", lambda: "flags : avx512_vnni")

    def compiler(self, name: str, *lines: str) -> Path:
        """Put a compiler on the path: a script, or one that pretends."""
        chosen = lines or _PRETENDS
        return script(self.programs / name, *(line.format(calls=self.calls) for line in chosen))

    def called(self) -> list[str]:
        """Return the names of the compilers that were called."""
        if not self.calls.exists():
            return []
        return [Path(line).name for line in self.calls.read_text().splitlines()]

    def kept(self, suffix: str = "") -> list[str]:
        """Return the names of what lies in the folder for libraries: all, or one kind of it."""
        names = [path.name for path in folder().iterdir()] if folder().exists() else []
        return sorted(name for name in names if name.endswith(suffix))

    def failure(self) -> Path:
        """Return the file that remembers the one failure there was."""
        (name,) = self.kept(".failed")
        return folder() / name


def toolchain() -> Toolchain:
    """Return what the kernels of this environment are made with."""
    package = Path(str(binding().__file__)).parent
    return Toolchain(package.parent / "include", package / "lib", version())


def wrapped_compiler(path: Path, *more: str) -> Path:
    """Write a compiler: that of this machine, with `more` arguments behind the others."""
    if _COMPILER is None:
        pytest.skip("there is no C compiler here")
    arguments = " ".join(f"'{each}'" for each in more)
    return script(path, f"PATH='{_PATH}' exec {_COMPILER} \"$@\" {arguments}")


def script(path: Path, *lines: str) -> Path:
    """Write a program for the shell."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def start(text: str, *arguments: object, **environment: object) -> subprocess.Popen[str]:
    """Start a Python program with the sources that are tested here."""
    more = {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(_ROOT)} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(program: subprocess.Popen[str]) -> str:
    """Wait for a program, which must succeed, and return what it wrote."""
    written, complaints = program.communicate(timeout=120)
    assert program.returncode == 0, complaints
    return written
