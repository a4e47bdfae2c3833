"""Which inputs of a workflow were given at the command line, as values of their declared types?

It does not know what a workflow does with them; whether they fit in the end is the workflow's to say.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmcompiler.errors import ConfigurationError
from llmcompiler.types import Type, describe, problem
from llmcompiler.types.schema import kinds
from llmcompiler.workflow import InputError, WorkflowError
from llmcompiler.workflow.reading import read

if TYPE_CHECKING:
    from llmcompiler.workflow import Workflow

__all__ = ["given_inputs", "read_value"]

_YES: Final = ("true", "yes", "on", "1")
_NO: Final = ("false", "no", "off", "0")
_WHOLE: Final = re.compile(r"[+-]?\d{1,300}")
_NO_OBJECT: Final = "inputs must be an object of names and values"
_EXAMPLES: Final = {"array": '["a", "b"]', "object": '{"name": "value"}'}


def given_inputs(
    workflow: Workflow, pairs: Sequence[str] | None, file: Path | None
) -> dict[str, Any]:
    """Return the inputs of ``--input`` and of ``--input-file``; the first count more.

    Raises `InputError` with everything that is wrong, `ConfigurationError` for a file that cannot
    be read, and `WorkflowError`, with positions, for one that is no YAML.
    """
    found = {} if file is None else _of_file(file)
    declared = workflow.file.inputs
    problems: list[str] = []
    seen: set[str] = set()
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            problems.append(f"--input {pair!r} is not NAME=VALUE")
        elif name in seen:
            problems.append(f"the input {name!r} is given twice: a list is one value, as JSON")
        elif name not in declared:
            found[name] = text  # the workflow says which names there are
        else:
            try:
                found[name] = read_value(name, text, declared[name].as_schema())
            except InputError as error:
                problems += error.problems
                found.pop(name, None)
        seen.add(name)
    values: dict[str, Any] = {}
    try:
        values = workflow.inputs_of(found)
    except InputError as error:
        # What could not be read is missing now, which need not be said as well.
        said = " ".join(problems)
        problems += [each for each in error.problems if not _is_about(each, seen, said)]
    if problems:
        raise InputError(problems)
    return values


def read_value(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    """Read a text by a JSON Schema: ``no`` is false for a boolean, ``5`` a text for a string.

    Where several types are allowed, JSON that fits counts more than the text as it stands. Raises
    `InputError`.
    """
    # An argument that is not UTF-8 arrives with lone surrogates, which no JSON can hold.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    expected = Type.of(schema)
    allowed = kinds(expected)
    if allowed == {"string"}:
        return text
    if allowed == {"boolean"}:
        word = text.strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
        raise _misfit(name, "true or false (yes, no, on and off will do)", text)
    if allowed <= {"integer", "number"} and allowed:
        return _number(name, text.strip(), whole="number" not in allowed)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        if "string" in allowed:
            return text
        if "boolean" in allowed and text.strip().lower() in (*_YES, *_NO):
            return text.strip().lower() in _YES
        example = next((_EXAMPLES[kind] for kind in ("array", "object") if kind in allowed), None)
        shown = "" if example is None else f": --input '{name}={example}'"
        raise _misfit(name, f"{describe(expected)}, written as JSON", text, shown) from None
    if "string" in allowed and problem(value, expected) is not None:
        return text
    return value


def _is_about(problem: str, names: set[str], said: str) -> bool:
    missing = (f"the input {name!r} is missing" for name in names if repr(name) in said)
    return problem in missing


def _number(name: str, text: str, *, whole: bool) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    if not whole:
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except ValueError:
            value = None
        if isinstance(value, float):
            return value
    raise _misfit(name, "a whole number" if whole else "a number", text)


def _misfit(name: str, wanted: str, text: str, more: str = "") -> InputError:
    shown = text if len(text) <= 60 else text[:60] + "…"
    return InputError([f"the input {name!r} must be {wanted}, not {shown!r}{more}"])


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _of_file(path: Path) -> dict[str, Any]:
    shown = str(path)
    try:
        text = sys.stdin.read() if shown == "-" else path.read_text("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the inputs in {shown!r}: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"the inputs in {shown!r} are not UTF-8") from None
    if path.suffix in (".yaml", ".yml"):
        try:
            return dict(read(text, shown).data)
        except WorkflowError as error:
            if any("a workflow" in each.message for each in error.problems):  # it speaks of others
                raise ConfigurationError(f"{shown}: {_NO_OBJECT}") from None
            raise
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the inputs in {shown!r} are not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{shown}: {_NO_OBJECT}")
    return value
