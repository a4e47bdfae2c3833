"""What of a streamed answer may be shown now: its text as it comes, without blanks around it.

It does not know how an answer was found in its turn.
"""

from __future__ import annotations

__all__ = ["AnswerReader"]


class AnswerReader:
    """Passes an answer on, piece by piece; blanks at its end, which may be its last, are held back.

    Where the answer stands in a code fence, a line that may be the fence's end is held back too.
    """

    __slots__ = ("_fenced", "_held", "_started")

    def __init__(self, fenced: bool) -> None:
        self._fenced = fenced
        self._held: list[str] = []
        self._started = False

    def feed(self, text: str) -> str:
        """Take the next piece of the turn and return what may be shown of the answer."""
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        if not text:
            return ""
        if text.isspace():
            self._held.append(text)
            return ""
        self._held.append(text)
        pending = "".join(self._held)
        shown = pending.rstrip()
        if self._fenced:
            last = shown.rfind("\n")
            if last >= 0 and shown[last:].strip() in ("`", "``", "```", "~", "~~", "~~~"):
                shown = shown[:last].rstrip()
        self._held = [pending[len(shown) :]]
        return shown

    def close(self) -> tuple[str, str]:
        """Return what is still to be shown, and the end of the code fence if there was one."""
        rest = "".join(self._held).strip()
        if rest in ("```", "~~~"):
            return "", rest
        return "".join(self._held).rstrip(), ""
