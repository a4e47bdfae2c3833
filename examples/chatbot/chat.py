"""How does the chat go: read a message, take a turn or obey a command, until there is no more?

It does not know how a turn is run (session), drawn (view), or saved (save). A step that needs
approval is asked for in the middle of its turn, while the others run on:

    send_mail always needs approval
    Approve step 3, send_mail(to="ann", text="…")? [y/N] n not before Monday

What stands behind the n is what the model reads. Enter alone is no, Ctrl-C stops the turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from anyio.from_thread import start_blocking_portal
from commands import is_command, obey
from keys import ctrl_c_calls, read_line, seen, unseen
from rich.console import Console
from session import Session
from view import View

from llmcompiler import Agent, LLMCompilerError
from llmcompiler.approval import ApprovalRequest, Approvals, Verdict
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
        asked = SimpleQueue[ApprovalRequest | None]()
        approvals = Approvals(asked.put)
        agent = Agent(llm or options.model, tools=tools, approver=approvals)
        # The event loop has a thread of its own; this one has the keyboard.
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(agent):
            session = Session(agent, portal, approvals, asked)
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
                    watch = view.turn_begins()
                    result = session.say(message, watch, lambda asked: _decide(asked, view))
                    view.turn_ends(result)
        except LLMCompilerError as error:
            view.complain(error)


def _decide(request: ApprovalRequest, view: View) -> Verdict | None:
    """Ask whether a step may run; None for Ctrl-C, which stops the whole turn."""
    with view.asking(request) as question, seen():
        try:
            said = read_line(question).strip()
        except EOFError:
            print()
            return request.deny("nobody was there to approve it")
        except KeyboardInterrupt:
            print()
            return None
    if said.lower() in ("y", "yes"):
        return request.approve()
    word, _, reason = said.partition(" ")
    return request.deny(reason.strip() if word.lower().strip(",:") in ("n", "no") else said)


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
