"""Which token follows, given the scores of all of them?

It does not know a model, a grammar or a text: an array of scores in, token ids out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmcompiler.errors import ConfigurationError
from llmcompiler.messages import Sampling

__all__ = ["Logits", "Sampler"]

Logits: TypeAlias = "NDArray[np.float32]"

# Colder than this is greedy in single precision.
_COLDEST = 1e-4


class Sampler:
    """Chooses tokens for one request: the best one, or one drawn as `Sampling` says.

    Drawing is done by the Gumbel trick: noise is added to the scores and the largest wins, which
    draws from the softmax, and the order of the sums draws again and again without replacement.

    Raises:
        ConfigurationError: a value of the sampling is out of range.
    """

    __slots__ = ("_random", "_sampling")

    def __init__(self, sampling: Sampling) -> None:
        _check(sampling)
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def pick(self, logits: Logits) -> int:
        """Choose one token; `logits` holds one score for each token and is not changed."""
        return int(self._scores(logits).argmax())

    def order(self, logits: Logits) -> Iterator[int]:
        """Give the tokens in the order in which they would be chosen, best first.

        A score of minus infinity forbids a token; what top-k, top-p and min-p cut off comes last.
        """
        scores = self._scores(logits)
        cut = np.flatnonzero((scores == -np.inf) & (logits > -np.inf))
        drawn = np.flatnonzero(scores > -np.inf)
        yield from drawn[np.argsort(-scores[drawn], kind="stable")].tolist()
        yield from cut[np.argsort(-logits[cut], kind="stable")].tolist()

    def _scores(self, logits: Logits) -> Logits:
        temperature = self._sampling.temperature
        if temperature < _COLDEST:
            return logits
        scaled: Logits = (logits - logits.max()) / np.float32(temperature)
        kept = self._kept(scaled)
        noise = self._random.standard_exponential(int(kept.sum()), dtype=np.float32)
        scores: Logits = np.full_like(scaled, -np.inf)
        scores[kept] = scaled[kept] - np.log(np.maximum(noise, np.float32(1e-30)))
        return scores

    def _kept(self, scaled: Logits) -> NDArray[np.bool_]:
        """Say which tokens top-k, then top-p, then min-p leave to be drawn from."""
        sampling = self._sampling
        kept: NDArray[np.bool_] = scaled > -np.inf
        if sampling.top_k is not None and 0 < sampling.top_k < scaled.size:
            kept &= scaled >= np.partition(scaled, -sampling.top_k)[-sampling.top_k]
        if sampling.top_p is not None and sampling.top_p < 1:
            chances = np.where(kept, np.exp(scaled), 0)
            ranked = np.argsort(-chances, kind="stable")
            before = np.cumsum(chances[ranked]) - chances[ranked]
            kept[ranked[(before > 0) & (before >= sampling.top_p * chances.sum())]] = False
        if sampling.min_p is not None and sampling.min_p > 0:
            kept &= scaled >= np.log(sampling.min_p)
        return kept


def _check(sampling: Sampling) -> None:
    if not 0 <= sampling.temperature < float("inf"):
        raise ConfigurationError(
            f"sampling.temperature must be 0 or more, not {sampling.temperature!r}"
        )
    for name in ("top_p", "min_p"):
        value = getattr(sampling, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigurationError(f"sampling.{name} must be from 0 to 1, not {value!r}")
    if sampling.top_k is not None and sampling.top_k < 0:
        raise ConfigurationError(f"sampling.top_k must be 0 or more, not {sampling.top_k!r}")
    if sampling.seed is not None and sampling.seed < 0:
        raise ConfigurationError(f"sampling.seed must be 0 or more, not {sampling.seed!r}")
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise ConfigurationError(
            f"sampling.max_tokens must be 1 or more, not {sampling.max_tokens!r}"
        )
