"""What is said to and by a model, and the seam that says it.

It does not know any model, server, template or plan.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

__all__ = [
    "LLM",
    "Delta",
    "FinishReason",
    "Finished",
    "Kind",
    "Message",
    "Prompt",
    "Sampling",
    "TextDelta",
    "Usage",
]

Kind: TypeAlias = Literal["rules", "request", "turn", "observation", "notice"]
FinishReason: TypeAlias = Literal["stop", "length", "cut"]


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation, by what it is, not by a chat role; a back end maps it to one."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to go on from. `grammar` constrains the reply (llguidance's Lark dialect);
    a back end that cannot constrain ignores it. `schema` asks for JSON of a JSON Schema in a
    back end's own way, where there is no grammar.
    """

    messages: tuple[Message, ...]
    grammar: str | None = None
    schema: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Greedy by default; None leaves a value to the back end.

    `max_tokens` bounds the reply, in tokens; `timeout` is the longest wait for the next piece of
    the reply, in seconds.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = 2048
    stop: tuple[str, ...] = ()
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and calls. `reused` are prompt tokens that were not computed again.

    `estimated` says that the back end did not count and the figures are guesses.
    """

    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    model_calls: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reused_tokens + other.reused_tokens,
            self.completion_tokens + other.completion_tokens,
            self.model_calls + other.model_calls,
            self.estimated or other.estimated,
        )

    @property
    def prefilled_tokens(self) -> int:
        """Prompt tokens that were computed in these calls."""
        return self.prompt_tokens - self.reused_tokens


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the reply, as it was generated."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last thing of a reply. "cut" says that the stream ended without a reason."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)


Delta: TypeAlias = TextDelta | Finished


class LLM(Protocol):
    """A model that goes on from a conversation, as a stream.

    Implementations raise `ModelError` or `ConfigurationError` before the first piece when they
    cannot start; once text has been given, a broken stream ends with ``Finished("cut")``.
    Closing the iterator early stops the generation.
    """

    @property
    def name(self) -> str:
        """What to call the model in messages and reports."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt`: pieces of text, then exactly one `Finished`."""
        ...

    async def aclose(self) -> None:
        """Let go of what the model holds (connections, memory, threads)."""
        ...
