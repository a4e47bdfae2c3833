"""When may Ctrl-C interrupt? Not before the command is there that will say what became of it.

It does not know the commands. The system holds the signal meanwhile, a few tenths of a second.
"""

from __future__ import annotations

import signal

__all__ = ["hold_interrupts", "release_interrupts"]


def hold_interrupts() -> None:
    """Let Ctrl-C wait, where the system can (not on Windows)."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def release_interrupts() -> None:
    """Take Ctrl-C from now on; raise KeyboardInterrupt at once where it was pressed meanwhile."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
