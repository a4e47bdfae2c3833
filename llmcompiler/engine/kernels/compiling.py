"""How do the C sources beside this file become a library for this machine?

It knows compilers and a folder of finished libraries; it does not load what it makes.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

__all__ = ["KernelsUnavailable", "Toolchain", "compiled", "folder"]

_HERE: Final = Path(__file__).parent
_SOURCES: Final = ("plugin.c", "selfcheck.c")
_HEADERS: Final = ("interface.h", "matmul.h")
_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-march=native", "-fopenmp", "-Wall", "-Wno-unknown-pragmas"),
    *("-fPIC", "-shared", "-fvisibility=hidden"),
)
_COMPILERS: Final = ("gcc", "cc", "clang")
_PATIENCE: Final = 120.0  # seconds for a compiler
_PAUSE: Final = 0.05


class KernelsUnavailable(Exception):
    """Why there are no kernels here, as the end of a sentence; nothing is broken."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a library is made with: ggml's headers, and the library to link it to."""

    headers: Path
    libraries: Path
    version: str


def folder() -> Path:
    """Return where finished libraries are kept: in the user's folder for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "llmcompiler" / "kernels"


def compiled(tools: Toolchain, stopped: Callable[[], bool] = lambda: False) -> Path:
    """Return the library for this processor and this llama.cpp, compiled now or earlier.

    Compiling takes some seconds, once; `stopped` is asked meanwhile whether to give up.

    Raises:
        KernelsUnavailable: it cannot be made here.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise KernelsUnavailable("they are for x86-64 processors under Linux")
    if not (tools.headers / "ggml-backend.h").is_file():
        raise KernelsUnavailable("llama-cpp-python was installed without ggml's headers")
    compilers = _compilers()
    if not compilers:
        raise KernelsUnavailable("there is no C compiler: install gcc")
    problems: list[str] = []
    for compiler in compilers:
        library = folder() / f"{_key(compiler, tools)}.so"
        if library.is_file():
            return library
        try:
            _compile(compiler, tools, library, stopped)
        except KernelsUnavailable as problem:
            problems.append(f"{Path(compiler).name}: {problem}")
        else:
            return library
    raise KernelsUnavailable("; ".join(problems))


def _compilers() -> list[str]:
    names = [os.environ.get("CC", ""), *_COMPILERS]
    found = (shutil.which(name) for name in names if name)
    return list(dict.fromkeys(path for path in found if path is not None))


def _key(compiler: str, tools: Toolchain) -> str:
    """Name all that a library depends on."""
    digest = blake2b(digest_size=16)
    for name in (*_SOURCES, *_HEADERS):
        digest.update((_HERE / name).read_bytes())
    made_by = os.path.realpath(compiler)
    with suppress(OSError):
        made_by += f" {os.stat(made_by).st_mtime_ns}"
    for text in (*_FLAGS, tools.version, str(tools.libraries), made_by, _processor()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _processor() -> str:
    """Return what tells processors apart that `-march=native` treats differently."""
    wanted = ("vendor_id", "cpu family", "model\t", "flags")
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            first = file.read().split("\n\n", 1)[0]
    except OSError:
        return platform.processor()
    return "\n".join(line for line in first.splitlines() if line.startswith(wanted))


def _compile(compiler: str, tools: Toolchain, library: Path, stopped: Callable[[], bool]) -> None:
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(suffix=".so", dir=library.parent)
    except OSError as error:
        reason = f"{library.parent} cannot be written: {error.strerror or error}"
        raise KernelsUnavailable(reason) from None
    os.close(handle)
    command = [
        *(compiler, *_FLAGS, f"-I{tools.headers}", "-o", made),
        *(str(_HERE / name) for name in _SOURCES),
        *(f"-L{tools.libraries}", "-lggml-base", f"-Wl,-rpath,{tools.libraries}", "-lm"),
    ]
    try:
        _run(command, stopped)
        os.replace(made, library)
    finally:
        with suppress(OSError):
            os.unlink(made)


def _run(command: list[str], stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            program = subprocess.Popen(  # noqa: S603 - a compiler on the path, and fixed arguments
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        except OSError as error:
            raise KernelsUnavailable(error.strerror or str(error)) from None
        with program:
            while program.poll() is None:
                if stopped() or time.monotonic() > end:
                    program.kill()
                    raise KernelsUnavailable("compiling was stopped")
                time.sleep(_PAUSE)
        if program.returncode:
            said.seek(0)
            lines = [line.strip() for line in said if "error" in line.lower()]
            raise KernelsUnavailable(
                lines[0].partition("error: ")[2] or lines[0] if lines else "it failed"
            )
