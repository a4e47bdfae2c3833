"""Workflows in YAML: plans that a person wrote, in whole or in part.

They compile to the same `Plan` that a model writes, and run on the same executor.
"""

from llmcompiler.workflow.outcome import WorkflowResult
from llmcompiler.workflow.problems import Problem, WorkflowError
from llmcompiler.workflow.workflow import InputError, Workflow

__all__ = ["InputError", "Problem", "Workflow", "WorkflowError", "WorkflowResult"]
