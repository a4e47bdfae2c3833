"""Which object does a name stand for? Models, tools and planners, through entry points and files.

It does not know any of them: installed packages announce theirs, and files are looked into.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from llmcompiler.errors import (
    ConfigurationError,
    LLMCompilerError,
    MissingExtraError,
    ModelSpecError,
    ToolLoadError,
    did_you_mean,
)
from llmcompiler.messages import LLM
from llmcompiler.roles import Planner
from llmcompiler.toolbox import Tool, Toolbox, ToolLike

__all__ = ["bundled_tools", "installed", "load_model", "load_planner", "load_tools"]

_DISTRIBUTION = "llmcompiler-runtime"
_TEN_LINES = '''

    from llmcompiler import tool

    @tool
    def stock(product: str) -> int:
        """How many pieces of a product are in store.

        Args:
            product: the product's name, as on the label
        """
        return {"pen": 12, "ink": 3}[product]
'''


def installed(group: str) -> Mapping[str, EntryPoint]:
    """Return what installed packages announce as ``llmcompiler.<group>``, by name."""
    found = entry_points(group=f"llmcompiler.{group}")
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


# Models


def load_model(spec: str, options: Mapping[str, Any] | None = None) -> LLM:
    """Return the model that `spec` names; it loads or connects when it is first asked.

    A spec is the name of an installed model ("embedded"), "local:PATH.gguf", "openai:NAME" or
    "http://HOST:PORT/v1#NAME". `options` go to the back end. Raises `ModelSpecError` for a spec
    that cannot be read, `MissingExtraError` where the back end is not installed, and
    `ConfigurationError` for options that it does not have.
    """
    given = dict(options or {})
    name = spec.strip()
    if name.startswith(("http://", "https://")):
        url, _, model = name.partition("#")
        if not model:
            raise ModelSpecError(spec, "it names no model after '#'")
        return _openai(spec, model, url, given)
    kind, colon, rest = name.partition(":")
    if not colon:
        return _installed_model(spec, name, given)
    if not rest:
        raise ModelSpecError(spec, f"nothing follows {kind + ':'!r}")
    match kind:
        case "local":
            return _local(Path(rest).expanduser(), given)
        case "openai":
            return _openai(spec, rest, None, given)
        case _:
            raise ModelSpecError(
                spec,
                f"there is no kind of model {kind!r}"
                f"{did_you_mean(kind, ('local', 'openai', 'http', 'https'))}",
            )


def _installed_model(spec: str, name: str, options: dict[str, Any]) -> LLM:
    points = installed("models")
    if name not in points:
        if name.endswith(".gguf"):
            raise ModelSpecError(spec, f"a model file is written 'local:{name}'")
        raise ModelSpecError(
            spec,
            f"there is no installed model {name!r}{did_you_mean(name, (*points, 'local', 'openai'))}"
            if name
            else "it is empty",
        )
    made = _load(points[name])
    made = made() if callable(made) else made
    return _local(Path(made), options) if isinstance(made, str | os.PathLike) else cast("LLM", made)


def _local(path: Path, options: dict[str, Any]) -> LLM:
    try:
        from llmcompiler.engine.options import environment_options
        from llmcompiler.llms.local import LocalLLM
    except ModuleNotFoundError as error:
        raise _missing_extra(error) from None
    return LocalLLM(str(path), {**environment_options(), **options})


def _missing_extra(error: ModuleNotFoundError) -> Exception:
    known = ("llama_cpp", "llguidance", "numpy")
    if error.name in known:
        return MissingExtraError("the local backend (llama-cpp-python, llguidance)", "local")
    return error


def _openai(spec: str, model: str, base_url: str | None, options: dict[str, Any]) -> LLM:
    if options:
        raise ConfigurationError(
            f"{', '.join(sorted(options))}: only a local model has this option, "
            f"and {spec!r} is a server's"
        )
    from llmcompiler.llms.openai import OpenAILLM

    return OpenAILLM(model, base_url=base_url)


# Planners


def load_planner(name: str) -> Planner:
    """Return a new planner of an installed kind ("dag"); raise `ConfigurationError` if unknown."""
    points = installed("planners")
    if name not in points:
        raise ConfigurationError(
            f"there is no installed planner {name!r}{did_you_mean(name, points)}"
        )
    return cast("Planner", _load(points[name])())


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except LLMCompilerError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the installed package behind {point.name!r} ({point.value}) does not load: "
            f"{type(error).__name__}: {error}"
        ) from error


# Tools


def bundled_tools() -> Toolbox:
    """Return every tool that ships with the project (not those of other installed packages)."""
    points = installed("tools").values()
    ours = [point for point in points if point.dist and point.dist.name == _DISTRIBUTION]
    return Toolbox(found for point in ours for found in _tools_of_point(point))


def load_tools(sources: Iterable[str]) -> Toolbox:
    """Return the tools of all `sources` together.

    A source is "bundled", a Python file, an installed set of tools ("units"), one bundled tool
    ("convert"), or an importable module. Of a file or module its ``TOOLS`` are taken, or else
    every `Tool` in it. Raises `ToolLoadError` for a source that gives none, and
    `DuplicateToolError` where two tools carry one name.
    """
    return Toolbox([found for source in sources for found in _tools_of_source(source)])


def _tools_of_source(source: str) -> Iterable[ToolLike]:
    if source == "bundled":
        return bundled_tools().values()
    if source.endswith(".py") or os.sep in source:
        return _tools_of_module(source, _import_file(source))
    points = {**installed("tools"), **installed("tools.apart")}
    if source in points:
        return _tools_of_point(points[source])
    bundled = bundled_tools()
    if source in bundled:
        return [bundled[source]]
    return _tools_of_module(source, _import_module(source, ("bundled", *points, *bundled)))


def _tools_of_point(point: EntryPoint) -> list[ToolLike]:
    made = _load(point)
    return _tools_of_object(point.name, made)


def _tools_of_module(source: str, module: ModuleType) -> list[ToolLike]:
    listed = vars(module).get("TOOLS")
    if listed is not None:
        return _tools_of_object(source, listed)
    found = [
        value for name, value in vars(module).items() if isinstance(value, Tool) and name[0] != "_"
    ]
    if not found:
        raise ToolLoadError(source, f"it holds no tool; this is one:{_TEN_LINES}")
    return list(dict.fromkeys(found))


def _tools_of_object(source: str, made: object) -> list[ToolLike]:
    if isinstance(made, ModuleType):
        return _tools_of_module(source, made)
    if isinstance(made, Mapping):
        made = list(made.values())
    if callable(made):
        return [cast("ToolLike", made)]
    if not isinstance(made, Iterable):
        raise ToolLoadError(source, f"its tools must be a list, not a {type(made).__name__!r}")
    found = list(cast("Iterable[object]", made))
    for one in found:
        if not callable(one):
            raise ToolLoadError(source, f"its TOOLS hold {one!r}, which is no tool and no function")
    if not found:
        raise ToolLoadError(source, "its TOOLS are empty")
    return cast("list[ToolLike]", found)


def _import_file(source: str) -> ModuleType:
    path = Path(source).expanduser().absolute()
    if not path.is_file():
        near = (
            [str(other.name) for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        )
        raise ToolLoadError(source, f"there is no such file{did_you_mean(path.name, near)}")
    name = f"{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ToolLoadError(source, "a file of tools must end in .py")
    module = importlib.util.module_from_spec(spec)
    _make_importable(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, LLMCompilerError | KeyboardInterrupt):
            raise
        raise ToolLoadError(source, _what_happened(error, path)) from error
    return module


def _import_module(name: str, known: Iterable[str]) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except (LLMCompilerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name
        if missing and (name == missing or name.startswith(missing + ".")):
            raise ToolLoadError(
                name,
                f"there is no file, module, installed set or bundled tool of this name"
                f"{did_you_mean(name, known)}",
            ) from None
        raise ToolLoadError(name, _what_happened(error, None)) from error


def _make_importable(folder: Path) -> None:
    """Let a tool file import its neighbours; at the end of the path, so that it shadows nothing."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _what_happened(error: BaseException, path: Path | None) -> str:
    line = None
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        what = f"{type(error).__name__}: {error.msg}"
        line = error.lineno if path is None or error.filename == str(path) else None
    trace = error.__traceback__ if path is not None and line is None else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"it fails at line {line} with {what}" if line else f"it fails with {what}"
