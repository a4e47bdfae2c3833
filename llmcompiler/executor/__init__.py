"""Starts what the frontier allows, within limits and deadlines, and records what became of it.

It does not know models, prompts or why a plan is as it is.
"""

from llmcompiler.executor.calls import ContextMaker
from llmcompiler.executor.gate import Gate
from llmcompiler.executor.stage import Executor

__all__ = ["ContextMaker", "Executor", "Gate"]
