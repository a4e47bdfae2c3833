"""How is a number written so that it reads well, to a model and to a person?

It does not know where the number comes from.
"""

from __future__ import annotations

import math

from llmcompiler.errors import ToolError

__all__ = ["tidy"]


def tidy(value: float) -> int | float:
    """Return a whole number without a point, any other to six significant digits.

    At least two decimals are kept. Raises `ToolError` for what is no finite number.
    """
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        raise ToolError("the result is not a finite number")
    if value == 0:
        return 0
    size = abs(value)
    if size < 1:
        rounded = round(value, 5 - math.floor(math.log10(size)))
    else:
        rounded = round(value, max(2, 6 - len(str(int(size)))))
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e21 else rounded
