"""How are durations, values and lists of steps worded for a reader?

It does not know where the words are shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["counted", "seconds_text", "shortened", "step_list", "value_text"]

_MOST_STEPS = 8


def seconds_text(seconds: float) -> str:
    """Write a duration: ``0.4 ms``, ``35 ms``, ``2.1 s``, ``1 min 12 s``."""
    if seconds >= 59.95:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    millis = seconds * 1000
    return f"{millis:.0f} ms" if millis >= 9.95 or millis == 0 else f"{millis:.1f} ms"


def value_text(value: Any) -> str:
    """Write a value as JSON, on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def shortened(text: str, most: int) -> str:
    """Return the first `most` characters of a text, saying how many there were if it was longer."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters in all)"


def counted(number: int, word: str) -> str:
    """Write a number of things: ``1 step``, ``3 steps``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def step_list(steps: Sequence[str]) -> str:
    """Name steps: ``step 3``, ``steps 3, 4 and 7``, ``steps 1, 2, … and 9 more``."""
    if len(steps) == 1:
        return f"step {steps[0]}"
    if len(steps) > _MOST_STEPS:
        shown = _MOST_STEPS - 1
        return f"steps {', '.join(steps[:shown])} and {len(steps) - shown} more"
    return f"steps {', '.join(steps[:-1])} and {steps[-1]}"
