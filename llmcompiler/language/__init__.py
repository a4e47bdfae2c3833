"""What plan text means and how it is written: text to tasks while it is streamed, and back.

It does not know models, prompts, or which tools exist; `check` decides what is legal.
"""

from __future__ import annotations

from llmcompiler.language.difference import diff_plans, line_of
from llmcompiler.language.lines import parse_line
from llmcompiler.language.turn import TurnReader
from llmcompiler.language.whole import parse_plan
from llmcompiler.language.writer import write_argument, write_plan, write_task

__all__ = [
    "TurnReader",
    "diff_plans",
    "line_of",
    "parse_line",
    "parse_plan",
    "write_argument",
    "write_plan",
    "write_task",
]
