"""How does a command end: which exit status, and which sentence on standard error?

It does not know what was run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from llmcompiler.cli.interrupts import release_interrupts
from llmcompiler.errors import ConfigurationError, LLMCompilerError, RunCancelledError

__all__ = ["FAILED", "FINISHED", "INTERRUPTED", "USAGE", "complain", "ends_well", "status_of"]

FINISHED, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def status_of(error: BaseException | None) -> int:
    """Return the exit status for what ended a command; None is a good end."""
    match error:
        case None:
            return FINISHED
        case KeyboardInterrupt() | RunCancelledError():
            return INTERRUPTED
        case ConfigurationError():
            return USAGE
        case _:
            return FAILED


def complain(error: BaseException) -> None:
    """Write an error as one sentence on standard error."""
    text = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
    print(f"llmcompiler: {text}", file=sys.stderr)


@contextmanager
def ends_well() -> Iterator[None]:
    """Turn what the library raises on purpose, and Ctrl-C, into a sentence and an exit status."""
    try:
        release_interrupts()
        yield
    except (LLMCompilerError, KeyboardInterrupt) as error:
        complain(error)
        raise typer.Exit(status_of(error)) from None
