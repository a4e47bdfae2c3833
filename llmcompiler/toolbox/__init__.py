"""What is a tool: a typed function, its JSON Schema, its limits and effects; and which are there?

It does not know plans or when a tool may start.
"""

from llmcompiler.toolbox.box import Toolbox
from llmcompiler.toolbox.decorator import tool
from llmcompiler.toolbox.definition import Approve, Effects, Progress, RunContext, Tool, ToolLike

__all__ = ["Approve", "Effects", "Progress", "RunContext", "Tool", "ToolLike", "Toolbox", "tool"]
