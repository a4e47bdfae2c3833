"""The turns of one run: what the model is asked next, until it has answered.

It does not know how a turn is worded or read (planners), how a step is run (executor), or what time
a run has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import anyio

from llmcompiler.approval import ApprovalRequest
from llmcompiler.budget import Budget
from llmcompiler.conversation import Conversation
from llmcompiler.draft import Draft
from llmcompiler.errors import ContextLengthError, LLMCompilerError, ReplyError
from llmcompiler.events import (
    Emitter,
    LimitReached,
    PlanStarted,
    Purpose,
    ReplanStarted,
    StepMending,
)
from llmcompiler.executor import Executor
from llmcompiler.intake import Intake
from llmcompiler.messages import LLM, Anticipates
from llmcompiler.plan import Failed, TaskId
from llmcompiler.roles import Allow, Foresees, TurnRequest
from llmcompiler.setup import Setup
from llmcompiler.transcript import (
    BadForm,
    CutOff,
    LimitUsedUp,
    Mend,
    NoReplansLeft,
    Rejected,
    Transcript,
    Turn,
)

__all__ = ["Counts", "Turns"]

_FILLED = (
    "the reply before, which was cut off, took up the rest of it; "
    "ask for something shorter or give the model a larger context"
)


@dataclass(slots=True)
class Counts:
    """How many turns, replans and mends a run has had."""

    turns: int = 0
    replans: int = 0
    mends: int = 0


class Turns:
    """Takes one turn after the other; steps run beside them.

    `llm` plans, `joiner` reads results and answers. `clock` is the time of planning and tools;
    once an answer has begun it is heard out. `pending` are approvals without which it cannot go
    on, `answer` the pieces of the answer, `output` what it was read as.
    """

    def __init__(
        self,
        setup: Setup[Any],
        emitter: Emitter,
        conversation: Conversation,
        budget: Budget,
        llm: LLM,
        joiner: LLM,
        counts: Counts,
    ) -> None:
        self._setup = setup
        self._emitter = emitter
        self._conversation = conversation
        self._budget = budget
        self._llm = llm
        self._joiner = joiner
        self._draft = Draft(setup.toolbox, emitter, None)
        self.counts = counts
        self.clock = anyio.CancelScope()
        self.open: Intake | None = None
        self.answer: list[str] = []
        self.output: Any = None
        self.pending: tuple[ApprovalRequest, ...] = ()

    def write_into(self, draft: Draft) -> None:
        """Say where what the model plans is written."""
        self._draft = draft

    async def take(self, executor: Executor | None, allow: Allow, purpose: Purpose) -> None:
        """Take turns until one is the answer; without an executor, until the plan is written."""
        limits = self._setup.limits
        complaints = patches = 0
        turn: Intake | None = None
        while True:
            if self._budget.last_call and allow != "answer" and executor is not None:
                self._used_up("model_calls")
                self._conversation.say(LimitUsedUp("model_calls"))
                allow, purpose = "answer", "join"
            try:
                turn = await self._take_one(allow, purpose)
            except ContextLengthError as error:
                if turn is None or not turn.cut:
                    raise
                raise ContextLengthError(error.needed, error.available, _FILLED) from error
            self._conversation.say(Turn(turn.text))
            if turn.planned or allow == "lines":
                complaints = 0
                notes = self._notes(turn)
                spare = executor is None or not self._budget.last_call
                if notes and patches < limits.repairs and spare:
                    patches += 1
                    self._conversation.say(*notes)
                    allow = "lines" if self._draft.begun else allow
                    purpose = "repair" if self._draft.awaited else "continue"
                    continue
                if executor is None and notes:
                    raise _unmended(notes, turn.text)
                patches = 0
                plan = self._draft.close(whole=not turn.cut)
                if executor is None or not await self.settle(executor):
                    return
                self.observe(executor)
                # A plan of nothing new asks for the answer: else it could come for ever.
                nothing = allow == "join" and not plan.tasks and not turn.rejected
                allow, purpose = ("answer", "join") if nothing else self.after_observations()
                continue
            if turn.cut and patches < limits.repairs:
                patches += 1
                self._conversation.say(CutOff(self._draft.last_line))
                allow, purpose = "answer" if turn.answered else allow, "continue"
                continue
            problem = self._problem(turn)
            if problem is None:
                return
            if complaints:
                raise ReplyError(problem, turn.text)
            complaints += 1
            self.answer.clear()
            self._conversation.say(BadForm(problem))
            purpose = "retry"

    async def _take_one(self, allow: Allow, purpose: Purpose) -> Intake:
        setup = self._setup
        self.counts.turns += 1
        self._draft.seen = self._conversation.read
        if allow == "lines":
            self._draft.begin_repair()
        self.open = turn = Intake(
            allow, self._draft, self._emitter, self.answer, self._hear_out, self._replan
        )
        self._emitter.emit(PlanStarted, self.counts.turns, purpose)
        request = self._asking(self._conversation.transcript, allow)
        llm = self._joiner if allow in ("join", "answer") else self._llm
        async with aclosing(setup.planner.turn(request, llm)) as items:
            async for item in items:
                turn.take(item)
        self.open = None
        return turn

    def _asking(self, transcript: Transcript, allow: Allow) -> TurnRequest:
        setup = self._setup
        return TurnRequest(
            transcript, setup.toolbox, allow, self._draft.next_id, setup.output.schema
        )

    def _notes(self, turn: Intake) -> list[Rejected | CutOff]:
        """What the model is to be told of its plan before it is taken as it is."""
        self._draft.end_repair(turn.rejected)
        notes: list[Rejected | CutOff] = []
        if self._draft.awaited:
            notes.append(Rejected(self._draft.awaited))
        if turn.cut and not self._draft.joined:
            notes.append(CutOff(self._draft.last_line))
        return notes

    def after_observations(self) -> tuple[Allow, Purpose]:
        """Return which forms the turn after observations may take, and why it is taken."""
        if self._budget.refused:
            self._conversation.say(LimitUsedUp("tool_calls"))
            return "answer", "join"
        if not self._conversation.news:
            return "answer", "join"
        if self.counts.replans < self._setup.limits.replans:
            return "join", "join"
        self._used_up("replans")
        self._conversation.say(NoReplansLeft())
        return "answer", "join"

    def observe(self, executor: Executor) -> None:
        """Tell the model what it has not been told yet."""
        self._conversation.observe(executor.observations, self._joins)

    @property
    def _joins(self) -> Sequence[TaskId] | None:
        plans = self._draft.plans
        return plans[-1].joins if plans else None

    async def settle(self, executor: Executor) -> bool:
        """Wait for every step, and have those that failed mended; False if approvals are missing.

        Meanwhile the model reads what it will be told in any case.
        """
        setup = self._setup
        foresees = setup.planner if isinstance(setup.planner, Foresees) else None
        anticipates = setup.joiner if isinstance(setup.joiner, Anticipates) else None
        executor.mends = self.may_mend
        while executor.unsettled and not executor.stopped:
            if executor.ailing:
                if self.may_mend:
                    await self._mend(executor)
                else:
                    if 0 < setup.mends <= self.counts.mends:
                        self._used_up("mends")
                    executor.mends = False
                    executor.give_up()
                continue
            if executor.still:
                self.pending = executor.pending
                return not self.pending
            if foresees is not None and anticipates is not None:
                coming = self._conversation.coming(executor.observations, self._joins)
                anticipates.anticipate(foresees.foreseen(self._asking(coming, "join")))
            await executor.wait_more(len(executor.observations))
        return True

    @property
    def may_mend(self) -> bool:
        """Whether a step that fails now can be written again."""
        calls = self._budget.left().model_calls
        return (
            self._conversation.asked
            and self.counts.mends < self._setup.mends
            and (calls is None or calls > 1)
            and not self._budget.refused
        )

    async def _mend(self, executor: Executor) -> None:
        """Let the model write steps that failed again, while the others run on."""
        self.counts.mends += 1
        failed = executor.ailing
        names = [observation.task.id for observation in failed]
        for each in failed:
            outcome = cast("Failed", each.outcome)
            self._emitter.emit(
                StepMending,
                each.task.id,
                outcome.kind,
                outcome.message,
                outcome.attempts,
                each.timing.seconds,
            )
        self.observe(executor)
        self._conversation.say(Mend(failed))
        self._draft.begin_mend(names)
        try:
            for left in reversed(range(self._setup.limits.repairs + 1)):
                turn = await self._take_one("lines", "mend")
                self._conversation.say(Turn(turn.text))
                self._draft.end_repair(turn.rejected)
                if not self._draft.awaited or not left or self._budget.last_call:
                    break
                self._conversation.say(Rejected(self._draft.awaited))
        finally:
            self._draft.end_mend()
        executor.give_up(names)

    def _hear_out(self) -> None:
        """Let an answer that has begun end: the clock of planning and tools does not break it off."""
        grace = anyio.current_time() + self._setup.limits.answer_seconds
        self.clock.deadline = max(self.clock.deadline, grace)

    def _replan(self, reason: str) -> None:
        self.counts.replans += 1
        self._emitter.emit(ReplanStarted, self.counts.replans, reason)
        self._draft.begin()

    def _used_up(self, limit: str) -> None:
        """Say that a limit is used up, if there was anything to use."""
        value = getattr(self._setup.limits, limit)
        if value:
            self._emitter.emit(LimitReached, limit, value)

    def _problem(self, turn: Intake) -> str | None:
        """Say why the turn is no answer, or None; keep the output if it is one."""
        if turn.cut and turn.answered:
            return "the answer was cut off"
        if turn.refused or (turn.allow == "answer" and not turn.answered):
            return "the answer is due now"
        if not turn.answered:
            return "that was neither a plan nor an answer"
        text = "".join(self.answer).strip()
        if not text:
            return "the answer is empty"
        self.output, problem = self._setup.output.read(text)
        return problem


def _unmended(notes: Sequence[Rejected | CutOff], text: str) -> LLMCompilerError:
    """Say why a plan that nobody runs cannot be handed out."""
    for note in notes:
        if isinstance(note, Rejected):
            return note.errors[0]
    return ReplyError("the plan was cut off", text)
