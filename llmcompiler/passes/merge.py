"""Is this call the same as one that was made, and is it worth making at all?

It does not know who makes calls or when: it is told what began, what ended and what was written.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar

from llmcompiler.plan import Failed, Json, Ok, Outcome

__all__ = ["Failures", "Known", "call_key"]

T = TypeVar("T")

_LONG = 400  # characters of a key from which on only its hash is kept
_OWN = frozenset({"Cancelled", "ApprovalDenied", "LimitReached"})  # failures made by the run itself


def call_key(tool: str, args: Mapping[str, Json]) -> str:
    """Return a text that two calls share if, and only if, they have equal tools and arguments.

    The order of the arguments does not matter; inside a value all does, also the order of an
    object's names, since a tool can see it. ``1``, ``1.0`` and ``True`` are three values.
    """
    try:
        # A value's repr tells it from all others, and needs no copy in another order.
        key = f"{tool}{sorted(args.items())}"
    except ValueError:  # an integer too long to be written in decimal
        return f"{tool}#{hashlib.sha256(marshal.dumps(sorted(args.items()), 2)).hexdigest()}"
    if len(key) < _LONG:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{tool}#{digest}"


@dataclass(slots=True)
class _Entry(Generic[T]):
    """A call that was made: who makes it, the number of writes before it, and its value."""

    owner: T
    writes: int
    ended: Ok | None = None


class Known(Generic[T]):
    """The calls of a run that need not be made again.

    An owner is whatever the caller keeps of a call that runs; it is told apart by identity and is
    never an outcome. Say `began` when a call that may be merged starts and `ended` when it is
    over; say `wrote` when a write starts, and again when it is over: a read that ran beside it may
    have seen the world before it.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry[T]] = {}
        self._writes = 0
        self._last_written: dict[str, int] = {}
        self._last_anywhere = 0
        self._last_of_all = 0

    def find(self, key: str, *, pure: bool, resource: str | None) -> T | Ok | None:
        """Return what the same call came to, or the owner of one that runs, or None.

        A call that failed is not found. One that is not `pure` is found only if no write that may
        touch its `resource` (None: any) came after its start.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not pure and entry.writes < self._writes:
            if resource is None:
                latest = self._last_of_all
            else:
                latest = max(self._last_written.get(resource, 0), self._last_anywhere)
            if entry.writes < latest:
                del self._entries[key]
                return None
        return entry.owner if entry.ended is None else entry.ended

    def began(self, key: str, owner: T) -> None:
        """Take in that `owner` now makes this call; it takes the place of an earlier one."""
        self._entries[key] = _Entry(owner, self._writes)

    def ended(self, key: str, owner: T, outcome: Outcome) -> None:
        """Take in what the owner's call came to; nothing happens if another took its place."""
        entry = self._entries.get(key)
        if entry is None or entry.owner is not owner:
            return
        if isinstance(outcome, Ok):
            entry.ended = outcome
        else:
            del self._entries[key]

    def wrote(self, resource: str | None) -> None:
        """Take in that a write to `resource` (None: to anything) started, or is over."""
        self._writes += 1
        self._last_of_all = self._writes
        if resource is None:
            self._last_anywhere = self._writes
        else:
            self._last_written[resource] = self._writes


class Failures:
    """Calls that failed twice in the same way, and are not tried a third time.

    Failures that the run made itself (a call that was stopped, denied, or above a limit) do not
    count: they say nothing of the call.
    """

    def __init__(self) -> None:
        self._once: dict[str, set[tuple[str, str]]] = {}
        self._hopeless: dict[str, Failed] = {}

    def __bool__(self) -> bool:
        """Whether anything has failed."""
        return bool(self._once)

    def failed(self, key: str, kind: str, message: str) -> None:
        """Take in that a call failed for good: its error's name and its text."""
        if kind in _OWN:
            return
        before = self._once.setdefault(key, set())
        if (kind, message) in before:
            self._hopeless[key] = Failed(
                kind, f"not tried again, it failed twice in the same way before: {message}", 0
            )
        before.add((kind, message))

    def hopeless(self, key: str) -> Failed | None:
        """Return the outcome of a call that is not to be tried again, or None."""
        return self._hopeless.get(key)

    def renew(self) -> None:
        """Take in that a write went through: what failed before may go well now."""
        self._once.clear()
        self._hopeless.clear()
