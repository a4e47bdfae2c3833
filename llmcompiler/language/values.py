"""What an argument list says: names, and JSON values in which a reference may stand anywhere.

It does not know lines or turns, nor which names and values a tool takes.
"""

from __future__ import annotations

import re
from typing import Final

from llmcompiler.errors import PlanError
from llmcompiler.language.references import (
    ID,
    PATH,
    TextError,
    read_ref,
    read_text,
    to_json_body,
)
from llmcompiler.plan import Argument, Each, Ref, TaskId, Template

__all__ = ["MAX_DEPTH", "NAME", "Source", "read_arguments"]

MAX_DEPTH: Final = 64
NAME: Final = r"[^\W\d][\w.\-]{0,127}"
_MAX_DIGITS: Final = 300

# One named argument of the commonest kinds, with what ends it, in one step.
_COMMON = re.compile(
    rf"\s*({NAME})\s*=\s*"
    rf"(?:\"([^\"\\$\n]*)\"|(-?(?:0|[1-9][0-9]{{0,14}}))|\$({ID}))\s*([,)])"
)
_BLANKS = re.compile(r"(?:\s+|#[^\n]*)*")
_NAMED = re.compile(rf"({NAME})\s*[=:](?!=)")
_EACH = re.compile(r"each(?=[\s($\"'])")
_WORD = re.compile(NAME)
_REF = re.compile(rf"\$(?:({ID})({PATH})|\{{({ID})({PATH})\}})")
_STRINGS = {
    '"': re.compile(r'"([^"\\\n]*(?:\\[^\n][^"\\\n]*)*)"'),
    "'": re.compile(r"'([^'\\\n]*(?:\\[^\n][^'\\\n]*)*)'"),
}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CHUNK = re.compile(r"[^\s,()\[\]{}\"'#]+")
_WORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}


class Source:
    """A text, and where in the turn it stands, so that an error can say where it is."""

    __slots__ = ("column", "line", "task", "text", "tool")

    def __init__(self, text: str, line: int = 1, column: int = 1) -> None:
        self.text = text
        self.line = line
        self.column = column
        self.task: TaskId | None = None
        self.tool = ""

    def error(self, position: int, problem: str) -> PlanError:
        """Make the error for what is wrong at `position` in the text."""
        before = self.text.rfind("\n", 0, position)
        first = before < 0
        return PlanError(
            problem,
            line=self.line + self.text.count("\n", 0, position),
            column=position + self.column if first else position - before,
            task=self.task,
            source=self.text,
        )


def read_arguments(
    source: Source, position: int
) -> tuple[dict[str, Argument], tuple[Argument, ...], int]:
    """Read from behind an opening parenthesis to behind the closing one.

    Returns the named arguments, those without a name, and where reading ended. Raises `PlanError`.
    """
    text = source.text
    args: dict[str, Argument] = {}
    positional: list[Argument] = []
    value: Argument
    while True:
        common = _COMMON.match(text, position)
        if common:
            name, plain, number, ref, end = common.groups()
            if plain is not None:
                value = plain
            elif number is not None:
                value = int(number)
            else:
                value = Ref(TaskId(str(int(ref))))
            at = position
            position = common.end()
        else:
            at = position = _skip(text, position)
            if text.startswith(")", position):
                return args, tuple(positional), position + 1
            named = _NAMED.match(text, position)
            name = named[1] if named else None
            value, position = _argument(source, named.end() if named else position)
            position = _skip(text, position)
            end = _ends(source, position, ")")
            position += 1
        if name is None:
            if args:
                raise source.error(
                    at, "an argument without a name stands behind one with a name: name it too"
                )
            positional.append(value)
        elif name in args:
            raise source.error(_skip(text, at), f"the argument {name!r} is given twice")
        else:
            args[name] = value
        if end == ")":
            return args, tuple(positional), position


def _skip(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


def _argument(source: Source, position: int) -> tuple[Argument, int]:
    position = _skip(source.text, position)
    each = _EACH.match(source.text, position)
    if not each:
        return _value(source, position, 0)
    start = _skip(source.text, each.end())
    value, end = _value(source, start, 0)
    if isinstance(value, Template) and value.whole is not None:
        value = value.whole
    if not isinstance(value, Ref):
        raise source.error(start, "'each' takes one reference, as in each $2 or each $2.links")
    return Each(value), end


def _value(source: Source, position: int, depth: int) -> tuple[Argument, int]:
    text = source.text
    first = text[position : position + 1]
    if first in _STRINGS:
        return _string(source, position)
    if first == "$":
        return _reference(source, position)
    if first in ("[", "("):
        return _sequence(source, position, depth)
    if first == "{":
        return _mapping(source, position, depth)
    number = _NUMBER.match(text, position)
    if number:
        return _number(source, number)
    word = _WORD.match(text, position)
    if word and word[0] in _WORDS and not text.startswith("(", word.end()):
        return _WORDS[word[0]], word.end()
    raise _no_value(source, position)


def _string(source: Source, position: int) -> tuple[str | Template, int]:
    text = source.text
    quote = text[position]
    found = _STRINGS[quote].match(text, position)
    if not found:
        raise source.error(
            position,
            f"the text that begins here is not closed: end it with {quote} on the same line, "
            "and write a line break in it as \\n",
        )
    written = found[1]
    body = to_json_body(written, quote)
    try:
        return read_text(body), found.end()
    except TextError as error:
        offset = error.offset + 1 if body is written else 0
        raise source.error(position + offset, error.problem) from None


def _reference(source: Source, position: int) -> tuple[Ref, int]:
    text = source.text
    found = _REF.match(text, position)
    if not found:
        shown = _shown(text, position)
        raise source.error(
            position,
            f"{shown} is not a reference: write $ and the number of a step, as in $1, $1.name, "
            '$1[0], $1[*] or $1["a name"]',
        )
    end = found.end()
    if text[end : end + 1] and (text[end] in ".[" or text[end].isalnum()):
        raise source.error(
            end,
            f"{_shown(text, end)} cannot follow {found[0]!r}: a path is .name, [0] counted from "
            'zero, [*] or ["a name"]',
        )
    try:
        if found[1] is not None:
            return read_ref(found[1], found[2]), end
        return read_ref(found[3], found[4]), end
    except TextError as error:
        raise source.error(position, error.problem) from None


def _number(source: Source, found: re.Match[str]) -> tuple[int | float, int]:
    written = found[0]
    chunk = _CHUNK.match(source.text, found.start())
    whole = chunk[0].rstrip("*+/%;") if chunk else written
    if len(whole) > len(written):
        raise source.error(
            found.start(),
            f"{_short(whole)!r} is not a number: put text in double quotes; a value is not computed "
            "here, call a tool for that",
        )
    digits = written.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        raise source.error(
            found.start(), f"{_short(written)!r} begins with a zero: put it in quotes if it is text"
        )
    if len(written) > _MAX_DIGITS:
        raise source.error(found.start(), f"a number has at most {_MAX_DIGITS} digits")
    if digits.isdigit():
        return int(written), found.end()
    value = float(written)
    if value in (float("inf"), float("-inf")):
        raise source.error(found.start(), f"{_short(written)!r} is too large for a number")
    return value, found.end()


def _sequence(source: Source, position: int, depth: int) -> tuple[Argument, int]:
    text = source.text
    closing = "]" if text[position] == "[" else ")"
    _check_depth(source, position, depth)
    items: list[Argument] = []
    commas = 0
    position = _skip(text, position + 1)
    while not text.startswith(closing, position):
        item, position = _value(source, position, depth + 1)
        items.append(item)
        position = _skip(text, position)
        if _ends(source, position, closing) == ",":
            commas += 1
            position = _skip(text, position + 1)
    if closing == ")" and len(items) == 1 and not commas:
        return items[0], position + 1
    return items, position + 1


def _mapping(source: Source, position: int, depth: int) -> tuple[Argument, int]:
    text = source.text
    _check_depth(source, position, depth)
    found: dict[str, Argument] = {}
    position = _skip(text, position + 1)
    while not text.startswith("}", position):
        if position >= len(text):
            _ends(source, position, "}")
        if text[position] not in _STRINGS:
            raise source.error(position, "a key in { } is a text in double quotes")
        key, end = _string(source, position)
        if not isinstance(key, str):
            raise source.error(position, "a key in { } cannot hold a reference")
        if key in found:
            raise source.error(position, f"the key {_short(key)!r} is given twice")
        end = _skip(text, end)
        if not text.startswith(":", end):
            raise source.error(end, f"a ':' is missing after the key {_short(key)!r}")
        found[key], position = _value(source, _skip(text, end + 1), depth + 1)
        position = _skip(text, position)
        if _ends(source, position, "}") == ",":
            position = _skip(text, position + 1)
    return found, position + 1


def _check_depth(source: Source, position: int, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise source.error(position, f"values are nested more than {MAX_DEPTH} levels deep")


def _ends(source: Source, position: int, closing: str) -> str:
    """Return the comma or the closing bracket that follows a value; raise if neither does."""
    found = source.text[position : position + 1]
    if found == closing or found == ",":
        return found
    if not found:
        raise source.error(position, f"the call is not complete: {closing!r} is missing")
    if found in "\"'":
        problem = (
            "two texts stand side by side: write one text between one pair of double quotes, "
            'and a quote inside it as \\"'
        )
    elif found in "+-*/%<>=|&?":
        problem = (
            "a value is not computed here: call a tool for it, or put results into a text "
            'with "${1}"'
        )
    else:
        problem = (
            f"',' or {closing!r} is missing before {_shown(source.text, position)}: "
            "separate values with commas, and put text in double quotes"
        )
    raise source.error(position, problem)


def _no_value(source: Source, position: int) -> PlanError:
    text = source.text
    first = text[position : position + 1]
    if not first:
        return source.error(position, "the call is not complete: a value and ')' are missing")
    if first in ",)]}":
        return source.error(position, f"a value is missing before {first!r}")
    if first in "\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e":
        return source.error(position, f'{first} does not begin a text: use plain double quotes, "')
    word = _WORD.match(text, position)
    if not word:
        return source.error(
            position, f"{_shown(text, position)} is not a value: put text in double quotes"
        )
    after = _skip(text, word.end())
    if text.startswith("(", after):
        outer = f" of {source.tool!r}" if source.tool else ""
        problem = (
            f"an argument{outer} is itself a call of {word[0]!r}: "
            "write the inner call as a step of its own and refer to it with $n"
        )
    elif word[0] == "each":
        problem = "'each' stands only in front of a whole argument: name=each $2"
    elif text[word.end() : word.end() + 1] in ('"', "'"):
        problem = f'a text has no prefix {word[0]!r}: write it in double quotes, with "${{1}}" for a result'
    elif word[0].lower() in ("nan", "infinity", "inf"):
        problem = f"{word[0]!r} is not a JSON number"
    else:
        problem = (
            f"{_short(word[0])!r} is not a value: put text in double quotes, "
            "and refer to a step's result with $n"
        )
    return source.error(position, problem)


def _shown(text: str, position: int) -> str:
    chunk = _CHUNK.match(text, position)
    return repr(_short(chunk[0] if chunk else text[position : position + 1]))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
