"""What is wrong in a workflow file, and where, as values.

It does not know YAML, the language or who found it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmcompiler.errors import ConfigurationError

__all__ = ["Problem", "WorkflowError"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a workflow file; `line` and `column` count characters from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class WorkflowError(ConfigurationError):
    """Raised when a workflow file cannot be used; `problems` are all that were found, in order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
