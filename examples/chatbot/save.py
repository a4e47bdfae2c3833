"""How is a chat written to a file, so that nothing of it is lost?

It does not know terminals. JSON holds every event of every turn; Markdown is for reading.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from session import Session, Turn

from llmcompiler import Transcript
from llmcompiler.events import event_to_json
from llmcompiler.graph import to_mermaid
from llmcompiler.transcript import Request
from llmcompiler.transcript import Turn as Written

__all__ = ["save"]


def save(session: Session, path: Path) -> None:
    """Write the chat to `path`, whole or not at all; raise ValueError for a foreign file there."""
    match path.suffix:
        case ".json":
            text = json.dumps(_as_json(session), ensure_ascii=False, indent=1) + "\n"
        case ".md":
            text = "\n".join(_as_markdown(session)) + "\n"
        case _:
            raise ValueError("the name must end in .json or .md")
    if path.exists() and path.resolve() not in session.saved:
        raise ValueError(f"{path} is there already: choose another name")
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
    session.saved.add(path.resolve())


def _as_json(session: Session) -> dict[str, Any]:
    return {
        "model": session.agent.model.name,
        "tools": list(session.agent.tools),
        "turns": [
            {
                "at": turn.at.isoformat(timespec="seconds"),
                "request": turn.result.request,
                **turn.result.to_json(),
                "events": [json.loads(event_to_json(event)) for event in turn.events],
            }
            for turn in session.turns
        ],
    }


def _as_markdown(session: Session) -> Iterator[str]:
    yield f"# A chat with {session.agent.model.name}"
    for turn in session.turns:
        yield from _turn_as_markdown(turn)


def _turn_as_markdown(turn: Turn) -> Iterator[str]:
    result = turn.result
    yield f"\n## {turn.at:%Y-%m-%d %H:%M:%S}\n"
    yield from (f"> {line}" for line in (result.request or "").splitlines())
    yield f"\n{result.answer or ''}"
    if result.error is not None:
        yield f"\n**{result.status}**: {result.error}"
    if result.plan.tasks:
        yield "\nWhat the model wrote:\n"
        yield from _block("text", "\n".join(_written(result.transcript)))
        yield from _block("mermaid", to_mermaid(result.plan).rstrip())
        steps = result.to_json()["steps"]
        yield "What became of each step:\n"
        yield from _block("json", "\n".join(json.dumps(step, ensure_ascii=False) for step in steps))


def _written(transcript: Transcript) -> list[str]:
    """Return the model's turns since the last request, to the letter."""
    texts: list[str] = []
    for entry in transcript.entries:
        if isinstance(entry, Request):
            texts.clear()
        elif isinstance(entry, Written):
            texts.append(entry.text)
    return texts


def _block(language: str, text: str) -> Iterator[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    yield from (f"{fence}{language}", text, fence, "")
