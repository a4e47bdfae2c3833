"""What is a whole conversation: the request, the plan, what the runtime says back, and every right turn of the model?

It does not know tokens; a conversation is a list of pieces that say whether the model learns to write them.
"""

from __future__ import annotations

import random

from asking import Asked, Requests
from dialogue import MODEL, OBS, USER, Dialogue, Piece
from values import Values

ONLY = "Write only the corrected lines."
NO_FORM = "That was neither a plan nor an answer: write plan lines, or Answer: and the answer."


class Conversations:
    """Draws conversations. With `hard` more of them ask several things, go wrong, and are mended."""

    def __init__(
        self,
        seed: int,
        held_values: bool = False,
        held_phrases: bool = False,
        held_pairs: bool = False,
        plan_only: float = 0.35,
        hard: bool = False,
    ) -> None:
        self.rng = random.Random(seed)
        counts = (50, 36, 14) if hard else (66, 28, 6)
        self.requests = Requests(self.rng, held_values, held_phrases, held_pairs, counts)
        self.smooth, self.hints = (0.42, 0.8) if hard else (0.5, 0.68)
        self.values: Values = self.requests.parts.values
        self.plan_only = plan_only

    def draw(self) -> tuple[str, list[Piece]]:
        """Draw one: its kind, and its pieces."""
        asked = self.requests.ask()
        pieces = [Piece(USER, asked.text)]
        if not asked.parts:
            return "talk", [
                *pieces,
                *self._prelude(asked),
                Piece(MODEL, f"Answer: {asked.answer}", True),
            ]
        roll = self.rng.random()
        if roll < self.plan_only:
            text = Dialogue(self.rng, self.values, asked).plan()
            return "plan", [*pieces, Piece(MODEL, text, True)]
        dialogue = Dialogue(self.rng, self.values, asked, self.hints)
        trouble = self.rng.random()
        kind = "join" if trouble < self.smooth else "trouble"
        return kind, [
            *pieces,
            *self._plan_turns(dialogue, trouble),
            *dialogue.rest(0.0 if kind == "join" else 1.0),
        ]

    def _prelude(self, asked: Asked) -> list[Piece]:
        if self.rng.random() > 0.03:
            return []
        return [Piece(MODEL, self._nonsense(asked.text)), Piece(OBS, NO_FORM)]

    def _nonsense(self, text: str) -> str:
        return self.rng.choice(
            [
                "",
                self.values.pseudo(1, 3),
                text[:30],
                "I think " + self.values.pseudo(),
                "1.",
                "join",
                "Answer",
                "Plan: " + text[:20],
            ]
        )

    def _plan_turns(self, dialogue: Dialogue, trouble: float) -> list[Piece]:
        """The first plan, at times after a turn that was cut, rejected or formless."""
        text = dialogue.plan()
        lines = text.split("\n")
        if trouble < 0.85:
            return [Piece(MODEL, text, True)]
        if trouble < 0.88:
            return [
                Piece(MODEL, self._nonsense(dialogue.asked.text)),
                Piece(OBS, NO_FORM),
                Piece(MODEL, text, True),
            ]
        if trouble < 0.92:
            cut = self.rng.randint(1, len(lines) - 1)
            shown = "\n".join(lines[:cut]) + "\n" + lines[cut][: self.rng.choice([0, 0, 3, 9])]
            note = f"The plan was cut off after line {cut}: go on from there."
            return [
                Piece(MODEL, shown),
                Piece(OBS, note),
                Piece(MODEL, "\n".join(lines[cut:]), True),
            ]
        return self._rejected(dialogue, lines)

    def _rejected(self, dialogue: Dialogue, lines: list[str]) -> list[Piece]:
        rng = self.rng
        bad = sorted(
            rng.sample(range(len(lines) - 1), min(len(lines) - 1, rng.choice([1, 1, 1, 2])))
        )
        notes, shown = [], list(lines)
        for at in bad:
            number, _, call = lines[at].partition(". ")
            tool, _, args = call.partition("(")
            names = [
                piece.split("=")[0]
                for piece in args[:-1].split(", ")
                if piece.split("=")[0].isidentifier()
            ]
            kind = rng.random()
            if kind < 0.4:
                wrong = (
                    self.values.typo(tool)
                    if rng.random() < 0.6
                    else "_".join(reversed(tool.split("_")))
                )
                hint = f"; did you mean '{tool}'?" if rng.random() < 0.8 else ""
                shown[at] = f"{number}. {wrong}({args}"
                problem = f"there is no tool '{wrong}'{hint}"
            elif kind < 0.65:
                name = rng.choice(names)
                wrong = rng.choice([self.values.typo(name), "file", "text", "x", "unit"])
                shown[at] = f"{number}. {tool}({args.replace(name + '=', wrong + '=', 1)}"
                takes = (
                    f"; it takes {', '.join(names)}"
                    if rng.random() < 0.4
                    else f"; did you mean '{name}'?"
                )
                problem = f"{tool} has no argument '{wrong}'{takes}"
            elif kind < 0.8:
                name = names[-1]
                shown[at] = f"{number}. {tool}({args.split(name + '=')[0].removesuffix(', ')})"
                problem = f"{tool} needs the argument '{name}'"
            elif kind < 0.9:
                other = str(len(lines) + rng.randint(1, 4))
                shown[at] = f"{number}. {tool}({names[0]}=${other})"
                problem = (
                    f"${other} is not an earlier line: a step can only use results of earlier ones"
                    if rng.random() < 0.6
                    else f"there is no earlier step ${other}"
                )
            else:
                shown[at] = f"{number}. {tool}({args[:-1]}"
                problem = "the call is not complete: ')' is missing"
            notes.append(f"Line {number} was rejected: {problem}")
        fixed = "\n".join(lines[at] for at in bad)
        return [
            Piece(MODEL, "\n".join(shown)),
            Piece(OBS, "\n".join([*notes, ONLY])),
            Piece(MODEL, fixed, True),
        ]
