"""What may an expression speak of, and what is wrong with a name in it?

It does not know how an expression is read, nor what its names stand for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Outlook, PathStep, Ref, TaskId

__all__ = ["FUNCTIONS", "Mistaken", "Names", "Read", "name_fault"]

FUNCTIONS: Final = ("always", "failure", "success")
_ROOTS: Final = ("env", "inputs", "secrets", "steps")
_ASKS: Final = ("output", "status", "error")


class Mistaken(Exception):
    """What is wrong with an expression: `offset` is where in the text, `end` where it ends, if known."""

    def __init__(self, offset: int, problem: str, end: int = 0) -> None:
        self.offset = offset
        self.end = end
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Names:
    """What expressions in one place may speak of; None where any name will do.

    `item` and `output` say whether there is such a thing, `functions` whether `FUNCTIONS` may be
    asked.
    """

    steps: Collection[str] | None = None
    inputs: Collection[str] | None = None
    env: Collection[str] | None = None
    secrets: Collection[str] | None = None
    item: bool = False
    output: bool = False
    functions: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Something that an expression reads: `root` is steps, inputs, env, secrets, item or output.

    For steps, `path` begins with the step's name and output, status or error; for inputs, env and
    secrets with the name. `offset` is where it begins in the text.
    """

    root: str
    path: tuple[str | int, ...]
    offset: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.root + "".join(map(_written_step, self.path))

    def ref(self, *, soft: bool = False) -> Ref:
        """Return the reference that a read of a step is; `soft` if the step may have failed."""
        name, asks, *rest = self.path
        task = TaskId(str(name))
        path: tuple[PathStep, ...] = tuple(rest)
        if asks == "output":
            return Outlook(task, path) if soft else Ref(task, path)
        kind: Literal["status", "error"] = "status" if asks == "status" else "error"
        return Outlook(task, path, kind)


def _written_step(step: str | int) -> str:
    plain = isinstance(step, str) and step.isascii() and step.isidentifier() and step[0] != "_"
    return f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]"


def name_fault(
    names: Names, root: str, path: Sequence[str | int], at: Sequence[int], text: str
) -> Mistaken | None:
    """Say what is wrong with a name and the path behind it; None if nothing is.

    `at` are the offsets in `text` of the name and of each part behind it, also of those after the
    path, which are computed.
    """
    if root == "item" and not names.item:
        return Mistaken(at[0], "'item' is known only in the 'with' of a step that has 'for_each'")
    if root == "output" and not names.output:
        return Mistaken(at[0], "'output' is known only in 'repeat.until'")
    if root in ("item", "output"):
        return None
    if root in FUNCTIONS:
        return Mistaken(at[0], f"write {root}()")
    if root not in _ROOTS:
        return Mistaken(at[0], _unknown(names, root))
    if not path or not isinstance(path[0], str):
        example = "steps.NAME.output" if root == "steps" else f"{root}.NAME"
        return Mistaken(at[min(1, len(at) - 1)], f"write {example}")
    known: Collection[str] | None = getattr(names, root)
    if known is not None and path[0] not in known:
        return _undeclared(root, path[0], known, at[1], text)
    return _no_result(path, at) if root == "steps" else None


def _unknown(names: Names, root: str) -> str:
    if names.steps is not None and root in names.steps:
        return f"unknown name {root!r}; write {Read('steps', (root, 'output'))}"
    for where in ("inputs", "env", "secrets"):
        if root in (getattr(names, where) or ()):
            return f"unknown name {root!r}; write {Read(where, (root,))}"
    known = [*_ROOTS, *(name for name in ("item", "output") if getattr(names, name))]
    close = did_you_mean(root, [*known, *(FUNCTIONS if names.functions else ())])
    return f"unknown name {root!r}{close or '; there are ' + ', '.join(known)}"


_NOT_THERE: Final = {
    "steps": "there is no step",
    "inputs": "there is no input",
    "env": "'env' does not declare",
    "secrets": "'secrets' does not declare",
}


def _undeclared(root: str, name: str, known: Collection[str], at: int, text: str) -> Mistaken:
    for one in known:  # a dash between names is read as a minus
        if one.startswith(f"{name}-") and text.startswith(one, at):
            problem = f"{one!r} has a dash in its name; write {Read(root, (one,))}"
            return Mistaken(at, problem, at + len(one))
    return Mistaken(at, f"{_NOT_THERE[root]} {name!r}{did_you_mean(name, known)}")


def _no_result(path: Sequence[str | int], at: Sequence[int]) -> Mistaken | None:
    step = str(Read("steps", (path[0],)))
    if len(path) == 1:
        problem = f"{step} is a step, not a value; write {step}.output, .status or .error"
        return Mistaken(at[min(2, len(at) - 1)], problem)
    asked = path[1]
    if asked not in _ASKS:
        close = did_you_mean(asked, _ASKS) if isinstance(asked, str) else ""
        inside = str(Read("", (asked,)))
        hint = close or f"; to read from its result, write {step}.output{inside}"
        return Mistaken(at[2], f"a step has no {asked!r}{hint}")
    if asked != "output" and len(at) > 3:
        return Mistaken(at[3], f"{step}.{asked} is a text, with nothing inside")
    return None
