"""Plan an LLM's function calls as a graph and run it while it is still being written.

These names are the public face; events, errors and testing doubles live in modules of their own.
Each is loaded on first use, so that a command can answer for Ctrl-C before the rest is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmcompiler.agent import Agent, StreamedRun
    from llmcompiler.errors import LLMCompilerError, ToolError
    from llmcompiler.limits import Limits
    from llmcompiler.plan import Plan, Task
    from llmcompiler.result import Result
    from llmcompiler.retry import Retry
    from llmcompiler.toolbox import RunContext, Tool, Toolbox, tool
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

_HOMES = {
    "Agent": "agent",
    "LLMCompilerError": "errors",
    "Limits": "limits",
    "Plan": "plan",
    "Result": "result",
    "Retry": "retry",
    "RunContext": "toolbox",
    "StreamedRun": "agent",
    "Task": "plan",
    "Tool": "toolbox",
    "ToolError": "errors",
    "Toolbox": "toolbox",
    "Transcript": "transcript",
    "tool": "toolbox",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
