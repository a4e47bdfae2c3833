"""What does each kind of question about units plan, find and answer?

It does not know how requests are worded; it knows values, calls, plausible results and sentences.
"""

from __future__ import annotations

from part import Base, Call, Part, Result, show, tidy
from words import MEASURES, UNITS, plural


class UnitParts(Base):
    """Measures in other units."""

    def two_units(self) -> tuple[str, str]:
        kind = self.rng.choice(list(UNITS))
        first, second = self.rng.sample(list(UNITS[kind]), 2)
        return first, second

    def amount(self, unit: str) -> str:
        number = self.values.number()
        return (
            "-" + number if MEASURES[unit] == "temperature" and self.rng.random() < 0.2 else number
        )

    def _converted(self, value: str, source: str, target: str, result: Result) -> str:
        return f"{value} {plural(source, value)} is {show(result)} {plural(target, show(result))}."

    def _glued(self, value: str, word: str) -> str:
        return value + word if len(word) <= 3 and self.rng.random() < 0.4 else f"{value} {word}"

    def convert(self) -> Part:
        source, target = self.two_units()
        value = self.amount(source)
        got = [self._real()]
        slots = {"B": self.unit(target, bare=True)}
        said = self._grouped(value)
        slots["vA"] = self._glued(said, self.unit(source, value))
        return Part(
            "convert",
            slots,
            [],
            lambda: [Call("convert", f'value={value}, from_unit="{source}", to_unit="{target}"')],
            got,
            lambda: self._converted(said, source, target, got[0]),
        )

    def convert_two(self) -> Part:
        """One measure in two or three other units."""
        rng = self.rng
        kind = rng.choice([kind for kind, units in UNITS.items() if len(units) > 2])
        source, *targets = rng.sample(
            list(UNITS[kind]), min(len(UNITS[kind]), rng.choice([3, 3, 4]))
        )
        value = self.amount(source)
        said = self._grouped(value)
        got: list[Result] = [self._real() for _ in targets]
        into = [self.unit(target, bare=True) for target in targets]
        if rng.random() < 0.4:
            into = [into[0], *(f"in {word}" for word in into[1:])]

        def single(i: int) -> str:
            return self._converted(said, source, targets[i], got[i])

        return Part(
            "convert",
            {
                "vA": self._glued(said, self.unit(source, value)),
                "B": f"{', '.join(into[:-1])} and {into[-1]}",
            },
            [],
            lambda: [
                Call("convert", f'value={value}, from_unit="{source}", to_unit="{target}"')
                for target in targets
            ],
            got,
            lambda: " ".join(map(single, range(len(targets)))),
            single,
            fan=True,
        )

    def _grouped(self, value: str) -> str:
        """Write a large whole number with commas now and then, as people do."""
        return (
            f"{int(value):,}"
            if value.isdigit() and len(value) > 3 and self.rng.random() < 0.25
            else value
        )

    def convert_fan(self) -> Part:
        rng = self.rng
        count = self._fan_size()
        source, target = self.two_units()
        values = [self.amount(source) for _ in range(count)]
        kind = rng.choice(["convert_fan", "convert_fan", "convert_total"])
        sources = [source] * count
        if rng.random() < 0.35:
            options = [u for u in UNITS[MEASURES[source]] if u != target]
            sources = [rng.choice(options) for _ in values]
        got: list[Result] = [self._real() for _ in values]
        total = kind == "convert_total"
        if total:
            got.append(tidy(sum(got)))
        word = self.unit(source)
        each = self.listed(
            [self._glued(v, self.unit(s, v)) for v, s in zip(values, sources, strict=True)]
        )
        refs = ", ".join(f"$§{i}§" for i in range(count))

        def calls() -> list[Call]:
            found = [
                Call("convert", f'value={v}, from_unit="{s}", to_unit="{target}"')
                for v, s in zip(values, sources, strict=True)
            ]
            return [*found, Call("total", f"values=[{refs}]")] if total else found

        def single(i: int) -> str | None:
            return self._converted(values[i], sources[i], target, got[i]) if i < count else None

        def final() -> str:
            if total:
                return f"Together that is {show(got[count])} {plural(target, show(got[count]))}."
            return " ".join(
                self._converted(values[i], sources[i], target, got[i]) for i in range(count)
            )

        same = len(set(sources)) == 1
        return Part(
            kind,
            {
                "VA": f"{self.listed(values)} {word}" if same else each,
                "W": each if not same or rng.random() < 0.6 else f"{self.listed(values)} {word}",
                "B": self.unit(target, bare=True),
            },
            [],
            calls,
            got,
            final,
            single,
            fan=not total,
        )

    def convert_more(self) -> Part:
        source, target = self.two_units()
        value, other = self.amount(source), self.values.number()
        got: list[Result] = [self._real(), self.rng.random() < 0.5]
        return Part(
            "convert_more",
            {
                "vA": self._glued(value, self.unit(source, value)),
                "w": other,
                "B": self.unit(target, other),
            },
            [],
            lambda: [
                Call("convert", f'value={value}, from_unit="{source}", to_unit="{target}"'),
                Call("calculate", f'expression="${{§0§}} > {other}"'),
            ],
            got,
            lambda: (
                f"{'Yes' if got[1] else 'No'}, {value} {plural(source, value)} is {'' if got[1] else 'not '}more than {other} {plural(target, other)}."
            ),
            lambda i: self._converted(value, source, target, got[0]) if i == 0 else None,
        )

    def convert_calc(self) -> Part:
        source, target = self.two_units()
        value, n = self.amount(source), self.values.number(small=True)
        got: list[Result] = [self._real(), self._real()]
        return Part(
            "convert_calc",
            {
                "vA": self._glued(value, self.unit(source, value)),
                "n": n,
                "B": self.unit(target, bare=True),
            },
            [],
            lambda: [
                Call("convert", f'value={value}, from_unit="{source}", to_unit="{target}"'),
                Call("calculate", f'expression="${{§0§}} / {n}"'),
            ],
            got,
            lambda: (
                f"{value} {plural(source, value)} divided by {n} is {show(got[1])} {plural(target, show(got[1]))}."
            ),
            lambda i: self._converted(value, source, target, got[0]) if i == 0 else None,
        )
