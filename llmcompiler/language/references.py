"""What in a text is a reference to an earlier result: ``$3``, ``$3.price``, ``"Oslo is ${1.name}"``.

It does not know values, calls or lines; where a text stands in the turn is its caller's affair.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder

from llmcompiler.errors import LLMCompilerError
from llmcompiler.plan import PathStep, Ref, Star, TaskId, Template

__all__ = [
    "ID",
    "PATH",
    "TextError",
    "is_whole_reference",
    "read_path",
    "read_ref",
    "read_text",
    "to_json_body",
]

ID = r"[0-9]{1,9}"
_NAME = r"[^\W\d]\w*"
PATH = rf"""(?:\.{_NAME}|\[(?:{ID}|\*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\])*"""

# The same path inside a string, where the quotes and backslashes of a quoted name are escaped once
# more. No two alternatives begin alike, so that matching never goes back.
_ESCAPED = r"[^\"'\\]|\\\\(?:\\.|[^\"\\])|\\[^\"\\]"
_PATH_IN_STRING = (
    rf"(?:\.{_NAME}|\[(?:{ID}|\*|\\\"(?:{_ESCAPED}|')*\\\"|'(?:{_ESCAPED}|\\\")*')\])*"
)

_STEP = re.compile(
    rf"""\.({_NAME})|\[({ID})\]|\[(\*)\]|\["((?:[^"\\\n]|\\.)*)"\]|\['((?:[^'\\\n]|\\.)*)'\]"""
)
_OPENING = re.compile(r"\$\{[0-9]")
_INSIDE = re.compile(rf"\$\{{({ID})({_PATH_IN_STRING})\}}")
_WHOLE = re.compile(rf"\$({ID})({_PATH_IN_STRING})")
_ESCAPES_WELL = re.compile(r"[^\\]*(?:\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4})[^\\]*)*")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_FOREIGN_QUOTE = re.compile(r"\\.|\"", re.DOTALL)
_STAR = Star()
_JSON = JSONDecoder(strict=False)


class TextError(LLMCompilerError):
    """Raised inside this package for a text that cannot be read; `offset` counts in its body."""

    def __init__(self, offset: int, problem: str) -> None:
        self.offset = offset
        self.problem = problem
        super().__init__(problem)


def to_json_body(body: str, quote: str) -> str:
    """Rewrite what stands between Python's quotes as what would stand between JSON's."""
    if quote == '"' and "\\'" not in body:
        return body

    def rewrite(match: re.Match[str]) -> str:
        found = match[0]
        return "'" if found == "\\'" else '\\"' if found == '"' else found

    return _FOREIGN_QUOTE.sub(rewrite, body)


def _unescape(body: str) -> str:
    if "\\" not in body:
        return body
    try:
        text = str(_JSON.decode(f'"{body}"'))
    except JSONDecodeError as error:  # never reached: `read_text` looks at the escapes first
        raise TextError(error.pos, error.msg) from None
    if _HALF_PAIR.search(text) and not _HALF_PAIR.search(body):
        raise TextError(
            0, "a \\u escape stands for half a character: write both halves, or neither"
        )
    return text


def _check_escapes(body: str) -> None:
    good = _ESCAPES_WELL.match(body)
    end = good.end() if good else 0
    if end == len(body):
        return
    if body.startswith("\\$", end):
        problem = "'\\$' is not an escape: write \\u0024 for a dollar sign that is only text"
    else:
        problem = f"{body[end : end + 2]!r} is not an escape: write \\\\ for a backslash"
    raise TextError(end, problem)


def read_path(path: str) -> tuple[PathStep, ...]:
    """Read ``.links[0].name``; the text must match `PATH`."""
    if not path:
        return ()
    steps: list[PathStep] = []
    for name, index, star, double, single in _STEP.findall(path):
        if name:
            steps.append(name)
        elif index:
            steps.append(int(index))
        elif star:
            steps.append(_STAR)
        else:
            body = to_json_body(double, '"') if double else to_json_body(single, "'")
            _check_escapes(body)
            steps.append(_unescape(body))
    return tuple(steps)


def read_ref(number: str, path: str) -> Ref:
    """Make a reference of its number and its path as written; raise `TextError`."""
    return Ref(TaskId(str(int(number))), read_path(path))


def is_whole_reference(body: str) -> bool:
    """Whether what stands between double quotes is ``$1`` or ``$1.name`` and nothing else."""
    return _WHOLE.fullmatch(body) is not None


def read_text(body: str) -> str | Template:
    """Read what stands between double quotes: a text, or a template where ``${1}`` occurs in it.

    Recognition happens on the text as written, so ``\\u0024{1}`` is five characters of text. A
    whole ``$1`` is read as ``${1}``. Raises `TextError` for a wrong escape or a wrong reference.
    """
    if "\\" in body:
        _check_escapes(body)
    if "$" not in body:
        return _unescape(body)
    whole = _WHOLE.fullmatch(body)
    if whole:
        return Template((read_ref(whole[1], _unescape(whole[2])),))
    parts: list[str | Ref] = []
    done = 0
    for opening in _OPENING.finditer(body):
        if opening.start() < done:
            continue
        found = _INSIDE.match(body, opening.start())
        if not found:
            shown = body[opening.start() : opening.start() + 24]
            raise TextError(
                opening.start(),
                f"{shown!r} is not a reference: write ${{1}}, ${{1.name}}, ${{1[0]}} or ${{1['a name']}}, "
                "or \\u0024 for a dollar sign that is only text",
            )
        if opening.start() > done:
            parts.append(_unescape(body[done : opening.start()]))
        parts.append(read_ref(found[1], _unescape(found[2])))
        done = found.end()
    if not parts:
        return _unescape(body)
    if done < len(body):
        parts.append(_unescape(body[done:]))
    return Template(tuple(parts))
