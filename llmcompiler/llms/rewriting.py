"""What would a chat template change of what a model has already read?

It does not know Jinja or any family of models: it tries short conversations and compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from llmcompiler.errors import ConfigurationError
from llmcompiler.messages import Kind, Message

__all__ = ["Layout", "rewritings"]

Layout: TypeAlias = Callable[[Sequence[Message]], str]

_KINDS: Final[tuple[Kind, ...]] = (
    *("rules", "request", "turn", "observation", "turn"),
    *("request", "turn", "observation", "turn", "request"),
)
_WORD: Final = re.compile(r"Word\d+Word")
_TALK: Final = tuple(Message(kind, f"Word{place}Word") for place, kind in enumerate(_KINDS))
_THOUGHT: Final = "Word20Word"
_OF_THE_SAME_TURN: Final = "Word21Word"
_THOUGHTFUL: Final = (
    Message("request", "Word0Word"),
    Message("turn", f"<think>\n{_THOUGHT}\n</think>\n\n{_OF_THE_SAME_TURN}"),
    Message("request", "Word2Word"),
    Message("turn", "Word3Word"),
    Message("request", "Word4Word"),
)
_OPENINGS: Final = "open earlier turns otherwise than when it asked for them"


def rewritings(afresh: Layout, kept: Layout) -> tuple[str, ...]:
    """List what a template would do to earlier messages, as verbs with their objects.

    `afresh` lays a conversation out as the template does when it has never seen it, `kept` so that
    what was laid out for an earlier turn stays. Blanks that differ do not count, nor does anything
    that the template refuses.
    """
    found: dict[str, None] = {}
    for count, message in enumerate(_TALK, start=1):
        if message.kind not in ("rules", "turn"):
            found |= dict.fromkeys(_differences(afresh, kept, _TALK[:count]))
    try:
        read = afresh(_THOUGHTFUL)
        if _THOUGHT not in read and _OF_THE_SAME_TURN in read:
            found["drop the thinking of earlier turns"] = None
    except ConfigurationError:
        pass
    return tuple(found)


def _differences(afresh: Layout, kept: Layout, talk: Sequence[Message]) -> Iterator[str]:
    """Compare both ways to lay out the prompt for the turn after `talk`."""
    try:
        new, old = ("".join(layout(talk).split()) for layout in (afresh, kept))
    except ConfigurationError:
        return
    said = _WORD.findall(new)
    if set(_WORD.findall(old)) - set(said):
        yield "leave out earlier messages"
    elif said != _WORD.findall(old):
        yield "move earlier messages"
    else:
        turns = {each.text for each in talk if each.kind == "turn"}
        between = zip(_WORD.split(new), _WORD.split(old), [*said, ""], strict=True)
        for now, before, word in between:
            if now != before:
                yield _OPENINGS if word in turns else "change its words around earlier messages"
