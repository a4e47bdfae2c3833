"""Compiler passes over a plan that is being written and run: what need not be called, and in which order.

They decide and know no clock, no loop and no tool's code; the executor does what they say.
"""

from llmcompiler.passes.switches import Passes

__all__ = ["Passes"]
