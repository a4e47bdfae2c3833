"""What does a step's ``uses`` stand for: a tool, a model, an agent, or another workflow?

It does not know the plan around the step.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from llmcompiler.approval import ApprovalPolicy, Approver
from llmcompiler.errors import DuplicateToolError, LLMCompilerError, did_you_mean
from llmcompiler.limits import Limits
from llmcompiler.messages import LLM, Price
from llmcompiler.passes import Passes
from llmcompiler.registry import bundled_tools, load_tools
from llmcompiler.toolbox import Tool, Toolbox
from llmcompiler.types.schema import WORDS
from llmcompiler.workflow.asking import Asking, agent_tool, llm_tool
from llmcompiler.workflow.model import FallbackSpec, ModelSpec, StepSpec
from llmcompiler.workflow.models import Models
from llmcompiler.workflow.problems import WorkflowError
from llmcompiler.workflow.reporting import Report
from llmcompiler.workflow.secrecy import Redactor

__all__ = ["KEEP", "Runtime", "Sub", "Uses", "digest", "tools_of", "without_approval"]

_Path: TypeAlias = "tuple[str | int, ...]"


async def _keep(value: Any) -> Any:
    return value


KEEP: Final[Tool[..., Any]] = Tool(
    fn=_keep,
    name="either",
    description="Give back what it is given.",
    parameters={"type": "object", "properties": {"value": {}}, "required": ["value"]},
    returns=None,
    pure=True,
    is_async=True,
)


@dataclass(slots=True)
class Runtime:
    """What the steps of a workflow need while it runs; without one, nothing can be run.

    `given` are models that were handed in by name, `environment` where env and secrets are read.
    """

    models: Models = field(default_factory=lambda: Models({}))
    redactor: Redactor = field(default_factory=Redactor)
    approver: Approver | None = None
    policy: ApprovalPolicy | None = None
    limits: Limits = field(default_factory=Limits)
    passes: Passes | None = None
    cache: Path | str | None = None
    given: Mapping[str, LLM] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None
    price: Price | None = None


class Sub(Protocol):
    """Another workflow, as a step may use it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def part(self, name: str, runtime: Runtime) -> Tool[..., Any]:
        """Return it as a tool of this name, which runs as a part of a run."""
        ...


class Uses:
    """Finds the tool of a step. `load` reads another workflow's file.

    Where not all tools could be loaded, `partial`, nothing is said of those that are not there.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        models: Mapping[str, ModelSpec],
        folder: Path,
        load: Callable[[Path], Sub],
        runtime: Runtime,
        *,
        partial: bool = False,
    ) -> None:
        self.toolbox = toolbox
        self.runtime = runtime
        self._models = models
        self._folder = folder
        self._load = load
        self._partial = partial
        self._refused: set[Path] = set()

    def tool(
        self, name: str, step: StepSpec | FallbackSpec, report: Report, path: _Path
    ) -> Tool[..., Any] | None:
        """Return the tool that a step calls, made for it where it is no plain one; None if there is none."""
        uses, given = step.uses, step.with_ or {}
        if uses.endswith((".yaml", ".yml")):
            return self._workflow(name, uses, report, path)
        if uses in ("agent", "llm"):
            return self._asking(name, uses, given, report, path)
        made = self.toolbox.get(uses)
        if made is None and not self._partial:
            close = did_you_mean(uses, [*self.toolbox, "agent", "llm"])
            report.say((*path, "uses"), f"there is no tool {uses!r}{close}")
        return made

    def agent(self, name: str, returns: Mapping[str, Any] | None) -> Tool[..., Any]:
        """Return a tool that puts a request to an agent with all tools."""
        return agent_tool(name, self._asks(), returns, self.toolbox, self.toolbox)

    def _asks(self) -> Asking:
        runtime = self.runtime
        version = digest({name: spec.model_dump() for name, spec in self._models.items()})
        return Asking(
            tuple(self._models),
            runtime.models,
            runtime.redactor,
            runtime.approver,
            runtime.policy,
            runtime.limits,
            version,
            runtime.price,
        )

    def _asking(
        self, name: str, uses: str, given: Mapping[str, Any], report: Report, path: _Path
    ) -> Tool[..., Any]:
        if not self._models:
            report.say((*path, "uses"), f"{uses!r} needs a model: add one under 'models'")
        output = given.get("output")
        returns: Mapping[str, Any] | None = {"type": "string"} if output is None else None
        if isinstance(output, Mapping) and "${{" not in json.dumps(output):
            wrong = _wrong_type(output, (*path, "with", "output"))
            if wrong is None:
                returns = output
            else:
                report.say(*wrong)
        if uses == "llm":
            return llm_tool(f"{name}:llm", self._asks(), returns)
        named = given.get("tools")
        chosen = self.toolbox
        if isinstance(named, list) and all(tool in self.toolbox for tool in named):
            chosen = Toolbox(self.toolbox[tool] for tool in named)
        return agent_tool(f"{name}:agent", self._asks(), returns, self.toolbox, chosen)

    def _workflow(self, name: str, uses: str, report: Report, path: _Path) -> Tool[..., Any] | None:
        where = self._folder / uses
        try:
            return self._load(where).part(f"{name}:{Path(uses).stem}", self.runtime)
        except WorkflowError as error:
            if (
                where not in self._refused
            ):  # its problems are told once, also where two steps use it
                self._refused.add(where)
                report.add(error.problems)
            count = len(error.problems)
            what = "a problem" if count == 1 else f"{count} problems"
            report.say((*path, "uses"), f"{uses!r} cannot be used: it has {what}")
        except LLMCompilerError as error:
            report.say((*path, "uses"), str(error))
        return None


def digest(value: Any) -> str:
    """Return a short text that is the same for equal JSON only."""
    written = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _wrong_type(schema: Any, path: _Path) -> tuple[_Path, str] | None:
    """Find a type that JSON Schema does not know; return where it stands, and what to say."""
    if isinstance(schema, list):
        inner = ((part, (*path, at)) for at, part in enumerate(schema))
        return next(filter(None, (_wrong_type(part, at) for part, at in inner)), None)
    if not isinstance(schema, Mapping):
        return None
    named = schema.get("type")
    for at, kind in enumerate(named if isinstance(named, list) else [named]):
        if named is not None and kind not in WORDS:
            close = did_you_mean(str(kind), WORDS) or f"; there are {', '.join(WORDS)}"
            where = (*path, "type", at) if isinstance(named, list) else (*path, "type")
            return where, f"JSON Schema has no type {kind!r}{close}"
    for word in ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems"):
        found = _wrong_type(schema.get(word), (*path, word))
        if found is not None:
            return found
    for word in ("properties", "$defs"):
        parts = schema.get(word)
        for name, part in parts.items() if isinstance(parts, Mapping) else ():
            found = _wrong_type(part, (*path, word, name))
            if found is not None:
                return found
    return None


def tools_of(
    sources: Iterable[str], folder: Path, report: Report, load: Callable[[Path], Sub]
) -> tuple[Toolbox, dict[str, Sub]]:
    """Load the tools that a workflow names, those in files relative to `folder`; none: the bundled ones.

    A workflow's file, which `load` reads, is a tool as well; those are returned by their names too.
    """
    found: dict[str, Tool[..., Any]] = {}
    parts: dict[str, Sub] = {}
    named = list(sources)
    if not named:
        return bundled_tools(), parts
    for index, name in enumerate(named):
        local = name.startswith(".") or name.endswith(".py")
        try:
            if name.endswith((".yaml", ".yml")):
                sub = load(folder / name)
                part = sub.part(re.sub(r"\W", "_", sub.name), Runtime())
                parts[part.name] = sub
                made = [part]
            else:
                made = list(load_tools([str(folder / name) if local else name]).values())
            for tool in made:
                known = found.get(tool.name)
                if known is not None and known is not tool:
                    raise DuplicateToolError(tool.name, known.source, tool.source)
                found[tool.name] = tool
        except WorkflowError as error:
            report.add(error.problems)
            report.say(("tools", index), f"{name!r} cannot be used: it has problems")
        except LLMCompilerError as error:
            report.say(("tools", index), str(error))
    return Toolbox(found.values()), parts


def without_approval(tool: Tool[..., Any], name: str) -> Tool[..., Any]:
    """Return a tool that asks nobody of its own accord."""
    return tool if tool.approve is None else replace(tool, name=name, approve=None)
