"""Tools for worker processes: each does one thing that may go well or badly there.

It does not know that it is tested: a worker process imports it like any module.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from pydantic import BaseModel

from llmcompiler import tool
from llmcompiler.errors import ToolError


class Point(BaseModel):
    x: int
    y: int = 0


class PickyError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} is not {second}")


@tool(cpu=True)
def pid() -> int:
    return os.getpid()


@tool(cpu=True)
def mirror(at: Point) -> Point:
    return Point(x=at.y, y=at.x)


@tool(cpu=True)
def spin_until(path: str) -> str:
    while not os.path.exists(path):
        pass
    return "seen"


@tool(cpu=True)
def spin_for_ever(path: str) -> None:
    pipe = os.open(path, os.O_WRONLY)
    os.write(pipe, b"begun\n")
    while True:
        pass


@tool(cpu=True)
def fail(how: str) -> Any:
    match how:
        case "refuse":
            raise ToolError("there is no such thing")
        case "break":
            raise ZeroDivisionError("by 0")
        case "picky":
            raise PickyError(1, 2)
        case "leave":
            sys.exit(3)
        case "unsendable":
            return lambda: None
        case "exit":
            os._exit(1)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    return "unknown"


@tool(cpu=True)
def chatter() -> str:
    print("from Python")
    os.write(1, b"RETURN 3\nabc" * 1000)
    os.write(2, b"complaint\n" * 50_000)
    subprocess.run([sys.executable, "-c", "print('from a program')"], check=True)
    heard = subprocess.run([sys.executable, "-c", "input()"], check=False).returncode
    return "nothing to read" if heard else "read something"


def _timed(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def plain() -> int:
    return 1


wrapped = tool(cpu=True, name="wrapped")(_timed(plain))


@tool(cpu=True)
@_timed
def decorated() -> str:
    return "as decorated"
