"""What has become of one request: its tokens so far, how many were computed, and its text?

It does not know how a token is chosen or evaluated.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence

from llmcompiler.messages import Logprob

__all__ = ["TextStream", "TokenSequence"]


class TokenSequence:
    """The tokens of one request: its prompt, then what was generated after it.

    `reused` counts prompt tokens found in the cache, `evaluated` all tokens whose place in the
    cache is filled.
    """

    __slots__ = ("evaluated", "prompt_length", "reused", "tokens")

    def __init__(self, prompt: Sequence[int]) -> None:
        self.tokens = list(prompt)
        self.prompt_length = len(self.tokens)
        self.reused = 0
        self.evaluated = 0

    @property
    def generated(self) -> list[int]:
        """The tokens after the prompt."""
        return self.tokens[self.prompt_length :]

    @property
    def generated_length(self) -> int:
        """How many tokens were generated."""
        return len(self.tokens) - self.prompt_length


class TextStream:
    """Turns token bytes into text that is safe to show, as early as it is.

    A character split over tokens is held back until it is whole, and so is text that may be the
    beginning of a stop text; once a stop text is complete, `stopped` is True and it and what
    follows it are never given out. The stop text that is complete first counts, of several that
    end together the longest. So the text is the same however it is cut into tokens.

    Each token may bring its logprob, which is given out when all of the token's text has been: not
    before, and never where a part of it is held back for good.
    """

    __slots__ = ("_decoder", "_due", "_held", "_shown", "_stops", "_whole", "stopped")

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._whole = True  # no character is open
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._shown = 0
        # Each logprob with the number of characters after which its token is shown.
        self._due: deque[tuple[int, Logprob]] = deque()
        self.stopped = False

    def push(self, data: bytes, logprob: Logprob | None = None) -> str:
        """Take the bytes of the next token; return the text that may be shown now."""
        if self._whole and data.isascii():  # as most text is: its bytes are its characters
            text = data.decode("ascii")
        else:
            text = self._decoder.decode(data)
            self._whole = not self._decoder.getstate()[0]
        if logprob is not None and not self.stopped:
            # What of a character is still open becomes one, if only a replacement character.
            due = self._shown + len(self._held) + len(text) + (not self._whole)
            self._due.append((due, logprob))
        return self._release(text)

    def finish(self) -> str:
        """Return what was held back; an unfinished character becomes a replacement character."""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held
        self._shown += len(self._held)
        self._held = ""
        return text

    def take_logprobs(self) -> tuple[Logprob, ...]:
        """Return the logprobs of the tokens that were shown since the last time, in order."""
        taken: list[Logprob] = []
        while self._due and self._due[0][0] <= self._shown:
            taken.append(self._due.popleft()[1])
        return tuple(taken)

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        if self._stops:
            text = self._unstopped(self._held + text)
        self._shown += len(text)
        return text

    def _unstopped(self, text: str) -> str:
        """Return what of `text` surely is before a stop text, and hold back the rest of it."""
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)[1]]
        kept = len(text) - max(_overlap(text, stop) for stop in self._stops)
        self._held = text[kept:]
        return text[:kept]


def _overlap(text: str, stop: str) -> int:
    """Count the characters at the end of `text` that are the beginning of `stop`."""
    at = text.find(stop[0], max(0, len(text) - len(stop) + 1))
    while at >= 0 and not stop.startswith(text[at:]):
        at = text.find(stop[0], at + 1)
    return len(text) - at if at >= 0 else 0
