"""What does each kind of question about numbers plan, find and answer?

It does not know how requests are worded; it knows values, calls, plausible results and sentences.
"""

from __future__ import annotations

import random
import re

from part import Call, Part, Result, show
from parts_units import UnitParts
from words import plural

RESULT = "The result"
_RUN = re.compile(r"\d+(?:[.:\-]\d+)*", re.ASCII)


class NumberParts(UnitParts):
    """Expressions, totals and averages."""

    def expression(self) -> tuple[str, str]:
        """Draw an expression: as a person writes it, and as the tool reads it."""
        rng = self.rng
        number = self.values.number

        def joined(left: str, sign: str, right: str) -> tuple[str, str]:
            words = {
                "+": ["plus", "plus", "added to"],
                "-": ["minus", "minus", "less"],
                "*": ["times", "times", "multiplied by", "x", "×", "X"],
                "/": ["divided by", "divided by", "over", "÷", ":"],
            }
            shown = rng.choice(words[sign]) if rng.random() < 0.35 else sign
            if shown == sign and rng.random() < 0.25:
                return f"{left}{sign}{right}", f"{left} {sign} {right}"
            return f"{left} {shown} {right}", f"{left} {sign} {right}"

        kind = rng.random()
        a, b, c, d = number(), number(), number(), number()
        sign, other = rng.choice("+-*/"), rng.choice("+-*/")
        if kind < 0.45:
            return joined(a, sign, b)
        if kind < 0.58:
            first = joined(a, sign, b)
            return joined_pair(first, other, c, rng)
        if kind < 0.72:
            first = joined(a, rng.choice("+-"), b)
            return joined_pair((f"({first[0]})", f"({first[1]})"), rng.choice("*/+-"), c, rng)
        if kind < 0.8:
            first = joined(b, rng.choice("+-"), c)
            tight = rng.random() < 0.2
            return (
                f"{a}{sign}({first[0]})" if tight else f"{a} {sign} ({first[0]})"
            ), f"{a} {sign} ({first[1]})"
        if kind < 0.84:
            return f"({a} {sign} {b}) {rng.choice('*/')} ({c} {other} {d})".replace("  ", " "), ""
        small, power = str(rng.randint(2, 60)), str(rng.randint(2, 9))
        if kind < 0.9:
            percent = str(rng.randint(1, 99)) if rng.random() < 0.8 else number()
            return rng.choice(
                [f"{percent}% of {b}", f"{percent} percent of {b}", f"{percent} % of {b}"]
            ), f"{percent} / 100 * {b}"
        if kind < 0.93:
            if rng.random() < 0.5:
                return rng.choice(
                    [f"the square root of {b}", f"sqrt({b})", f"square root of {b}"]
                ), f"sqrt({b})"
            return rng.choice([f"{small} squared", f"the square of {small}"]), f"{small} ** 2"
        if kind < 0.96:
            return rng.choice(
                [
                    f"{small}^{power}",
                    f"{small} to the power of {power}",
                    f"{small} ** {power}",
                    f"{small} to the power {power}",
                ]
            ), f"{small} ** {power}"
        if kind < 0.98:
            return rng.choice([f"half of {b}", f"half {b}"]), f"{b} / 2"
        return rng.choice([f"twice {b}", f"double {b}", f"two times {b}"]), f"2 * {b}"

    def calc(self) -> Part:
        shown, expression = self.expression()
        expression = expression or shown
        said = subject(shown, expression)
        kind = self.rng.choice(["calc"] * 8 + ["calc_more", "calc_less"])
        n = self.values.number()
        if kind == "calc":
            got: list[Result] = [self._real()]
            return Part(
                kind,
                {"e": shown},
                [],
                lambda: [Call("calculate", f'expression="{expression}"')],
                got,
                lambda: f"{said} is {show(got[0])}.",
            )
        sign, how = (">", "more") if kind == "calc_more" else ("<", "less")
        truth: list[Result] = [self.rng.random() < 0.5]
        return Part(
            kind,
            {"e": shown, "n": n},
            [],
            lambda: [Call("calculate", f'expression="{expression} {sign} {n}"')],
            truth,
            lambda: (
                f"{'Yes' if truth[0] else 'No'}, {said[0].lower()}{said[1:]} is {'' if truth[0] else 'not '}{how} than {n}."
            ),
        )

    def calc_convert(self) -> Part:
        shown, expression = self.expression()
        expression = expression or shown
        said = subject(shown, expression)
        source, target = self.two_units()
        measure = said if said == RESULT else f"{said} {plural(source, '2')}"
        got: list[Result] = [self._real(), self._real()]
        return Part(
            "calc_convert",
            {"e": shown, "A": self.unit(source), "B": self.unit(target, bare=True)},
            [],
            lambda: [
                Call("calculate", f'expression="{expression}"'),
                Call("convert", f'value=$§0§, from_unit="{source}", to_unit="{target}"'),
            ],
            got,
            lambda: f"{measure} is {show(got[1])} {plural(target, show(got[1]))}.",
            lambda i: f"{said} is {show(got[0])}." if i == 0 else None,
        )

    def numbers(self) -> Part:
        kind = self.rng.choice(["total", "average"])
        values = self.values.numbers(self.rng.choice([2, 3, 3, 4, 4, 5, 6]))
        got = [self._real()]
        return Part(
            kind,
            {"N": self.listed(values)},
            [],
            lambda: [Call(kind, f"values=[{', '.join(values)}]")],
            got,
            lambda: f"The {kind} is {show(got[0])}.",
        )


def subject(shown: str, expression: str) -> str:
    """What the answer is about: the expression, if all its numbers stand in the request as they are."""
    known = set(_RUN.findall(shown))
    return expression if known.issuperset(_RUN.findall(expression)) else RESULT


def joined_pair(
    first: tuple[str, str], sign: str, right: str, rng: random.Random
) -> tuple[str, str]:
    """Extend an expression on its right."""
    words = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
    shown = words[sign] if rng.random() < 0.3 else sign
    return f"{first[0]} {shown} {right}", f"{first[1]} {sign} {right}"
