"""Which tokens does the key-value cache hold, and how much of a new prompt is among them?

It does not know the model: whoever moves tokens in or out of the real cache says so here.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PrefixCache"]


class PrefixCache:
    """The tokens that one sequence of the key-value cache holds, position by position."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[int] = []

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def tokens(self) -> tuple[int, ...]:
        """What is held, from position 0 on."""
        return tuple(self._tokens)

    def reusable(self, prompt: Sequence[int]) -> int:
        """Count the tokens of `prompt` that need not be evaluated again.

        At least one is always left, since the choice after a prompt needs its last token's logits.
        """
        limit = min(len(self._tokens), len(prompt) - 1)
        for index in range(limit):
            if self._tokens[index] != prompt[index]:
                return index
        return max(limit, 0)

    def keep(self, count: int) -> None:
        """Note that only the first `count` tokens are held from now on."""
        del self._tokens[count:]

    def add(self, tokens: Sequence[int]) -> None:
        """Note that `tokens` were evaluated after what is held."""
        self._tokens.extend(tokens)
