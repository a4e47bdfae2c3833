"""How is a given plan run, and what happened? The one place that makes the agents of these benchmarks.

It does not know where plans come from. No model is asked: the plan is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcompiler import Agent, Limits, Plan, Toolbox
from llmcompiler.events import Event, StepFinished, StepPlanned, StepStarted
from llmcompiler.messages import LLM
from llmcompiler.passes import Durations, Passes
from llmcompiler.plan import TaskId
from llmcompiler.testing import ScriptedLLM

__all__ = ["EVERYTHING", "NOTHING", "Ran", "agent_for", "execute"]

_UNLIMITED = 100_000  # workers
NOTHING = Passes().switched(off=Passes.names())
"""Every pass is off: a call is a call."""
EVERYTHING = Passes().switched(on=Passes.names())
"""Every pass is on."""


def agent_for(
    tools: Toolbox,
    *,
    workers: int | None = None,
    passes: Passes = NOTHING,
    seconds: Mapping[str, float] | None = None,
    model: LLM | None = None,
    replans: int = 0,
    **more: Any,
) -> Agent[str]:
    """Make an agent that runs plans without a limit in time, `workers` calls at once.

    `seconds` tells it what its tools are known to take, by name. `model` is only needed where
    plans are written. `more` goes to the agent.
    """
    limits = Limits(seconds=None, concurrency=workers or _UNLIMITED, replans=replans)
    agent = Agent(model or ScriptedLLM([]), tools=tools, limits=limits, passes=passes, **more)
    durations: Durations = agent.durations
    for name, known in (seconds or {}).items():
        durations.learn(name, known)
    return agent


@dataclass(frozen=True, slots=True)
class Ran:
    """A plan that was run: all its events, and which steps did not end well, with the reason."""

    events: tuple[Event, ...]
    failures: Mapping[TaskId, str]

    @property
    def makespan(self) -> float:
        """When the last step ended, in seconds from the start of the run."""
        return max(
            (event.ts for event in self.events if isinstance(event, StepFinished)), default=0.0
        )

    @property
    def edges(self) -> frozenset[tuple[TaskId, TaskId]]:
        """Which step was run as needing which: pairs of the needed one and the one that needs it."""
        planned = (event for event in self.events if isinstance(event, StepPlanned))
        return frozenset((need, event.step) for event in planned for need in event.needs)

    @property
    def too_early(self) -> tuple[TaskId, ...]:
        """The steps that started before all they need had ended well; there must be none."""
        needs = {event.step: event.needs for event in self.events if isinstance(event, StepPlanned)}
        there: dict[TaskId, float] = {}
        found: list[TaskId] = []
        for event in self.events:
            if isinstance(event, StepFinished):
                there[event.step] = event.ts
            elif isinstance(event, StepStarted):
                ready = all(need in there and there[need] <= event.ts for need in needs[event.step])
                if not ready:
                    found.append(event.step)
        return tuple(found)

    @property
    def started(self) -> int:
        """How many steps started."""
        return sum(isinstance(event, StepStarted) for event in self.events)


async def execute(agent: Agent[Any], plan: Plan) -> Ran:
    """Run a plan and return what happened; raise `PlanError` for one that is not legal."""
    events: list[Event] = []
    result = await agent.execute(plan, sinks=[events.append])
    return Ran(
        tuple(events),
        {each.task.id: str(each.outcome) for each in result.steps if each.outcome.status != "ok"},
    )
