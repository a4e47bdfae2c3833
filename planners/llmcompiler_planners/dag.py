"""The planner: asks the model for its next turn in the plan language and reads it as it comes.

It does not know which tools or models there are, nor what becomes of a plan.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from llmcompiler.grammar import plan_grammar, result_schema
from llmcompiler.language import TurnReader
from llmcompiler.messages import LLM, Finished, FinishReason, Grammar, Message, Prompt, Sampling
from llmcompiler.roles import Sealed, TurnEnded, TurnItem, TurnRequest
from llmcompiler_planners.mending import MendGrammar
from llmcompiler_planners.rules import rules
from llmcompiler_planners.steps import steps_of
from llmcompiler_planners.wording import to_messages

__all__ = ["DagPlanner"]

_BEYOND = 100  # letters after join() that are read in the hope of the model's own end


class DagPlanner:
    """Plans, joins and replans as turns of one conversation, see the plan language."""

    def __init__(self, sampling: Sampling | None = None) -> None:
        self._sampling = sampling or Sampling()

    async def turn(self, request: TurnRequest, llm: LLM) -> AsyncGenerator[TurnItem, None]:
        """Take one turn with `llm`; every piece of the plan is handed on as soon as it is whole."""
        prompt = Prompt(self._messages(request), self.grammar(request))
        reader = TurnReader(allow=request.allow)
        written: list[str] = []
        reason: FinishReason | None = None
        beyond = -1
        async with aclosing(llm.stream(prompt, self._sampling)) as deltas:
            async for delta in deltas:
                if isinstance(delta, Finished):
                    reason = delta.reason
                    break
                written.append(delta.text)
                if beyond >= 0:
                    beyond += len(delta.text)
                for item in reader.feed(delta.text):
                    if isinstance(item, Sealed):
                        beyond = 0
                    yield item
                if beyond > _BEYOND:
                    # The plan is closed, and the model goes on: nobody waits for that.
                    reason = "stop"
                    break
        ended = reason or "cut"
        for item in reader.close(ended):
            yield item
        yield TurnEnded("".join(written), ended)

    def foreseen(self, request: TurnRequest) -> tuple[Message, ...]:
        """Return what the prompt of a coming turn begins with."""
        return self._messages(request)

    def grammar(self, request: TurnRequest) -> Grammar:
        """Return the grammar that the turn is held to where the back end can."""
        steps = steps_of(request.transcript)
        lines = plan_grammar(
            request.toolbox,
            request.allow,
            next_id=request.next_id,
            answer_schema=request.output_schema,
            known={
                name: result_schema(task, request.toolbox) for name, task in steps.tasks.items()
            },
            rejected=steps.rejected,
            goes_on=steps.goes_on,
        )
        return MendGrammar(lines) if steps.mending and request.allow == "lines" else lines

    def _messages(self, request: TurnRequest) -> tuple[Message, ...]:
        said = rules(request.toolbox, request.output_schema)
        return (Message("rules", said), *to_messages(request.transcript, request.toolbox))
