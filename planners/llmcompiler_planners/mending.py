"""What may a turn be in which failed steps are written again?

It does not know which steps failed, nor how their lines are written.
"""

from __future__ import annotations

from typing import Final

from llmcompiler.messages import Grammar

__all__ = ["MendGrammar"]

_LARK: Final = r"""%llguidance {}
start: REPLAN | "join()"
REPLAN: "Replan: " /[^\x00-\x20\x7f][^\x00-\x1f\x7f]{0,300}\n/
"""
_GBNF: Final = r"""root ::= "Replan: " [^\x00-\x20\x7f] [^\x00-\x1f\x7f]{0,300} "\n" | "join()"
"""


class MendGrammar:
    """A reason, as before any further lines, and then what `lines` allows; or ``join()`` at once.

    Small models mend a line only once they have said how: left to write it at once, they copy it.
    """

    def __init__(self, lines: Grammar) -> None:
        self._lines = lines

    def lark(self, written: str) -> str | None:
        """Return the grammar of what follows `written` in llguidance's dialect; None at the end."""
        first, newline, rest = written.partition("\n")
        if not written:
            return _LARK
        return self._lines.lark(rest) if newline or first != "join()" else None

    def gbnf(self, written: str) -> str | None:
        """Return the same in llama.cpp's own format."""
        first, newline, rest = written.partition("\n")
        if not written:
            return _GBNF
        return self._lines.gbnf(rest) if newline or first != "join()" else None
