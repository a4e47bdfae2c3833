"""What is said of a text that is not YAML, and where?

It does not know workflows: it puts the parser's complaint into one sentence with a remedy.
"""

from __future__ import annotations

import re
from typing import Final

from ruamel.yaml.error import MarkedYAMLError

__all__ = ["describe_syntax", "place_of"]

_EXPRESSION: Final = re.compile(r"\$\{\{")
_OPENED: Final = {"flow sequence": ("[", "list"), "flow mapping": ("{", "mapping")}


def place_of(text: str, index: int) -> tuple[int, int]:
    """Return the line and column, from 1, of the character at `index`."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def describe_syntax(error: MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Return where the mistake in `text` is, from 1, and what is said of it."""
    said, context = str(error.problem or ""), str(error.context or "")
    mark = error.problem_mark or error.context_mark
    began = error.context_mark or mark
    here = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    there = (began.line + 1, began.column + 1) if began else here
    written = _line(text, here[0])
    if "quoted scalar" in context and "unexpected end" in said:
        return there[0], there[1], "this quote is never closed"
    if "flow node" in context and "<stream end>" in said:
        index = max(text.rfind("["), text.rfind("{"))
        line, column = place_of(text, index)
        return line, column, f"this {text[index]!r} is never closed"
    if "flow" in context:
        return _flow(said, context, here, there, written)
    if "could not find expected ':'" in said:
        return there[0], there[1], "the key that begins here has no ':' after it"
    return here[0], here[1], _sentence(said, context, there, written, here[1])


def _flow(
    said: str, context: str, here: tuple[int, int], there: tuple[int, int], line: str
) -> tuple[int, int, str]:
    """Say what is wrong inside brackets or braces."""
    kind = next((kind for kind in _OPENED if kind in context), "flow sequence")
    opening, name = _OPENED[kind]
    # A ':' in a later line is that of the next key.
    if "<stream end>" in said or ("got ':'" in said and here[0] > there[0]):
        return there[0], there[1], f"this {opening!r} is never closed"
    column = here[1]
    if "got '{'" in said and line[column - 2 : column + 1] == "${{":
        return (
            here[0],
            column - 1,
            f'an expression inside {opening} must be in quotes: "${{{{ … }}}}"',
        )
    closing = "]" if opening == "[" else "}"
    return (
        here[0],
        here[1],
        f"the {name} that begins at line {there[0]}, column {there[1]} goes on with ',' or "
        f"ends with {closing!r}, and here stands {_token(said)}",
    )


def _sentence(said: str, context: str, there: tuple[int, int], line: str, column: int) -> str:
    match said:
        case "mapping values are not allowed here":
            if _EXPRESSION.search(line[:column]):
                return "a ':' cannot stand here: put the whole expression in quotes"
            return (
                "a ':' cannot stand here: put a text that holds ': ' in quotes, "
                "or check the indentation"
            )
        case "sequence entries are not allowed here":
            return "a list cannot begin here: begin it on the next line, or write it as [a, b]"
        case _ if "cannot start any token" in said:
            if "\\t" in said:
                return "a tab cannot indent a line: use spaces"
            return f"a value cannot begin with {line[column - 1 : column]!r}: put it in quotes"
        case _ if "unknown escape character" in said:
            return (
                f"there is no escape '\\{line[column - 1 : column]}' in double quotes: "
                f"write the backslash twice, or use single quotes"
            )
        case _ if context == "while scanning a block scalar":
            return "after '|' or '>' the text begins on the next line"
        case _ if "expected <block end>" in said:
            if "<scalar>" in said:
                return "a second text follows the value: put the whole value in quotes"
            kind = "mapping" if "mapping" in context else "list"
            return (
                f"this does not go on with the {kind} that begins at line {there[0]}, "
                f"column {there[1]}: check the indentation"
            )
        case _ if context in ("while scanning an anchor", "while scanning an alias"):
            return "a name must follow '&' and '*': put a text that begins with one in quotes"
        case _ if "<document start>" in said:
            return "a line that begins with '%' is followed by '---': leave it out"
        case _ if "expected the node content" in said:
            return f"a value is missing here: there is {_token(said)} in its place"
        case _:
            return f"this is not YAML: {said}"


def _token(said: str) -> str:
    found = re.search(r"(?:found|got) '(.+)'", said)
    token = found.group(1) if found else "something else"
    words = {
        "<stream end>": "the end of the file",
        "<scalar>": "a text",
        "<document start>": "the beginning of another document",
        "<document end>": "the end of the document",
        "<block mapping start>": "the beginning of a mapping",
        "<block sequence start>": "the beginning of a list",
    }
    return words.get(token, f"{token!r}" if len(token) <= 2 else token.strip("<>"))


def _line(text: str, number: int) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[number - 1] if number <= len(lines) else ""
