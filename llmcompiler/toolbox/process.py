"""How is a function called in a worker process, so that its work holds up nobody here?

It does not know tools, only functions that a worker can find again by where they stand; anyio
keeps the worker processes.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import anyio
import anyio.to_process

from llmcompiler.errors import ConfigurationError, ToolDefinitionError, ToolError, ToolResultError
from llmcompiler.toolbox.worker import Place, Reply, prepare, standing, told, work

__all__ = ["call", "check_found", "check_main", "check_place"]

_START_SECONDS = 60.0  # for a worker to start and to load the main script
_TRIES = 3  # workers that may turn out dead before one is found that lives
_CHILD_MAIN = "__mp_main__"  # what the main script is called in a worker while it is loaded


def check_place(function: Callable[..., Any], name: str) -> None:
    """Raise `ToolDefinitionError` where a worker process could not find `function` again."""
    if not inspect.isfunction(function):
        raise ToolDefinitionError(
            name, "a worker process cannot find it again: with cpu=True it must be a plain function"
        )
    if "<" in function.__qualname__:
        raise ToolDefinitionError(
            name,
            "a worker process cannot find it again: with cpu=True it must be defined "
            "at the top level of its module",
        )
    module = sys.modules.get(function.__module__)
    if module is None or (function.__module__ == "__main__" and not hasattr(module, "__file__")):
        raise ToolDefinitionError(
            name, "a worker process cannot find it again: with cpu=True it must stand in a file"
        )


def check_found(function: Callable[..., Any], name: str) -> None:
    """Raise `ToolDefinitionError` where another function stands in its place by now."""
    place = _place(function)
    module = sys.modules.get(place.module)
    if module is None or standing(module, place.name) is not function:
        raise ToolDefinitionError(
            name,
            f"a worker process cannot find it again: {place.name!r} in the module "
            f"{place.module!r} is something else; give the function its own name there",
        )


def check_main() -> None:
    """Raise `ConfigurationError` where a worker process is only loading the main script.

    It does so to find functions that stand there; what the script starts must not start again.
    """
    if "__main__" not in sys.modules and _CHILD_MAIN in sys.modules:
        file = getattr(sys.modules[_CHILD_MAIN], "__file__", None) or "the main script"
        raise ConfigurationError(
            f"a worker process that only loads {str(file)!r} would start it a second time: "
            f"put what starts a run behind if __name__ == '__main__':"
        )


async def call(
    function: Callable[..., Any],
    name: str,
    values: Mapping[str, Any],
    limiter: anyio.CapacityLimiter | None = None,
) -> Any:
    """Return what `function` returns for `values` in a worker process.

    `limiter` says how many may work at once (None: one for each core). A call that is cancelled
    kills its worker. Raises what the function raises, and `ToolError`, which speaks of `name`,
    where arguments, result or exception cannot be sent or the worker cannot start or dies.
    """
    check_main()
    check_found(function, name)
    try:
        arguments = pickle.dumps(values)
    except Exception as error:  # noqa: BLE001 - whatever a foreign object does when it is written
        raise ToolError(
            f"the arguments of {name!r} cannot be sent to its worker process: {told(error)}"
        ) from None
    async with limiter or anyio.to_process.current_default_process_limiter():
        await _have_worker(name)
        try:
            reply = await anyio.to_process.run_sync(
                work, _place(function), sys.path, arguments, cancellable=True, limiter=_FREE
            )
        except Exception as error:
            raise ToolError(
                f"the worker process of {name!r} died before it had a result: "
                f"it ended itself, was killed or ran out of memory"
            ) from error
    return _result(reply, name)


async def _have_worker(name: str) -> None:
    """Make sure that the next call finds an idle worker.

    A worker whose start is cancelled would be lost and not stopped, so the start is shielded and
    the call that may be cancelled comes after it.
    """
    problem = "each one died at once"
    try:
        with anyio.fail_after(_START_SECONDS, shield=True):
            for _ in range(_TRIES):
                try:
                    return await anyio.to_process.run_sync(prepare, cancellable=True, limiter=_FREE)
                except anyio.BrokenWorkerProcess as error:
                    if str(error):  # it did not start; else it started and is no longer there
                        problem = told(error.__cause__ or error)
                        break
    except TimeoutError:
        problem = f"the main script was not loaded within {_START_SECONDS:g} s"
    except OSError as error:
        problem = told(error)
    raise ToolError(f"no worker process could be started for {name!r}: {problem}")


class _Free:
    """A limiter that lets everybody in without giving way, so that no other call comes between."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *error: object) -> None:
        pass


_FREE = cast("anyio.CapacityLimiter", _Free())


def _result(reply: Reply, name: str) -> Any:
    match reply:
        case ("returned", content):
            try:
                return _loaded(content)
            except Exception as error:  # noqa: BLE001 - whatever a foreign object does when it is read
                raise ToolResultError(
                    f"{name!r} returned what cannot be read back from its worker process: "
                    f"{told(error)}"
                ) from None
        case ("raised", content, is_refusal, text):
            raise _exception(content) or ToolResultError(
                text if is_refusal else f"{name!r} failed in its worker process with {text}"
            )
        case ("lost", text):
            raise ToolError(f"a worker process cannot find {name!r} again: {text}")
        case ("ended", text):
            raise ToolResultError(f"{name!r} ended its worker process with {text}")
        case ("unsendable", text):
            raise ToolResultError(
                f"{name!r} returned what cannot be sent back from its worker process: {text}"
            )


def _exception(content: bytes | None) -> Exception | None:
    try:
        found = None if content is None else _loaded(content)
    except Exception:  # noqa: BLE001 - its text is shown in its place
        return None
    return found if isinstance(found, Exception) else None


class _Unpickler(pickle.Unpickler):
    """Reads what a worker wrote, in which the main script has another name."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return what stands under a name."""
        at = "__main__" if module_name == _CHILD_MAIN else module_name
        return super().find_class(at, global_name)


def _loaded(content: bytes) -> Any:
    return _Unpickler(io.BytesIO(content)).load()


def _place(function: Callable[..., Any]) -> Place:
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return Place(function.__module__, file, function.__qualname__)
