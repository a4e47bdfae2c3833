"""How long is ``1m30s``? Durations as people write them, in seconds.

It does not know what takes so long.
"""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["DURATION", "read_duration", "write_duration"]

DURATION: Final = (
    r"^(?=.)([0-9]+(\.[0-9]+)?h)?([0-9]+(\.[0-9]+)?m)?([0-9]+(\.[0-9]+)?s)?([0-9]+(\.[0-9]+)?ms)?$"
)
_HOW: Final = "a duration as 10s, 200ms, 1m30s or 2h, or a number of seconds"
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PARTS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_WORDS: Final = {
    "ms": r"ms|msecs?|millis|milliseconds?",
    "s": r"s|secs?|seconds?",
    "m": r"m|mins?|minutes?",
    "h": r"h|hrs?|hours?",
}


def read_duration(value: object) -> float:
    """Return a duration in seconds: a number of them, or a text as ``1m30s``.

    Raises ValueError, with what is wrong as a clause that begins with "must be".
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {_HOW}")
    if isinstance(value, str):
        if not re.fullmatch(DURATION, value):
            raise ValueError(f"must be {_HOW}, not {value!r}{_meant(value)}")
        return math.fsum(float(much) * _UNITS[unit] for much, unit in _PARTS.findall(value))
    if value < 0 or not math.isfinite(value):
        raise ValueError(f"must be 0 or more seconds, not {value!r}")
    return float(value)


def write_duration(seconds: float) -> str:
    """Write a duration as people do: ``1m30s``, ``200ms``."""
    if seconds and seconds < 1 and round(seconds * 1000, 6).is_integer():
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (left, "s")]
    return "".join(f"{much:.10g}{unit}" for much, unit in parts if much) or "0s"


def _meant(text: str) -> str:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text.strip()):
        return f"; did you mean '{text.strip()}s'?"
    guess = re.sub(r"[\s,]+|and", "", text.lower())
    for unit, words in _WORDS.items():
        guess = re.sub(rf"(?<=[0-9])(?:{words})(?![a-z])", unit, guess)
    return f"; did you mean {guess!r}?" if re.fullmatch(DURATION, guess) else ""
