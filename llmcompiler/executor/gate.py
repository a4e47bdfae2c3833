"""Which steps wait for approval, who is asked, and what was decided?

It does not know what becomes of a step that was approved or denied.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

import anyio
import anyio.to_thread

from llmcompiler.approval import ApprovalPolicy, ApprovalRequest, Approver, Verdict, digest_of
from llmcompiler.errors import ApprovalError
from llmcompiler.events import ApprovalDecided, Emitter, StepAwaitingApproval
from llmcompiler.frontier import Start
from llmcompiler.plan import Json, Task, TaskId
from llmcompiler.toolbox import Tool

__all__ = ["Gate"]


class Gate:
    """Holds steps back until somebody has approved exactly what is to run.

    `given` are verdicts from before, each for one step with one set of arguments.
    """

    def __init__(
        self,
        emitter: Emitter,
        policy: ApprovalPolicy | None = None,
        approver: Approver | None = None,
        given: Iterable[Verdict] = (),
    ) -> None:
        self._emitter = emitter
        self._policy = policy = policy or ApprovalPolicy()
        self._rules = bool(policy.writes or policy.tools or policy.when)
        self._approver = approver
        self._given = {verdict.digest: verdict for verdict in given}
        self._waiting: dict[TaskId, ApprovalRequest] = {}
        self._held: set[TaskId] = set()

    @property
    def waiting(self) -> tuple[ApprovalRequest, ...]:
        """What nobody has decided yet."""
        return tuple(self._waiting.values())

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask."""
        return self._approver is not None

    def hold(self, start: Start, tool: Tool[..., Any]) -> ApprovalRequest | Verdict | None:
        """Hold a step back that needs approval; None if it needs none, a verdict if there is one."""
        task = start.task
        if tool.approve is None and task.policy.approve is None and not self._rules:
            return None
        reason = self._reason(start, tool)
        if reason is None:
            return None
        digest = digest_of(task.id, tool.name, start.args)
        elements = None if start.elements is None else len(start.elements)
        # Whoever decides may keep and change what he was shown: the step's own stays as it is.
        shown = deepcopy(dict(start.args))
        request = ApprovalRequest(task.id, tool.name, shown, digest, reason, elements)
        self._waiting[task.id] = request
        self._held.add(task.id)
        self._emitter.emit(StepAwaitingApproval, task.id, tool.name, start.args, digest, reason)
        verdict = self._given.get(digest)
        if verdict is None or verdict.step != task.id:
            return request
        del self._given[digest]  # a call that fails and is written again is another one
        return verdict

    def lets(self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json]) -> bool:
        """Say whether a tool may be called in place of a step's own: nobody was asked about it."""
        return task.id not in self._held and self._reason(Start(task, args), tool) is None

    def decide(self, verdict: Verdict) -> None:
        """Take in a verdict; raise `ApprovalError` if no such step waits with such arguments."""
        request = self._waiting.get(verdict.step)
        if request is None:
            raise ApprovalError(verdict.step, "no step of that name waits for approval")
        if request.digest != verdict.digest:
            raise ApprovalError(verdict.step, "it was given for other arguments than would run now")
        del self._waiting[verdict.step]
        self._emitter.emit(
            ApprovalDecided, verdict.step, verdict.digest, verdict.approved, verdict.reason
        )

    async def ask(self, request: ApprovalRequest) -> Verdict:
        """Ask the approver; one that fails has denied. A synchronous one is asked in a thread."""
        approver = cast("Callable[[ApprovalRequest], Any]", self._approver)
        try:
            if inspect.iscoroutinefunction(approver) or inspect.iscoroutinefunction(
                getattr(approver, "__call__", None)  # noqa: B004 - an object with an async __call__
            ):
                said = await approver(request)
            else:
                said = await anyio.to_thread.run_sync(approver, request, abandon_on_cancel=True)
                if inspect.isawaitable(said):
                    said = await said
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            return request.deny("asking was broken off")
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whoever was asked is foreign code
            return request.deny(f"asking failed: {type(error).__name__}: {error}")
        if isinstance(said, Verdict):
            same = said.step == request.step and said.digest == request.digest
            return said if same else request.deny("the verdict was for something else")
        return request.approve() if said is True else request.deny()

    def _reason(self, start: Start, tool: Tool[..., Any]) -> str | None:
        task = start.task
        if task.policy.approve is not None:
            return task.policy.approve
        sets = (start.args,) if start.elements is None else start.elements
        if tool.approve == "always":
            return f"{tool.name} always needs approval"
        try:
            if callable(tool.approve) and any(tool.approve(args) for args in sets):
                return f"{tool.name} needs approval for these arguments"
            writes = tool.effects == "write"
            for args in sets:
                reason = self._policy.reason(tool.name, args, writes=writes)
                if reason is not None:
                    return reason
        except Exception as error:  # noqa: BLE001 - a rule that fails has not said no
            return f"whether it needs approval cannot be told: {type(error).__name__}: {error}"
        return None
