"""What is asked of the engine, and what it gives back?

Values, and the job that carries them between threads; it does not know how anything is computed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from llmcompiler.errors import LLMCompilerError, ModelError
from llmcompiler.messages import Figures, FinishReason, Grammar, Logprob, Sampling, Usage

if TYPE_CHECKING:
    from llmcompiler.engine.sampler import Sampler

__all__ = [
    "BACKGROUND",
    "Ended",
    "Failed",
    "Job",
    "Output",
    "Piece",
    "Progress",
    "Request",
]

BACKGROUND = 100

_log = logging.getLogger("llmcompiler.engine")


@dataclass(frozen=True, slots=True)
class Request:
    """What to go on from, how to choose, and what the reply is held to.

    `prompt` makes the token ids and `wrote` hears which were generated, in whole or in part; both
    are called on the engine's thread, where the vocabulary may be used. `grammar` is llguidance's
    as a text, or one that is made stretch by stretch; `schema` a JSON Schema for where there is
    none. `sources` are the texts that may be quoted, if the model asks for quotes. Of those who
    wait the lowest `priority` is served first.

    With `silent` nothing is generated: the prompt is computed ahead of requests that begin with
    it, and given up for any of them; `keep` holds it in the cache from then on, and writes it to
    disk where there is a folder for that. `sampler` takes the place of the one that `sampling`
    describes.
    """

    prompt: Callable[[], Sequence[int]]
    wrote: Callable[[Sequence[int]], None] = lambda tokens: None
    sampling: Sampling = field(default_factory=Sampling)
    grammar: str | Grammar | None = None
    schema: dict[str, object] | None = None
    sources: tuple[str, ...] = ()
    priority: int = 0
    silent: bool = False
    keep: bool = False
    sampler: Sampler | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The request left the queue, or a part of its prompt was evaluated: it is being worked on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that may be shown, with the logprobs of its tokens if they were asked for."""

    text: str
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The reply is over; nothing follows."""

    reason: FinishReason
    usage: Usage
    figures: Figures


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed; nothing follows."""

    error: LLMCompilerError

    @classmethod
    def by(cls, error: Exception) -> Failed:
        """Say that it failed by `error`; one of no type of ours is a fault here, and logged."""
        if isinstance(error, LLMCompilerError):
            return cls(error)
        _log.error("the engine failed", exc_info=error)
        failure = ModelError(f"the engine failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return cls(failure)


Output: TypeAlias = "Progress | Piece | Ended | Failed"


class Job:
    """A request on its way through the engine."""

    __slots__ = ("_deliver", "cancelled", "request")

    def __init__(self, request: Request, deliver: Callable[[Output], None]) -> None:
        self.request = request
        self.cancelled = False
        self._deliver = deliver

    def cancel(self) -> None:
        """Stop generating after the step in progress; any thread may ask for it."""
        self.cancelled = True

    def deliver(self, output: Output) -> None:
        """Hand something to whoever asked; one that cannot take it any more has gone away."""
        try:
            self._deliver(output)
        except RuntimeError:  # its event loop is closed
            self.cancelled = True
        except Exception:  # noqa: BLE001 - the thread must outlive any reader
            _log.exception("an output could not be delivered")
            self.cancelled = True
