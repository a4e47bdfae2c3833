"""How does the chat go: read a message, take a turn or obey a command, until there is no more?

It does not know how a turn is run (session), drawn (view), or saved (save).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from anyio.from_thread import start_blocking_portal
from commands import is_command, obey
from keys import ctrl_c_calls, read_line, unseen
from rich.console import Console
from session import Session
from view import View

from llmcompiler import Agent, LLMCompilerError
from llmcompiler.messages import LLM
from llmcompiler.registry import load_tools

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, llm: LLM | None = None) -> int:
    """Chat until the input ends, and return the exit status; `llm` stands in for ``--model``."""
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a text stream here
    console = Console(highlight=False)
    try:
        tools = load_tools(options.tools).values() if options.tools else None
        agent = Agent(llm or options.model, tools=tools)
        # The event loop has a thread of its own; this one has the keyboard.
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(agent):
            session = Session(agent, portal)
            session.read_ahead()
            with ctrl_c_calls(session.stop):
                _chat(session, View(console))
    except LLMCompilerError as error:
        print(f"chatbot: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _chat(session: Session, view: View) -> None:
    view.greet(session.agent)
    for message in _messages(view):
        try:
            if is_command(message):
                if obey(message, session, view):
                    return
            else:
                with unseen():
                    view.turn_ends(session.say(message, view.turn_begins()))
        except LLMCompilerError as error:
            view.complain(error)


def _messages(view: View) -> Iterator[str]:
    """Yield what the user types, line by line, to the end of the input or a second Ctrl-C."""
    warned = False
    while True:
        try:
            line = read_line("\n› ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            if warned:
                print()
                return
            warned = True
            view.remark("\nCtrl-C once more, or Ctrl-D, leaves the chat.")
            continue
        warned = False
        if line.strip():
            yield line.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatbot", description="Chat with a model that plans its tool calls as a graph."
    )
    parser.add_argument(
        "--model",
        default="embedded",
        metavar="SPEC",
        help="embedded, local:PATH.gguf, openai:NAME or http://HOST:PORT/v1#NAME",
    )
    parser.add_argument(
        "--tools",
        action="append",
        metavar="FILE",
        help="a Python file of tools, or 'bundled'; repeatable (the bundled ones)",
    )
    return parser
