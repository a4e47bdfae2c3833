"""What do keys do: at the prompt, where a line is typed, and elsewhere, where only Ctrl-C counts?

It does not know what a line means, or what Ctrl-C is to stop.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["ctrl_c_calls", "read_line", "seen", "unseen"]


def read_line(prompt: str) -> str:
    """Ask for a line; raise EOFError at the end of the input, KeyboardInterrupt on Ctrl-C."""
    with suppress(ImportError):
        import readline  # noqa: F401 - gives input() its editing and its history
    with _on_ctrl_c(signal.default_int_handler):
        line = input(prompt)
    if not sys.stdin.isatty():
        print(line)  # so that a piped chat reads like a typed one
    return line


@contextmanager
def ctrl_c_calls(act: Callable[[], None]) -> Generator[None, None, None]:
    """Have Ctrl-C call `act`, whatever runs at that moment, instead of breaking it off."""
    with _on_ctrl_c(lambda *_: act()):
        yield


@contextmanager
def unseen() -> Generator[None, None, None]:
    """Keep what is typed from being drawn into something else; the next prompt shows it."""
    with _echo(on=False):
        yield


@contextmanager
def seen() -> Generator[None, None, None]:
    """Show what is typed, in the midst of `unseen`, and forget what was typed before."""
    with _echo(on=True):
        yield


@contextmanager
def _echo(*, on: bool) -> Generator[None, None, None]:
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    changed = termios.tcgetattr(sys.stdin)
    changed[3] = changed[3] | termios.ECHO if on else changed[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSAFLUSH if on else termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


@contextmanager
def _on_ctrl_c(handler: Callable[..., Any]) -> Generator[None, None, None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
