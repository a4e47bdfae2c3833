"""Which token follows, given the scores of all of them?

It does not know a model, a grammar or a text: an array of scores in, token ids out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmcompiler.errors import ConfigurationError
from llmcompiler.messages import Sampling

__all__ = ["PENALTY_WINDOW", "Logits", "Sampler", "highest"]

Logits: TypeAlias = "NDArray[np.float32]"
Places: TypeAlias = "NDArray[np.intp]"

PENALTY_WINDOW = 64  # tokens that the repetition penalty looks back on

# Colder than this is greedy in single precision.
_COLDEST = 1e-4
# Hotter than this is level in single precision.
_HOTTEST = 1e30
# How many scores share a maximum when the best of many are looked for, or a sum when one is drawn.
_STRIPE = 64
_BLOCK = 512
# From this many on, such shares pay.
_MANY = 4096


class Sampler:
    """Chooses tokens for one request: the best one, or one drawn as `Sampling` says.

    One draw takes one random number, whatever the scores, so that a reply with the same seed stays
    the same where tokens were guessed ahead. The repetition penalty looks at what `accept` was
    told, before that at `prompt_tail`; then come temperature, top-k, top-p and min-p in this order.

    Raises:
        ConfigurationError: a value of the sampling is out of range.
    """

    __slots__ = ("_cold", "_penalty", "_random", "_recent", "_sampling")

    def __init__(self, sampling: Sampling, prompt_tail: Sequence[int] = ()) -> None:
        _check(sampling)
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)
        self._cold = sampling.temperature < _COLDEST
        self._penalty = np.float32(sampling.repetition_penalty or 1.0)
        self._recent: deque[int] = deque(maxlen=PENALTY_WINDOW)
        for token in prompt_tail[-PENALTY_WINDOW:]:
            self.accept(token)

    @property
    def greedy(self) -> bool:
        """Whether `pick` always takes the highest score; then it need not be asked."""
        return self._cold and self._penalty == 1

    def accept(self, token: int) -> None:
        """Note that `token` is a part of the reply, chosen here or forced by a grammar."""
        if self._penalty != 1:
            self._recent.append(token)

    def pick(self, logits: Logits, among: Places | None = None) -> int:
        """Choose one token; `logits`, shape (n_vocab,), is not changed.

        A score of minus infinity forbids a token. `among` are the only ones allowed, ascending: for
        few of many it is faster than a mask, and it chooses the same.
        """
        scores = logits if among is None else logits[among]
        if self._recent:
            scores = self._penalised(scores, among)
        place = int(scores.argmax()) if self._cold else self._draw(scores)
        return place if among is None else int(among[place])

    def order(self, logits: Logits) -> Iterator[int]:
        """Give the tokens in the order in which they would be chosen, best first.

        A score of minus infinity forbids a token; what top-k, top-p and min-p cut off comes last.
        The first is distributed as a `pick`, each further one as a `pick` without those before it.
        """
        scores = self._penalised(logits) if self._recent else logits
        if self._cold or not np.isfinite(scores.max()):
            yield from _descending(scores)
            return
        places, weights = self._likely(scores)
        drawn = np.flatnonzero(weights > 0)
        # A race of exponential clocks draws without replacement.
        noise = self._random.standard_exponential(drawn.size, dtype=np.float32)
        speeds: NDArray[np.floating] = weights[drawn] / np.maximum(noise, np.float32(1e-30))
        tokens = drawn if places is None else places[drawn]
        for place in _descending(speeds):
            yield int(tokens[place])
        rest = scores.copy()
        rest[tokens] = -np.inf
        yield from _descending(rest)

    @staticmethod
    def logprob(
        logits: Logits, token: int, top: int = 0
    ) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return the natural logarithm of the probability of `token`, by the scores as they are.

        Beside it come the `top` likeliest tokens with theirs, likeliest first; `token` is one of
        them if it is that likely.
        """
        peak = logits.max()
        total = float(peak) + math.log(float(np.exp(logits - peak).sum(dtype=np.float64)))
        likeliest = islice(_descending(logits), top)
        beside = tuple((other, float(logits[other]) - total) for other in likeliest)
        return float(logits[token]) - total, beside

    def _penalised(self, scores: Logits, among: Places | None = None) -> Logits:
        recent = np.unique(np.fromiter(self._recent, np.intp))
        if among is not None:
            recent = np.flatnonzero(np.isin(among, recent))
        changed = scores.copy()
        held = changed[recent]
        changed[recent] = np.where(held > 0, held / self._penalty, held * self._penalty)
        return changed

    def _draw(self, scores: Logits) -> int:
        """Return the place of a score, drawn by its probability."""
        chance = self._random.random()
        if not np.isfinite(scores.max()):
            return int(scores.argmax())
        places, weights = self._likely(scores)
        place = _reached(weights, chance)
        return place if places is None else int(places[place])

    def _likely(self, scores: Logits) -> tuple[Places | None, Logits]:
        """Return the places that may be drawn, None for all, and their weights; the best weighs 1."""
        sampling = self._sampling
        peak = scores.max()
        places: Places | None = None
        if sampling.top_k and sampling.top_k < scores.size:
            places = _leading(scores, sampling.top_k)
            scores = scores[places]
        weights: Logits = scores - peak
        weights /= np.float32(min(sampling.temperature, _HOTTEST))
        np.exp(weights, out=weights)
        for kept in self._cuts(weights):
            places = kept if places is None else places[kept]
            weights = weights[kept]
        return places, weights

    def _cuts(self, weights: Logits) -> Iterator[Places]:
        """Give the places that top-p leaves, then those of them that min-p leaves."""
        top_p, min_p = self._sampling.top_p, self._sampling.min_p
        if top_p is not None and top_p < 1:
            kept = _nucleus(weights, top_p)
            weights = weights[kept]
            yield kept
        if min_p:
            yield np.flatnonzero(weights >= np.float32(min_p))


def highest(scores: Logits) -> list[int]:
    """Return the place of the highest score in each row, of equal ones the first.

    That is what samplers that are `greedy` pick, for all of them in one look.
    """
    places: list[int] = scores.argmax(axis=1).tolist()
    return places


def _leading(scores: NDArray[np.floating], count: int) -> Places:
    """Return the places of the `count` highest scores and of what ties with the last, ascending."""
    if count >= scores.size:
        return np.arange(scores.size)
    places: Places | None = None
    whole = scores.size - scores.size % _STRIPE
    if scores.size >= _MANY and count <= whole // _STRIPE:
        # So many maxima reach this floor, so as many scores do, and hardly more.
        peaks = scores[:whole].reshape(_STRIPE, -1).max(axis=0)
        floor = np.partition(peaks, -count)[-count]
        places = np.flatnonzero(scores >= floor)
        scores = scores[places]
    kept = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    return kept if places is None else places[kept]


def _descending(scores: NDArray[np.floating]) -> Iterator[int]:
    """Give the places of all scores above minus infinity, highest first, equal ones by place.

    The first few cost little; only whoever asks for more pays for the order of all.
    """
    if not scores.size:
        return
    places = _leading(scores, _STRIPE)
    lowest = scores[places].min()
    places = places[scores[places] > -np.inf]
    yield from places[np.argsort(-scores[places], kind="stable")].tolist()
    places = np.flatnonzero((scores < lowest) & (scores > -np.inf))
    yield from places[np.argsort(-scores[places], kind="stable")].tolist()


def _nucleus(weights: Logits, share: float) -> Places:
    """Return the fewest places that hold `share` of all weight, ascending."""
    wanted = share * float(weights.sum(dtype=np.float64))
    count = _STRIPE
    while True:
        places = _leading(weights, count)
        ranked = places[np.argsort(-weights[places], kind="stable")]
        sums = np.cumsum(weights[ranked], dtype=np.float64)
        if sums[-1] >= wanted or count >= weights.size:
            return np.sort(ranked[: int(sums.searchsorted(wanted)) + 1])
        count *= 8


def _reached(weights: Logits, chance: float) -> int:
    """Return the place at which the running sum of `weights` passes `chance` of the whole sum."""
    if weights.size < _MANY:
        sums = np.cumsum(weights, dtype=np.float64)
        return _passed(sums, chance * sums[-1])
    starts = np.arange(0, weights.size, _BLOCK)
    sums = np.cumsum(np.add.reduceat(weights, starts, dtype=np.float64))
    wanted = chance * sums[-1]
    block = _passed(sums, wanted)
    before = sums[block - 1] if block else 0.0
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64)
    return start + _passed(inside, wanted - before)


def _passed(sums: NDArray[np.float64], value: float) -> int:
    # Rounding may leave nothing beyond `value`: then it is the last place that added anything.
    return int(min(sums.searchsorted(value, "right"), sums.searchsorted(sums[-1])))


def _check(sampling: Sampling) -> None:
    if not 0 <= sampling.temperature < math.inf:
        raise ConfigurationError(
            f"sampling.temperature must be 0 or more, not {sampling.temperature!r}"
        )
    for name in ("top_p", "min_p"):
        value = getattr(sampling, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigurationError(f"sampling.{name} must be from 0 to 1, not {value!r}")
    penalty = sampling.repetition_penalty
    if penalty is not None and not 0.01 <= penalty <= 100:
        raise ConfigurationError(
            f"sampling.repetition_penalty must be from 0.01 to 100 (1 is none), not {penalty!r}"
        )
    for name, least in (("top_k", 0), ("seed", 0), ("logprobs", 0), ("max_tokens", 1)):
        value = getattr(sampling, name)
        if value is not None and (not isinstance(value, int) or value < least):
            raise ConfigurationError(
                f"sampling.{name} must be a whole number, {least} or more, not {value!r}"
            )
