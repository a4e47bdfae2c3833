"""Which file does a model mean? One below the current directory, and no other.

It does not know what is done with the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Final

from llmcompiler.errors import ToolError, did_you_mean

__all__ = ["file_at", "files_below"]

_LONGEST: Final = 300  # characters of a wrong name that is worth a suggestion
_MOST: Final = 200_000  # files that are looked at for one call
_SEARCHED: Final = 5000  # files looked at for a name that is close to a wrong one


def file_at(path: str) -> Path:
    """Return the regular file that `path` names; raise `ToolError` where there is none below here.

    A link is followed first, so that one that leads out of the current directory is refused.
    """
    found = _inside(path)
    try:
        mode = found.stat().st_mode
    except (OSError, ValueError):
        raise ToolError(f"there is no file {path!r}{_closest(path)}") from None
    if stat.S_ISDIR(mode):
        raise ToolError(f"{path!r} is a directory, not a file")
    if not stat.S_ISREG(mode):
        raise ToolError(f"{path!r} is not a regular file")
    return found


def files_below(folder: str, pattern: str) -> Iterator[tuple[str, Path]]:
    """Yield the files below `folder` that match `pattern`, each as it is called from here.

    A pattern with a slash is compared with the path from `folder`, any other with the file's name.
    Hidden files and directories are left out, links are not followed. Raises `ToolError` where
    there are too many files to look at.
    """
    start = _inside(folder)
    if not start.is_dir():
        raise ToolError(f"there is no directory {folder!r}")
    root = Path.cwd().resolve()
    seen = 0
    for here, folders, names in os.walk(start):
        seen += len(names)
        if seen > _MOST:
            raise ToolError(f"there are more than {_MOST} files below {folder!r}: name a folder")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            below = file.relative_to(start).as_posix() if "/" in pattern else name
            if name.startswith(".") or file.is_symlink() or not fnmatch(below, pattern):
                continue
            if file.is_file():
                yield file.relative_to(root).as_posix(), file


def _inside(path: str) -> Path:
    root = Path.cwd().resolve()
    try:
        found = (root / path).resolve()
    except (OSError, ValueError, RuntimeError):
        raise ToolError(f"there is no file {path!r}") from None
    if not found.is_relative_to(root):
        raise ToolError(f"{path!r} is not below the current directory")
    return found


def _closest(path: str) -> str:
    if len(path) > _LONGEST:
        return ""
    try:
        return did_you_mean(path, [name for name, _ in islice(files_below(".", "*"), _SEARCHED)])
    except ToolError:
        return ""
