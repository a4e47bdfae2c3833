"""What did a run of a workflow come to?

It does not know how it ran.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from llmcompiler.approval import ApprovalRequest, Verdict
from llmcompiler.errors import ApprovalError, ConfigurationError
from llmcompiler.events import Sink
from llmcompiler.frontier import outlook, resolve
from llmcompiler.plan import (
    Argument,
    Cancelled,
    Failed,
    Json,
    Observation,
    Ok,
    Outcome,
    Outlook,
    Ref,
    Skipped,
    TaskId,
    references,
)
from llmcompiler.result import Result, Status
from llmcompiler.workflow.compiling import Compiled
from llmcompiler.workflow.expressions import filled
from llmcompiler.workflow.secrecy import Redactor
from llmcompiler.workflow.wording import reworded

__all__ = ["WorkflowResult", "settle"]


Drive: TypeAlias = (
    "Callable[[Result[str] | None, Iterable[Verdict], Iterable[Sink]], Awaitable[WorkflowResult]]"
)


@dataclass(slots=True)
class _Again:
    """What goes on with a workflow that waits, once."""

    drive: Drive
    before: Result[str]
    used: bool = False

    async def go_on(self, verdicts: Iterable[Verdict], sinks: Iterable[Sink]) -> WorkflowResult:
        given = list(verdicts)
        waiting = {request.step: request.digest for request in self.before.pending}
        for verdict in given:
            if waiting.get(verdict.step) != verdict.digest:
                raise ApprovalError(verdict.step, "no such call waits for approval")
        if self.used:
            raise ApprovalError(
                self.before.pending[0].step,
                "this result was resumed already: go on from what that gave",
            )
        self.used = True
        return await self.drive(self.before, given, sinks)


@dataclass(frozen=True, slots=True)
class WorkflowResult:
    """What a workflow gave back.

    `outputs` are there as far as they could be computed; those that could not are null, and
    `missing` says why. `steps` holds the outcome of each step by its name. `error` says in one
    sentence why the workflow failed. `pending` are the approvals it waits for. `result` is that of
    the plan, with its timings.
    """

    name: str
    status: Status
    outputs: Mapping[str, Json]
    steps: Mapping[str, Outcome]
    error: str | None
    missing: Mapping[str, str]
    result: Result[str]
    _again: _Again | None = field(default=None, repr=False, compare=False)

    async def resume(
        self, verdicts: Iterable[Verdict], *, sinks: Iterable[Sink] = ()
    ) -> WorkflowResult:
        """Go on with a workflow that waits: ``await result.resume([request.approve()])``.

        It runs with the inputs, models and tools that it was begun with. What has run is not run
        again, and what is approved is exactly what then runs. Raises `ApprovalError` for a verdict
        that nothing waits for, and for a result that was resumed before, `ConfigurationError` where
        nothing waits.
        """
        if self._again is None:
            raise ConfigurationError(
                f"nothing of the workflow {self.name!r} waits for approval, its status is "
                f"{self.status!r}"
            )
        return await self._again.go_on(verdicts, sinks)

    @property
    def pending(self) -> tuple[ApprovalRequest, ...]:
        """The approvals that the workflow waits for."""
        return self.result.pending

    def __getitem__(self, step: str) -> Outcome:
        """Return what became of a step; raise KeyError if there was no such step."""
        return self.steps[step]

    def to_json(self) -> dict[str, Any]:
        """Return what ``llmcompiler run FILE --json`` prints: that of a request, with `outputs`."""
        shown = self.result.to_json()
        shown["workflow"] = self.name
        shown["status"] = self.status
        shown["outputs"] = dict(self.outputs)
        if self.missing:
            shown["missing"] = dict(self.missing)
        if self.error is not None and shown["error"] is None:
            shown["error"] = {"type": "WorkflowFailed", "message": self.error}
        return shown


def settle(
    name: str, compiled: Compiled, result: Result[str], redactor: Redactor, drive: Drive
) -> WorkflowResult:
    """Draw up what a run came to; `result` is told without secrets, and so is what is made of it."""
    raw = {step.task.id: step.outcome for step in result.steps}
    shown: Result[str] = redactor.value(result)
    told = tuple(map(_in_words_of_file, shown.steps))
    shown = replace(shown, steps=told)
    known = {step.task.id: step.outcome for step in told}
    steps = {step: _outcome(step, known) for step in compiled.on_error}
    steps = {step: outcome for step, outcome in steps.items() if outcome is not None}
    outputs: dict[str, Json] = {}
    missing: dict[str, str] = {}
    failed = [
        f"step {step!r} failed: {outcome.message}"
        for step, on_error in compiled.on_error.items()
        if on_error in ("fail", "replan") and isinstance(outcome := steps.get(step), Failed)
    ]
    for key, argument in compiled.outputs.items():
        try:
            outputs[key] = redactor.value(filled(argument, lambda ref: _looked_up(ref, raw)))
        except Exception as error:  # noqa: BLE001 - an expression is foreign code
            outputs[key] = None
            missing[key] = redactor.text(str(error))
            if _complete(argument, raw):  # all that it reads is there
                failed.append(f"the output {key!r} cannot be computed: {missing[key]}")
    status: Status = shown.status
    why = None if shown.error is None else str(shown.error)
    if status == "finished" and failed:
        status, why = "failed", "; ".join(failed)
    by_name: dict[str, Outcome] = {str(step): one for step, one in steps.items() if one is not None}
    again = _Again(drive, result) if status == "pending" else None
    return WorkflowResult(name, status, outputs, by_name, why, missing, shown, again)


def _in_words_of_file(step: Observation) -> Observation:
    outcome = reworded(step.outcome)
    return step if outcome is step.outcome else replace(step, outcome=outcome)


def _outcome(step: TaskId, known: Mapping[TaskId, Outcome]) -> Outcome | None:
    """Return what became of a step, also where it has two tasks behind its own."""
    own = known.get(step)
    first = known.get(TaskId(f"{step}.try"))
    if first is None:
        return own
    if isinstance(first, Skipped | Cancelled):
        return first
    second = known.get(TaskId(f"{step}.fallback")) or known.get(TaskId(f"{step}.replan"))
    if isinstance(own, Failed) and isinstance(first, Failed) and isinstance(second, Failed):
        return replace(own, kind=second.kind, attempts=first.attempts + second.attempts)
    return own


def _looked_up(ref: Ref, outcomes: Mapping[TaskId, Outcome]) -> Json:
    outcome = outcomes.get(ref.task, Skipped("it did not run"))
    if isinstance(outcome, Ok) and not (isinstance(ref, Outlook) and ref.asks != "value"):
        return resolve(outcome.value, ref)
    return outlook(outcome, ref if isinstance(ref, Outlook) else Outlook(ref.task))


def _complete(argument: Argument, outcomes: Mapping[TaskId, Outcome]) -> bool:
    return all(isinstance(outcomes.get(ref.task), Ok) for ref in references(argument))
