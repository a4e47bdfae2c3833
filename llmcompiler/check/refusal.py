"""Where in a line as written is what was refused?

It does not know why a line is refused: the text comes with the refusal.
"""

from __future__ import annotations

import re

from llmcompiler.errors import PlanError
from llmcompiler.plan import Ref, Task

__all__ = ["Refused", "at_argument", "at_name", "at_reference", "plan_error"]


class Refused(Exception):
    """A problem, and a pattern that finds in the line what it is about."""

    def __init__(self, text: str, where: str = "", *, own_id: bool = True) -> None:
        self.where = where
        self.own_id = own_id
        super().__init__(text)


def at_name(tool: str) -> str:
    """Return a pattern for the tool's name in its call."""
    return rf"(?<![\w$.]){re.escape(tool)}(?=\s*\()"


def at_argument(name: str) -> str:
    """Return a pattern for an argument's name."""
    return rf"(?<![\w$.]){re.escape(name)}(?=\s*=)"


def at_reference(ref: Ref) -> str:
    """Return a pattern for a reference, alone or within a text."""
    return rf"\$\{{?{re.escape(ref.task)}(?!\w)"


def plan_error(refused: Refused, task: Task, source: str) -> PlanError:
    """Find what was refused in the line as written; a call may stand on several lines."""
    found = re.search(refused.where, source) if refused.where else None
    at = found.start() if found else 0
    before = source[:at]
    return PlanError(
        str(refused),
        line=task.line + before.count("\n") if task.line else 0,
        column=at - (before.rfind("\n") + 1) + 1,
        task=task.id if refused.own_id else None,
        source=source,
    )
