"""Are there kernels for this machine, and may the model that is loaded next use them?

A library is compiled at the first need, tried out in a program of its own, and then known to
llama.cpp until the process ends. Other models of the process, also those that other code loads,
are computed as before, but that llama.cpp no longer overlaps several GPUs' work on one model.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmcompiler.engine.binding import binding, starting, version
from llmcompiler.engine.kernels.compiling import Toolchain, compiled
from llmcompiler.engine.kernels.programs import KernelsUnavailable, Stopped
from llmcompiler.engine.kernels.trial import try_out

__all__ = ["Kernels", "Placed", "find_kernels"]

_log = logging.getLogger("llmcompiler.engine")
_lock = threading.Lock()
_found: Kernels | KernelsUnavailable | None = None
_PAUSE: Final = 0.05


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
    def placing(self, threads: int = 1) -> Generator[Placed]:
        """Let what this thread loads meanwhile use them; afterwards the result says how much did.

        So many `threads` bring the weights into order.
        """
        placed = Placed()
        self._place(threads)
        try:
            yield placed
        finally:
            placed.bytes = self._place(0)


def find_kernels(stopped: Callable[[], bool] = lambda: False, *, anew: bool = False) -> Kernels:
    """Return the kernels for this machine; the first time of all takes some seconds.

    What failed within the last day is not tried again, unless `anew`.

    Raises:
        KernelsUnavailable: there are none, for the reason it gives.
        MissingExtraError: the packages of the local back end are not installed.
    """
    global _found
    while not _lock.acquire(timeout=_PAUSE):
        if stopped():
            raise Stopped("waiting for them was stopped")
    try:
        if _found is None or (anew and isinstance(_found, KernelsUnavailable)):
            try:
                _found = _open(stopped, anew=anew)
            except Stopped:
                raise
            except KernelsUnavailable as reason:
                _log.debug("there are no kernels of our own: %s", reason)
                _found = KernelsUnavailable(*reason.args)
            except (OSError, ValueError) as error:  # a path that cannot be read or written
                raise KernelsUnavailable(str(error)) from None
        found = _found
    finally:
        _lock.release()
    if isinstance(found, KernelsUnavailable):
        raise KernelsUnavailable(*found.args)  # another one: it remembers who raised it
    return found


def _open(stopped: Callable[[], bool], *, anew: bool) -> Kernels:
    llama = binding()
    package = Path(str(llama.__file__)).parent
    tools = Toolchain(package.parent / "include", package / "lib", version())
    if not (tools.libraries / "libggml.so").is_file():
        raise KernelsUnavailable("this llama-cpp-python keeps its libraries elsewhere")

    if not sys.executable or getattr(sys, "frozen", False):
        raise KernelsUnavailable("there is no Python interpreter to try them out in")

    def trial(made: Path) -> None:
        try_out(tools.libraries, made, stopped)

    path = compiled(tools, trial, stopped, anew=anew)
    # The ggml that libllama is linked with: its files lie there several times, each a library.
    load = llama._lib.ggml_backend_load
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        _forget(path)
        raise KernelsUnavailable(f"they cannot be loaded: {error}") from None
    with starting():  # which models are loaded with: its list of back ends has no lock of its own
        known = load(os.fsencode(path))
    if not known:
        _forget(path)
        raise KernelsUnavailable("this llama.cpp does not take them")
    return Kernels(path, library)


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
