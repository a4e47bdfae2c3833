"""How are the problems of a workflow file told: a line for each, as compilers do?

It does not know what the problems are, nor the command that met them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from llmcompiler.cli.exits import FAILED, complain, ends_well, status_of
from llmcompiler.errors import LLMCompilerError
from llmcompiler.workflow import InputError, WorkflowError

__all__ = ["status_of_file", "tell", "tells_problems"]


def tell(error: LLMCompilerError) -> None:
    """Write an error on standard error; those of a file as ``file:line:column: message``."""
    match error:
        case WorkflowError():
            print(error, file=sys.stderr)
        case InputError():
            for problem in error.problems:
                print(f"llmcompiler: {problem}", file=sys.stderr)
        case _:
            complain(error)


def status_of_file(error: LLMCompilerError | None) -> int:
    """Return the exit status; a file with problems is a failure and no wrong usage."""
    return FAILED if isinstance(error, WorkflowError) else status_of(error)


@contextmanager
def tells_problems() -> Iterator[None]:
    """Do what `ends_well` does, and tell the problems of workflow files."""
    with ends_well():
        try:
            yield
        except (WorkflowError, InputError) as error:
            tell(error)
            raise typer.Exit(status_of_file(error)) from None
