"""One run: a turn of the model, the steps it asked for, and another turn, until there is an answer.

It does not know how a turn is worded or read (planners), nor how a step is run (executor).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Generic, cast

import anyio
from typing_extensions import TypeVar

from llmcompiler.draft import Draft
from llmcompiler.errors import (
    LLMCompilerError,
    PlanError,
    ReplyError,
    RunCancelledError,
    RunTimeoutError,
)
from llmcompiler.events import (
    Emitter,
    PlanStarted,
    Purpose,
    ReplanStarted,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from llmcompiler.executor import Executor
from llmcompiler.intake import Intake
from llmcompiler.language import write_plan
from llmcompiler.limits import Limits
from llmcompiler.llms.metered import Account, MeteredLLM
from llmcompiler.messages import LLM, Anticipates
from llmcompiler.news import News
from llmcompiler.output import OutputType
from llmcompiler.plan import Observation, Plan, TaskId, plan_to_json
from llmcompiler.result import Result, Status
from llmcompiler.roles import Allow, Foresees, Planner, TurnRequest
from llmcompiler.toolbox import Progress, RunContext, Toolbox
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    NoReplansLeft,
    Observed,
    Rejected,
    Request,
    TimeIsUp,
    Transcript,
    Turn,
)

__all__ = ["Run", "Setup"]

Out = TypeVar("Out", default=str)


@dataclass(frozen=True, slots=True)
class Setup(Generic[Out]):
    """What a run works with; the same for every run of an agent unless overridden."""

    llm: LLM
    joiner: LLM
    planner: Planner
    toolbox: Toolbox
    limits: Limits
    output: OutputType[Out]


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
    ) -> None:
        self._setup = setup
        self._request = request
        self._emitter = emitter
        self._deps = deps
        self._account = Account(emitter)
        self._llm = MeteredLLM(setup.llm, self._account.record)
        self._joiner = MeteredLLM(setup.joiner, self._account.record)
        self._transcript = history if request is None else history.plus(Request(request))
        self._draft = Draft(setup.toolbox, emitter, None)
        self._clock = anyio.CancelScope()
        self._open_turn: Intake | None = None
        self._news = News()
        self._turns = 0
        self._replans = 0
        self._answer: list[str] = []
        self._output: Out | None = None
        self._result: Result[Out] | None = None

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
        self._emitter.emit(RunStarted, self._request or "", setup.llm.name, tuple(setup.toolbox))
        error: LLMCompilerError | None = None
        unexpected: Exception | None = None
        executor = Executor(
            setup.toolbox, self._emitter, self._context, concurrency=setup.limits.concurrency
        )
        try:
            async with executor:
                self._draft = Draft(setup.toolbox, self._emitter, executor)
                try:
                    await self._within_time(executor, given)
                except LLMCompilerError as raised:
                    error = raised
                except Exception as raised:  # noqa: BLE001 - raised again, free of the group's wrapping
                    unexpected = raised
                    error = LLMCompilerError(f"{type(raised).__name__}: {raised}")
                if error is not None:
                    executor.stop("the run failed")
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
            with anyio.move_on_after(setup.limits.seconds) as self._clock:
                await self._take_turns(None, "any", "plan")
            if self._clock.cancelled_caught:
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
        with anyio.move_on_after(limits.seconds) as self._clock:
            if given is None:
                await self._take_turns(executor, "any", "plan")
            else:
                await self._run_given(executor, given)
        if not self._clock.cancelled_caught or limits.seconds is None:
            return
        executor.stop("the time is up")
        if self._answer or self._request is None or not executor.observations:
            raise RunTimeoutError(limits.seconds)
        if self._open_turn is not None and self._open_turn.lines:
            self._transcript = self._transcript.plus(Turn("\n".join(self._open_turn.lines)))
        if self._draft.begun:
            self._draft.close(whole=False)
        self._observe(executor)
        self._transcript = self._transcript.plus(TimeIsUp())
        with anyio.move_on_after(limits.answer_seconds) as self._clock:
            await self._take_turns(executor, "answer", "join")
        if self._clock.cancelled_caught:
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
        await executor.wait_settled()
        if self._request is not None:
            self._transcript = self._transcript.plus(Turn(_written(plan)))
            self._observe(executor)
            await self._take_turns(executor, *self._after_observations())

    async def _take_turns(self, executor: Executor | None, allow: Allow, purpose: Purpose) -> None:
        """Take turns until one is the answer; without an executor, until the plan is written."""
        limits = self._setup.limits
        complaints = patches = 0
        while True:
            turn = await self._take_turn(allow, purpose)
            self._transcript = self._transcript.plus(Turn(turn.text))
            if turn.planned or allow == "lines":
                complaints = 0
                notes = self._notes(turn)
                if notes and patches < limits.repairs:
                    patches += 1
                    self._transcript = self._transcript.plus(*notes)
                    allow = "lines" if self._draft.begun else allow
                    purpose = "repair" if self._draft.awaited else "continue"
                    continue
                if executor is None and notes:
                    raise _unmended(notes, turn.text)
                patches = 0
                self._draft.close(whole=not turn.cut)
                if executor is None:
                    return
                await self._settle(executor)
                self._observe(executor)
                # A plan of nothing asks for the answer: else a bare join() could come for ever.
                nothing = allow == "join" and not turn.lines
                allow, purpose = ("answer", "join") if nothing else self._after_observations()
                continue
            if turn.cut and patches < limits.repairs:
                patches += 1
                self._transcript = self._transcript.plus(CutOff(self._draft.last_line))
                allow, purpose = "answer" if turn.answered else allow, "continue"
                continue
            problem = self._problem(turn)
            if problem is None:
                return
            if complaints:
                raise ReplyError(problem, turn.text)
            complaints += 1
            self._answer.clear()
            self._transcript = self._transcript.plus(BadForm(problem))
            purpose = "retry"

    async def _take_turn(self, allow: Allow, purpose: Purpose) -> Intake:
        setup = self._setup
        self._turns += 1
        self._open_turn = turn = Intake(
            allow, self._draft, self._emitter, self._answer, self._hear_out, self._replan
        )
        self._emitter.emit(PlanStarted, self._turns, purpose)
        request = self._asking(self._transcript, allow)
        llm = self._joiner if allow in ("join", "answer") else self._llm
        async with aclosing(setup.planner.turn(request, llm)) as items:
            async for item in items:
                turn.take(item)
        self._open_turn = None
        return turn

    def _asking(self, transcript: Transcript, allow: Allow) -> TurnRequest:
        setup = self._setup
        return TurnRequest(
            transcript, setup.toolbox, allow, self._draft.next_id, setup.output.schema
        )

    def _notes(self, turn: Intake) -> list[Rejected | CutOff]:
        """What the model is to be told of its plan before it is taken as it is."""
        self._draft.forget_nameless(turn.rejected)
        notes: list[Rejected | CutOff] = []
        if self._draft.awaited:
            notes.append(Rejected(self._draft.awaited))
        if turn.cut and not self._draft.joined:
            notes.append(CutOff(self._draft.last_line))
        return notes

    def _after_observations(self) -> tuple[Allow, Purpose]:
        if not self._news:
            return "answer", "join"
        if self._replans < self._setup.limits.replans:
            return "join", "join"
        self._transcript = self._transcript.plus(NoReplansLeft())
        return "answer", "join"

    def _observe(self, executor: Executor) -> None:
        """Tell the model what it has not been told yet."""
        fresh = self._news.tell(executor.observations, self._joins)
        self._transcript = self._transcript.plus(*map(Observed, fresh))

    @property
    def _joins(self) -> Sequence[TaskId] | None:
        plans = self._draft.plans
        return plans[-1].joins if plans else None

    async def _settle(self, executor: Executor) -> None:
        """Wait for every step, while the model reads what it will be told in any case."""
        setup = self._setup
        if isinstance(setup.planner, Foresees) and isinstance(setup.joiner, Anticipates):
            while executor.unsettled and not executor.stopped:
                fresh = self._news.fresh(executor.observations, self._joins)
                coming = self._transcript.plus(*map(Observed, fresh))
                setup.joiner.anticipate(setup.planner.foreseen(self._asking(coming, "join")))
                await executor.wait_more(len(executor.observations))
        await executor.wait_settled()

    def _hear_out(self) -> None:
        """Let an answer that has begun end: the clock of planning and tools does not break it off."""
        grace = anyio.current_time() + self._setup.limits.answer_seconds
        self._clock.deadline = max(self._clock.deadline, grace)

    def _replan(self, reason: str) -> None:
        self._replans += 1
        self._emitter.emit(ReplanStarted, self._replans, reason)
        self._draft.begin()

    def _problem(self, turn: Intake) -> str | None:
        """Say why the turn is no answer, or None; keep the output if it is one."""
        if turn.cut and turn.answered:
            return "the answer was cut off"
        if turn.refused or (turn.allow == "answer" and not turn.answered):
            return "the answer is due now"
        if not turn.answered:
            return "that was neither a plan nor an answer"
        text = "".join(self._answer).strip()
        if not text:
            return "the answer is empty"
        self._output, problem = self._setup.output.read(text)
        return problem

    # ------------------------------------------------------------------ the result

    def _finish(self, error: LLMCompilerError | None, observations: list[Observation]) -> None:
        if self._draft.begun:
            self._draft.close(whole=False)
        status: Status = "finished"
        if error is not None:
            status = "cancelled" if isinstance(error, RunCancelledError) else "failed"
        answer = "".join(self._answer).strip() or None
        plans = (replace(plan, request=self._request) for plan in self._draft.plans if plan.tasks)
        self._result = Result(
            run_id=self._emitter.run_id,
            request=self._request,
            status=status,
            answer=answer,
            output=cast("Out", self._output if error is None else None),
            error=error,
            plans=tuple(plans),
            steps=tuple(observations),
            usage=self._account.usage,
            seconds=self._emitter.now(),
            transcript=self._transcript,
            calls=self._account.close(),
        )
        match status:
            case "finished":
                self._emitter.emit(RunFinished, answer)
            case "cancelled":
                self._emitter.emit(RunCancelled)
            case "failed":
                self._emitter.emit(RunFailed, type(error).__name__, str(error))

    def _context(self, step: TaskId, progress: Progress) -> RunContext[Any]:
        return RunContext(self._deps, self._emitter.run_id, step, self._llm, progress)


def _written(plan: Plan) -> str:
    """Write a plan that was handed in as the model would have, or as JSON where it could not."""
    try:
        return write_plan(plan)
    except PlanError:
        return json.dumps(plan_to_json(plan), ensure_ascii=False)


def _unmended(notes: Sequence[Rejected | CutOff], text: str) -> LLMCompilerError:
    """Say why a plan that nobody runs cannot be handed out."""
    for note in notes:
        if isinstance(note, Rejected):
            return note.errors[0]
    return ReplyError("the plan was cut off", text)
