"""How good is an exported model, through the public API of llmcompiler, with its real tools?

It does not know how the model was trained; requests are generated apart from training, or written by hand.
"""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from asking import Asked, Requests
from conversations import Conversations
from dialogue import Dialogue
from endtoend import TROUBLES, trials
from values import Values

from llmcompiler import Agent
from llmcompiler.errors import LLMCompilerError
from llmcompiler.language import parse_plan, write_plan

SETS: dict[str, dict[str, bool]] = {
    "trained phrasings": {},
    "values": {"held_values": True},
    "phrasings": {"held_phrases": True},
    "compositions": {"held_pairs": True},
    "all unseen": {"held_values": True, "held_phrases": True, "held_pairs": True},
}

FIXTURES: dict[str, tuple[int, int]] = {
    "docs/report.md": (412, 38),
    "docs/plan.md": (187, 21),
    "notes.txt": (96, 12),
    "todo.txt": (31, 9),
    "README.md": (655, 80),
    "main.py": (240, 64),
    "data/prices.csv": (120, 60),
    "letters/anna.txt": (1840, 150),
}
"""Files for the hand-written requests: how many words and lines each has."""


@dataclass(slots=True)
class Tally:
    """Right and all; the wrong ones with what was wanted and what came."""

    right: int = 0
    total: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, good: bool, request: str, wanted: str, came: str) -> None:
        self.total += 1
        self.right += good
        if not good:
            self.failures.append((request, wanted, came))

    def line(self) -> str:
        return f"{self.right}/{self.total} = {self.right / max(1, self.total):.3f}"


@contextmanager
def fixture_folder() -> Iterator[None]:
    """Stand in a folder with the fixture files."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        for name, (words, lines) in FIXTURES.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = [
                ["word"] * (words // lines + (1 if at < words % lines else 0))
                for at in range(lines)
            ]
            path.write_text("".join(" ".join(line) + "\n" for line in text), encoding="utf-8")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def generated(name: str, count: int, seed: int) -> list[Asked]:
    """Draw requests of a set."""
    source = Conversations(seed, **SETS[name])
    requests: Requests = source.requests
    return [requests.ask() for _ in range(count)]


def wanted_plan(asked: Asked) -> str:
    """The gold plan of a generated request, in canonical text."""
    rng = random.Random(0)
    return canonical(Dialogue(rng, Values(rng), asked).plan())


def canonical(text: str) -> str:
    """Write a plan text the canonical way."""
    return write_plan(tuple(parse_plan(text)))


async def plan_text(agent: Agent[Any], request: str) -> str:
    """What the model plans; an answer at once is ``Answer: ...``; an error is told."""
    try:
        plan = await agent.plan(request)
        if tuple(plan):
            return write_plan(tuple(plan))
        return f"Answer: {(await agent.run(request)).answer}"
    except LLMCompilerError as error:
        return f"{type(error).__name__}: {error}"


async def score_plans(agent: Agent[Any], name: str, count: int, seed: int) -> Tally:
    """Exact plans (or exact immediate answers) on a generated set."""
    tally = Tally()
    for asked in generated(name, count, seed):
        wanted = wanted_plan(asked) if asked.parts else f"Answer: {asked.answer}"
        came = await plan_text(agent, asked.text)
        tally.add(came == wanted, asked.text, wanted, came)
    return tally


_HOLE = re.compile(r"\{(\d+)(\.\w+|abs|\?[^}]*)?\}")


def _needed(pattern: str, results: dict[int, Any]) -> str:
    """Fill a text that the answer must contain with results of the gold calls."""

    def one(match: re.Match[str]) -> str:
        value = results[int(match[1])]
        how = match[2] or ""
        if how == "abs":
            value = abs(value)
        elif how.startswith("."):
            value = value[how[1:]]
        elif how.startswith("?"):
            yes, no = how[1:].split(":")
            value = yes if value else no
        return value if isinstance(value, str) else json.dumps(value)

    return _HOLE.sub(one, pattern)


async def _results(agent: Agent[Any], calls: list[str]) -> dict[int, Any]:
    if not calls:
        return {}
    text = (
        "\n".join(f"{at}. {call}" for at, call in enumerate(calls, 1))
        + f"\n{len(calls) + 1}. join()"
    )
    done = await agent.execute(parse_plan(text))
    return {int(step.task.id): getattr(step.outcome, "value", None) for step in done.steps}


def holds(answer: str, piece: str) -> bool:
    """Whether the answer holds a piece as a whole word or number."""
    return re.search(rf"(?<![\w.]){re.escape(piece)}(?![\w]|\.\d)", answer) is not None


async def score_handwritten(agent: Agent[Any], items: list[dict[str, Any]]) -> tuple[Tally, Tally]:
    """Right answers, and exact first plans, on the hand-written requests."""
    answers, plans = Tally(), Tally()
    for item in items:
        calls: list[str] = item["plans"][0]
        results = await _results(agent, calls)
        needed = [_needed(piece, results) for piece in item["contains"]]
        try:
            run = await agent.run(item["request"])
            said, first = run.answer or "", write_plan(tuple(run.plans[0])) if run.plans else ""
        except LLMCompilerError as error:
            said, first = f"{type(error).__name__}: {error}", ""
        good = all(holds(said, piece) for piece in needed)
        answers.add(good, item["request"], " & ".join(needed), f"{said}  [{first}]")
        if calls:
            gold = canonical(
                "\n".join(f"{at}. {call}" for at, call in enumerate(calls, 1))
                + f"\n{len(calls) + 1}. join()"
            )
            plans.add(first == gold, item["request"], gold, first)
    return answers, plans


async def report(model: str, items: list[dict[str, Any]], count: int, seed: int, show: int) -> None:
    """Print every score of a model file, with failures."""
    async with Agent(f"local:{model}") as agent:
        begun = time.perf_counter()
        with fixture_folder():
            answers, plans = await score_handwritten(agent, items)
            for title, tally in (
                ("hand-written, right answers", answers),
                ("hand-written, exact first plans", plans),
            ):
                _print(title, tally, 100 if show else 0)
            for name in SETS:
                _print(f"exact plans, {name}", await score_plans(agent, name, count, seed), show)
    for trouble in TROUBLES:
        tally = Tally()
        for request, wanted, came in await trials(model, count, seed, SETS["values"], trouble):
            tally.add(came == wanted, request, wanted, came)
        _print(f"exact answers end to end, {trouble}", tally, show)
    print(f"{time.perf_counter() - begun:.0f} s")


def _print(title: str, tally: Tally, show: int) -> None:
    print(f"{title:36} {tally.line()}", flush=True)
    for request, wanted, came in tally.failures[:show]:
        print(f"    {request}\n      want {_flat(wanted)}\n      got  {_flat(came)}")


def _flat(text: str) -> str:
    return text.replace("\n", " | ")


def main(model: Path, handwritten: Path, count: int, seed: int, show: int) -> None:
    """Run `report`."""
    lines = handwritten.read_text(encoding="utf-8").splitlines()
    anyio.run(report, str(model.resolve()), [json.loads(line) for line in lines], count, seed, show)
