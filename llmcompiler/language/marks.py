"""Which form of a turn a line announces: an answer, a replan, a thought, a fence, the end of a plan.

It does not know what the lines between such marks say, nor which form is allowed.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from llmcompiler.language.lines import HEAD, JOIN, looks_like_a_step

__all__ = [
    "LONGEST_THOUGHT_END",
    "MARK",
    "PREFIX",
    "THOUGHT_END",
    "LineKind",
    "kind_of",
    "replan_reason",
]

# A mark at the beginning of a line is known from its first characters, so many at most.
PREFIX: Final = 256
LONGEST_THOUGHT_END: Final = len("</thinking>")

# No alternative can match and then match longer, so that it does not matter how text is cut.
MARK: Final = re.compile(
    r"(?P<thought><think(?:ing)?>)|(?P<thought_end></think(?:ing)?>)"
    r"|(?P<answer>(?:final )?answer:|\*\*(?:final )?answer(?::\*\*|\*\*:))"
    rf"|(?P<join>{JOIN.pattern})|(?P<call>{HEAD.pattern})",
    re.IGNORECASE,
)
THOUGHT_END: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)

_THOUGHT = re.compile(r"\*{0,2}thought\*{0,2}:", re.IGNORECASE)
_REPLAN = re.compile(r"(?:replan:|\*\*replan(?::\*\*|\*\*:))\s*+", re.IGNORECASE)
_FENCE = re.compile(r"(?:```+|~~~+)[ \t]*+[\w+-]*+")
_BARE_JOIN = re.compile(r"(?:[0-9]{1,9}\s*+[.):]\s*+)?join\s*+(?:<END_OF_PLAN>)?[.;]?")
_END_OF_PLAN: Final = "<END_OF_PLAN>"

LineKind: TypeAlias = Literal[
    "blank", "fence", "thought", "replan", "end", "join", "comment", "step", "prose"
]


def kind_of(text: str) -> LineKind:
    """Say what a whole line is that does not begin with a `MARK`; `text` has no blanks around it."""
    if not text:
        return "blank"
    if _FENCE.fullmatch(text):
        return "fence"
    if _THOUGHT.match(text):
        return "thought"
    if _REPLAN.match(text):
        return "replan"
    if text.startswith(_END_OF_PLAN):
        return "end"
    if _BARE_JOIN.fullmatch(text):
        return "join"
    if text.startswith(("#", "//")):
        return "comment"
    return "step" if looks_like_a_step(text) else "prose"


def replan_reason(text: str) -> str:
    """Return what stands behind ``Replan:``."""
    return _REPLAN.sub("", text, count=1)
