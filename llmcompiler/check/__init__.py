"""Is this task legal here: its id, its tool, its arguments, what it refers to, what they become?

It does not know plan text, when a task may start, or what a model is told of a refusal.
"""

from llmcompiler.check.calls import Bound, Lookup, bound
from llmcompiler.check.legal import check
from llmcompiler.check.scope import Scope

__all__ = ["Bound", "Lookup", "Scope", "bound", "check"]
