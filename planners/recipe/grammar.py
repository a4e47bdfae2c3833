"""How is one template written in many ways, and which ways are kept away from training?

It does not know any intent: it expands `(a|b)` to one alternative, `[a]` to nothing or `a`, and `<name>` to a value.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache

HELD = "~"
"""A template or an alternative that begins so is used only for the unseen-phrasing set."""

_TOKEN = re.compile(r"[()\[\]|]|[^()\[\]|]+")
_SLOT = re.compile(r"<(\w+)>")
_BLANKS = re.compile(r" {2,}")

Node = str | tuple["Alternatives", ...]
Alternatives = tuple[tuple[bool, "Sequence_"], ...]
Sequence_ = tuple[object, ...]


@cache
def parse(template: str) -> Sequence_:
    """Read a template once: a sequence of texts and of tuples of (held, sequence) alternatives."""
    tokens = _TOKEN.findall(template)
    position = 0

    def sequence() -> Sequence_:
        nonlocal position
        parts: list[object] = []
        while position < len(tokens) and tokens[position] not in ")]|":
            token = tokens[position]
            position += 1
            if token in "([":
                options = alternatives(")" if token == "(" else "]")
                if token == "[":
                    options = ((False, ()), *options)
                parts.append(options)
            else:
                parts.append(token)
        return tuple(parts)

    def alternatives(closing: str) -> tuple[tuple[bool, Sequence_], ...]:
        nonlocal position
        options: list[tuple[bool, Sequence_]] = []
        while True:
            held = position < len(tokens) and tokens[position].startswith(HELD)
            if held:
                tokens[position] = tokens[position][1:]
            options.append((held, sequence()))
            if position >= len(tokens):
                raise ValueError(f"unclosed bracket in {template!r}")
            token = tokens[position]
            position += 1
            if token == closing:
                return tuple(options)
            if token != "|":
                raise ValueError(f"{token!r} does not close a bracket in {template!r}")

    result = sequence()
    if position != len(tokens):
        raise ValueError(f"stray {tokens[position]!r} in {template!r}")
    return result


class Writer:
    """Expands templates; `held` writers prefer what training never sees and count how often they used it."""

    def __init__(self, rng: random.Random, held: bool = False) -> None:
        self.rng = rng
        self.held = held
        self.used_held = 0

    def choose(self, templates: Sequence[str]) -> str:
        """Pick a template and expand its brackets; slots stay."""
        kept = [text for text in templates if text.startswith(HELD)]
        free = [text for text in templates if not text.startswith(HELD)]
        if self.held and kept and (not free or self.rng.random() < 0.6):
            self.used_held += 1
            return self.expand(self.rng.choice(kept)[1:])
        return self.expand(self.rng.choice(free))

    def expand(self, template: str) -> str:
        """Expand the brackets of one template."""
        return _BLANKS.sub(" ", self._walk(parse(template))).strip()

    def _walk(self, parts: Sequence_) -> str:
        out: list[str] = []
        for part in parts:
            if isinstance(part, str):
                out.append(part)
                continue
            assert isinstance(part, tuple)
            kept = [inner for held, inner in part if held]
            free = [inner for held, inner in part if not held]
            if self.held and kept and (not free or self.rng.random() < 0.6):
                self.used_held += 1
                out.append(self._walk(self.rng.choice(kept)))
            elif free:
                out.append(self._walk(self.rng.choice(free)))
        return "".join(out)


def fill(text: str, slots: Mapping[str, str]) -> str:
    """Put the values into the slots."""
    return _SLOT.sub(lambda match: slots[match[1]], text)


def recase(text: str, how: str) -> str:
    """Change the case of everything but the slots: ``lower``, ``upper`` or ``first`` (a capital at the start)."""
    if how == "first":
        return text[:1].upper() + text[1:]
    pieces = re.split(r"(<\w+>)", text)
    change = str.lower if how == "lower" else str.upper
    return "".join(piece if piece.startswith("<") else change(piece) for piece in pieces)
