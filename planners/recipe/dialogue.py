"""How does one request go on: what becomes of its steps, what is replanned, what is answered at last?

It does not know how requests are worded, nor what a model gets wrong in its turns.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from asking import Asked
from part import Part, quote
from values import Values

USER, MODEL, OBS, END = "<|user|>", "<|model|>", "<|obs|>", "<|end|>"
NO_REPLANS = "No replans are left: answer with what there is."
TIME_UP = "The time is up: answer with what there is."


@dataclass(frozen=True, slots=True)
class Piece:
    """A text; `who` is the control token before it; `learn` whether a model turn is a right one."""

    who: str
    text: str
    learn: bool = False


@dataclass(slots=True)
class Step:
    """A planned call and what became of it."""

    part: Part
    index: int
    number: int = 0
    state: str = "todo"
    error: str = ""
    wrong: dict[int, str] = field(default_factory=dict)


class Dialogue:
    """One request on its way: planned, observed, replanned, answered."""

    def __init__(
        self, rng: random.Random, values: Values, asked: Asked, hints: float = 0.68
    ) -> None:
        self.rng = rng
        self.hints = hints
        self.values = values
        self.asked = asked
        self.steps = [
            Step(part, index) for part in asked.parts for index in range(len(part.calls()))
        ]
        self.next = 1

    def _lines(self, steps: list[Step]) -> str:
        for step in steps:
            step.number, self.next = self.next, self.next + 1
        lines = []
        for step in steps:
            call = step.part.calls()[step.index]
            args = call.args
            for other in self.steps:
                if other.part is step.part:
                    args = args.replace(f"§{other.index}§", str(other.number))
            lines.append(f"{step.number}. {call.tool}({args})")
        lines.append(f"{self.next}. join()")
        self.next += 1
        return "\n".join(lines)

    def plan(self) -> str:
        """Write the first plan."""
        return self._lines(self.steps)

    # what becomes of the steps ----------------------------------------------------------------------------------

    def _fail(self, step: Step, hint: bool) -> None:
        rng = self.rng
        call = step.part.calls()[step.index]
        step.state = "failed"
        kind = rng.random()
        if call.names and (hint or kind < 0.75):
            which = rng.choice(call.names)
            name = step.part.names[which]
            what = (
                f"there is no place {name!r} with a known time zone"
                if call.tool in ("time_in", "hours_between")
                else f"there is no file {name!r}"
            )
            right = (
                self.values.typo(name)
                if rng.random() < 0.75 or call.tool in ("time_in", "hours_between")
                else self.values.file()
            )
            step.error = f"{what}; did you mean {right!r}?" if hint else what
            if hint:
                step.wrong[which] = right
            elif call.tool.startswith(("count", "file")) and kind < 0.3:
                step.error = f"{name!r} is {rng.choice(['not below the current directory', 'a directory, not a file', 'not a text file'])}"
            elif call.tool == "time_in" and kind < 0.15:
                step.error = f"{name!r} has several time zones; name a city in it"
            return
        if call.tool == "calculate" and kind < 0.7:
            shown = call.args.removeprefix('expression="').removesuffix('"')
            for i, result in enumerate(step.part.results):
                shown = shown.replace(f"${{§{i}§}}", str(result))
            step.error = (
                f"division by zero in {shown!r}"
                if "/" in shown
                else f"cannot read the expression {shown!r}"
            )
        elif call.tool == "days_between" and kind < 0.6:
            step.error = f"{self.rng.choice([call.args[7:17], call.args[-11:-1]])!r} is not a date like 2026-11-21"
        elif call.tool == "convert" and kind < 0.4:
            step.error = (
                f"'{self.values.pseudo()}' and '{self.values.pseudo()}' measure different things"
                if kind < 0.1
                else f"there is no unit '{self.values.pseudo()}'"
            )
        else:
            step.error = f"timed out after {rng.choice([60, 60, 60, 30, 10, 5, 120])} s"

    def _roots(self, steps: list[Step]) -> list[Step]:
        return [step for step in steps if "§" not in step.part.calls()[step.index].args]

    def _run(self, steps: list[Step], fail: float, limit: str) -> list[str]:
        """Let every step of a plan end somehow; the lines of observation in order of completion."""
        rng = self.rng
        for step in steps:
            step.state = "ok"
        roots = self._roots(steps)
        if limit == TIME_UP:
            for step in rng.sample(steps, rng.randint(1, len(steps))):
                step.state = "cancelled"
        elif roots and rng.random() < fail:
            named = [step for step in roots if step.part.calls()[step.index].names]
            for step in rng.sample(
                named or roots, 1 if rng.random() < 0.75 or len(named or roots) < 2 else 2
            ):
                self._fail(step, hint=bool(named) and rng.random() < self.hints)
            chained = [
                step
                for step in steps
                if step not in roots and step.part.calls()[step.index].tool == "calculate"
            ]
            if chained and rng.random() < 0.12:
                self._fail(rng.choice(chained), hint=False)
        lines: list[tuple[int, str]] = []
        for step in steps:
            call = step.part.calls()[step.index]
            needs = [
                other
                for other in self.steps
                if other.part is step.part and f"§{other.index}§" in call.args
            ]
            lost = next((other for other in needs if other.state != "ok"), None)
            if step.state != "ok" and step.state != "cancelled":
                lost = (
                    None
                    if step.state == "failed" and not any(o.state != "ok" for o in needs)
                    else lost
                )
            if lost is not None:
                step.state = (
                    "cancelled"
                    if lost.state == "cancelled" and limit == TIME_UP and rng.random() < 0.5
                    else "skipped"
                )
            said = {
                "ok": f"${step.number} = {_json(step.part.results[step.index])}",
                "failed": f"${step.number} failed: {step.error}",
                "cancelled": f"${step.number} cancelled: the time is up",
                "skipped": f"${step.number} skipped: it needs ${lost.number if lost else 0}",
            }[step.state]
            lines.append((max([0, *(n.number for n in needs)]), said))
        return _completed(rng, lines, [step.number for step in steps])

    def rest(self, fail: float) -> list[Piece]:
        """Everything after the first plan: observations, replans, the answer."""
        rng = self.rng
        pieces: list[Piece] = []
        steps = self.steps
        left = rng.choice([0, 1, 1, 2, 2, 2])
        while True:
            limit = TIME_UP if fail and rng.random() < 0.12 else ""
            notes = self._run(steps, fail, limit)
            mend = [step for step in self.steps if step.wrong]
            if mend and not limit and left == 0:
                limit = NO_REPLANS
            pieces.append(Piece(OBS, "\n".join([*notes, limit] if limit else notes)))
            if not mend or limit:
                return [*pieces, Piece(MODEL, f"Answer: {self.answer()}", True)]
            left -= 1
            reasons = []
            for step in mend:
                for which, right in step.wrong.items():
                    reasons.append(f"{step.part.names[which]!r} is not there, trying {right!r}.")
            for step in mend:
                for which, right in step.wrong.items():
                    old = step.part.names[which]
                    step.part.names[which] = right
                    for result in step.part.results:
                        if isinstance(result, dict) and result["name"] == old:
                            result["name"] = right
                step.wrong.clear()
                step.state, step.error = "todo", ""
            steps = self._again()
            pieces.append(Piece(MODEL, f"Replan: {' '.join(reasons)}\n{self._lines(steps)}", True))
            fail = 0.3

    def _again(self) -> list[Step]:
        """The mended steps, and the skipped ones whose needs can be met now."""
        chosen: list[Step] = []
        for step in self.steps:
            call = step.part.calls()[step.index]
            needs = [
                other
                for other in self.steps
                if other.part is step.part and f"§{other.index}§" in call.args
            ]
            same = step.state == "todo" or (
                step.state == "skipped" and all(o.state == "ok" or o in chosen for o in needs)
            )
            if same:
                chosen.append(step)
        return chosen

    def answer(self) -> str:
        """Say what was found, and what was not."""
        out: list[str] = []
        cancelled = False
        for part in self.asked.parts:
            steps = [step for step in self.steps if step.part is part]
            if all(step.state == "ok" for step in steps):
                out.append(part.final())
                continue
            for step in steps:
                said = part.single(step.index)
                if step.state == "ok" and said:
                    out.append(said)
                elif step.state == "failed":
                    out.append(
                        f"I could not finish that: {step.error}"
                        + ("" if step.error.endswith("?") else ".")
                    )
                cancelled = cancelled or step.state == "cancelled"
        if cancelled:
            out.append("The rest was not finished: the time is up.")
        return " ".join(out)


def _json(value: object) -> str:
    if isinstance(value, dict):
        return f'{{"name": {quote(value["name"])}, "value": {_json(value["value"])}}}'
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else str(value)


def _completed(rng: random.Random, lines: list[tuple[int, str]], numbers: list[int]) -> list[str]:
    """Shuffle lines, but keep every line after those that it needs (its needs have lower numbers)."""
    if rng.random() < 0.4:
        return [line for _, line in lines]
    placed: list[str] = []
    waiting = list(zip(numbers, lines, strict=True))
    done: set[int] = set()
    while waiting:
        free = [
            item
            for item in waiting
            if item[1][0] == 0 or item[1][0] in done or item[1][0] not in numbers
        ]
        item = rng.choice(free)
        waiting.remove(item)
        done.add(item[0])
        placed.append(item[1][1])
    return placed


def render(pieces: list[Piece]) -> str:
    """Write a conversation as the model sees it."""
    return "".join(p.who + p.text + (END if p.who == MODEL else "") for p in pieces)
