"""How is a workflow run at the command line, and what is printed of it?

It does not know how requests are answered (run), nor how inputs are read (inputs).
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcompiler.cli.exits import FAILED, status_of
from llmcompiler.cli.files import EventFile, FinalFile, draw
from llmcompiler.cli.inputs import given_inputs
from llmcompiler.cli.interrupts import release_interrupts
from llmcompiler.cli.lines import summary
from llmcompiler.cli.problems import status_of_file, tell
from llmcompiler.errors import ConfigurationError, LLMCompilerError, RunCancelledError, did_you_mean
from llmcompiler.workflow import Workflow, WorkflowError, WorkflowResult
from llmcompiler.workflow.model import LimitsSpec, load_model
from llmcompiler.workflow.reading import read_file

if TYPE_CHECKING:
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.run import Wanted
    from llmcompiler.events import Event
    from llmcompiler.messages import LLM
    from llmcompiler.plan import Json, Plan
    from llmcompiler.result import Result

__all__ = ["Given", "run_workflow"]

_LOCAL = ("gpu_layers", "context", "threads", "option")
_FOREIGN = {
    "tools": "a workflow names its tools itself, under 'tools'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A workflow's file and inputs; `named` are the options that stand on the command line."""

    file: Path
    pairs: Sequence[str] | None
    inputs: Path | None
    named: frozenset[str]


@dataclass(slots=True)
class _Seen:
    """What has been seen of a run: its name, plan, events, and its result where there is one."""

    name: str
    plan: Plan | None = None
    events: list[Event] = field(default_factory=list)
    result: WorkflowResult | None = None


def run_workflow(given: Given, asked: Asked, wanted: Wanted) -> int:
    """Run the workflow, print what came of it, and return the exit status."""
    seen = _Seen(given.file.stem)
    error: LLMCompilerError | None = None
    try:
        release_interrupts()
        _run(given, asked, wanted, seen)
    except KeyboardInterrupt:
        error = RunCancelledError()
    except LLMCompilerError as raised:
        error = raised
    result = seen.result
    if wanted.as_json:
        print(json.dumps(_as_json(seen, error), ensure_ascii=False, indent=2))
    elif result is not None and result.status == "finished" and error is None:
        _print_outputs(result.outputs, quiet=asked.quiet)
    if error is not None:
        tell(error)
    elif result is not None:
        _tell_result(result, quiet=asked.quiet)
    if result is not None and not asked.quiet:
        print(summary(result.result, seen.events), file=sys.stderr)
    if error is None and result is not None and result.status != "finished":
        return status_of(result.result.error) or FAILED
    return status_of_file(error)


def _run(given: Given, asked: Asked, wanted: Wanted, seen: _Seen) -> None:
    """Run the workflow and keep what is seen of it, also where it is stopped."""
    import anyio

    from llmcompiler.cli.approve import Consent, terminal_input
    from llmcompiler.cli.ask import price_of
    from llmcompiler.cli.progress import progress_for
    from llmcompiler.passes import Passes

    _refuse(given.named)
    workflow = _load(given.file, asked.chosen_limits())
    seen.name = workflow.name
    inputs = given_inputs(workflow, given.pairs, given.inputs)
    seen.plan = workflow.plan(inputs)
    passes = Passes().switched(asked.on or (), asked.off or ())
    progress = progress_for(sys.stderr, quiet=asked.quiet, waiting="the workflow is starting")
    callable_names = {*workflow.tools, *(task.tool for task in seen.plan)}
    consent = Consent(wanted.approve, callable_names, terminal_input(), progress.held)

    async def work(log: EventFile) -> None:
        llm = asked.load_model() if "model" in given.named else None
        try:
            with progress:
                seen.result = await workflow.run(
                    inputs,
                    models=_models(workflow, llm),
                    approver=consent,
                    passes=passes,
                    cache=asked.cache,
                    price=price_of(asked.price),
                    sinks=(seen.events.append, log, progress),
                )
        finally:
            if llm is not None:
                with anyio.CancelScope(shield=True):
                    await llm.aclose()

    trace, page = FinalFile(wanted.trace, "the trace"), FinalFile(wanted.page, "the page")
    try:
        with EventFile(wanted.events) as log:
            anyio.run(work, log)
    finally:
        if seen.events:
            result = _halted(seen, None) if seen.result is None else seen.result.result
            draw(replace(result, request=seen.name), seen.events, trace, page)


def _refuse(named: frozenset[str]) -> None:
    """Raise `ConfigurationError` for options that are for requests."""
    for name, why in _FOREIGN.items():
        if name in named:
            raise ConfigurationError(f"--{name} is for requests: {why}")
    for name in _LOCAL:
        if name in named and "model" not in named:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} needs --model here: a workflow says this of its own under 'models'"
            )


def _models(workflow: Workflow, llm: LLM | None) -> Mapping[str, LLM] | None:
    """Let a model stand in for every one that the file names."""
    return None if llm is None else dict.fromkeys(workflow.file.models, llm)


def _load(path: Path, limits: Mapping[str, Any]) -> Workflow:
    """Load a workflow; `limits` count more than those of the file."""
    if not limits:
        return Workflow.load(path)
    known = LimitsSpec.model_fields
    for name in limits:
        if name not in known:
            close = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise ConfigurationError(f"a workflow has no limit {name!r}{close}")
    source = read_file(path)
    file, problems = load_model(source)
    if file is None or problems:
        raise WorkflowError(problems)
    said = {name: getattr(file.limits, name) for name in file.limits.model_fields_set}
    bounded = file.model_copy(update={"limits": LimitsSpec.model_construct(**{**said, **limits})})
    return Workflow(bounded, source, path.read_text("utf-8-sig"), (path.resolve(),))


# What is told of a run


def _print_outputs(outputs: Mapping[str, Json], *, quiet: bool) -> None:
    """Print a single text as it is, and of several outputs their names as well."""
    if not outputs and not quiet:
        print("the workflow has no outputs; --json shows what each step gave", file=sys.stderr)
    alone = len(outputs) == 1
    for name, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if sys.stdout.isatty():
            text = "".join(char for char in text if char.isprintable() or char in "\n\t")
        if alone and isinstance(value, str):
            print(text)
        elif "\n" in text:
            print(f"{name}:")
            print("\n".join(f"  {line}" for line in text.splitlines()))
        else:
            print(f"{name}: {text}")


def _tell_result(result: WorkflowResult, *, quiet: bool) -> None:
    if result.status == "finished":
        for name, why in result.missing.items():
            print(f"llmcompiler: the output {name!r} is null: {why}", file=sys.stderr)
        return
    said = result.error
    if said is None:
        waiting = ", ".join(f"{each.step} ({each.tool})" for each in result.pending)
        said = f"the workflow waits for the approval of {waiting}"
    print(f"llmcompiler: {said}", file=sys.stderr)
    if not quiet and result.steps:
        by_status: dict[str, list[str]] = defaultdict(list)
        for step, outcome in result.steps.items():
            by_status[outcome.status].append(step)
        told = (f"{status}: {_listed(steps)}" for status, steps in by_status.items())
        print(" · ".join(told), file=sys.stderr)


def _listed(steps: Sequence[str]) -> str:
    shown = ", ".join(steps[:8])
    return shown if len(steps) <= 8 else f"{shown}, … ({len(steps):,} in all)"


def _halted(seen: _Seen, error: LLMCompilerError | None) -> Result[Any]:
    """Return what the events tell of a run that left no result."""
    from llmcompiler.cli.halted import halted_result

    stopped = error is None or isinstance(error, RunCancelledError)
    return halted_result(seen.plan, seen.events, error, "cancelled" if stopped else "failed")


def _as_json(seen: _Seen, error: LLMCompilerError | None) -> dict[str, Any]:
    if seen.result is None:
        return _halted(seen, error).to_json() | {"workflow": seen.name, "outputs": {}}
    shown = seen.result.to_json()
    if error is not None:  # it was stopped after it had ended
        shown["status"] = "cancelled" if isinstance(error, RunCancelledError) else "failed"
        shown["error"] = {"type": type(error).__name__, "message": str(error)}
    return shown
