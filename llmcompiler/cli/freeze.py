"""Where does a plan go that is kept as a workflow file?

It does not know plans, nor what such a file says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from llmcompiler.errors import ConfigurationError

if TYPE_CHECKING:
    from llmcompiler.plan import Plan

__all__ = ["FrozenFile"]


class FrozenFile:
    """A workflow file that is written once, never over one that is there.

    Raises `ConfigurationError` at once where it cannot be, before a model is asked.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigurationError(
                f"a workflow's name ends in .yaml or .yml, unlike {str(path)!r}"
            )
        if path.exists():
            raise ConfigurationError(
                f"{str(path)!r} is already there and stays as it is: give another name"
            )
        if not path.absolute().parent.is_dir():
            raise ConfigurationError(f"cannot write {str(path)!r}: there is no such folder")
        self._path = path

    def write(self, plan: Plan, tools: Iterable[str]) -> None:
        """Write the plan; `tools` are the sources of its tools as they were given."""
        from llmcompiler.workflow.freezing import to_yaml

        text = to_yaml(plan, name=self._path.stem, tools=[self._beside(each) for each in tools])
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"cannot write {str(self._path)!r}: {reason}") from None

    def _beside(self, source: str) -> str:
        """Write the path of a file of tools as it is seen from the workflow."""
        if not source.endswith(".py"):
            return source
        way = os.path.relpath(Path(source).expanduser(), self._path.absolute().parent)
        return way if way.startswith("..") else f"./{Path(way).as_posix()}"
