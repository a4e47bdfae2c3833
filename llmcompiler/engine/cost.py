"""How long does a forward pass of so many tokens take, and how many drafts are worth adding to one?

Arithmetic over a measured curve; it does not know the model, nor where guesses come from.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from time import perf_counter
from typing import Final, Protocol

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.drafts import LONGEST, Drafts
from llmcompiler.errors import ConfigurationError

__all__ = ["WIDTHS", "CostCurve", "DraftPolicy", "Evaluates", "measure"]

WIDTHS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32)
"""How many tokens the measured passes have: all that short passes have, as some kernels take
tokens by fours and pay for every one left over."""

_ROUNDS: Final = 2
_STRIDE: Final = 7919  # tokens far apart, as experts and embeddings see them in a text
_TICK: Final = 1e-9  # a clock that stood still
_SURE: Final = 0.97  # no guess is likelier than this
_GAIN: Final = 1.02  # less is within what a measurement is wrong by
_FOUR: Final = 4  # how many tokens such kernels take together
_FILLED: Final = 0.95  # of a pass's cost: only if it costs less than that when filled up, it is
_WIDE: Final = 8  # requests that share a pass; with more, guessing takes longer than it saves
_FADE: Final = 0.9
_PRIOR: Final = 0.7
_WEIGHT: Final = 4.0
_TRIAL: Final = 2  # tokens of a guess that is made only to see whether guessing pays again
_TRIAL_SHARE: Final = 0.03  # of the time without guesses


class Evaluates(Protocol):
    """What of a context is needed to measure it."""

    @property
    def batch(self) -> int:
        """The most tokens that one pass takes."""
        ...

    @property
    def n_ctx(self) -> int:
        """The most tokens that a slot holds."""
        ...

    @property
    def n_vocab(self) -> int:
        """How many tokens there are."""
        ...

    def evaluate(self, batch: Batch) -> None:
        """Compute a batch."""
        ...

    def clear(self, slot: int) -> None:
        """Drop everything from a slot."""
        ...


class CostCurve:
    """Seconds of a forward pass by the number of its tokens, all of whose scores are wanted.

    Made of measured `points` and linear between them; a longer pass may cost less than a shorter
    one. What passes of 5, 6 and 7 tokens cost beyond the line from 4 to 8 is added beyond 8 as well,
    to 1, 2 and 3 tokens more than a multiple of four. Beyond the last point a token costs what those
    of that pass cost on average, or what the last ones did, if that is more.

    Raises:
        ConfigurationError: there is no point, or one is not a positive number of tokens and seconds.
    """

    __slots__ = (
        "_costs",
        "_cuts",
        "_filled",
        "_hopeless",
        "_seconds",
        "_slope",
        "_teeth",
        "_tokens",
    )

    def __init__(self, points: Mapping[int, float]) -> None:
        if not points or not all(
            tokens >= 1 and 0 < seconds < math.inf for tokens, seconds in points.items()
        ):
            raise ConfigurationError(
                f"a cost curve needs seconds above 0 for 1 or more tokens, not {dict(points)!r}: "
                f"measure it anew"
            )
        self._hopeless: dict[tuple[int, int], bool] = {}
        self._filled: dict[int, int] = {}
        self._costs: dict[int, float] = {}
        self._cuts: list[tuple[float, int]] = [(0.0, 0)]  # for so many: seconds, and the first pass
        self._tokens = sorted(points)
        self._seconds = [points[tokens] for tokens in self._tokens]
        self._teeth = _teeth(points)
        self._slope = self._seconds[-1] / self._tokens[-1]
        if len(self._tokens) > 1:
            rise = self._seconds[-1] - self._seconds[-2]
            self._slope = max(self._slope, rise / (self._tokens[-1] - self._tokens[-2]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CostCurve):
            return NotImplemented
        return (self._tokens, self._seconds) == (other._tokens, other._seconds)

    def __hash__(self) -> int:
        return hash((*self._tokens, *self._seconds))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{tokens}: {seconds:.6g}"
            for tokens, seconds in zip(self._tokens, self._seconds, strict=True)
        )
        return f"CostCurve({{{shown}}})"

    def seconds(self, tokens: int) -> float:
        """Return what a pass of `tokens` costs; 0 of them cost nothing."""
        if tokens <= 0:
            return 0.0
        known, seconds = self._tokens, self._seconds
        if tokens >= known[-1]:
            return seconds[-1] + (tokens - known[-1]) * self._slope
        place = bisect_left(known, tokens)
        if place == 0 or known[place] == tokens:
            return seconds[place]
        left, right = known[place - 1], known[place]
        share = (tokens - left) / (right - left)
        line = seconds[place - 1] + share * (seconds[place] - seconds[place - 1])
        return line if left < 2 * _FOUR else line + self._teeth[tokens % _FOUR]

    def filled(self, tokens: int) -> int:
        """Return up to how many a pass of `tokens` is best filled with some that nobody needs.

        More than `tokens` only where that is clearly cheaper, and at most 3 more.
        """
        found = self._filled.get(tokens)
        if found is None:
            found = min(range(tokens, tokens + _FOUR), key=self.seconds)
            if self.seconds(found) > _FILLED * self.seconds(tokens):
                found = tokens
            self._filled[tokens] = found
        return found

    def cost(self, tokens: int) -> float:
        """Return what a pass of `tokens` costs when it is filled up where that is cheaper."""
        found = self._costs.get(tokens)
        if found is None:
            found = self._costs[tokens] = self.seconds(self.filled(tokens))
        return found

    def certain(self, tokens: int, requests: int) -> float:
        """Return what `tokens` that `requests` need cost beyond one for each; one alone may cut them."""
        together = self._cut(tokens)[0] if requests == 1 else self.cost(tokens)
        return together - self.cost(min(tokens, requests))

    def cut(self, tokens: int) -> int:
        """Return how many of `tokens` that are certain to compute next, so that all cost the least.

        On some machines a pass of a few tokens costs more than as many passes of one.
        """
        return self._cut(tokens)[1]

    def hopeless(self, tokens: int, requests: int) -> bool:
        """Say whether a pass of `tokens` for `requests` gains nothing by any number of right drafts."""
        if requests > _WIDE:
            return True
        known = self._hopeless.get((tokens, requests))
        if known is None:
            plain, extra = self.cost(min(tokens, requests)), self.certain(tokens, requests)
            known = self._hopeless[tokens, requests] = all(
                (requests + count * _SURE) * plain
                <= _GAIN * requests * (self.cost(tokens + count) - extra)
                for count in range(1, LONGEST + 1)
            )
        return known

    def _cut(self, tokens: int) -> tuple[float, int]:
        cuts = self._cuts
        for count in range(len(cuts), tokens + 1):
            ways = (
                (self.cost(first) + cuts[count - first][0], -first) for first in range(1, count)
            )
            seconds, first = min(ways, default=(math.inf, 0))
            whole = self.cost(count)
            cuts.append((whole, count) if whole <= seconds else (seconds, -first))
        return cuts[tokens]


def _teeth(points: Mapping[int, float]) -> tuple[float, ...]:
    """Return what 0 to 3 tokens behind a multiple of four cost beyond the line to the next."""
    if not all(tokens in points for tokens in range(_FOUR, 2 * _FOUR + 1)):
        return (0.0,) * _FOUR
    low, high = points[_FOUR], points[2 * _FOUR]
    lines = (low + (high - low) * rest / _FOUR for rest in range(_FOUR))
    return tuple(max(0.0, points[_FOUR + rest] - line) for rest, line in enumerate(lines))


def measure(
    context: Evaluates,
    *,
    slot: int = 0,
    widths: Sequence[int] = WIDTHS,
    budget: float = 1.0,
    clock: Callable[[], float] = perf_counter,
    known: dict[int, list[float]] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> CostCurve:
    """Measure passes of `widths` tokens in `slot`, which must be empty and is so afterwards.

    Each is measured twice, and the quicker pass counts; powers of two come first. What would not fit
    into `budget` seconds, were its tokens no cheaper than those of fewer, is left out. The first pass
    only warms up, unless the budget allows no other.

    `pause` is called between passes and may raise. What was measured by then is in `known`, the
    seconds of the passes by their tokens; given again, they are not measured once more.

    Raises:
        ModelError: the context could not compute.
    """
    most = min(context.batch, context.n_ctx)
    fitting = {width for width in widths if 1 <= width <= most} | {1}
    order = sorted(fitting, key=lambda width: (width & (width - 1) != 0, width))
    taken = {} if known is None else known
    best = {width: min(seconds) for width, seconds in taken.items()}
    begun = clock()

    def pass_of(width: int) -> float:
        pause()
        tokens = tuple(place * _STRIDE % context.n_vocab for place in range(width))
        start = clock()
        context.evaluate(Batch((Row(slot, 0, tokens, width),)))
        seconds = clock() - start
        context.clear(slot)
        return max(seconds, _TICK)

    warm = pass_of(1)
    for measured in range(_ROUNDS):
        for width in order:
            if len(taken.get(width, ())) > measured:
                continue
            fewer = max((other for other in best if other < width), default=0)
            a_token = best[fewer] / fewer if fewer else warm
            if best.get(width, a_token * width) <= budget - (clock() - begun):
                taken[width] = [*taken.get(width, ()), pass_of(width)]
                best[width] = min(taken[width])
    return CostCurve(best or {1: warm})


class DraftPolicy:
    """Decides how many drafts one request adds to a pass.

    So many that the most tokens are expected for the time: a pass gives one token for each of the
    requests in it, and with k drafts the number of them that will be accepted more; nothing is
    added where that gains less than two hundredths. In a wide pass another token costs about as
    much as it brings, and drafts end there by themselves. A pass is taken to be filled up where
    that makes it cheaper, and what tokens cost that are certain is not counted: it is paid anyway,
    and a right guess saves no more than a pass without them.

    Where guessing itself costs time, the share of right guesses lately decides whether to guess at
    all. When that stopped, a short guess is tried now and then, for a few hundredths of the time.
    """

    __slots__ = ("_curve", "_missed", "_right", "_tried")

    def __init__(self, curve: CostCurve) -> None:
        self._curve = curve
        self._right = _PRIOR * _WEIGHT
        self._tried = _WEIGHT
        self._missed = 0.0  # seconds in passes without a guess since the last trial

    @property
    def rate(self) -> float:
        """The share of checked drafts that were right, lately."""
        return self._right / self._tried

    def length(
        self,
        tokens: int,
        chances: Sequence[float] | None = None,
        *,
        requests: int = 1,
        price: float = 0.0,
    ) -> int:
        """Return how many drafts to add to a pass of `tokens` that `requests` decode in.

        `chances` are how likely each draft is to be right if those before it are; without them
        every draft of up to `LONGEST` has the rate of late. `price` is what making one costs, in
        seconds.
        """
        cost, extra = self._curve.cost, self._curve.certain(tokens, requests)
        best, most = 0, _GAIN * requests / cost(min(tokens, requests))
        expected, alive = float(requests), 1.0
        rates = repeat(self.rate, LONGEST) if chances is None else chances
        for count, chance in enumerate(rates, 1):
            alive *= min(chance, _SURE)
            expected += alive
            worth = expected / max(cost(tokens + count) - extra + count * price, _TICK)
            if worth > most:
                best, most = count, worth
        return best

    def hopeless(self, tokens: int, requests: int) -> bool:
        """Say whether not even guesses that are always right would be worth adding to a pass."""
        return self._curve.hopeless(tokens, requests)

    def guess(
        self,
        drafts: Drafts,
        tokens: int,
        *,
        requests: int = 1,
        most: int = LONGEST,
        admit: Callable[[Sequence[int]], int] | None = None,
    ) -> tuple[int, ...]:
        """Ask `drafts` for as much as is worth adding to a pass of `tokens`.

        `admit` says how many of these tokens may follow at all. Tell the outcome to `observe`.
        """
        most = min(most, LONGEST)
        if drafts.price:
            most = min(most, self._affordable(tokens, requests, drafts.price))
            guess = drafts.draft(most) if most > 0 else ()
            return guess[: admit(guess)] if guess and admit else guess
        guess = drafts.draft(most)
        if not guess:
            return ()
        guess = guess[: self.length(tokens, drafts.chances, requests=requests)]
        if not guess or admit is None:
            return guess
        guess = guess[: admit(guess)]
        return guess[: self.length(tokens, drafts.chances[: len(guess)], requests=requests)]

    def width(self, tokens: int) -> int:
        """Return how many of `tokens` that are certain to compute in the next pass."""
        return self._curve.cut(tokens)

    def observe(self, drafted: int, accepted: int) -> None:
        """Note that the first `accepted` of `drafted` tokens were right; the one behind was not."""
        for place in range(min(accepted + 1, drafted)):
            self._right = self._right * _FADE + (place < accepted)
            self._tried = self._tried * _FADE + 1

    def _affordable(self, tokens: int, requests: int, price: float) -> int:
        """Return how many drafts to make at a price, now and then only to see."""
        length = self.length(tokens, requests=requests, price=price)
        if length:
            return length
        curve = self._curve.cost
        self._missed += curve(tokens)
        hoped = self.length(tokens, [1.0] * LONGEST, requests=requests, price=price)
        cost = curve(tokens + _TRIAL) - curve(tokens) + _TRIAL * price
        if not hoped or cost > _TRIAL_SHARE * self._missed:
            return 0
        self._missed = 0.0
        return _TRIAL
