"""How the entries of a transcript are worded for a model.

It does not know any model or chat template; small models are trained on these very sentences, so
a change here is a change of what they have seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, assert_never

from llmcompiler.messages import Message
from llmcompiler.plan import Cancelled, Failed, Observation, Ok, Ref, Skipped, TaskId
from llmcompiler.preview import Preview, preview
from llmcompiler.toolbox import Tool
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    Entry,
    LimitUsedUp,
    Mend,
    NoReplansLeft,
    Observed,
    Rejected,
    Request,
    TimeIsUp,
    Transcript,
    Turn,
)

__all__ = ["to_messages", "word_observation"]

# A failure is told as ever: small models then say how to mend it as they would before a replan.
_MEND_LINE: Final = "${step} failed: {message}"
_MEND: Final = "Write the failed lines again, or join()."
_REWRITE: Final = "Write only the corrected lines."
_LONGEST: Final = 2000  # characters of what went wrong with a step that may be written again
_OUR_WORDS: Final = frozenset({"ApprovalDenied", "LimitReached", "PlanError", "ToolTimeoutError"})

_Tools = Mapping[str, Tool[..., Any]]


def to_messages(transcript: Transcript, toolbox: _Tools | None = None) -> tuple[Message, ...]:
    """Word every entry, in order.

    What tools say goes in as data: results as JSON, and so the messages of failures of those tools
    in `toolbox` that are `untrusted`.
    """
    return tuple(_word(entry, toolbox or {}) for entry in transcript.entries)


def _word(entry: Entry, toolbox: _Tools) -> Message:
    match entry:
        case Request(text):
            return Message("request", text)
        case Turn(text):
            return Message("turn", text)
        case Observed(observation, short):
            quoted = _is_quoted(observation, toolbox)
            return Message("observation", word_observation(observation, short, quoted=quoted))
        case Rejected(errors):
            lines = [
                f"Line {error.task or error.line} was rejected: {error.problem}" for error in errors
            ]
            return Message("notice", "\n".join([*lines, _REWRITE]))
        case Mend(failed):
            lines = [_failed_line(observation, toolbox) for observation in failed]
            return Message("notice", "\n".join([*lines, _MEND]))
        case CutOff(line):
            if line:
                return Message(
                    "notice", f"The plan was cut off after line {line}: go on from there."
                )
            return Message("notice", "That was cut off: go on from there.")
        case BadForm(problem):
            return Message("notice", _complaint(problem))
        case NoReplansLeft():
            return Message("notice", "No replans are left: answer with what there is.")
        case TimeIsUp():
            return Message("notice", "The time is up: answer with what there is.")
        case LimitUsedUp(limit):
            what = limit.replace("_", " ")
            return Message("notice", f"No {what} are left: answer with what there is.")
        case _:
            assert_never(entry)


def _complaint(problem: str) -> str:
    said = problem[:1].upper() + problem[1:]
    if problem.startswith("the answer"):
        return f"{said}: write Answer: and the answer."
    return f"{said}: write plan lines, or Answer: and the answer."


def word_observation(
    observation: Observation, short: Preview | None = None, *, quoted: bool = False
) -> str:
    """Word what became of a step in one line: ``$1 = 18.2``, ``$2 failed: …``, ``$3 skipped: …``.

    With `short` only that is shown of what is too large, and what was left out is said. A
    failure's message is `quoted` where it is not to be taken for words of the runtime.
    """
    step = f"${observation.task.id}"
    match observation.outcome:
        case Ok(value):
            if short is None:
                return f"{step} = {_json(value)}"
            example = f"a reference gives all of it, as {_left_out_of(observation.task.id, short)}"
            return f"{step} = {_json(short.value)} {_shortened(short, example)}"
        case Failed(_, message, _, None):
            if short is not None and isinstance(short.value, str):
                shown = _said(short.value, quoted=quoted)
                return f"{step} failed: {shown} {_shortened(short)}"
            return f"{step} failed: {_said(message, quoted=quoted)}"
        case Failed(_, message, _, elements):
            values = [each.value if isinstance(each, Ok) else None for each in elements or ()]
            kept = ""
            if short is not None:
                kept = f"; the others gave {_json(short.value)} {_shortened(short)}"
            elif any(isinstance(each, Ok) for each in elements or ()):
                kept = f"; the others gave {_json(values)}"
            return f"{step} failed: {_said(message, quoted=quoted)}{kept}"
        case Skipped(reason, _):
            return f"{step} skipped: {reason}"
        case Cancelled(reason):
            return f"{step} cancelled: {reason}"
        case _:
            assert_never(observation.outcome)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _said(message: str, *, quoted: bool) -> str:
    line = " ".join(message.split())
    return _json(line) if quoted else line


def _failed_line(observation: Observation, toolbox: _Tools) -> str:
    outcome = observation.outcome
    message = outcome.message if isinstance(outcome, Failed) else outcome.status
    short = preview(message, _LONGEST)
    shown = message if short is None else str(short.value)
    said = _said(shown, quoted=_is_quoted(observation, toolbox))
    line = _MEND_LINE.format(step=observation.task.id, message=said)
    return line if short is None else f"{line} {_shortened(short)}"


def _is_quoted(observation: Observation, toolbox: _Tools) -> bool:
    """Whether a failure speaks in the words of a tool that reads what anybody may have written."""
    outcome = observation.outcome
    if not isinstance(outcome, Failed):
        return False
    kinds = {each.kind for each in outcome.elements or () if isinstance(each, Failed)}
    if _OUR_WORDS.issuperset(kinds or {outcome.kind}):
        return False
    tool = toolbox.get(observation.task.tool)
    return tool is not None and tool.untrusted


def _shortened(short: Preview, more: str = "") -> str:
    about = "" if short.counted else "more than "
    whole = f"{about}{short.chars:,} characters in all"
    return f"(shortened: {'; '.join((*short.notes, whole, *filter(None, (more,))))})"


def _left_out_of(step: TaskId, short: Preview) -> Ref:
    """Return a reference to something that was left out."""
    for cut in short.left_out:
        if cut.unit == "elements" and all(isinstance(part, str | int) for part in cut.path):
            return Ref(step, (*cut.path, cut.shown))
    return Ref(step, short.left_out[0].path if short.left_out else ())
