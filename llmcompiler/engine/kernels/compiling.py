"""How do the C sources beside this file become a library for this machine?

It knows compilers and a folder of finished libraries; it does not load what it makes.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from llmcompiler.engine.kernels.programs import Fleeting, KernelsUnavailable, Stopped, run_program

__all__ = ["KernelsUnavailable", "Toolchain", "compiled", "folder"]

_log = logging.getLogger("llmcompiler.engine")
_HERE: Final = Path(__file__).parent
_SOURCES: Final = ("plugin.c", "selfcheck.c", "attentioncheck.c", "expertscheck.c")
_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-march=native", "-fopenmp", "-Wall", "-Wno-unknown-pragmas"),
    *("-fPIC", "-shared", "-fvisibility=hidden"),
)
_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni"})  # one of them is needed
_COMPILERS: Final = ("gcc", "cc", "clang")
_PATIENCE: Final = 120.0  # seconds for a compiler
_AGAIN: Final = 86_400.0  # seconds after which what failed is tried once more
_UNUSED: Final = 90 * 86_400.0  # seconds after which a library that nobody used is removed
_FULL: Final = os.strerror(errno.ENOSPC)
_OPENMP: Final = re.compile(rb"lib[gi]?omp[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a library is made with: ggml's headers, and the library to link it to."""

    headers: Path
    libraries: Path
    version: str


def folder() -> Path:
    """Return where finished libraries are kept: in the user's folder for caches.

    Raises:
        KernelsUnavailable: this user has none.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if not base.is_absolute():  # the standard says to ignore it then
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            raise KernelsUnavailable(
                "this user has no home folder to keep them in: set XDG_CACHE_HOME"
            ) from None
    return base / "llmcompiler" / "kernels"


def compiled(
    tools: Toolchain,
    trial: Callable[[Path], None] = lambda made: None,
    stopped: Callable[[], bool] = lambda: False,
    *,
    anew: bool = False,
) -> Path:
    """Return the library for this processor and this llama.cpp, compiled now or earlier.

    Compiling takes some seconds, once; `stopped` is asked meanwhile whether to give up. What was
    made is kept if it stands the `trial`, which raises `KernelsUnavailable` if it does not; then,
    as after any failure, the next compiler is asked. A failure is remembered for a day, and
    forgotten with `anew`.

    Raises:
        KernelsUnavailable: it cannot be made here.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise KernelsUnavailable("they are for x86-64 processors under Linux")
    if not _INSTRUCTIONS & set(_processor().split()):
        raise KernelsUnavailable("this processor has neither AVX512-VNNI nor AVX-VNNI")
    if not (tools.headers / "ggml-backend.h").is_file():
        raise KernelsUnavailable("llama-cpp-python was installed without ggml's headers")
    compilers = _compilers()
    if not compilers:
        raise KernelsUnavailable("there is no C compiler: install gcc")
    kept = _private(folder())
    problems: list[str] = []
    for compiler in compilers:
        key = _key(compiler, tools)
        library = _known(kept, key)
        if library is not None:
            return library
        failure = kept / f"{key}.failed"
        problem = None if anew else _remembered(failure)
        if problem is None:
            try:
                return _make(compiler, tools, kept / key, trial, stopped)
            except Stopped:
                raise
            except KernelsUnavailable as reason:
                problem = str(reason)
                if not isinstance(reason, Fleeting):
                    with suppress(OSError):
                        failure.write_text(problem, "utf-8")
            except OSError as error:  # of the folder, which may have room again next time
                problem = error.strerror or str(error)
        problems.append(f"{Path(compiler).name}: {problem}")
    raise KernelsUnavailable("; ".join(problems))


def _compilers() -> list[str]:
    names = [os.environ.get("CC", ""), *_COMPILERS]
    found = [path for path in (shutil.which(name) for name in names if name) if path is not None]
    once = {_program(path): path for path in reversed(found)}
    return [path for path in dict.fromkeys(found) if once[_program(path)] == path]


def _program(path: str) -> str:
    """Return what a name stands for; ccache goes by the name it is called by."""
    real = os.path.realpath(path)
    return path if Path(real).name == "ccache" else real


def _private(kept: Path) -> Path:
    """Make the folder, and see to it that nobody else can put a library there.

    Raises:
        KernelsUnavailable: it cannot be made, or it is another user's.
    """
    try:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _ours(kept):
            raise KernelsUnavailable(f"{kept} belongs to another user: set XDG_CACHE_HOME")
        if kept.stat().st_mode & 0o022:
            kept.chmod(0o700)
    except OSError as error:
        raise KernelsUnavailable(f"{kept} cannot be used: {error.strerror or error}") from None
    return kept


def _ours(place: Path) -> bool:
    return place.exists() and place.stat().st_uid in (0, os.geteuid())


def _key(compiler: str, tools: Toolchain) -> str:
    """Name all that a library depends on."""
    digest = blake2b(digest_size=16)
    for source in sorted(_HERE.glob("*.[ch]")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    made_by = compiler
    for file in (os.path.realpath(compiler), tools.libraries / "libggml-base.so"):
        with suppress(OSError):
            made_by += f" {file} {os.stat(file).st_mtime_ns}"
    for text in (*_FLAGS, tools.version, str(tools.libraries), made_by, _processor()):
        digest.update(os.fsencode(text) + b"\0")
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


def _known(kept: Path, key: str) -> Path | None:
    """Return the library that was made earlier; one that is not as it was made is removed."""
    for path in kept.glob(f"{key}.*.so"):
        with suppress(OSError):
            if _ours(path) and path.name == f"{key}.{_digest(path)}.so":
                with suppress(OSError):  # of somebody else, or where nothing can be written
                    os.utime(path)
                return path
            path.unlink()
    return None


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


def _remembered(failure: Path) -> str | None:
    try:
        recent = time.time() - failure.stat().st_mtime < _AGAIN
        # One with nothing in it was written to a folder that was full.
        return failure.read_text("utf-8") or None if recent and _ours(failure) else None
    except (OSError, ValueError):
        return None


def _make(
    compiler: str,
    tools: Toolchain,
    name: Path,
    trial: Callable[[Path], None],
    stopped: Callable[[], bool],
) -> Path:
    """Compile a library, try it out, and give it its name, which tells what it holds."""
    _log.info("compiling what computes on this processor: some seconds, once")
    handle, unfinished = tempfile.mkstemp(suffix=".so", dir=name.parent)
    made = Path(unfinished)
    try:
        _compile(compiler, tools, made, stopped)
        trial(made)
        with made.open("rb") as whole:
            os.fsync(whole.fileno())
        library = name.with_name(f"{name.name}.{_digest(made)}.so")
        made.replace(library)
    finally:
        os.close(handle)
        with suppress(OSError):
            made.unlink()
    _tidy(name.parent)
    return library


def _tidy(kept: Path) -> None:
    """Remove what nobody used for long."""
    for path in kept.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED:
                path.unlink()


def _compile(compiler: str, tools: Toolchain, made: Path, stopped: Callable[[], bool]) -> None:
    command = [
        *(compiler, *_FLAGS, f"-I{tools.headers}", "-o", str(made)),
        *(str(_HERE / name) for name in _SOURCES),
        *(f"-L{tools.libraries}", "-lggml-base", f"-Wl,-rpath,{tools.libraries}", "-lm"),
        *("-Wl,--as-needed", *_openmp(tools)),
    ]
    status, said = run_program(command, "compiling", _PATIENCE, stopped)
    if status:
        if _FULL in said:
            raise OSError(errno.ENOSPC, _FULL)
        lines = [line.strip() for line in said.splitlines() if "error" in line.lower()]
        raise KernelsUnavailable(
            lines[0].partition("error: ")[2] or lines[0] if lines else "it failed"
        )


def _openmp(tools: Toolchain) -> list[str]:
    """Return the OpenMP that ggml runs on in this process: two of them would wait for one another."""
    try:
        needed = set(_OPENMP.findall((tools.libraries / "libggml-cpu.so").read_bytes()))
        lines = Path("/proc/self/maps").read_bytes().splitlines()
    except OSError:
        return []
    names = tuple(name.decode() for name in needed if b".so" in name)
    parts = [line.split(maxsplit=5) for line in lines]
    mapped = dict.fromkeys(os.fsdecode(part[5]) for part in parts if len(part) > 5)
    return [path for path in mapped if names and Path(path).name.startswith(names)]
