"""What has become of one request: its tokens so far, how many were computed, and its text?

It does not know how a token is chosen or evaluated.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

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
    follows it are never given out.
    """

    __slots__ = ("_decoder", "_held", "_stops", "stopped")

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def push(self, data: bytes) -> str:
        """Take the bytes of the next token; return the text that may be shown now."""
        return self._release(self._decoder.decode(data))

    def finish(self) -> str:
        """Return what was held back; an unfinished character becomes a replacement character."""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Count the characters at the end of `text` that are the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
