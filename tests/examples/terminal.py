"""How does a test sit at a terminal? A program on a pseudo-terminal, typed at and read from.

It knows no program: what is shown is text with the terminal's own signs taken out.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CTRL_C", "CTRL_D", "Terminal", "terminal"]

CTRL_C, CTRL_D = "\x03", "\x04"
_SIGNS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_PATIENCE = 30.0  # seconds
_A_WHILE = 5.0


class Terminal:
    """One program and the screen it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._raw = b""
        self._read_to = 0
        self._closed = False

    @property
    def shown(self) -> str:
        """Everything shown so far, without colours and movements."""
        return _SIGNS.sub("", self._raw.decode("utf-8", "replace"))

    def type(self, text: str) -> None:
        """Press keys."""
        if text:
            os.write(self._master, text.encode())

    def wait_for(self, text: str, press: str = "") -> str:
        """Read on until `text` is shown after what was waited for last; return what is new.

        `press` is pressed first, and again where nothing came of it for a while: a Ctrl-C between
        the writing of a prompt and the wait for a key is seen by Python only after the next key.
        """
        deadline = time.monotonic() + _PATIENCE
        self.type(press)
        while (at := self.shown.find(text, self._read_to)) < 0:
            new = self.shown[self._read_to :]
            assert time.monotonic() < deadline, f"{text!r} is not in {new!r}"
            if not self._read():
                assert not self._closed, f"it ended without {text!r}: {self.shown!r}"
                self.type(press)
        new = self.shown[self._read_to : at + len(text)]
        self._read_to = at + len(text)
        return new

    def wait_for_the_end(self, press: str) -> int:
        """Press `press` and read on until the program ends; return its exit status."""
        deadline = time.monotonic() + _PATIENCE
        self.type(press)
        while not self._closed:
            assert time.monotonic() < deadline, f"it does not end: {self.shown!r}"
            if not self._read() and not self._closed:
                self.type(press)
        return self.process.wait(_PATIENCE)

    def _read(self) -> bool:
        """Take in what is shown next; return whether anything was within a while."""
        ready, _, _ = select.select([self._master], [], [], _A_WHILE)
        if not ready:
            return False
        try:
            new = os.read(self._master, 65536)
        except OSError:  # Linux says EIO where the other side is closed
            new = b""
        self._raw += new
        self._closed = not new
        return bool(new)


@contextmanager
def terminal(script: Path, *arguments: str) -> Generator[Terminal, None, None]:
    """Run a Python script on a terminal of 100 columns, which it takes as its own with --tty."""
    master, slave = pty.openpty()
    command = [sys.executable, "-W", "error", str(script), "--tty", *arguments]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
