"""Who approves a step at the command line: an option, the person at the terminal, or nobody?

It does not know which steps need approval.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

import anyio
import anyio.to_thread

from llmcompiler.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from llmcompiler.approval import ApprovalRequest, Verdict

__all__ = ["Consent", "call_text", "terminal_input"]

_SHORT = 600  # characters of a question; "?" shows the whole
_HELP = "y approves it; anything else denies it, and the model reads what you write behind n."


class Consent:
    """An approver: `approved` tools (or "all") are approved, of others the person is asked.

    `keys` is what the person types at; without it a step is denied and the model reads why. The
    question stands alone on the screen while `held` keeps everybody else from writing. Raises
    `ConfigurationError` for a name that is no tool.
    """

    def __init__(
        self,
        approved: Collection[str],
        tools: Collection[str],
        keys: TextIO | None,
        held: Callable[[], AbstractContextManager[object]],
    ) -> None:
        for name in approved:
            if name != "all" and name not in tools:
                close = did_you_mean(name, [*tools, "all"])
                raise ConfigurationError(f"--approve {name!r} is not among the tools{close}")
        self._approved = frozenset(approved)
        self._keys = keys
        self._held = held
        self._turn = anyio.Lock()

    async def __call__(self, request: ApprovalRequest) -> Verdict:
        """Return what was decided; one person is asked one question at a time."""
        if not self._approved.isdisjoint((request.tool, "all")):
            return request.approve()
        if self._keys is None:
            why = f"nobody was there to approve it: --approve {request.tool}"
            with self._held():
                print(f"llmcompiler: step {request.step} was denied: {why}", file=sys.stderr)
            return request.deny(why)
        async with self._turn:
            with self._held():
                try:
                    said = await anyio.to_thread.run_sync(
                        _ask, request, self._keys, abandon_on_cancel=True
                    )
                except anyio.get_cancelled_exc_class():
                    print(file=sys.stderr)  # the question is left as it stands
                    raise
        if re.fullmatch(r"y|yes", said, re.IGNORECASE):
            return request.approve()
        return request.deny(re.sub(r"^(no|n)\b[\s,:;-]*", "", said, flags=re.IGNORECASE))


def call_text(request: ApprovalRequest) -> str:
    """Write a call so that everything in it can be seen: ``3, send_mail(to="ann")``."""
    args = (
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in request.args.items()
    )
    calls = "" if request.elements is None else f"{request.elements:,} calls of "
    return _visible(f"{request.step}, {calls}{request.tool}({', '.join(args)})")


def terminal_input() -> TextIO | None:
    """Return what a person types at, None where nobody does."""
    if not sys.stderr.isatty():
        return None
    if sys.stdin is not None and sys.stdin.isatty():
        return sys.stdin
    try:
        return open("/dev/tty", encoding="utf-8", errors="replace")
    except OSError:
        return None


def _ask(request: ApprovalRequest, keys: TextIO) -> str:
    """Put the question until there is an answer to it; an empty one is no."""
    call = call_text(request)
    cut = len(call) > _SHORT
    shown = f"{call[:_SHORT]}… ({len(call):,} characters)" if cut else call
    _forget_typed(keys)
    _say(f"{_visible(request.reason)}\nApprove step {shown}? [y/N{'/?' if cut else ''}] ")
    while True:
        line = keys.readline()
        if not line:
            _say("\n")
        if line.strip() != "?":
            return line.strip()
        _say(f"{call}\n{_HELP}\nApprove it? [y/N] ")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _forget_typed(keys: TextIO) -> None:
    """Drop what was typed before the question was there to be read."""
    try:
        import termios

        termios.tcflush(keys, termios.TCIFLUSH)
    except (ImportError, OSError, ValueError):
        return


def _visible(text: str) -> str:
    """Show what would steer a terminal as the escape that it is in Python."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
