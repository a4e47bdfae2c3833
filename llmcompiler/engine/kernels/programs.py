"""How is a program run that somebody may want to stop, and what does it complain of?

It does not know what the programs are for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

__all__ = ["Fleeting", "KernelsUnavailable", "Stopped", "run_program"]

_PAUSE: Final = 0.05


class KernelsUnavailable(Exception):
    """Why there are no kernels here, as the end of a sentence; nothing is broken."""


class Fleeting(KernelsUnavailable):
    """What may go well another time."""


class Stopped(Fleeting):
    """Somebody did not want to wait any longer: another time there may be some."""


def run_program(
    command: Sequence[str], doing: str, patience: float, stopped: Callable[[], bool]
) -> tuple[int, str]:
    """Run a program; return its status and what it wrote in English, complaints included.

    With it ends what it started. `doing` names it, `patience` is in seconds, and `stopped` is asked
    meanwhile whether to give up.

    Raises:
        Stopped: it was given up.
        Fleeting: it cannot be started, took longer than `patience`, or was killed.
    """
    end = time.monotonic() + patience
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            program = subprocess.Popen(  # noqa: S603 - the callers' programs have fixed arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise Fleeting(error.strerror or str(error)) from None
        with program:
            try:
                while program.poll() is None:
                    if stopped():
                        raise Stopped(f"{doing} was stopped")
                    if time.monotonic() > end:
                        raise Fleeting(f"{doing} took longer than {patience:g} s")
                    time.sleep(_PAUSE)
            except BaseException:
                with suppress(OSError):
                    os.killpg(program.pid, signal.SIGKILL)
                raise
        if program.returncode == -signal.SIGKILL:
            raise Fleeting(f"{doing} was killed: there may be too little memory")
        said.seek(0)
        return program.returncode, said.read()
