"""Which doubles stand in for a model and for time, in tests of ours and of yours?

It does not know any test framework: everything here is an `LLM`, a value or a function.

    from llmcompiler.testing import FunctionLLM, RecordedLLM, Reply, ScriptedLLM, run_virtual
"""

from __future__ import annotations

from llmcompiler.testing.clock import VirtualDeadlockError, VirtualEventLoop, run_virtual
from llmcompiler.testing.recorded import RecordedLLM
from llmcompiler.testing.scripted import Call, FunctionLLM, Reply, ScriptedLLM

__all__ = [
    "Call",
    "FunctionLLM",
    "RecordedLLM",
    "Reply",
    "ScriptedLLM",
    "VirtualDeadlockError",
    "VirtualEventLoop",
    "run_virtual",
]
