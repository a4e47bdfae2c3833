"""What does this machine have for running models, and what should be done about the rest?

It does not know how its findings are printed, nor the libraries that it looks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcompiler.doctor.advice import Check, judge
from llmcompiler.doctor.machine import Gpu, LlamaBuild, LlamaDevice, Machine, look
from llmcompiler.doctor.model import check_file, check_model, model_file

__all__ = [
    "Check",
    "Gpu",
    "LlamaBuild",
    "LlamaDevice",
    "Machine",
    "check_file",
    "check_model",
    "examine",
    "judge",
    "look",
    "model_file",
]


def examine(
    model: str | None = None, options: Mapping[str, Any] | None = None
) -> tuple[Check, ...]:
    """Look at this machine and at a model: the one named, else the embedded one if it can run.

    `options` are those of a local model, and change what it would be loaded with.
    """
    machine = look()
    checks = judge(machine)
    usable = machine.llama is not None and not machine.llama.problem
    if model is None:
        if not (usable and machine.llguidance):
            return checks
        model = "embedded"
    return (*checks, *check_file(model, options, llama=usable), check_model(model, options))
