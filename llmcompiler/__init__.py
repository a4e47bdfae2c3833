"""Plan an LLM's function calls as a graph and run it while it is still being written.

These names are the public face; events, errors and testing doubles live in modules of their own.
"""

from __future__ import annotations

from llmcompiler.agent import Agent, StreamedRun
from llmcompiler.errors import LLMCompilerError, ToolError
from llmcompiler.limits import Limits
from llmcompiler.plan import Plan, Task
from llmcompiler.result import Result
from llmcompiler.retry import Retry
from llmcompiler.tool import RunContext, Tool, Toolbox, tool
from llmcompiler.transcript import Transcript

__all__ = [
    "Agent",
    "LLMCompilerError",
    "Limits",
    "Plan",
    "Result",
    "Retry",
    "RunContext",
    "StreamedRun",
    "Task",
    "Tool",
    "ToolError",
    "Toolbox",
    "Transcript",
    "tool",
]
