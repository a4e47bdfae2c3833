"""What a plan is: tasks, references between them, and what became of each. Pure data.

It does not know plan text, tools, models or clocks.
"""

from llmcompiler.plan.outcomes import Cancelled, Failed, Observation, Ok, Outcome, Skipped, Timing
from llmcompiler.plan.references import (
    Argument,
    Each,
    Expression,
    Json,
    Outlook,
    PathStep,
    Ref,
    Star,
    TaskId,
    Template,
    args_to_json,
    argument_to_json,
    references,
    render_text,
)
from llmcompiler.plan.tasks import Plan, Policy, Task, plan_to_json

__all__ = [
    "Argument",
    "Cancelled",
    "Each",
    "Expression",
    "Failed",
    "Json",
    "Observation",
    "Ok",
    "Outcome",
    "Outlook",
    "PathStep",
    "Plan",
    "Policy",
    "Ref",
    "Skipped",
    "Star",
    "Task",
    "TaskId",
    "Template",
    "Timing",
    "args_to_json",
    "argument_to_json",
    "plan_to_json",
    "references",
    "render_text",
]
