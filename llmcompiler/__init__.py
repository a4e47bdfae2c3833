"""Plan an LLM's function calls as a graph and run it while it is still being written.

These names are the public face; events, errors and testing doubles live in modules of their own.
Each is loaded on first use, so that a command can answer for Ctrl-C before the rest is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmcompiler.agent import Agent
    from llmcompiler.approval import ApprovalPolicy, ApprovalRequest, Approvals, Verdict
    from llmcompiler.errors import LLMCompilerError, ToolError
    from llmcompiler.limits import Limits
    from llmcompiler.messages import Price
    from llmcompiler.passes import Passes
    from llmcompiler.plan import Plan, Task
    from llmcompiler.result import Result
    from llmcompiler.retry import Retry
    from llmcompiler.streamed import StreamedRun
    from llmcompiler.toolbox import RunContext, Tool, Toolbox, tool
    from llmcompiler.transcript import Transcript

__all__ = [
    "Agent",
    "ApprovalPolicy",
    "ApprovalRequest",
    "Approvals",
    "LLMCompilerError",
    "Limits",
    "Passes",
    "Plan",
    "Price",
    "Result",
    "Retry",
    "RunContext",
    "StreamedRun",
    "Task",
    "Tool",
    "ToolError",
    "Toolbox",
    "Transcript",
    "Verdict",
    "tool",
]

_HOMES = {
    "Agent": "agent",
    "ApprovalPolicy": "approval",
    "ApprovalRequest": "approval",
    "Approvals": "approval",
    "LLMCompilerError": "errors",
    "Limits": "limits",
    "Passes": "passes",
    "Plan": "plan",
    "Price": "messages",
    "Result": "result",
    "Retry": "retry",
    "RunContext": "toolbox",
    "StreamedRun": "streamed",
    "Task": "plan",
    "Tool": "toolbox",
    "ToolError": "errors",
    "Toolbox": "toolbox",
    "Transcript": "transcript",
    "Verdict": "approval",
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
