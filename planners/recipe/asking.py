"""How does a request read that asks for one, two or three things?

It does not know what is planned for it: it draws parts, and words them.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from itertools import pairwise

from grammar import Writer, fill, recase
from part import Part
from parts import Parts
from phrasings_cannot import CANNOT
from phrasings_context import CONTEXT, CONTEXT_FRAMES
from phrasings_files import FILE_PHRASINGS
from phrasings_talk import ABOUT, AFTER, BEFORE, BYE, FRAMES, GREETINGS, TAILS, THANKS
from phrasings_values import VALUE_PHRASINGS
from words import FILLERS, NOUNS, PEOPLE

PHRASINGS = {**FILE_PHRASINGS, **VALUE_PHRASINGS}

REFUSAL = (
    "I cannot do that: this small demonstration model only does arithmetic, units, time, dates and files. "
    "For more, use a real model: --model local:PATH.gguf or --model http://HOST:PORT/v1#NAME"
)
TALK = (
    (GREETINGS, "Hello! Ask me about arithmetic, units, time, dates or files."),
    (
        ABOUT,
        "I am a small demonstration model: ask me about arithmetic, units, time, dates or files.",
    ),
    (THANKS, "You are welcome."),
    (BYE, "Goodbye!"),
)

_SINGLE = [
    ("file_one", 12),
    ("words_lines", 1.5),
    ("file_fan", 14),
    ("file_more", 5),
    ("file_more_n", 3),
    ("pages", 5),
    ("per_line", 1.5),
    ("size_in", 2),
    ("convert", 10),
    ("convert_fan", 6),
    ("convert_two", 1.5),
    ("convert_more", 1.5),
    ("convert_calc", 2),
    ("time", 9),
    ("hours", 6),
    ("days", 7),
    ("weeks", 4),
    ("day_hours", 1.5),
    ("days_fan", 5),
    ("days_more", 1.5),
    ("calc", 11),
    ("calc_convert", 4),
    ("numbers", 5),
]


@dataclass(slots=True)
class Asked:
    """A request with its parts; without parts `answer` is said at once."""

    text: str
    parts: list[Part] = field(default_factory=list)
    answer: str = ""
    unseen: int = 0


def held_pair(first: str, second: str) -> bool:
    """Whether these two kinds of question, one after the other, are kept out of training: about one pair in eight."""
    return zlib.crc32(f"{first}+{second}".encode()) % 8 == 0


class Requests:
    """Draws requests. `held_values`, `held_phrases` and `held_pairs` draw from what training never sees.

    `counts` weighs requests of one, two and three questions.
    """

    def __init__(
        self,
        rng: random.Random,
        held_values: bool = False,
        held_phrases: bool = False,
        held_pairs: bool = False,
        counts: tuple[int, int, int] = (66, 28, 6),
    ) -> None:
        self.rng = rng
        self.counts = counts
        self.held_pairs = held_pairs
        self.parts = Parts(rng, held_values)
        self.writer = Writer(rng, held_phrases)
        self.held_phrases = held_phrases

    def part(self) -> Part:
        """Draw one question."""
        names, weights = zip(*_SINGLE, strict=True)
        part: Part = getattr(self.parts, self.rng.choices(names, weights)[0])()
        return part

    def ask(self) -> Asked:
        """Draw a request."""
        while True:
            self.writer.used_held = 0
            asked = self._ask()
            asked.unseen = self.writer.used_held
            unseen_pair = any(held_pair(a.key, b.key) for a, b in pairwise(asked.parts))
            if (
                unseen_pair == self.held_pairs
                and (asked.unseen or not self.held_phrases)
                and len(asked.text) <= 420
            ):
                return asked

    def _ask(self) -> Asked:
        kind = self.rng.random()
        if kind < 0.035:
            templates, answer = self.rng.choices(TALK, [4, 3, 1.5, 1])[0]
            return Asked(self._small(templates), answer=answer)
        if kind < 0.135:
            return Asked(self._small(CANNOT), answer=REFUSAL)
        while True:
            count = self.rng.choices([1, 2, 3], self.counts)[0]
            parts = [self.part() for _ in range(count)]
            self._share(parts)
            if sum(len(part.calls()) for part in parts) <= 6:
                return Asked(self._word(parts), parts)

    def _share(self, parts: list[Part]) -> None:
        """Let a later question be about a file of the one before, sometimes as "it"."""
        for before, part in pairwise(parts):
            if (
                part.key in _ONE_FILE
                and before.key.split("_")[0] in _FILE_KEYS
                and before.names
                and self.rng.random() < 0.3
            ):
                part.names[0] = self.rng.choice(before.names)
                alone = before.key in _ONE_FILE and self.rng.random() < 0.5
                part.slots["f"] = "it" if alone else part.names[0]

    # wording ------------------------------------------------------------------------------------------------

    def _small_slots(self) -> dict[str, str]:
        rng = self.rng
        values = self.parts.values
        return {
            "noun": rng.choice(NOUNS) if rng.random() < 0.85 else values.pseudo(2, 3),
            "who": rng.choice(PEOPLE) if rng.random() < 0.6 else values.pseudo(1, 3).capitalize(),
            "word": values.pseudo(1, 3) if rng.random() < 0.6 else rng.choice(NOUNS + FILLERS),
            "place": values.place(),
            "file": values.file(),
            "n": values.number(),
            "date": values.date(),
        }

    def _small(self, templates: list[str]) -> str:
        rng = self.rng
        text = self.writer.choose(templates)
        if templates is CANNOT:
            if rng.random() < 0.45:
                frame = self.writer.choose(
                    FRAMES["q"] if text.split(" ", 1)[0] in _QUESTION else FRAMES["imp"]
                )
                text = frame.replace("<x>", text)
            elif text.split(" ", 1)[0] in _QUESTION and rng.random() < 0.7:
                text += "?"
            elif rng.random() < 0.5:
                text += "."
            if rng.random() < 0.12:
                text = self.writer.choose(BEFORE) + " " + text
            if rng.random() < 0.1:
                text = _stop(text) + " " + self.writer.choose(AFTER)
        return self._finish(text, {})

    def _finish(self, text: str, slots: dict[str, str]) -> str:
        """Choose the case, and fill every slot; each filler slot gets its own word."""
        rng = self.rng
        kind = rng.random()
        pieces = _sentences(text) if kind < 0.6 else [text]
        if kind < 0.6:
            text = "".join(recase(piece, "first") for piece in pieces)
        elif kind < 0.9:
            text = recase(text, "lower")
        elif kind < 0.915:
            text = recase(text, "upper")
        if rng.random() < 0.04:
            text = text.replace(" ", "  ", 1)
        if rng.random() < 0.3 and text and text[-1] in ".?":
            text = text[:-1]
        while any(f"<{name}>" in text for name in _SMALL):
            for name, word in self._small_slots().items():
                text = text.replace(f"<{name}>", word, 1) if name not in slots else text
            if all(f"<{name}>" not in text or name in slots for name in _SMALL):
                break
        return fill(text, slots).strip()

    def _mooded(self, part: Part, mood: str, tag: str) -> str:
        moods = PHRASINGS[part.key]
        text = self.writer.choose(moods[mood])
        if "Lin" in part.slots and self.rng.random() < 0.15:
            text = text.replace("in <L>", "in <Lin>")
        return _retag(text, part, tag)

    def _framed(self, part: Part, tag: str) -> str:
        rng = self.rng
        mood = rng.choices(["np", "q", "iq", "imp"], [34, 34, 10, 22])[0]
        if CONTEXT.get(part.key) and rng.random() < 0.17:
            text = _retag(self.writer.choose(CONTEXT[part.key]), part, tag)
            return self.writer.choose(CONTEXT_FRAMES).replace("<x>", text)
        text = self._mooded(part, mood, tag)
        return self.writer.choose(FRAMES[mood]).replace("<x>", text)

    def _word(self, parts: list[Part]) -> str:
        rng = self.rng
        text = self._framed(parts[0], "a") if len(parts) == 1 else self._joined(parts)
        if rng.random() < 0.13:
            text = self.writer.choose(BEFORE) + " " + text
            if rng.random() < 0.2:
                text = self.writer.choose(BEFORE) + " " + text
        if rng.random() < 0.05:
            text = f"{rng.choice(['<word>,', '<word>:', '<word>!', '<who>,', '<word> <word>:', '<who>:'])} {text}"
        if rng.random() < 0.08:
            text = _insert(text, " " + self.writer.choose(TAILS))
        if rng.random() < 0.12:
            text = _stop(text) + " " + self.writer.choose(AFTER)
        slots = {
            f"{name}_{tag}": value
            for part, tag in zip(parts, "abc", strict=False)
            for name, value in part.slots.items()
        }
        return self._finish(text, slots)

    def _joined(self, parts: list[Part]) -> str:
        rng = self.rng
        style = rng.random()
        if style < 0.3:
            words = [self._mooded(part, "np", tag) for part, tag in zip(parts, "abc", strict=False)]
            return self.writer.choose(FRAMES["np"]).replace("<x>", self._and(words))
        if style < 0.45:
            words = [
                self._mooded(part, rng.choice(["q", "q", "iq"]), tag)
                for part, tag in zip(parts, "abc", strict=False)
            ]
            return rng.choice(["<x>?", "<x>?", "<x>", "tell me: <x>?", "please: <x>?"]).replace(
                "<x>", self._and(words)
            )
        if style < 0.57:
            words = [
                self._mooded(part, "imp", tag) for part, tag in zip(parts, "abc", strict=False)
            ]
            return self.writer.choose(FRAMES["imp"]).replace("<x>", self._and(words, then=True))
        if style < 0.65:
            moods = [rng.choice(["np", "iq"]) for _ in parts]
            words = [
                self._mooded(part, mood, tag)
                for part, mood, tag in zip(parts, moods, "abc", strict=False)
            ]
            return self.writer.choose(
                [
                    "(tell|show) me <x>",
                    "I need to know <x>",
                    "I (want|would like) to know <x>",
                    "(can|could) you tell me <x>?",
                    "please (say|tell me|find out) <x>",
                    "let me know <x>",
                    "(find|work) out <x>",
                ]
            ).replace("<x>", self._and(words))
        if style < 0.78:
            first = self._mooded(parts[0], "imp", "a")
            rest = []
            for part, tag in zip(parts[1:], "bc", strict=False):
                mood = rng.choice(["np", "iq", "q"])
                rest.append(
                    rng.choice(
                        ["tell me ", "give me ", "say "] if mood == "np" else ["tell me ", "say "]
                    )
                    + self._mooded(part, mood, tag)
                )
            return self.writer.choose(
                ["<x>.", "<x>", "please <x>", "(can|could) you <x>?", "<x> please"]
            ).replace("<x>", self._and([first, *rest]))
        out = self._framed(parts[0], "a")
        for part, tag in zip(parts[1:], "bc", strict=False):
            link = self.writer.choose(
                [
                    "",
                    "",
                    "and",
                    "also",
                    "then",
                    "also:",
                    "and also",
                    "next:",
                    "besides,",
                    "plus,",
                    "and then",
                    "second:",
                    "another thing:",
                    "after that,",
                    "(moreover|additionally|~furthermore|~on top of that),",
                ]
            )
            out = f"{_stop(out)} {link} {self._framed(part, tag)}"
        return out

    def _and(self, words: list[str], then: bool = False) -> str:
        rng = self.rng
        links = [
            " and ",
            " and ",
            ", and ",
            ", and ",
            " and also ",
            ", plus ",
            " as well as ",
            "; ",
            ", also ",
            " & ",
            ", ",
        ]
        if then:
            links += [", then ", " and then ", ", and then "]
        if len(words) == 2 and rng.random() < 0.06:
            return f"both {words[0]} and {words[1]}"
        out = words[0]
        for index, word in enumerate(words[1:], 1):
            out += (
                rng.choice(links)
                if index == len(words) - 1
                else rng.choice([", ", ", ", "; ", " and "])
            ) + word
        return out


_ONE_FILE = ("words", "lines", "size", "pages", "minutes", "per_line", "size_in", "words_lines")
_FILE_KEYS = ("words", "lines", "size", "pages", "minutes", "per")
_SMALL = ("noun", "who", "word", "place", "file", "n", "date")
_ASKING = "what who when where why how which is are was do does did will can should am what's how's who's whats"
_QUESTION = frozenset(_ASKING.split())


def _retag(text: str, part: Part, tag: str) -> str:
    for name in part.slots:
        text = text.replace(f"<{name}>", f"<{name}_{tag}>")
    return text


def _stop(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in ".?!:;," else text + "."


def _insert(text: str, tail: str) -> str:
    return text[:-1] + tail + text[-1] if text[-1:] in ".?!" else text + tail


def _sentences(text: str) -> list[str]:
    """Cut after every sentence end that a blank follows; the pieces join to the text."""
    pieces, start = [], 0
    for index in range(len(text) - 1):
        if text[index] in ".?!" and text[index + 1] == " ":
            pieces.append(text[start : index + 2])
            start = index + 2
    return [*pieces, text[start:]]
