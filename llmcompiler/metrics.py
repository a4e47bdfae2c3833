"""How fast did replies come and what did they cost: each by itself, and all of them together?

It does not know an engine or an endpoint: it reads the figures that every reply carries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from llmcompiler.errors import ConfigurationError
from llmcompiler.events import Event, UsageUpdated
from llmcompiler.messages import Figures

__all__ = [
    "CallMetrics",
    "Deadlines",
    "Misses",
    "Percentiles",
    "Pool",
    "PoolMetrics",
    "Work",
    "call_metrics",
    "count_misses",
    "fluid_interval",
    "of_run",
]

# The fluid token generation rate is the rate that so many requests keep up so well.
_FLUID_MISSES = 0.1
_FLUID_REQUESTS = 0.99


@dataclass(frozen=True, slots=True)
class Deadlines:
    """When tokens are due, in seconds: the first `ttft` after the request, each next `tbt` later.

    Raises:
        ConfigurationError: one of them is not above 0 or not finite.
    """

    ttft: float = 1.0
    tbt: float = 0.1

    def __post_init__(self) -> None:
        for name in ("ttft", "tbt"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigurationError(
                    f"the deadline {name} must be above 0 seconds, not {value!r}"
                )


@dataclass(frozen=True, slots=True)
class Misses:
    """Deadlines that passed without their token, of all that there were."""

    missed: int = 0
    total: int = 0

    def __add__(self, other: Misses) -> Misses:
        return Misses(self.missed + other.missed, self.total + other.total)

    @property
    def rate(self) -> float:
        """The share that was missed, 0 where there was none to miss."""
        return self.missed / self.total if self.total else 0.0

    @property
    def fluidity_index(self) -> float | None:
        """The share that was kept, None where there was none to keep."""
        return 1 - self.rate if self.total else None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What half, nine in ten and ninety-nine in a hundred of some values do not exceed."""

    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles | None:
        """Take them of `values`, between two neighbours by a straight line; None of no values."""
        ranked = sorted(values)
        if not ranked:
            return None
        return cls(*(_percentile(ranked, share) for share in (0.5, 0.9, 0.99)))


@dataclass(frozen=True, slots=True)
class Work:
    """What replies took to compute: counts and seconds as in `Figures`, and the tokens that came.

    Where a back end does not tell its figures, a token here is a piece of text as it came.
    """

    tokens: int = 0
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

    @classmethod
    def of(cls, figures: Figures) -> Work:
        """Take the work of one reply from its figures."""
        counted = (getattr(figures, field.name) for field in fields(cls)[1:])
        return cls(len(figures.arrivals), *counted)

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def reuse_rate(self) -> float | None:
        """The share of prompt tokens that was not computed again."""
        return _ratio(self.reused, self.evaluated + self.reused)

    @property
    def acceptance_rate(self) -> float | None:
        """The share of drafted tokens that was right."""
        return _ratio(self.accepted, self.drafted)

    @property
    def tokens_per_step(self) -> float | None:
        """Tokens of the reply for each forward pass that chose any."""
        return _ratio(self.tokens, self.steps - self.prefills)

    def to_json(self) -> dict[str, Any]:
        """Return counts, seconds and rates as an object."""
        return {
            **asdict(self),
            "reuse_rate": self.reuse_rate,
            "acceptance_rate": self.acceptance_rate,
            "tokens_per_step": self.tokens_per_step,
        }


@dataclass(frozen=True, slots=True)
class CallMetrics:
    """How one reply came, in seconds; all 0 or None where no token did.

    `ttft` is the time to the first token, `tbt` that between one and the next, `tpot` its mean,
    `e2e` the time to the last token, `normalized_latency` that for each token. `misses` are the
    deadlines passed, `later_misses` the same with the first token left out.
    """

    ttft: float
    tbt: Percentiles | None
    tpot: float
    e2e: float
    normalized_latency: float
    misses: Misses
    later_misses: Misses
    work: Work

    @property
    def fluidity_index(self) -> float | None:
        """The share of deadlines that were kept."""
        return self.misses.fluidity_index

    def to_json(self) -> dict[str, Any]:
        """Return everything as an object."""
        return {
            **asdict(self),
            "fluidity_index": self.fluidity_index,
            "work": self.work.to_json(),
        }


@dataclass(frozen=True, slots=True)
class PoolMetrics:
    """How several replies came: times in seconds, over the calls that gave a token.

    `tbt` is over every token but the first of each, `tpot` over the calls that have such tokens.
    Misses are summed, so the fluidity index is not the mean of indices. `fluid_token_rate` is the
    number of tokens a second at which 99 of 100 calls, their first tokens left out, miss no more
    than a tenth of the deadlines; None where no call has a second token, or none came later than
    the first.
    """

    calls: int
    ttft: Percentiles | None
    tbt: Percentiles | None
    tpot: Percentiles | None
    e2e: Percentiles | None
    normalized_latency: Percentiles | None
    misses: Misses
    later_misses: Misses
    fluid_token_rate: float | None
    work: Work

    @property
    def fluidity_index(self) -> float | None:
        """The share of all deadlines that were kept."""
        return self.misses.fluidity_index

    def to_json(self) -> dict[str, Any]:
        """Return everything as an object."""
        return {
            **asdict(self),
            "fluidity_index": self.fluidity_index,
            "work": self.work.to_json(),
        }


class Pool:
    """Figures of several calls, to be looked at together. It keeps them all: make one a report."""

    __slots__ = ("_figures",)

    def __init__(self, figures: Iterable[Figures] = ()) -> None:
        self._figures = list(figures)

    def __len__(self) -> int:
        return len(self._figures)

    def add(self, figures: Figures) -> None:
        """Take in one call."""
        self._figures.append(figures)

    def summary(self, deadlines: Deadlines | None = None) -> PoolMetrics:
        """Pool the calls so far."""
        calls = [call_metrics(figures, deadlines) for figures in self._figures]
        answered = [call for call in calls if call.work.tokens]
        gaps = [_gaps(figures.arrivals) for figures in self._figures]
        later = [each[1:] for each in gaps if len(each) > 1]
        return PoolMetrics(
            calls=len(calls),
            ttft=Percentiles.of(call.ttft for call in answered),
            tbt=Percentiles.of(gap for each in later for gap in each),
            tpot=Percentiles.of(call.tpot for call in answered if call.work.tokens > 1),
            e2e=Percentiles.of(call.e2e for call in answered),
            normalized_latency=Percentiles.of(call.normalized_latency for call in answered),
            misses=sum((call.misses for call in calls), Misses()),
            later_misses=sum((call.later_misses for call in calls), Misses()),
            fluid_token_rate=_fluid_rate(later),
            work=sum((call.work for call in calls), Work()),
        )


def call_metrics(figures: Figures, deadlines: Deadlines | None = None) -> CallMetrics:
    """Say how one reply came, by the figures that it carries."""
    due = deadlines or Deadlines()
    gaps = _gaps(figures.arrivals)
    count = len(gaps)
    ttft = gaps[0] if gaps else 0.0
    e2e = figures.arrivals[-1] if gaps else 0.0
    return CallMetrics(
        ttft=ttft,
        tbt=Percentiles.of(gaps[1:]),
        tpot=(e2e - ttft) / (count - 1) if count > 1 else 0.0,
        e2e=e2e,
        normalized_latency=e2e / count if count else 0.0,
        misses=count_misses(gaps, due),
        later_misses=_missed(gaps[1:], due.tbt, due.tbt),
        work=Work.of(figures),
    )


def count_misses(gaps: Sequence[float], deadlines: Deadlines) -> Misses:
    """Count deadlines by Etalon's rule (arXiv 2407.07000); `gaps` begins with the first token's.

    A token is on time if it comes within its deadline and what earlier ones left over; it then
    leaves over what it did not need. A late one misses every deadline that passed while it was
    waited for, and the next is due from its arrival on.
    """
    return _missed(gaps, deadlines.ttft, deadlines.tbt)


def fluid_interval(gaps: Sequence[float]) -> float:
    """Return the shortest deadline, in seconds, that `gaps` miss in no more than a tenth of cases.

    `gaps` are the times between tokens, without that to the first. The miss rate never rises with
    the deadline, so it is found by halving, to a trillionth of the longest gap; 0 without gaps.
    """
    short, long = 0.0, max(gaps, default=0.0)
    least = long * 1e-12
    while long - short > least:
        middle = (short + long) / 2
        if _missed(gaps, middle, middle).rate <= _FLUID_MISSES:
            long = middle
        else:
            short = middle
    return long


def of_run(events: Iterable[Event], deadlines: Deadlines | None = None) -> PoolMetrics:
    """Pool the model calls that a run's events tell of."""
    pool = Pool(event.figures for event in events if isinstance(event, UsageUpdated))
    return pool.summary(deadlines)


def _gaps(arrivals: Sequence[float]) -> list[float]:
    return [now - before for before, now in zip((0.0, *arrivals), arrivals, strict=False)]


def _missed(gaps: Sequence[float], first: float, later: float) -> Misses:
    slack, missed, total, due = 0.0, 0, 0, first
    for gap in gaps:
        if gap <= due + slack:
            total += 1
            slack += due - gap
        else:
            passed = 1 + math.floor((gap - slack - due) / later)
            missed += passed
            total += passed
            slack = 0.0
        due = later
    return Misses(missed, total)


def _fluid_rate(gaps: Sequence[Sequence[float]]) -> float | None:
    intervals = sorted(map(fluid_interval, gaps))
    interval = _percentile(intervals, _FLUID_REQUESTS) if intervals else 0.0
    return 1 / interval if interval > 0 else None


def _percentile(ranked: Sequence[float], share: float) -> float:
    at = share * (len(ranked) - 1)
    below, above = ranked[math.floor(at)], ranked[math.ceil(at)]
    return below + (above - below) * (at - math.floor(at))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
