"""What does a message mean that begins with a slash?

It does not know the model: a command only looks at the session, or saves it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from keys import unseen
from save import save
from session import Session
from view import View

from llmcompiler import Plan
from llmcompiler.errors import did_you_mean

__all__ = ["COMMANDS", "is_command", "obey"]

COMMANDS = {
    "/tools": "which tools the model may call",
    "/plan": "the plan of the last turn, as text and as a mermaid graph",
    "/plan MESSAGE": "how the model would go about this; nothing is run",
    "/save FILE": "the whole chat, as .json (every event) or .md",
    "/new": "forget the conversation and begin another",
    "/help": "this list",
    "/quit": "leave, as Ctrl-D does",
}
_COMMAND = re.compile(r"(/[a-z]+)(?:\s+(.*))?", re.DOTALL)


def is_command(message: str) -> bool:
    """Say whether a message is meant for the chat and not for the model."""
    return _COMMAND.fullmatch(message) is not None


def obey(message: str, session: Session, view: View) -> bool:
    """Do what a command says; return whether it ends the chat."""
    match = _COMMAND.fullmatch(message)
    command, rest = match.groups(default="") if match else ("", "")
    match command:
        case "/quit":
            return True
        case "/help":
            view.list(COMMANDS)
        case "/tools":
            view.tools(session.agent.tools)
        case "/plan":
            _plan(rest, session, view)
        case "/save":
            _save(rest, session, view)
        case "/new":
            session.forget()
            view.remark("The model has forgotten what was said. /save still writes all of it.")
        case _:
            view.remark(f"There is no command {command}{did_you_mean(command, COMMANDS)} See /help")
    return False


def _plan(message: str, session: Session, view: View) -> None:
    if message:
        with unseen(), view.waiting():
            plan = session.plan(message)
        if plan is None:
            view.remark("Stopped.")
            return
        plans: Sequence[Plan] = [plan] if plan.tasks else []
    elif session.turns:
        plans = session.turns[-1].result.plans
    else:
        view.remark("There was no turn yet: say something, or write /plan and a message.")
        return
    if plans:
        view.plans(plans)
    else:
        view.remark("No steps: the model answers at once.")


def _save(name: str, session: Session, view: View) -> None:
    if not name:
        view.remark("Name a file: /save chat.json or /save chat.md")
        return
    path = Path(name).expanduser()
    try:
        save(session, path)
    except (OSError, ValueError) as error:
        view.remark(f"Not saved: {error}")
    else:
        view.remark(f"Saved {len(session.turns)} turns to {path}")
