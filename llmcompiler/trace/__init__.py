"""A run or a plan drawn for eyes: a page, a trace for a viewer, the bottleneck, an estimate.

It does not know how anything is run: it reads a result and the events of its run.
"""

from llmcompiler.trace.chrome import chrome_trace
from llmcompiler.trace.estimate import Estimate, estimate
from llmcompiler.trace.page import html_page, plan_page
from llmcompiler.trace.timeline import Bottleneck, ModelTurn, bottleneck, model_turns

__all__ = [
    "Bottleneck",
    "Estimate",
    "ModelTurn",
    "bottleneck",
    "chrome_trace",
    "estimate",
    "html_page",
    "model_turns",
    "plan_page",
]
