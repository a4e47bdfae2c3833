"""Which expressions stand in a value of a workflow file, what does each read, what is wrong with it?

It does not know what anything comes to. Only ``${{`` and ``}}`` are special: text outside them is
text, and ``$${{`` is how a text says ``${{``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from llmcompiler.workflow.names import Mistaken, Names, Read
from llmcompiler.workflow.trees import Tree, read_tree

__all__ = ["Formula", "Mistake", "Mixed", "Part", "Path", "Written", "escaped", "written"]

Path: TypeAlias = "tuple[str | int, ...]"
_DEEPEST: Final = 20
_LONGEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at a character of a text: `path` is where in the value the text stands."""

    path: Path
    offset: int
    message: str


@dataclass(frozen=True, slots=True)
class Formula:
    """One ``${{ }}``, as it was written; `path` and `offset` are where it begins.

    The offsets of what it reads count from the beginning of the text, as its own does.
    """

    text: str
    path: Path = field(compare=False)
    offset: int = field(compare=False)
    tree: Tree = field(repr=False)

    @property
    def reads(self) -> tuple[Read, ...]:
        """What it reads, each once, in order of writing."""
        return self.tree.reads


Part: TypeAlias = "str | Formula"


@dataclass(frozen=True, slots=True)
class Mixed:
    """A text with expressions in it. `source` is the text as it was written."""

    source: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A value as it was written: JSON in which a `Formula` or a `Mixed` may stand for a text.

    With `mistakes`, what they are about stands in `value` as the text it was.
    """

    source: Any
    value: Any
    formulas: tuple[Formula, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def written(value: Any, names: Names, path: Path = (), *, bare: bool = False) -> Written:
    """Find the expressions in a value from a workflow file, and all that is wrong with them.

    `names` are what they may speak of, `path` is where the value stands. With `bare`, a text
    without ``${{ }}`` is an expression as a whole, as in ``if: failure()``.
    """
    finder = _Finder(names, [], [])
    if bare and isinstance(value, str):
        found: Any = finder.condition(value, path)
    else:
        found = finder.find(value, path)
    return Written(value, found, tuple(finder.formulas), tuple(finder.mistakes))


def escaped(text: str) -> str:
    """Write a text so that it is read as text, whatever it holds."""
    return text.replace("${{", "$${{")


# ``$${{``, or where an expression begins.
_OPENED: Final = re.compile(r"\$?\$\{\{")
_INSIDE: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[()\[\]{}'"]""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Finder:
    names: Names
    formulas: list[Formula]
    mistakes: list[Mistake]

    def find(self, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            return self.text(value, path) if "${{" in value else value
        if isinstance(value, Mapping):
            for key in value:
                if isinstance(key, str) and "${{" in key:
                    problem = "an expression can be a value, not a key"
                    self.mistakes.append(Mistake((*path, key), 0, problem))
            return {key: self.find(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.find(inner, (*path, at)) for at, inner in enumerate(value)]
        return value

    def text(self, text: str, path: Path) -> Any:
        parts: list[Part] = []
        before = len(self.mistakes)
        try:
            for start, end, whole in _pieces(text):
                if whole:
                    formula = self.formula(text[start:end], start + 3, end - 2, start, text, path)
                    if formula is not None:
                        parts.append(formula)
                else:
                    parts.append(text[start:end])
        except Mistaken as mistake:
            self.mistakes.append(Mistake(path, mistake.offset, str(mistake)))
        if len(self.mistakes) > before:
            return text
        if len(parts) == 1 and isinstance(parts[0], Formula):
            return parts[0]
        joined = _joined(parts)
        if not any(isinstance(part, Formula) for part in joined):
            return "".join(part for part in joined if isinstance(part, str))
        return Mixed(text, joined)

    def condition(self, text: str, path: Path) -> Any:
        if "${{" not in text:
            return self.formula(text, 0, len(text), 0, text, path) or text
        found = self.text(text, path)
        if not isinstance(found, Mixed):
            return found
        parts = [part for part in found.parts if isinstance(part, Formula) or part.strip()]
        if len(parts) == 1 and isinstance(parts[0], Formula):
            return parts[0]
        problem = "a condition is one expression: write all of it inside one ${{ }}"
        self.mistakes.append(Mistake(path, 0, problem))
        return text

    def formula(
        self, shown: str, start: int, end: int, offset: int, text: str, path: Path
    ) -> Formula | None:
        if end - start > _LONGEST:
            problem = f"an expression has at most {_LONGEST:,} characters"
            self.mistakes.append(Mistake(path, offset, problem))
            return None
        tree, mistakes = read_tree(text[start:end], start, self.names)
        if tree is None or mistakes:
            self.mistakes.extend(Mistake(path, one.offset, str(one)) for one in mistakes)
            return None
        formula = Formula(shown, path, offset, tree)
        self.formulas.append(formula)
        return formula


def _pieces(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield the pieces of a text from where to where, and whether each is an expression."""
    at = 0
    while (opened := _OPENED.search(text, at)) is not None:
        if opened.start() > at:
            yield at, opened.start(), False
        if len(opened[0]) > 3:  # ``$${{``: the dollar sign in front is left out
            yield opened.start() + 1, opened.end(), False
            at = opened.end()
            continue
        end = _end(text, opened.end())
        yield opened.start(), end, True
        at = end
    if at < len(text):
        yield at, len(text), False


def _end(text: str, start: int) -> int:
    """Return where the expression that begins behind ``${{`` at `start` ends, behind its ``}}``."""
    deep = 0
    braces = 0
    at = start
    while (found := _INSIDE.search(text, at)) is not None:
        at = found.end()
        match found[0]:
            case "'" | '"':
                raise Mistaken(found.start(), f"the text that begins with {found[0]} has no end")
            case "}" if braces == 0:
                if text.startswith("}", at):
                    return at + 1
            case "(" | "[" | "{":
                deep += 1
                braces += found[0] == "{"
                if deep > _DEEPEST:
                    raise Mistaken(found.start(), f"brackets go at most {_DEEPEST} deep")
            case ")" | "]" | "}":
                deep -= 1
                braces -= found[0] == "}"
            case _:
                pass
    raise Mistaken(start - 3, "the '${{' has no '}}' after it")


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Put texts that stand side by side together."""
    found: list[Part] = []
    for part in parts:
        if found and isinstance(part, str) and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)
