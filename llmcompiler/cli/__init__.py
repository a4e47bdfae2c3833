"""The command ``llmcompiler``: where it is entered and how it is left.

It does not know what the commands do; each of them releases Ctrl-C once it can answer for it.
"""

from __future__ import annotations

import os
import sys
import threading
from io import TextIOWrapper
from typing import NoReturn

from llmcompiler.cli.interrupts import hold_interrupts

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line of this process and leave it: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    status = 1
    hold_interrupts()
    try:
        from llmcompiler.cli.app import app

        app()
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process, also when a tool that was given up on still holds a thread."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    held = [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    if held:
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
