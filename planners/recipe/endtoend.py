"""How often is the whole answer right, to the letter, when the runtime plans, runs tools, replans and answers?

It does not know real files or clocks: tools that name something look it up in a world made for each request.
"""

from __future__ import annotations

import random
from typing import Any

from asking import Asked
from conversations import Conversations
from dialogue import Dialogue
from values import Values

from llmcompiler import Agent, ToolError, tool
from llmcompiler.errors import LLMCompilerError
from llmcompiler.language import parse_plan
from llmcompiler.registry import bundled_tools

TROUBLES = ("none", "mended", "lost")
"""Nothing fails; one name is misspelt and the error says how it is meant; one name stands for nothing."""

World = dict[tuple[str, ...], Any]


class Scripted:
    """The bundled tools, but what they say of files and places comes from `world`."""

    def __init__(self) -> None:
        self.world: World = {}
        self.errors: dict[str, str] = {}

    def _look(self, *key: str) -> Any:
        for name in key[1:]:
            if name in self.errors:
                raise ToolError(self.errors[name])
        if key not in self.world:
            kind = "place" if key[0] in ("time_in", "hours_between") else "file"
            raise ToolError(f"there is no {kind} {key[1]!r}")
        return self.world[key]

    def tools(self) -> list[Any]:
        """Give every tool that plans of the embedded model may call."""

        @tool
        async def count_words(path: str) -> int:
            """Count words."""
            return int(self._look("count_words", path))

        @tool
        async def count_lines(path: str) -> int:
            """Count lines."""
            return int(self._look("count_lines", path))

        @tool
        async def file_size(path: str) -> int:
            """Say how large a file is."""
            return int(self._look("file_size", path))

        @tool
        async def time_in(place: str) -> str:
            """Say what time it is."""
            return str(self._look("time_in", place))

        @tool
        async def hours_between(first: str, second: str) -> float:
            """Say how far a clock is ahead."""
            found: float = self._look("hours_between", first, second)
            return found

        named: list[Any] = [count_words, count_lines, file_size, time_in, hours_between]
        names = {each.name for each in named}
        return [*named, *(each for name, each in bundled_tools().items() if name not in names)]


def _fill(world: World, asked: Asked) -> None:
    for part in asked.parts:
        for call, result in zip(part.calls(), part.results, strict=True):
            if call.names:
                world.setdefault((call.tool, *(part.names[at] for at in call.names)), result)


async def _settle(agent: Agent[Any], dialogue: Dialogue) -> bool:
    """Run the gold plan, and let the gold answer say what came of it; whether nothing failed."""
    done = await agent.execute(parse_plan(dialogue.plan()))
    outcomes = {int(step.task.id): step.outcome for step in done.steps}
    for step in dialogue.steps:
        outcome = outcomes[step.number]
        step.state = outcome.status
        step.error = getattr(outcome, "message", "")
        if step.state == "ok":
            step.part.results[step.index] = getattr(outcome, "value", None)
    return all(step.state == "ok" for step in dialogue.steps)


def _spoil(script: Scripted, asked: Asked, values: Values, trouble: str) -> bool:
    """Misspell one name of the request; whether there was one to misspell."""
    named = [part for part in asked.parts if part.names]
    if not named:
        return False
    part = values.rng.choice(named)
    at = values.rng.randrange(len(part.names))
    wrong = part.names[at]
    if sum(other.names.count(wrong) for other in asked.parts) > 1:
        return False
    place = part.calls()[0].tool in ("time_in", "hours_between")
    what = (
        f"there is no place {wrong!r} with a known time zone"
        if place
        else f"there is no file {wrong!r}"
    )
    if trouble == "mended":
        right = values.typo(wrong)
        if right in part.names:
            return False
        part.names[at] = right
        what = f"{what}; did you mean {right!r}?"
    script.errors = {wrong: what}
    return True


async def trial(
    agent: Agent[Any], script: Scripted, asked: Asked, values: Values, trouble: str
) -> tuple[str, str] | None:
    """Give the gold answer and the model's; None where the request does not lend itself to the trouble."""
    script.world, script.errors = {}, {}
    if trouble != "none" and not _spoil(script, asked, values, trouble):
        return None
    _fill(script.world, asked)
    dialogue = Dialogue(random.Random(0), values, asked)
    if await _settle(agent, dialogue) == (trouble == "lost"):
        return None
    gold = dialogue.answer()
    try:
        return gold, (await agent.run(asked.text)).answer or ""
    except LLMCompilerError as error:
        return gold, f"{type(error).__name__}: {error}"


async def trials(
    model: str, count: int, seed: int, held: dict[str, bool], trouble: str
) -> list[tuple[str, str, str]]:
    """Run `count` trials; each is the request, the gold answer and the model's."""
    source = Conversations(seed, **held)
    script = Scripted()
    found: list[tuple[str, str, str]] = []
    async with Agent(f"local:{model}", tools=script.tools()) as agent:
        while len(found) < count:
            asked = source.requests.ask()
            if asked.parts:
                pair = await trial(agent, script, asked, source.values, trouble)
                if pair is not None:
                    found.append((asked.text, *pair))
    return found
