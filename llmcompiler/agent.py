"""The class users meet: a model, tools and limits, ready to answer requests.

It does not know how a run goes on (run), nor where models and tools come from (registry).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, cast
from weakref import WeakSet

import anyio
from typing_extensions import TypeVar

from llmcompiler.approval import ApprovalPolicy, Approver, Verdict
from llmcompiler.errors import ApprovalError, ConfigurationError, EmptyRequestError
from llmcompiler.events import Emitter, Event, Sink
from llmcompiler.graph import in_order
from llmcompiler.limits import Limits
from llmcompiler.messages import LLM, Anticipates, Message, Price
from llmcompiler.output import OutputType
from llmcompiler.passes import Durations, Passes
from llmcompiler.plan import Plan
from llmcompiler.registry import bundled_tools, load_model, load_planner
from llmcompiler.result import Paused, Result
from llmcompiler.roles import Foresees, Planner, TurnRequest
from llmcompiler.run import Run, text_of
from llmcompiler.setup import Setup
from llmcompiler.streamed import StreamedRun
from llmcompiler.toolbox import Toolbox, ToolLike
from llmcompiler.trace import Estimate, estimate
from llmcompiler.transcript import Request, Transcript, Turn

if TYPE_CHECKING:
    from llmcompiler.recall import Recall

__all__ = ["Agent"]

Out = TypeVar("Out", default=str)
_NEW = Transcript()


class Agent(Generic[Out]):
    """Answers requests with a model and tools.

    `model` and `joiner` are an `LLM` or its spec ("embedded", "local:PATH.gguf", "openai:NAME",
    "http://HOST:PORT/v1#NAME"); `joiner` reads results and answers, the model itself if not
    given. `tools` are tools or plain typed functions; None stands for the bundled ones.
    `output_type` is what the answer is read as, a type or a JSON Schema, text if None. `planner` is a planner or its name.
    `passes` are the switches of the compiler's passes, `cache` a file in which results of pure
    tools are kept for later runs. Steps that need approval, by their tools or by `policy`, are put
    to `approver`; without one a run with such steps ends as "pending", see `resume`. `price` is
    what the model's tokens cost.
    """

    def __init__(
        self,
        model: LLM | str = "embedded",
        *,
        tools: Iterable[ToolLike] | Toolbox | None = None,
        output_type: type[Out] | Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        planner: Planner | str = "dag",
        joiner: LLM | str | None = None,
        passes: Passes | None = None,
        cache: Recall | Path | str | None = None,
        approver: Approver | None = None,
        policy: ApprovalPolicy | None = None,
        price: Price | None = None,
    ) -> None:
        # A model loaded here is this agent's to close; one that is handed in is its maker's.
        self._own: list[LLM] = []
        self._file: Recall | None = None
        self._resumed = WeakSet[Paused]()
        first: Setup[Out] = Setup(
            llm=(llm := self._model(model)),
            joiner=llm if joiner is None else self._model(joiner),
            planner=load_planner(planner) if isinstance(planner, str) else planner,
            toolbox=bundled_tools() if tools is None else Toolbox(tools),
            limits=limits or Limits(),
            output=_output(output_type),
            passes=passes or Passes(),
            policy=policy or ApprovalPolicy(),
            approver=approver,
            price=price,
            recall=(recall := self._open(cache)),
            durations=Durations() if recall is None else recall.load_durations(),
        )
        self._setups = [first]

    @property
    def _setup(self) -> Setup[Out]:
        return self._setups[-1]

    def _model(self, model: LLM | str) -> LLM:
        if not isinstance(model, str):
            return model
        loaded = load_model(model)
        self._own.append(loaded)
        return loaded

    def _open(self, cache: Recall | Path | str | None) -> Recall | None:
        if not isinstance(cache, Path | str):
            return cache
        from llmcompiler.recall import Recall

        self._file = Recall(cache)
        return self._file

    @property
    def tools(self) -> Toolbox:
        """The tools that plans may call."""
        return self._setup.toolbox

    @property
    def model(self) -> LLM:
        """The model that plans."""
        return self._setup.llm

    @property
    def durations(self) -> Durations:
        """How long the tools took so far, by which the pass `order` goes, and estimates."""
        return self._setup.durations

    async def run(
        self,
        request: str,
        *,
        history: Transcript = _NEW,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
    ) -> Result[Out]:
        """Answer `request`; `history` is the transcript of the run before, `deps` is for tools.

        Raises an `LLMCompilerError` where there is no answer; its `result` attribute then holds
        what had finished.
        """
        run = self._new_run(request, sinks, history, deps)
        await run.drive()
        return _checked(run.result)

    def run_sync(
        self,
        request: str,
        *,
        history: Transcript = _NEW,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
    ) -> Result[Out]:
        """Answer `request` from code that is not async; see `run`."""

        async def main() -> Result[Out]:
            return await self.run(request, history=history, deps=deps, sinks=sinks)

        return anyio.run(main)

    @asynccontextmanager
    async def run_stream(
        self,
        request: str,
        *,
        history: Transcript = _NEW,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
    ) -> AsyncGenerator[StreamedRun[Out], None]:
        """Answer `request` and hand out events meanwhile; leaving the block stops the run."""
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        scope = anyio.CancelScope()
        raised: Exception | None = None

        async def drive() -> None:
            nonlocal raised
            with send, scope:
                try:
                    await run.drive()
                except Exception as error:  # noqa: BLE001 - raised below, free of the group's wrapping
                    raised = error

        with send, receive:
            run = self._new_run(request, (*sinks, send.send_nowait), history, deps)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(drive)
                try:
                    yield StreamedRun(run, receive, scope)
                except Exception as error:  # noqa: BLE001 - the same
                    raised = error
                tasks.cancel_scope.cancel()
        if raised is not None:
            raise raised

    async def plan(self, request: str, *, sinks: Iterable[Sink] = ()) -> Plan:
        """Ask for a plan and run nothing of it. No tasks: the model would answer at once."""
        return await self._new_run(request, sinks, _NEW, None).write_plan()

    async def execute(
        self,
        plan: Plan,
        request: str | None = None,
        *,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
    ) -> Result[Out]:
        """Run a plan. With a request, given here or in the plan, the model then answers it.

        Without one there is no answer: the outcomes are in ``result.steps``. Raises `PlanError`
        for a plan that is not legal, before anything of it has run.
        """
        asked = request or plan.request
        if asked is not None and not asked.strip():
            raise EmptyRequestError
        ordered = Plan(in_order(plan), plan.joins, asked)
        emitter = Emitter(uuid.uuid4().hex, anyio.current_time, sinks)
        run = Run(self._setup, ordered.request, emitter, history=_NEW, deps=deps)
        await run.drive(ordered)
        return _checked(run.result)

    async def resume(
        self,
        before: Result[Out],
        verdicts: Iterable[Verdict] = (),
        *,
        deps: Any = None,
        sinks: Iterable[Sink] = (),
    ) -> Result[Out]:
        """Go on with a run that waited for approvals: ``resume(result, [request.approve()])``.

        `verdicts` come from ``result.pending``. A step runs only with the very arguments that were
        approved; one without a verdict is put to the approver, or goes on waiting. The time that
        the run waited does not count, and its time limit begins anew. Raises `ApprovalError` for a
        verdict that belongs to no step that waits, and for a result that was resumed before (a step
        would run twice), `ConfigurationError` where nothing waits, and what `run` raises.
        """
        given = list(verdicts)
        waiting = {request.step: request for request in before.pending}
        for verdict in given:
            if verdict.step not in waiting:
                raise ApprovalError(verdict.step, "no step of that name waits for approval")
            if verdict.digest != waiting[verdict.step].digest:
                raise ApprovalError(verdict.step, "it was given for other arguments")
        paused = before.paused
        if paused is None:
            raise ConfigurationError(
                f"nothing of this run waits for approval, its status is {before.status!r}: "
                f"resume goes on with a result of status 'pending'"
            )
        if paused in self._resumed:
            raise ApprovalError(
                before.pending[0].step, "this result was resumed already: go on from what that gave"
            )
        self._resumed.add(paused)
        emitter = Emitter(
            before.run_id,
            anyio.current_time,
            sinks,
            elapsed=before.seconds,
            told=paused.events,
        )
        run = Run(
            self._setup,
            before.request,
            emitter,
            history=before.transcript,
            deps=deps,
            before=before,
            verdicts=given,
        )
        await run.drive()
        return _checked(run.result)

    def estimate(self, plan: Plan) -> Estimate:
        """Say what a plan would take: calls, tokens, and seconds as far as they were learned."""
        setup = self._setup
        found = estimate(plan, setup.durations.usual)
        asks = {name for name, tool in setup.toolbox.items() if tool.approve is not None}
        approved = [task.id for task in plan if task.policy.approve or task.tool in asks]
        told: tuple[Message, ...] = ()
        if isinstance(setup.planner, Foresees) and plan.tasks:
            transcript = Transcript((Request(plan.request or ""), Turn(text_of(plan))))
            asking = TurnRequest(transcript, setup.toolbox, "join", 1, setup.output.schema)
            told = setup.planner.foreseen(asking)
        tokens = sum(len(message.text) for message in told) // 4
        return replace(found, approvals=tuple(approved), tokens=tokens or None)

    @contextmanager
    def override(
        self,
        *,
        model: LLM | str | None = None,
        tools: Iterable[ToolLike] | Toolbox | None = None,
        limits: Limits | None = None,
    ) -> Iterator[Agent[Out]]:
        """Use another model, tools or limits for the runs begun in the block; for tests mostly."""
        before = self._setup
        llm = before.llm if model is None else self._model(model)
        other = replace(
            before,
            llm=llm,
            joiner=before.joiner if model is None else llm,
            toolbox=before.toolbox if tools is None else Toolbox(tools),
            limits=limits or before.limits,
        )
        self._setups.append(other)
        try:
            yield self
        finally:
            # By identity, not from the end: blocks of concurrent tasks may overlap.
            self._setups = [setup for setup in self._setups if setup is not other]

    def foresee(self, history: Transcript = _NEW) -> None:
        """Let the model read what the next request of a conversation will begin with.

        A hint, for while the user is typing: it returns at once. A model on this machine then
        answers sooner; others do nothing with it.
        """
        llm, opening = self._opening(history)
        if isinstance(llm, Anticipates):
            llm.anticipate(opening)

    async def warm(self) -> None:
        """Load a model on this machine, and let it read rules and tools, to be kept from then on.

        Raises:
            LLMCompilerError: the model cannot be loaded.
        """
        llm, opening = self._opening(_NEW)
        if isinstance(llm, Anticipates):
            await llm.warm(opening)

    def _opening(self, history: Transcript) -> tuple[LLM, tuple[Message, ...]]:
        setup = self._setup
        if not isinstance(setup.planner, Foresees):
            return setup.llm, ()
        asking = TurnRequest(history, setup.toolbox, "any", 1, setup.output.schema)
        return setup.llm, setup.planner.foreseen(asking)

    async def aclose(self) -> None:
        """Close the models and the cache that this agent opened itself."""
        while self._own:
            await self._own.pop().aclose()
        if self._file is not None:
            self._file.save_durations(self._setup.durations)
            self._file.close()
            self._file = None

    async def __aenter__(self) -> Agent[Out]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.aclose()

    def _new_run(
        self, request: str, sinks: Iterable[Sink], history: Transcript, deps: Any
    ) -> Run[Out]:
        if not request.strip():
            raise EmptyRequestError
        emitter = Emitter(uuid.uuid4().hex, anyio.current_time, sinks)
        return Run(self._setup, request, emitter, history=history, deps=deps)


def _output(kind: type[Out] | Mapping[str, Any] | None) -> OutputType[Out]:
    if isinstance(kind, Mapping):
        return OutputType[Out].of_schema(kind)
    return OutputType[Out].of(kind or cast("type[Out]", str))


def _checked(result: Result[Out]) -> Result[Out]:
    error = result.error
    if error is None:
        return result
    error.result = result
    raise error
