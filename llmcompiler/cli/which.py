"""Is this a request or a workflow file, and which options were really given?

It does not know what becomes of either.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from llmcompiler.cli.exits import complain, status_of
from llmcompiler.errors import ConfigurationError, did_you_mean

__all__ = ["chosen_file", "named_options"]

_ENDINGS = (".yaml", ".yml")


def chosen_file(
    request: str | None,
    file: Path | None,
    pairs: Sequence[str] | None,
    inputs: Path | None,
    *,
    quiet: bool,
) -> Path | None:
    """Return the workflow file, None for a request; leave the command for neither, or for both.

    It is too early to take Ctrl-C: what answers for it comes behind.
    """
    try:
        return _chosen(request, file, pairs, inputs, quiet=quiet)
    except ConfigurationError as error:
        complain(error)
        raise typer.Exit(status_of(error)) from None


def _chosen(
    request: str | None,
    file: Path | None,
    pairs: Sequence[str] | None,
    inputs: Path | None,
    *,
    quiet: bool,
) -> Path | None:
    if file is not None:
        if request is not None:
            raise ConfigurationError(f"give a request or a workflow with --file {file}, not both")
        return file
    if request is None:
        raise ConfigurationError("say what you want to know, or which workflow to run: a FILE.yaml")
    if request.endswith(_ENDINGS) and _is_there(request):
        return Path(request)
    option = "--input" if pairs else "--input-file" if inputs is not None else None
    if option is not None:
        raise ConfigurationError(f"{option} is for workflows, and {_what(request)}")
    if request.endswith(_ENDINGS) and not quiet and len(request.split()) == 1:
        print(f"llmcompiler: {_what(request)}, so this is a request", file=sys.stderr)
    return None


def _is_there(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # it is no path at all
        return False


def _what(request: str) -> str:
    if request.endswith(_ENDINGS):
        folder = Path(request).parent
        near = [path.name for path in folder.glob("*.y*ml")] if _is_folder(folder) else []
        return f"there is no file {request!r}{did_you_mean(Path(request).name, near)}"
    return "this is a request; a workflow's path ends in .yaml or .yml, or use --file"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def named_options(ctx: typer.Context) -> frozenset[str]:
    """Return the parameters that stand on the command line, not those of the environment."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return frozenset(
        name for name, source in sources.items() if source and source.name == "COMMANDLINE"
    )
