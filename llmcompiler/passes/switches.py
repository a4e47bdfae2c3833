"""Which passes are on?

It does not know what they do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace

from llmcompiler.errors import ConfigurationError, did_you_mean

__all__ = ["Passes"]


@dataclass(frozen=True, slots=True)
class Passes:
    """The switches of the passes.

    `merge` calls that are the same; `cache` results of pure tools across runs, where the agent has
    a cache; `drop` steps that nobody reads; `bulk` several calls of one tool into its bulk form,
    waiting `bulk_window` seconds for more of them; `order` by the critical path where limits bind;
    `hedge` a slow call with a second one after the tool's usual `hedge_percentile` of its
    durations.
    """

    merge: bool = True
    cache: bool = True
    drop: bool = True
    bulk: bool = True
    order: bool = True
    hedge: bool = False
    bulk_window: float = 0.005
    hedge_percentile: float = 0.95

    def __post_init__(self) -> None:
        if not self.bulk_window >= 0:
            raise ConfigurationError(
                f"passes.bulk_window must be 0 or more, not {self.bulk_window!r}"
            )
        if not 0 < self.hedge_percentile < 1:
            raise ConfigurationError(
                f"passes.hedge_percentile must be between 0 and 1, not {self.hedge_percentile!r}"
            )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the passes."""
        return tuple(field.name for field in fields(cls) if isinstance(field.default, bool))

    def switched(self, on: Collection[str] = (), off: Collection[str] = ()) -> Passes:
        """Return these switches with some turned on and some off, by name."""
        known = self.names()
        for name in (*on, *off):
            if name not in known:
                close = did_you_mean(name, known) or f"; there are {', '.join(known)}"
                raise ConfigurationError(f"there is no pass {name!r}{close}")
        return replace(self, **dict.fromkeys(on, True), **dict.fromkeys(off, False))
