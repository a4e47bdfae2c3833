"""How is what is said of a plan's tasks said in the words of a workflow file?

It does not know what went wrong.
"""

from __future__ import annotations

import re
from typing import Final

from llmcompiler.plan import Cancelled, Failed, Json, Outcome, Skipped

__all__ = ["in_words_of_file", "reason", "reworded"]

# What the kernel says of its own accord, and not a tool.
_OURS: Final = frozenset({"BindingError", "ToolArgumentError"})
_NEEDS: Final = re.compile(r"^it needs \$(.+?)(?:\.try|\.fallback|\.replan)?$")
_MADE: Final = re.compile(r"(^|\] )[\w.-]+:([\w.-]+): ")
_AS_TEXT: Final = re.compile(
    r'; as a text it is "\$\{([A-Za-z_][\w-]*)(?:\.(?:try|fallback|replan)\b)?(.*?)\}"'
)
_READS: Final = re.compile(
    r"\$\{?([A-Za-z_][\w-]*)(?:\.(?:try|fallback|replan)\b)?((?:\.\w+|\[[^\]]*\])*)\}?"
)


def in_words_of_file(text: str) -> str:
    """Write references as they stand in a file: ``steps.geo.output.lat``, and no ``$geo.lat``.

    A tool that was made for a step, as ``ask:llm``, is called what the step says that it uses.
    """
    said = _AS_TEXT.sub(r"; write ${{ steps.\1.output\2 | string }}", text)
    said = _MADE.sub(r"\1\2: ", said)
    return _READS.sub(lambda found: f"steps.{found[1]}.output{found[2]}", said)


def reason(text: Json) -> Json:
    """Say which step another was skipped for, by its name in the file."""
    return _NEEDS.sub(r"it needs step '\1'", text) if isinstance(text, str) else text


def reworded(outcome: Outcome) -> Outcome:
    """Return an outcome whose reason speaks of steps as the file does."""
    match outcome:
        case Failed() if outcome.kind in _OURS:
            message = in_words_of_file(outcome.message)
            return Failed(outcome.kind, message, outcome.attempts, outcome.elements)
        case Skipped():
            return Skipped(str(reason(outcome.reason)), outcome.because)
        case Cancelled() | _:
            return outcome
