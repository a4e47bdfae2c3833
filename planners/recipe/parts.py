"""Which kinds of question are there, taken together?

It does not know any of them: it joins the modules that do.
"""

from __future__ import annotations

from parts_files import FileParts
from parts_numbers import NumberParts
from parts_time import TimeParts

__all__ = ["Parts"]


class Parts(FileParts, TimeParts, NumberParts):
    """Draws questions of every kind."""
