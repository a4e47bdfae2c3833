"""Which tasks may start now? What happened goes in, what to do comes out.

It knows no clock, no loop, no tool and no model: it can be tested as arithmetic.
"""

from llmcompiler.frontier.bind import outlook, resolve
from llmcompiler.frontier.commands import Break, Command, Settle, Start
from llmcompiler.frontier.growing import Frontier

__all__ = ["Break", "Command", "Frontier", "Settle", "Start", "outlook", "resolve"]
