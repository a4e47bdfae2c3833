"""Which values stand in requests: files, places, numbers, dates, expressions, mostly ones that nobody has seen?

It does not know what is asked about them.
"""

from __future__ import annotations

import random
import zoneinfo
from dataclasses import dataclass

from words import NOUNS

SYLLABLES = [
    first + second
    for first in [
        "b",
        "c",
        "d",
        "f",
        "g",
        "h",
        "j",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "t",
        "v",
        "w",
        "z",
        "br",
        "ch",
        "cl",
        "cr",
        "dr",
        "fl",
        "gr",
        "kr",
        "pl",
        "pr",
        "sh",
        "sk",
        "sl",
        "sp",
        "st",
        "th",
        "tr",
    ]
    for second in [
        "a",
        "e",
        "i",
        "o",
        "u",
        "ai",
        "ea",
        "ee",
        "oo",
        "ou",
        "an",
        "en",
        "in",
        "on",
        "ar",
        "er",
        "or",
        "al",
        "el",
    ]
]
_EXTENSIONS_TEXT = """md txt py json csv toml yaml log html rst tex cfg ini xml js ts c h rs go java sh bin dat tsv doc odt
pdf sql css tmp bak"""
EXTENSIONS = _EXTENSIONS_TEXT.split()
_NAMES_TEXT = """readme README notes main config data setup changelog CHANGELOG index budget draft minutes essay paper thesis
chapter intro outline summary letter recipe story poem contract invoice results survey users orders items sales
inventory test utils app server client model train parser lexer tokens words lines size time convert count list file
total average day week summary2 final old new copy backup log error errors output input script run build deploy
meeting agenda speech talk slides review feedback ideas journal diary book novel glossary appendix references sources
prices costs plan tasks todo inbox archive january february march april summer winter LICENSE Makefile"""
NAMES = _NAMES_TEXT.split()
_FOLDERS_TEXT = """docs src tests data notes drafts lib tools scripts reports letters chapters books archive old new work
home text papers config logs out build assets content posts pages"""
FOLDERS = _FOLDERS_TEXT.split()

PLACES = sorted(
    {
        name.rsplit("/", 1)[1].replace("_", " ")
        for name in zoneinfo.available_timezones()
        if name.split("/")[0]
        in ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
    }
)


def _held_place(name: str) -> bool:
    return sum(map(ord, name)) % 7 == 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two dates, written as they are."""

    start: str
    end: str


class Values:
    """Draws values; a `held` drawer uses places and name parts that training never sees."""

    def __init__(self, rng: random.Random, held: bool = False) -> None:
        self.rng = rng
        self.held = held
        self._places = [name for name in PLACES if _held_place(name) == held]
        self._nouns = [name for name in NOUNS if _held_place(name) == held]
        self._names = [name for name in NAMES if _held_place(name) == held]

    def pseudo(self, low: int = 1, high: int = 3) -> str:
        """Write a word that means nothing."""
        rng = self.rng
        if rng.random() < 0.12:
            return "".join(
                rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8))
            )
        return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(low, high)))

    def file(self) -> str:
        """Write a path."""
        rng = self.rng

        def stem() -> str:
            kind = rng.random()
            word = (
                rng.choice(self._names if kind < 0.25 else self._nouns)
                if kind < 0.4
                else self.pseudo()
            )
            if rng.random() < 0.08:
                word = word.capitalize()
            if rng.random() < 0.18:
                tail = rng.choice(self._names) if rng.random() < 0.4 else self.pseudo(1, 2)
                word += rng.choice("-_-_.") + tail
            if rng.random() < 0.12:
                word += rng.choice(["", "-", "_", "_v"]) + str(
                    rng.choice([rng.randint(1, 9), rng.randint(1, 2030)])
                )
            return word

        path = stem()
        ending = rng.random()
        if ending < 0.85:
            path += "." + rng.choice(EXTENSIONS)
        elif ending < 0.95 or path.isalpha():
            path += "." + "".join(
                rng.choice("abcdefghklmnoprstuvx") for _ in range(rng.randint(1, 4))
            )
        folders = rng.random()
        if folders < 0.3:
            path = (rng.choice(FOLDERS) if rng.random() < 0.5 else stem()) + "/" + path
            if rng.random() < 0.2:
                path = (rng.choice(FOLDERS) if rng.random() < 0.5 else self.pseudo()) + "/" + path
        return path

    def files(self, count: int) -> list[str]:
        """Write different paths, sometimes close relatives of each other."""
        found: list[str] = []
        while len(found) < count:
            path = self.file()
            if found and self.rng.random() < 0.12 and "." in found[-1]:
                path = found[-1].rsplit(".", 1)[0] + "." + self.rng.choice(EXTENSIONS)
            elif found and self.rng.random() < 0.1 and "/" in found[-1]:
                path = found[-1].rsplit("/", 1)[0] + "/" + path.rsplit("/", 1)[-1]
            if path not in found:
                found.append(path)
        return found

    def place(self) -> str:
        """Write the name of a place, real or not."""
        rng = self.rng
        if rng.random() < 0.6:
            name = rng.choice(self._places)
        else:
            name = " ".join(
                self.pseudo().capitalize() for _ in range(rng.choice([1, 1, 1, 1, 2, 2, 3]))
            )
            if rng.random() < 0.1:
                name = (
                    rng.choice(
                        ["San ", "New ", "Port ", "Saint ", "El ", "Los ", "Fort ", "North "]
                    )
                    + name
                )
            if rng.random() < 0.06:
                name = name[:-1] + rng.choice("áéíóúãüøñ")
        return name.lower() if rng.random() < 0.15 else name

    def places(self, count: int) -> list[str]:
        """Write different places."""
        found: list[str] = []
        while len(found) < count:
            place = self.place()
            if place not in found:
                found.append(place)
        return found

    def number(self, small: bool = False) -> str:
        """Write a number."""
        rng = self.rng
        kind = rng.random()
        if small or kind < 0.35:
            return str(rng.randint(1, rng.choice([9, 20, 120])))
        if kind < 0.6:
            return str(rng.randint(1, rng.choice([999, 9999, 99999])))
        if kind < 0.68:
            return str(rng.randint(1, 99) * rng.choice([10, 100, 1000]))
        whole = rng.randint(0, rng.choice([9, 99, 999]))
        return f"{whole}.{rng.choice([str(rng.randint(1, 9)), str(rng.randint(1, 9)), str(rng.randint(1, 99)).zfill(2), '5', '25', '75'])}"

    def numbers(self, count: int) -> list[str]:
        """Write numbers; equal ones are possible but rare."""
        return [self.number() for _ in range(count)]

    def date(self) -> str:
        """Write an ISO date."""
        rng = self.rng
        year = rng.randint(1900, 2099) if rng.random() < 0.3 else rng.randint(2015, 2032)
        return f"{year:04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 31 if rng.random() < 0.2 else 28):02d}"

    def pair(self) -> Pair:
        """Write two dates, often close relatives, in any order."""
        rng = self.rng
        start, end = self.date(), self.date()
        if rng.random() < 0.5:
            end = start[:5] + end[5:]
        if rng.random() < 0.7 and end < start:
            start, end = end, start
        return Pair(start, end if end != start else self.date())

    def typo(self, text: str) -> str:
        """Misspell a path or a place a little (never returns the same)."""
        rng = self.rng
        while True:
            spots = [i for i in range(len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
            kind = rng.random()
            if "/" in text and kind < 0.15:
                wrong = text.rsplit("/", 1)[1]
            elif "." in text and kind < 0.3:
                wrong = text.rsplit(".", 1)[0] + "." + rng.choice(EXTENSIONS)
            elif kind < 0.35:
                wrong = (
                    rng.choice(FOLDERS) + "/" + text if "." in text else text + rng.choice("aeis")
                )
            elif not spots:
                wrong = text + rng.choice("aeiou")
            else:
                at = rng.choice(spots)
                if kind < 0.6:
                    wrong = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
                elif kind < 0.8:
                    wrong = text[:at] + text[at + 1 :]
                else:
                    wrong = text[:at] + text[at] + text[at:]
            if wrong != text and wrong.strip():
                return wrong
