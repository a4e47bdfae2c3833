"""Compiler passes over a plan that is being written and run: what need not be called, and in which order.

They decide and know no clock, no loop and no tool's code; the executor does what they say.
"""

from llmcompiler.passes.bulk import Windows
from llmcompiler.passes.drop import unread
from llmcompiler.passes.durations import Durations
from llmcompiler.passes.merge import Failures, Known, call_key
from llmcompiler.passes.order import Ranks, Ready
from llmcompiler.passes.switches import Passes

__all__ = [
    "Durations",
    "Failures",
    "Known",
    "Passes",
    "Ranks",
    "Ready",
    "Windows",
    "call_key",
    "unread",
]
