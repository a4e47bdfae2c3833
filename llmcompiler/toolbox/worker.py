"""What happens in a worker process: a function is found by where it stands, called, and answered for.

It does not know tools or who asks. What may go wrong comes back as a value, for an exception of
the function must not be taken for one of the worker.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypeAlias

from llmcompiler.errors import ToolError

__all__ = ["Place", "Reply", "prepare", "standing", "told", "work"]

Reply: TypeAlias = (
    tuple[Literal["returned"], bytes]
    | tuple[Literal["lost", "ended", "unsendable"], str]
    | tuple[Literal["raised"], bytes | None, bool, str]
)


class Place(NamedTuple):
    """Where a function stands; `file` is that of its module, where it has one."""

    module: str
    file: str | None
    name: str


def standing(module: ModuleType, name: str) -> object:
    """Return the function of that name, also where a tool has been made of it; None if none is."""
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if inspect.isfunction(found) else getattr(found, "fn", None)


def prepare() -> None:
    """Get ready for the first call."""
    # Ctrl-C goes to all processes of a terminal. The one that started this worker decides; here
    # it would only be taken for the reply to the next call.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def work(place: Place, path: Sequence[str], arguments: bytes) -> Reply:
    """Call the function that stands at `place` with pickled `arguments`; `path` is a `sys.path`.

    Replies with its pickled result or exception, or with the reason why there is none: "lost" for
    a function that is not found, "ended" for one that would end the process, "unsendable" for a
    result that cannot be pickled. An exception comes with whether it is a `ToolError`, and its text.
    """
    with _apart():
        try:
            function = _found(place, path)
            values = pickle.loads(arguments)  # noqa: S301 - written by the process that started this one
        except BaseException as error:  # noqa: BLE001 - a module may do anything when it is loaded
            return ("lost", told(error))
        try:
            result = function(**values)
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            return _raised(error)
        except BaseException as error:  # noqa: BLE001 - it must not end the process that asked
            return ("ended", told(error))
        try:
            return ("returned", pickle.dumps(result))
        except Exception as error:  # noqa: BLE001 - whatever a foreign object does when it is written
            return ("unsendable", told(error))


def told(error: BaseException) -> str:
    """Say the kind of an error and its text, if it has one."""
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001 - an exception that cannot even say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _raised(error: Exception) -> Reply:
    is_refusal = isinstance(error, ToolError)
    text = told(error)
    if is_refusal:
        text = text.removeprefix(f"{type(error).__name__}: ")
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # noqa: S301 - written a line above: many exceptions cannot be read
    except Exception:  # noqa: BLE001 - its text is sent in its place
        return ("raised", None, is_refusal, text)
    return ("raised", content, is_refusal, text)


def _found(place: Place, path: Sequence[str]) -> Callable[..., Any]:
    sys.path.extend(folder for folder in path if folder not in sys.path)
    found = standing(_module(place.module, place.file), place.name)
    if not callable(found):
        raise LookupError(f"there is no {place.name!r} in {place.file!r}")
    return found


def _module(name: str, file: str | None) -> ModuleType:
    """Return a module that the starting process has, from the same file."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if file is None or (spec and os.path.realpath(spec.origin or "") == os.path.realpath(file)):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _apart() -> Iterator[None]:
    """Keep what the function reads and writes away from the pipes to the starting process.

    `sys.stdin` and the others point elsewhere already; this is for other programs and libraries.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    kept = {number: os.dup(number) for number in (0, 1, 2)}
    try:
        for number in kept:
            os.dup2(nothing, number)
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(nothing)
