"""How is llama.cpp reached from Python?

The only file that imports its binding; it does not know models or contexts.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from llmcompiler.errors import MissingExtraError

__all__ = ["binding", "complaint", "starting", "version"]

_log = logging.getLogger("llmcompiler.engine")
_complaints: deque[str] = deque(maxlen=64)
_listeners: list[object] = []  # C keeps only a pointer to a callback: this keeps it alive
_ERROR = 4

_starting = threading.Lock()


@contextmanager
def starting() -> Generator[None]:
    """Let llama.cpp load something, alone, so that its complaints are about that."""
    with _starting:
        _complaints.clear()
        yield


@functools.cache
def binding() -> Any:
    """Import llama.cpp's binding, start its back ends and route its log to `logging`.

    Raises:
        MissingExtraError: the packages of the local back end are not installed.
    """
    try:
        import numpy as np  # noqa: F401 - a part of the extra, and used by every step
        from llama_cpp import llama_cpp
    except ImportError as error:
        raise MissingExtraError("the local back end", "local") from error
    with starting():
        _silence(llama_cpp)
        llama_cpp.llama_backend_init()
    return llama_cpp


def version() -> str:
    """Say which binding this is; it carries its own llama.cpp."""
    return metadata.version("llama_cpp_python")


def complaint() -> str:
    """Return what llama.cpp complained about first; the rest follows from it."""
    return _complaints[0].split(": ", 1)[-1] if _complaints else "it gave no reason"


def _silence(llama: Any) -> None:
    def listen(level: int, text: bytes, _: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if level == _ERROR:
            _complaints.append(line)
        _log.debug("%s", line)

    listener = llama.llama_log_callback(listen)
    _listeners.append(listener)
    llama.llama_log_set(listener, ctypes.c_void_p(0))
