"""How the entries of a transcript are worded for a model.

It does not know any model or chat template; small models are trained on these very sentences, so
a change here is a change of what they have seen.
"""

from __future__ import annotations

import json
from typing import assert_never

from llmcompiler.messages import Message
from llmcompiler.plan import Cancelled, Failed, Observation, Ok, Skipped
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    Entry,
    NoReplansLeft,
    Observed,
    Rejected,
    Request,
    TimeIsUp,
    Transcript,
    Turn,
)

__all__ = ["to_messages", "word_observation"]


def to_messages(transcript: Transcript) -> tuple[Message, ...]:
    """Word every entry, in order."""
    return tuple(_word(entry) for entry in transcript.entries)


def _word(entry: Entry) -> Message:
    match entry:
        case Request(text):
            return Message("request", text)
        case Turn(text):
            return Message("turn", text)
        case Observed(observation):
            return Message("observation", word_observation(observation))
        case Rejected(errors):
            lines = [
                f"Line {error.task or error.line} was rejected: {error.problem}" for error in errors
            ]
            return Message("notice", "\n".join([*lines, "Write only the corrected lines."]))
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
        case _:
            assert_never(entry)


def _complaint(problem: str) -> str:
    said = problem[:1].upper() + problem[1:]
    if problem.startswith("the answer"):
        return f"{said}: write Answer: and the answer."
    return f"{said}: write plan lines, or Answer: and the answer."


def word_observation(observation: Observation) -> str:
    """Word what became of a step in one line: ``$1 = 18.2``, ``$2 failed: …``, ``$3 skipped: …``."""
    step = f"${observation.task.id}"
    match observation.outcome:
        case Ok(value):
            return f"{step} = {json.dumps(value, ensure_ascii=False)}"
        case Failed(_, message, _, elements):
            kept = ""
            if elements is not None:
                values = [each.value if isinstance(each, Ok) else None for each in elements]
                if any(isinstance(each, Ok) for each in elements):
                    kept = f"; the others gave {json.dumps(values, ensure_ascii=False)}"
            return f"{step} failed: {' '.join(message.split())}{kept}"
        case Skipped(reason, _):
            return f"{step} skipped: {reason}"
        case Cancelled(reason):
            return f"{step} cancelled: {reason}"
        case _:
            assert_never(observation.outcome)
