"""What does a run of a workflow find around it: environment, secrets, models?

It does not know what is done with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from llmcompiler.errors import ConfigurationError
from llmcompiler.plan import Json, Ref
from llmcompiler.workflow.compiling import names_of
from llmcompiler.workflow.expressions import Scope, Secrets, compile_value, filled
from llmcompiler.workflow.model import WorkflowFile

__all__ = ["InputError", "scope_of", "specs_of"]


class InputError(ConfigurationError):
    """Raised when what a workflow is given does not fit; `problems` are all that were found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def scope_of(
    file: WorkflowFile, inputs: Mapping[str, Json], environment: Mapping[str, str] | None
) -> tuple[Scope, Secrets]:
    """Return what expressions may read in a run, and its secrets; raise `InputError`."""
    known = os.environ if environment is None else environment
    env: dict[str, Json] = {}
    problems: list[str] = []
    for name, default in file.env.items():
        value = known.get(name, default)
        if value is None:
            problems.append(f"the environment variable {name!r} is not set")
        else:
            env[name] = value
    hidden = {name: known[name] for name in file.secrets if name in known}
    problems += [
        f"the secret {name!r} is not set: it is read from the environment"
        for name in file.secrets
        if name not in hidden
    ]
    if problems:
        raise InputError(problems)
    secrets = Secrets(hidden)
    return Scope(names_of(file), inputs, env, secrets), secrets


def specs_of(file: WorkflowFile, scope: Scope) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the spec and the options of each model that a file names."""
    specs: dict[str, tuple[str, Mapping[str, Any]]] = {}
    known = replace(scope, names=replace(scope.names, steps=frozenset()))
    for name, spec in file.models.items():
        use = filled(compile_value(spec.use, known), _no_steps)
        options = filled(compile_value(spec.engine_options(), known), _no_steps)
        specs[name] = (str(use), cast("Mapping[str, Any]", options))
    return specs


def _no_steps(ref: Ref) -> Json:
    raise ConfigurationError("a model cannot be chosen by what a step gives")
