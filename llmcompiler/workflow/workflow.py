"""A workflow file as something that can be run, and as a tool.

It does not know YAML's syntax, nor how steps are run: it compiles to a plan, and an agent runs that.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from llmcompiler.agent import Agent
from llmcompiler.approval import ApprovalPolicy, Approver, Verdict
from llmcompiler.errors import ConfigurationError, LLMCompilerError, ToolError, did_you_mean
from llmcompiler.events import Sink
from llmcompiler.limits import Limits
from llmcompiler.llms.metered import MeteredLLM
from llmcompiler.messages import LLM, Price
from llmcompiler.passes import Passes
from llmcompiler.plan import Json, Plan
from llmcompiler.result import Result
from llmcompiler.toolbox import RunContext, Tool, Toolbox
from llmcompiler.types import Type, converted, problem
from llmcompiler.workflow.asking import traits
from llmcompiler.workflow.compiling import Compiled, Compiler
from llmcompiler.workflow.expressions import Scope
from llmcompiler.workflow.freezing import to_yaml
from llmcompiler.workflow.model import WorkflowFile, load_model
from llmcompiler.workflow.models import Models
from llmcompiler.workflow.outcome import WorkflowResult, settle
from llmcompiler.workflow.problems import Problem, WorkflowError
from llmcompiler.workflow.reading import Source, read, read_file
from llmcompiler.workflow.reporting import Report
from llmcompiler.workflow.surroundings import InputError, scope_of, specs_of
from llmcompiler.workflow.uses import Runtime, Uses, digest, tools_of
from llmcompiler.workflow.written import Written

__all__ = ["InputError", "Workflow"]

_DEEPEST = 10  # workflows that use each other


class Workflow:
    """A workflow, loaded and checked: ``Workflow.load(path)``."""

    def __init__(
        self,
        file: WorkflowFile,
        source: Source,
        text: str,
        stack: tuple[Path, ...],
        known: dict[Path, Workflow | WorkflowError] | None = None,
        found: Sequence[Problem] = (),
    ) -> None:
        self._file = file
        self._source = source
        self._text = text
        self._stack = stack  # the files on the way to this one, which use each other
        self._known = {} if known is None else known  # those that were loaded
        self._path = stack[-1]
        self._written: dict[tuple[str | int, ...], Written] = {}
        # As the file was named, so that messages name others alike.
        self._folder = Path(source.file).parent
        report = Report(source, text)
        report.add(found)
        self._tools, self._parts = tools_of(file.tools, self._folder, report, self._sub)
        self._partial = len(report.problems) > len(found)
        compiled = self._compile(Runtime(), Scope())
        report.add(compiled.problems)
        if report.problems:
            raise WorkflowError(report.problems)
        self._traits = traits(compiled.toolbox[task.tool] for task in compiled.plan)
        self._returns = compiled.returns

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Load a file and check all of it; raise `WorkflowError` with everything that is wrong."""
        return cls._load(Path(path), (), {})

    @classmethod
    def loads(cls, text: str, file: str = "workflow.yaml") -> Workflow:
        """Load a workflow from a text; `file` is its name in messages, and the place of other files."""
        return cls._of(read(text, file), text, (Path(file).resolve(),), {})

    @classmethod
    def from_plan(
        cls,
        plan: Plan,
        *,
        name: str | None = None,
        description: str | None = None,
        tools: Sequence[str] = (),
        file: str = "workflow.yaml",
    ) -> Workflow:
        """Return the workflow that says what a plan does; see `to_yaml` for what is written.

        `tools` are where its tools come from, the bundled ones if none are named. Raises
        `PlanError` for what no workflow can say, and `WorkflowError` as `load` does.
        """
        text = to_yaml(plan, name=name, description=description, tools=tools)
        return cls.loads(text, file)

    @classmethod
    def _load(
        cls,
        path: Path,
        stack: tuple[Path, ...],
        loaded: dict[Path, Workflow | WorkflowError],
    ) -> Workflow:
        whole = path.resolve()
        if whole in stack:
            way = " -> ".join(one.name for one in (*stack[stack.index(whole) :], whole))
            raise ConfigurationError(f"the workflows use each other in a circle: {way}")
        if len(stack) >= _DEEPEST:
            raise ConfigurationError(f"more than {_DEEPEST} workflows use each other in a row")
        known = loaded.get(whole)
        if isinstance(known, WorkflowError):
            raise known
        if known is None:
            try:
                source = read_file(path)
                text = path.read_text("utf-8-sig")
                known = cls._of(source, text, (*stack, whole), loaded)
            except WorkflowError as error:
                loaded[whole] = error
                raise
            loaded[whole] = known
        return known

    @classmethod
    def _of(
        cls,
        source: Source,
        text: str,
        stack: tuple[Path, ...],
        loaded: dict[Path, Workflow | WorkflowError],
    ) -> Workflow:
        file, problems = load_model(source)
        if file is None:
            raise WorkflowError(problems)
        return cls(file, source, text, stack, loaded, problems)

    @property
    def name(self) -> str:
        """What the workflow is called: its name, or that of its file."""
        return self._file.name or self._path.stem

    @property
    def file(self) -> WorkflowFile:
        """What the file says, as values."""
        return self._file

    def to_yaml(self) -> str:
        """Return the text of the workflow's file, comments and all."""
        return self._text

    @property
    def tools(self) -> Toolbox:
        """The tools that the workflow's file names."""
        return self._tools

    def plan(self, inputs: Mapping[str, Json] | None = None) -> Plan:
        """Return the plan; with `inputs` as it is run with them. Runs nothing."""
        if inputs is None:
            return self._compile(Runtime(), Scope()).plan
        scope = Scope(inputs=self.inputs_of(inputs))
        return self._compile(Runtime(), scope, running=True).plan

    def inputs_of(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return the inputs with their defaults; raise `InputError` with all that is wrong."""
        problems: list[str] = []
        for name in given:
            if name not in self._file.inputs:
                close = did_you_mean(name, self._file.inputs)
                takes = f"; there are {', '.join(self._file.inputs) or 'none'}"
                problems.append(f"there is no input {name!r}{close or takes}")
        values: dict[str, Json] = {}
        for name, spec in self._file.inputs.items():
            if name in given:
                kind = Type.of(spec.as_schema())
                said = problem(given[name], kind, name)
                if said is not None:
                    problems.append(said)
                else:
                    values[name], _ = converted(given[name], kind)
            elif spec.must_be_given:
                problems.append(f"the input {name!r} is missing")
            else:
                values[name] = spec.default
        if problems:
            raise InputError(problems)
        return values

    async def run(
        self,
        inputs: Mapping[str, Json] | None = None,
        *,
        models: Mapping[str, LLM] | None = None,
        approver: Approver | None = None,
        policy: ApprovalPolicy | None = None,
        passes: Passes | None = None,
        cache: Path | str | None = None,
        price: Price | None = None,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
        environment: Mapping[str, str] | None = None,
    ) -> WorkflowResult:
        """Run the workflow. What a step came to is in the result; a failed one is no exception.

        `models` stand in for those that the file names. `environment` is where env and secrets are
        read, the process's own if None; `price` is what `limits.cost` goes by. Raises `InputError` and `ConfigurationError` before
        anything runs.
        """
        for name in models or ():
            if self._file.models and name not in self._file.models:
                close = did_you_mean(name, self._file.models)
                raise ConfigurationError(f"the workflow names no model {name!r}{close}")
        outer = Runtime(
            approver=approver,
            policy=policy,
            passes=passes,
            cache=cache,
            given=models or {},
            environment=environment,
            price=price,
        )
        return await self._run(inputs or {}, outer, None, deps, sinks)

    def run_sync(self, inputs: Mapping[str, Json] | None = None, **options: Any) -> WorkflowResult:
        """Run the workflow from code that is not async; see `run`."""

        async def main() -> WorkflowResult:
            return await self.run(inputs, **options)

        return anyio.run(main)

    def as_tool(self, name: str | None = None) -> Tool[..., Any]:
        """Return the workflow as a tool: its inputs are the parameters, its outputs the result."""
        return self.part(name or re.sub(r"\W", "_", self.name), Runtime())

    def part(self, name: str, runtime: Runtime) -> Tool[..., Any]:
        """Return it as a tool of this name, which runs as a part of a run."""
        file = self._file

        async def call(context: RunContext[Any], **inputs: Json) -> Json:
            result = await self._run(inputs, runtime, context, context.deps, ())
            if result.status == "finished":
                return dict(result.outputs)
            why = f"{result.status}: {result.error}"
            if result.status == "pending":
                steps = " and ".join(repr(str(each.step)) for each in result.pending)
                why = f"waits for the approval of {steps}, and nobody was there to ask"
            raise ToolError(f"the workflow {self.name!r} {why}")

        return Tool(
            fn=call,
            name=name,
            description=file.description or f"Run the workflow {self.name}.",
            parameters={
                "type": "object",
                "properties": {key: spec.as_schema() for key, spec in file.inputs.items()},
                "required": [key for key, spec in file.inputs.items() if spec.must_be_given],
            },
            returns=self._returns,
            timeout=None,
            version=digest(self._text),
            wants_context=True,
            is_async=True,
            **self._traits,
        )

    # ------------------------------------------------------------------ what a run needs

    def _compile(self, runtime: Runtime, scope: Scope, *, running: bool = False) -> Compiled:
        file = self._file
        # A workflow that is a tool runs as a part of this very run.
        parts = {name: sub.part(name, runtime) for name, sub in self._parts.items()}
        tools = Toolbox({**self._tools, **parts}.values()) if parts else self._tools
        uses = Uses(tools, file.models, self._folder, self._sub, runtime, partial=self._partial)
        made = Compiler(file, self._source, self._text, uses, scope, self._written, running=running)
        return made.compile()

    def _sub(self, path: Path) -> Workflow:
        return Workflow._load(path, self._stack, self._known)

    async def _run(
        self,
        inputs: Mapping[str, Json],
        outer: Runtime,
        context: RunContext[Any] | None,
        deps: Any,
        sinks: Iterable[Sink],
    ) -> WorkflowResult:
        """Run it, as a part of an `outer` run where there is a `context`."""
        scope, secrets = scope_of(self._file, self.inputs_of(inputs), outer.environment)
        redactor = outer.redactor.plus(secrets.revealed())
        meter = None if context is None else context.llm
        models = Models(
            specs_of(self._file, scope),
            {name: llm for name, llm in outer.given.items() if _named(name, self._file)},
            within=None if context is None else outer.models,
            through=meter.over if isinstance(meter, MeteredLLM) else None,
        )
        limits = self._file.limits.as_limits(Limits(mends=0))
        runtime = replace(
            outer,
            models=models,
            redactor=redactor,
            approver=redactor.approver(outer.approver),
            limits=replace(limits, seconds=None, mends=Limits().mends),
        )

        async def drive(
            before: Result[str] | None, verdicts: Iterable[Verdict], sinks: Iterable[Sink]
        ) -> WorkflowResult:
            try:
                compiled = self._compile(runtime, scope, running=True)
                agent: Agent[str] = Agent(
                    models.get(),
                    tools=compiled.toolbox,
                    limits=limits,
                    approver=runtime.approver,
                    policy=outer.policy,
                    passes=outer.passes,
                    cache=outer.cache,
                    price=outer.price,
                )
                told = tuple(redactor.sink(sink) for sink in sinks)
                async with agent:
                    if before is None:
                        result = await _ended(agent.execute(compiled.plan, deps=deps, sinks=told))
                    else:
                        result = await _ended(agent.resume(before, verdicts, deps=deps, sinks=told))
                return settle(self.name, compiled, result, redactor, drive)
            except LLMCompilerError as error:
                shown = redactor.error(error)
                if shown is error:
                    raise
                raise shown from None
            finally:
                with anyio.CancelScope(shield=True):
                    await models.aclose()

        return await drive(None, (), sinks)


def _named(model: str, file: WorkflowFile) -> bool:
    return not file.models or model in file.models


async def _ended(run: Awaitable[Result[str]]) -> Result[str]:
    """Wait for a run's end; one that was ended by a limit leaves its result too."""
    try:
        return await run
    except LLMCompilerError as error:
        if isinstance(error.result, Result):
            return error.result
        raise
