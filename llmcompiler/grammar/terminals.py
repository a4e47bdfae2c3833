"""How are texts, numbers and paths written in a plan, letter by letter?

It does not know types, tools or lines.
"""

from __future__ import annotations

from typing import Final

from llmcompiler.grammar.notation import (
    Chars,
    Name,
    Node,
    Text,
    choice,
    many,
    optional,
    sequence,
)

__all__ = [
    "ANSWER",
    "IDENTIFIER",
    "JSON_STRING",
    "KEY",
    "NAMED",
    "NAMED_IN_TEXT",
    "NUMBERS",
    "PATHS",
    "PLACE",
    "REASON",
    "string",
]

_CONTROL = r"\x00-\x1f"
_SPACES = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_DIGIT = Chars("0-9")
IDENTIFIER: Final = choice("0", sequence(Chars("1-9"), many(_DIGIT, 0, 8)))

_ESCAPE = sequence(
    "\\",
    choice(Chars(r"\"\\bfnrt"), sequence("u00", Chars("01"), Chars("0-9a-f")), "u0024"),
)
_PLAIN = Chars(rf"^\"\\${_CONTROL}")


def _other_than(members: str) -> Node:
    """A character, or an escaped one, that is none of `members` and no dollar sign or quote."""
    return choice(Chars(rf"^\"\\{members}{_CONTROL}"), _ESCAPE)


def string(inside: Node | None) -> Node:
    """Write a text in quotes in which ``${…}`` is a reference, of those that `inside` allows.

    `inside` is what may stand between the braces, None where nothing can be referred to. After a
    dollar sign comes a whole reference, or what does not look like one. A text that is ``$3`` and
    nothing else would be read as a reference too: it may be one, or go on as no reference can.
    """
    # Dollar signs and the braces between them; the last dollar sign decides what may follow.
    run = sequence("$", many(sequence(optional(Chars("{")), "$")))
    longer = sequence("$", many(sequence(optional(Chars("{")), "$"), 1))
    opened: list[Node] = [_other_than("$0-9")]
    if inside is not None:
        opened.append(sequence(inside, "}"))
    brace = sequence("{", choice(*opened))
    item = choice(_PLAIN, _ESCAPE, sequence(run, choice(brace, _other_than("${"))))
    price = sequence(
        "$",
        many(_DIGIT, 1),
        choice(_other_than(r"$0-9.\["), sequence(".", _DIGIT)),
    )
    first = choice(
        _PLAIN,
        _ESCAPE,
        price,
        sequence("$", _other_than("${0-9")),
        sequence(longer, _other_than("${")),
        sequence(run, brace),
    )
    text = sequence(
        optional(sequence(first, many(item))), optional(sequence(run, optional(Chars("{"))))
    )
    if inside is None:
        return sequence('"', text, '"')
    return sequence('"', choice(text, sequence("$", inside)), '"')


KEY: Final = string(None)

_FRACTION = optional(sequence(".", many(_DIGIT, 1, 20)))
_WHOLE = choice("0", sequence(Chars("1-9"), many(_DIGIT, 0, 17)))
_EXPONENT = choice(
    sequence("+", _DIGIT, _DIGIT),
    sequence("+", Chars("12"), _DIGIT, _DIGIT),
    sequence("+30", Chars("0-7")),
    sequence("-", many(_DIGIT, 2, 3)),
)
NUMBERS: Final[dict[str, Node]] = {
    "INTEGER": sequence(optional(Text("-")), _WHOLE),
    "NUMBER": sequence(
        optional(Text("-")),
        choice(
            sequence(_WHOLE, _FRACTION),
            sequence(Chars("1-9"), optional(sequence(".", many(_DIGIT, 1, 17))), "e", _EXPONENT),
        ),
    ),
}

_NAME = sequence(".", Chars("A-Za-z_"), many(Chars("A-Za-z0-9_")))
_NAME_CHARACTER = Chars(rf"^\"\\{_CONTROL}")
# A quoted name, and the same inside a text, where its quotes and backslashes are escaped once more.
_QUOTED = sequence('["', many(choice(_NAME_CHARACTER, _ESCAPE)), '"]')
_QUOTED_IN_TEXT = sequence(
    '[\\"',
    many(
        choice(
            _NAME_CHARACTER,
            sequence(
                "\\\\",
                choice(
                    sequence("\\", Chars(r"\"\\")),
                    Chars("bfnrt"),
                    sequence("u00", Chars("01"), Chars("0-9a-f")),
                ),
            ),
        )
    ),
    '\\"]',
)
NAMED: Final = Name("FIELD")
NAMED_IN_TEXT: Final = Name("INFIELD")
PLACE: Final = sequence("[", IDENTIFIER, "]")
PATHS: Final[dict[str, Node]] = {
    "PATH": many(choice(NAMED, PLACE, "[*]")),
    "INPATH": many(choice(NAMED_IN_TEXT, PLACE, "[*]")),
    "FIELD": choice(_NAME, _QUOTED),
    "INFIELD": choice(_NAME, _QUOTED_IN_TEXT),
}

REASON: Final = sequence(Chars(f"^{_SPACES}"), many(Chars(f"^{_CONTROL}")))
ANSWER: Final = sequence(Chars(f"^{_SPACES}"), many(Chars(r"^\x00")))

_HEX = Chars("0-9a-fA-F")
JSON_STRING: Final = sequence(
    '"',
    many(
        choice(
            Chars(rf"^\"\\{_CONTROL}"),
            sequence("\\", choice(Chars(r"\"\\/bfnrt"), sequence("u", many(_HEX, 4, 4)))),
        )
    ),
    '"',
)
