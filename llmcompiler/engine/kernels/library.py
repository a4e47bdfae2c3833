"""Are there kernels for this machine, and may the model that is loaded next use them?

A library is compiled at the first need, tried out in a program of its own, and then known to
llama.cpp until the process ends. Other models of the process, also those that other code loads,
do not notice it.
"""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmcompiler.engine.binding import binding, version
from llmcompiler.engine.kernels.compiling import KernelsUnavailable, Toolchain, compiled

__all__ = ["Kernels", "Placed", "find_kernels"]

_log = logging.getLogger("llmcompiler.engine")
_lock = threading.Lock()
_found: Kernels | KernelsUnavailable | None = None
_PATIENCE: Final = 60.0  # seconds for the trial

# It needs ggml alone, and says nothing if all is well.
_TRY = """
import ctypes, sys
folder, path = sys.argv[1:]
ggml = ctypes.CDLL(folder + "/libggml.so")
ggml.ggml_backend_load.restype = ctypes.c_void_p
ggml.ggml_backend_load.argtypes = [ctypes.c_char_p]
ggml.ggml_backend_dev_by_type.restype = ctypes.c_void_p
ggml.ggml_backend_reg_dev_get.restype = ctypes.c_void_p
ggml.ggml_backend_reg_dev_get.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
made = ggml.ggml_backend_load(path.encode())
if not made:
    sys.exit("this ggml does not take it")
own = ctypes.CDLL(path)
own.llmcompiler_place(1)
own.llmcompiler_check.restype = ctypes.c_char_p
own.llmcompiler_check.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
wrong = own.llmcompiler_check(
    ggml.ggml_backend_reg_dev_get(made, 0), ggml.ggml_backend_dev_by_type(0)
)
if wrong:
    sys.exit(wrong.decode())
"""


@dataclass(slots=True)
class Placed:
    """How many bytes of a model's weights the kernels took."""

    bytes: int = 0


class Kernels:
    """The kernels of this process; `instructions` are those of the processor that they use.

    Between ``with kernels:`` and its end what this thread computes may use their attention.
    """

    def __init__(self, path: Path, library: Any) -> None:
        self.path = path
        self._place = library.llmcompiler_place
        self._place.restype, self._place.argtypes = ctypes.c_size_t, [ctypes.c_int]
        name = library.llmcompiler_kernel
        name.restype = ctypes.c_char_p
        self.instructions: str = name().decode()
        self._attend = library.llmcompiler_attend
        self._attend.restype, self._attend.argtypes = None, [ctypes.c_int]

    def __enter__(self) -> None:
        self._attend(1)

    def __exit__(self, *_: object) -> None:
        self._attend(0)

    @contextmanager
    def placing(self) -> Generator[Placed]:
        """Let what this thread loads meanwhile use them; afterwards the result says how much did."""
        placed = Placed()
        self._place(1)
        try:
            yield placed
        finally:
            placed.bytes = self._place(0)


def find_kernels(stopped: Callable[[], bool] = lambda: False) -> Kernels:
    """Return the kernels for this machine; the first time of all takes some seconds.

    Raises:
        KernelsUnavailable: there are none, for the reason it gives.
        MissingExtraError: the packages of the local back end are not installed.
    """
    global _found
    with _lock:
        if _found is None:
            try:
                _found = _open(stopped)
            except KernelsUnavailable as reason:
                _log.debug("no kernels for 8-bit weights: %s", reason)
                if stopped():
                    raise
                _found = reason
    if isinstance(_found, KernelsUnavailable):
        raise _found
    return _found


def _open(stopped: Callable[[], bool]) -> Kernels:
    llama = binding()
    package = Path(str(llama.__file__)).parent
    tools = Toolchain(package.parent / "include", package / "lib", version())
    if not (tools.libraries / "libggml.so").is_file():
        raise KernelsUnavailable("this llama-cpp-python keeps its libraries elsewhere")
    path = compiled(tools, stopped)
    _try(tools, path)
    # The ggml that libllama is linked with: its files lie there several times, each a library.
    load = llama._lib.ggml_backend_load
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    if not load(str(path).encode()):
        raise KernelsUnavailable("this llama.cpp does not take them")
    return Kernels(path, ctypes.CDLL(str(path)))


def _try(tools: Toolchain, path: Path) -> None:
    """Let a program of its own compute with them, once: a wrong layout would end this one.

    Raises:
        KernelsUnavailable: they do not compute what they should.
    """
    tried = path.with_suffix(".tried")
    if tried.is_file():
        return
    command = [sys.executable, "-I", "-c", _TRY, str(tools.libraries), str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and the text above
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelsUnavailable(f"they could not be tried out: {error}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if done.returncode > 0 and said else f"status {done.returncode}"
        raise KernelsUnavailable(f"they fail when they are tried out: {reason}")
    with suppress(OSError):
        tried.touch()
