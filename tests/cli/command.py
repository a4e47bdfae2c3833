"""How do the tests run the real command, against a real server on loopback?

It knows no expectation: the tests beside it do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.llms.server import Script, serve_in_thread

COMMAND = Path(sys.executable).with_name("llmcompiler")

STORE = '''
import time

from llmcompiler import ToolError, tool


@tool
def stock(product: str) -> int:
    """How many pieces are in store."""
    time.sleep(0.1)
    return {"pen": 12, "ink": 3}[product]


@tool
async def add(left: int, right: int, note: str = "") -> int:
    """Add two numbers."""
    return left + right


@tool(retries=1)
def broken(number: int) -> int:
    """Never work."""
    raise ToolError("no luck")


@tool
def slow() -> str:
    """Take a minute."""
    time.sleep(60)
    return "done"
'''


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Shell:
    """A folder to run the command in, with a file of tools; `model` is the spec of a server."""

    def __init__(self, folder: Path, model: str = "") -> None:
        self.folder = folder
        self.model = model
        (folder / "store.py").write_text(STORE, "utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command with these arguments."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI_", "LLMCOMPILER_"))
        }
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env={**environment, "COLUMNS": "100", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __call__(self, *arguments: str, timeout: float = 60.0) -> Ended:
        """Run the command to its end; no end of it ever is a traceback."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=timeout)
        assert "Traceback" not in err, err
        return Ended(process.returncode, out, err)

    def ask(self, *arguments: str) -> Ended:
        """Ask the server something with the tools of the store."""
        return self("run", "What is in store?", *self.options, *arguments)

    @property
    def options(self) -> tuple[str, ...]:
        """The server and the tools of the store."""
        return ("--model", self.model, "--tools", "store.py")


@contextmanager
def asking(folder: Path, *script: Script) -> Iterator[Shell]:
    """Run a server that goes by a script, and hand out a shell that asks it."""
    with serve_in_thread(*script) as server:
        yield Shell(folder, f"{server.url}#m")
