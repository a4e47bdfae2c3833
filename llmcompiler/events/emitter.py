"""Stamps the events of one run, tells every sink, and writes and reads them as JSON.

It does not know what the events mean.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeAlias

import anyio

from llmcompiler.events.kinds import Event

__all__ = [
    "Emitter",
    "Sink",
    "direct_clock",
    "event_from_json",
    "event_json_schema",
    "event_to_json",
]

Sink: TypeAlias = Callable[[Event], None]
_log = logging.getLogger("llmcompiler")


class Emitter:
    """Stamps events of one run and hands them to every sink.

    `clock` gives seconds; the time of the first use is the run's zero. A run that is taken up again
    goes on from `elapsed` seconds and `told` events. A sink that raises is dropped with a logged
    error: a reader never breaks a run.
    """

    __slots__ = ("_clock", "_seq", "_sinks", "_zero", "run_id")

    def __init__(
        self,
        run_id: str,
        clock: Callable[[], float],
        sinks: Iterable[Sink] = (),
        *,
        elapsed: float = 0.0,
        told: int = 0,
    ) -> None:
        self.run_id = run_id
        self._clock = direct_clock(clock)
        self._zero = self._clock() - elapsed
        self._seq = told
        self._sinks = list(sinks)

    @property
    def told(self) -> int:
        """How many events there were."""
        return self._seq

    def now(self) -> float:
        """Return the seconds since the run's start."""
        return self._clock() - self._zero

    def emit(self, kind: Callable[..., Event], *fields: Any) -> None:
        """Make an event of `kind` from its own fields, in order, and tell every sink."""
        self._seq += 1
        event = kind(self.run_id, self._seq, self._clock() - self._zero, *fields)
        for sink in self._sinks:
            try:
                sink(event)
            except Exception:  # noqa: BLE001 - a reader may fail in any way, and is named in the log
                _log.exception("a reader of events failed and is not told any more")
                self._sinks = [other for other in self._sinks if other is not sink]


def direct_clock(clock: Callable[[], float]) -> Callable[[], float]:
    """Return what `clock` reads, where it looks up the event loop at every reading."""
    if clock is not anyio.current_time:
        return clock
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # another kind of loop
        return clock
    own = type(loop).time is not asyncio.BaseEventLoop.time
    return loop.time if own else time.monotonic


@cache
def _adapter() -> Any:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Event, Field(discriminator="type")])


def event_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the union, told apart by ``type``."""
    schema: dict[str, Any] = _adapter().json_schema()
    return schema


def event_to_json(event: Event) -> str:
    """Write an event as one line of JSON."""
    text: bytes = _adapter().dump_json(event)
    return text.decode()


def event_from_json(text: str) -> Event:
    """Read an event back; raise pydantic's ValidationError on anything else."""
    event: Event = _adapter().validate_json(text)
    return event
