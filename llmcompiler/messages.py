"""What is said to and by a model, and the seam that says it.

It does not know any model, server, template or plan.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from llmcompiler.errors import ConfigurationError

__all__ = [
    "LLM",
    "Accustomed",
    "Anticipates",
    "Delta",
    "Figures",
    "FinishReason",
    "Finished",
    "Grammar",
    "Kind",
    "Logprob",
    "Message",
    "Price",
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


class Grammar(Protocol):
    """What a reply may be, stretch by stretch: each is asked for when the one before is whole.

    So a line may be held to what the lines before it made possible. A stretch ends where its
    grammar allows nothing more; grammars for a whole reply have one stretch.
    """

    def lark(self, written: str) -> str | None:
        """Return the grammar of what follows `written`, the stretches so far, in llguidance's Lark
        dialect; None where the reply is over.
        """
        ...

    def gbnf(self, written: str) -> str | None:
        """Return the same in llama.cpp's own GBNF, for where llguidance is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to go on from. `grammar` constrains the reply, as text in llguidance's Lark
    dialect or stretch by stretch; a back end that cannot constrain ignores it. `schema` asks for
    JSON of a JSON Schema in a back end's own way, where there is no grammar.
    """

    messages: tuple[Message, ...]
    grammar: str | Grammar | None = None
    schema: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Greedy by default; None leaves a value to the back end.

    `repetition_penalty` above 1 makes tokens of the last 64 less likely again: their scores are
    divided by it, or multiplied where they are negative. `logprobs` asks for the natural logarithm
    of the probability of each token, and of the so many likeliest beside it, before anything was
    cut off or penalised. `max_tokens` bounds the reply, in tokens; `timeout` is the longest wait for
    the next piece of the reply, in seconds. Of those who wait for the same model the lowest
    `priority` is served first, where the back end has a queue.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    logprobs: int | None = None
    max_tokens: int | None = 2048
    stop: tuple[str, ...] = ()
    timeout: float = 120.0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in a currency of the caller's choice.

    `prompt` is the price of prompt tokens, `completion` that of the reply's, `reused` that of
    prompt tokens which were not computed again (None: the same as `prompt`). Raises
    `ConfigurationError` for what is no price.
    """

    prompt: float
    completion: float
    reused: float | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "completion", "reused"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and isfinite(value)):
                raise ConfigurationError(f"price.{name} must be 0 or more, not {value!r}")


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

    def cost(self, price: Price) -> float:
        """Return what these tokens cost, in the currency of `price`."""
        again = price.prompt if price.reused is None else price.reused
        parts = (
            self.prefilled_tokens * price.prompt,
            self.reused_tokens * again,
            self.completion_tokens * price.completion,
        )
        return sum(parts) / 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """What one reply cost an engine, and when its tokens came.

    `evaluated` and `reused` count prompt tokens, `forced` tokens that the grammar left no choice
    about, `drafted` and `accepted` tokens that were guessed ahead, `steps` the forward passes that
    the reply took part in, `prefills` those of them that chose no token. `decode`, `constraint` and `python` are seconds: forward passes and the
    choice of tokens under a grammar, in which this reply took part, and the rest of these steps.
    `arrivals` holds for each token of the reply when it came, in seconds since the request.
    """

    evaluated: int = 0
    reused: int = 0
    forced: int = 0
    drafted: int = 0
    accepted: int = 0
    steps: int = 0
    prefills: int = 0
    decode: float = 0.0
    constraint: float = 0.0
    python: float = 0.0
    arrivals: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token's text and the natural logarithm of its probability; `top` the likeliest beside it."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the reply, as it was generated, with its tokens' logprobs if asked for."""

    text: str
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last thing of a reply. "cut" says that the stream ended without a reason."""

    reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    figures: Figures | None = None


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


@runtime_checkable
class Accustomed(Protocol):
    """An `LLM` that says how many turns of a run it is good at writing failed steps anew in."""

    @property
    def mends(self) -> int | None:
        """How many; None where it does not know."""
        ...


@runtime_checkable
class Anticipates(Protocol):
    """An `LLM` that can compute ahead what coming prompts are known to begin with."""

    def anticipate(self, messages: tuple[Message, ...]) -> None:
        """Prepare for prompts that begin with `messages`, the last of which may go on.

        A hint: it returns at once, never fails and never delays a request. Of one conversation the
        latest counts.
        """
        ...

    async def warm(self, messages: tuple[Message, ...]) -> None:
        """Load what is needed, prepare for prompts that begin with `messages`, and stay prepared."""
        ...
