"""One run: a turn of the model, the steps it asked for, and another turn, until there is an answer.

It does not know how a turn is worded or read (planners), nor how a step is run (executor).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, cast

import anyio
from typing_extensions import TypeVar

from llmcompiler.approval import Verdict
from llmcompiler.budget import Budget
from llmcompiler.conversation import Conversation, tools_named
from llmcompiler.dataflow import Flows
from llmcompiler.draft import Draft
from llmcompiler.errors import (
    LimitReachedError,
    LLMCompilerError,
    PlanError,
    RunCancelledError,
    RunTimeoutError,
)
from llmcompiler.events import (
    Emitter,
    LimitReached,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from llmcompiler.executor import Executor, Gate
from llmcompiler.language import write_plan
from llmcompiler.llms.metered import Account, MeteredLLM
from llmcompiler.news import News
from llmcompiler.plan import Observation, Plan, TaskId, plan_to_json
from llmcompiler.result import Paused, Result, Status
from llmcompiler.setup import Setup
from llmcompiler.toolbox import Progress, RunContext
from llmcompiler.toolbox.process import check_main
from llmcompiler.transcript import (
    Request,
    TimeIsUp,
    Transcript,
    Turn,
)
from llmcompiler.turns import Counts, Turns

__all__ = ["Run", "text_of"]

Out = TypeVar("Out", default=str)


class Run(Generic[Out]):
    """The state of one request being worked on.

    `drive` does the work and always leaves a `result`, also when it is cancelled. One turn is
    taken at a time; steps run beside it.
    """

    def __init__(
        self,
        setup: Setup[Out],
        request: str | None,
        emitter: Emitter,
        *,
        history: Transcript,
        deps: Any = None,
        before: Result[Out] | None = None,
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        paused = None if before is None else before.paused
        self._setup = setup
        self._request = request
        self._emitter = emitter
        self._deps = deps
        self._before = before
        self._verdicts = verdicts
        self._account = Account(emitter)
        self._budget = Budget(setup.limits, setup.price)
        if before is not None:
            self._account.usage = before.usage
            self._budget.add(before.usage, 0 if paused is None else paused.tool_calls)
        record = self._account.record
        # The last call is for the answer: a tool that asks the model must not take it.
        kept = 0 if request is None else 1  # a plan alone is not answered
        self._tools_llm = MeteredLLM(setup.llm, record, self._budget, kept=kept)
        fresh = paused is not None or request is None
        self._conversation = Conversation(
            history if fresh else history.plus(Request(request or "")),
            emitter,
            setup.limits.result_chars,
            News() if paused is None else News(paused.told, paused.weighed),
        )
        self._history = history
        self._taking = Turns(
            setup,
            emitter,
            self._conversation,
            self._budget,
            MeteredLLM(setup.llm, record, self._budget),
            MeteredLLM(setup.joiner, record, self._budget),
            Counts() if paused is None else Counts(paused.turns, paused.replans, paused.mends),
        )
        self._write_into(Draft(setup.toolbox, emitter, None, self._flows()))
        self._result: Result[Out] | None = None

    def _write_into(self, draft: Draft) -> None:
        self._draft = draft
        self._taking.write_into(draft)

    def _flows(self) -> Flows | None:
        setup = self._setup
        marked = any(tool.untrusted or tool.private for tool in setup.toolbox.values())
        if not setup.policy.flows or not marked:
            return None
        return Flows(setup.toolbox, tools_named(self._history))

    @property
    def result(self) -> Result[Out]:
        """What the run came to; raises RuntimeError while it is still under way."""
        if self._result is None:
            raise RuntimeError("the run is still under way: read its events to their end first")
        return self._result

    async def drive(self, given: Plan | None = None) -> None:
        """Work on the request to its end; with a `given` plan, run that instead of asking for one.

        Never raises an `LLMCompilerError`: that is in the result. Cancellation passes through,
        after the result has been drawn up.
        """
        setup = self._setup
        if any(tool.cpu for tool in setup.toolbox.values()):
            check_main()
        self._emitter.emit(RunStarted, self._request or "", setup.llm.name, tuple(setup.toolbox))
        error: LLMCompilerError | None = None
        unexpected: Exception | None = None
        executor = Executor(
            setup.toolbox,
            self._emitter,
            self._context,
            concurrency=setup.limits.concurrency,
            passes=setup.passes,
            durations=setup.durations,
            recall=setup.recall,
            gate=Gate(self._emitter, setup.policy, setup.approver, self._verdicts),
            budget=self._budget,
        )
        try:
            async with executor:
                self._write_into(Draft(setup.toolbox, self._emitter, executor, self._flows()))
                executor.mends = self._taking.may_mend
                try:
                    await self._within_time(executor, given)
                except LLMCompilerError as raised:
                    error = raised
                    if isinstance(raised, LimitReachedError):
                        self._emitter.emit(LimitReached, raised.limit, raised.value)
                except Exception as raised:  # noqa: BLE001 - raised again, free of the group's wrapping
                    unexpected = raised
                    error = LLMCompilerError(f"{type(raised).__name__}: {raised}")
                if error is not None:
                    executor.stop("the run failed")
                elif self._taking.pending:
                    executor.pause()
        except BaseException:  # cancelled, or something that ends the whole program
            error = RunCancelledError()
            raise
        finally:
            self._finish(error, executor.observations)
        if unexpected is not None:
            raise unexpected

    async def write_plan(self) -> Plan:
        """Ask for a plan, repaired where needed, and run nothing of it; raise what goes wrong.

        A plan that could not be repaired raises the `PlanError` of its first refused line, one
        that was cut off again and again a `ReplyError`.
        """
        setup = self._setup
        self._emitter.emit(RunStarted, self._request or "", setup.llm.name, tuple(setup.toolbox))
        error: LLMCompilerError | None = RunCancelledError()
        try:
            with anyio.move_on_after(setup.limits.seconds) as self._taking.clock:
                await self._taking.take(None, "any", "plan")
            if self._taking.clock.cancelled_caught:
                self._emitter.emit(LimitReached, "seconds", setup.limits.seconds or 0.0)
                raise RunTimeoutError(setup.limits.seconds or 0.0)
            error = None
        except LLMCompilerError as raised:
            error = raised
            raise
        except Exception as raised:
            error = LLMCompilerError(f"{type(raised).__name__}: {raised}")
            raise
        finally:
            self._finish(error, [])
        plans = self._draft.plans or [Plan()]
        return replace(plans[0], request=self._request)

    # ------------------------------------------------------------------ the course of a run

    async def _within_time(self, executor: Executor, given: Plan | None) -> None:
        limits = self._setup.limits
        with anyio.move_on_after(limits.seconds) as self._taking.clock:
            if self._before is not None:
                await self._go_on(executor, self._before)
            elif given is None:
                await self._taking.take(executor, "any", "plan")
            else:
                await self._run_given(executor, given)
        if not self._taking.clock.cancelled_caught or limits.seconds is None:
            return
        self._emitter.emit(LimitReached, "seconds", limits.seconds)
        executor.stop("the time is up")
        if self._taking.answer or self._request is None or not executor.observations:
            raise RunTimeoutError(limits.seconds)
        if self._taking.open is not None and self._taking.open.lines:
            self._conversation.say(Turn("\n".join(self._taking.open.lines)))
        if self._draft.begun:
            self._draft.close(whole=False)
        self._taking.observe(executor)
        self._conversation.say(TimeIsUp())
        with anyio.move_on_after(limits.answer_seconds) as self._taking.clock:
            await self._taking.take(executor, "answer", "join")
        if self._taking.clock.cancelled_caught:
            raise RunTimeoutError(limits.seconds)

    async def _run_given(self, executor: Executor, plan: Plan) -> None:
        known = {task.id for task in plan}
        for name in plan.joins or ():
            if name not in known:
                raise PlanError(f"join names {name!r}, and there is no such task")
        for task in plan:
            error = self._draft.read(task, "")
            if error is not None:
                raise error
        self._draft.join(plan.joins)
        self._draft.close()
        if self._request is not None:
            self._conversation.say(Turn(text_of(plan)))
        if await self._taking.settle(executor) and self._request is not None:
            self._taking.observe(executor)
            await self._taking.take(executor, *self._taking.after_observations())

    async def _go_on(self, executor: Executor, before: Result[Out]) -> None:
        """Take up a run that waited for approvals where it stood."""
        paused = before.paused
        plans = before.plans if paused is None else paused.plans
        # In this order: what nobody read must not begin because what it needs is there by now.
        settled = [step.task for step in before.steps]
        self._draft.restore(plans, settled, [each.step for each in before.pending])
        executor.restore(before.steps)
        if await self._taking.settle(executor) and self._request is not None:
            self._taking.observe(executor)
            await self._taking.take(executor, *self._taking.after_observations())

    # ------------------------------------------------------------------ the result

    def _finish(self, error: LLMCompilerError | None, observations: list[Observation]) -> None:
        if self._draft.begun:
            self._draft.close(whole=False)
        status: Status = "pending" if self._taking.pending else "finished"
        usage = self._account.usage
        if error is not None:
            status = "cancelled" if isinstance(error, RunCancelledError) else "failed"
        answer = "".join(self._taking.answer).strip() or None
        plans = (replace(plan, request=self._request) for plan in self._draft.plans if plan.tasks)
        self._result = Result(
            run_id=self._emitter.run_id,
            request=self._request,
            status=status,
            answer=answer,
            output=cast("Out", self._taking.output if error is None else None),
            error=error,
            plans=tuple(plans),
            steps=tuple(observations),
            usage=usage,
            seconds=self._emitter.now(),
            transcript=self._conversation.transcript,
            calls=(*(self._before.calls if self._before else ()), *self._account.close()),
            cost=None if self._setup.price is None else usage.cost(self._setup.price),
            pending=self._taking.pending if status == "pending" else (),
            paused=self._paused() if status == "pending" else None,
        )
        match status:
            case "finished":
                self._emitter.emit(RunFinished, answer)
            case "cancelled":
                self._emitter.emit(RunCancelled)
            case "failed":
                self._emitter.emit(RunFailed, type(error).__name__, str(error))
            case "pending":
                self._emitter.emit(RunPaused, tuple(each.step for each in self._taking.pending))

    def _paused(self) -> Paused:
        news, counts = self._conversation.news, self._taking.counts
        return Paused(
            tuple(self._draft.plans),
            news.told,
            news.weighed,
            counts.turns,
            counts.replans,
            counts.mends,
            self._budget.tool_calls,
            self._emitter.told + 1,  # the one that says so is still to come
        )

    def _context(self, step: TaskId, progress: Progress) -> RunContext[Any]:
        return RunContext(self._deps, self._emitter.run_id, step, self._tools_llm, progress)


def text_of(plan: Plan) -> str:
    """Write a plan that was handed in as the model would have, or as JSON where it could not."""
    try:
        return write_plan(plan)
    except PlanError:
        return json.dumps(plan_to_json(plan), ensure_ascii=False)
