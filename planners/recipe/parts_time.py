"""What does each kind of question about clocks and dates plan, find and answer?

It does not know how requests are worded; it knows values, calls, plausible results and sentences.
"""

from __future__ import annotations

from part import Base, Call, Part, Result, quote, show, tidy
from values import Pair


class TimeParts(Base):
    """Clocks of places, and spans between dates."""

    def _clock(self) -> str:
        rng = self.rng
        return f"20{rng.randint(20, 45)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"

    def time(self) -> Part:
        rng = self.rng
        count = 1 if rng.random() < 0.5 else self._fan_size()
        names = self.values.places(count)
        now = self._clock()
        got: list[Result] = [
            now if rng.random() < 0.3 else now[:11] + self._clock()[11:] for _ in names
        ]

        def single(i: int) -> str:
            return f"In {names[i]} it is {got[i]}."

        prefix = rng.random() < 0.12
        return Part(
            "time" if count == 1 else "time_fan",
            {
                "p": names[0],
                "L": self.listed(names)
                if not prefix
                else self.listed([names[0], *("in " + n for n in names[1:])]),
            },
            names,
            lambda: [Call("time_in", f"place={quote(n)}", (i,)) for i, n in enumerate(names)],
            got,
            lambda: " ".join(map(single, range(count))),
            single,
            fan=count > 1,
        )

    def hours(self) -> Part:
        rng = self.rng
        names = self.values.places(2)
        got: list[Result] = [
            rng.choice(
                [
                    rng.randint(-14, 14),
                    rng.randint(-14, 14),
                    rng.randint(-11, 11) + 0.5,
                    rng.randint(-11, 11) + 0.75,
                    0,
                    1,
                    -1,
                ]
            )
        ]

        def final() -> str:
            value = got[0]
            if value == 0:
                return f"{names[1]} and {names[0]} have the same time."
            size = abs(value)
            return f"{names[1]} is {show(size)} {'hour' if size == 1 else 'hours'} {'ahead of' if value > 0 else 'behind'} {names[0]}."

        return Part(
            "hours",
            {"p": names[0], "q": names[1], "p2": names[1], "q2": names[0]},
            names,
            lambda: [
                Call("hours_between", f"first={quote(names[0])}, second={quote(names[1])}", (0, 1))
            ],
            got,
            final,
        )

    def _days(self) -> int:
        return self.rng.choice(
            [self.rng.randint(-40, 400), self.rng.randint(1, 400), self.rng.randint(1, 30000)]
        )

    def _day_call(self, pair: Pair) -> Call:
        return Call("days_between", f'start="{pair.start}", end="{pair.end}"')

    def _day_said(self, pair: Pair, value: Result, word: str = "day") -> str:
        return f"From {pair.start} to {pair.end} it is {show(value)} {word}{'' if value == 1 else 's'}."

    def days(self) -> Part:
        pair, got = self.values.pair(), [self._days()]
        return Part(
            "days",
            {"a": pair.start, "b": pair.end},
            [],
            lambda: [self._day_call(pair)],
            got,
            lambda: self._day_said(pair, got[0]),
        )

    def weeks(self) -> Part:
        pair = self.values.pair()
        got: list[Result] = [self._days()]
        got.append(tidy(got[0] / 7))
        return Part(
            "weeks",
            {"a": pair.start, "b": pair.end},
            [],
            lambda: [self._day_call(pair), Call("calculate", 'expression="${§0§} / 7"')],
            got,
            lambda: self._day_said(pair, got[1], "week"),
            lambda i: self._day_said(pair, got[0]) if i == 0 else None,
        )

    def day_hours(self) -> Part:
        pair, unit = self.values.pair(), self.rng.choice(["hour", "minute", "second"])
        got: list[Result] = [self._days(), self._count()]
        return Part(
            "day_hours",
            {"a": pair.start, "b": pair.end, "U": unit + "s"},
            [],
            lambda: [
                self._day_call(pair),
                Call("convert", f'value=$§0§, from_unit="day", to_unit="{unit}"'),
            ],
            got,
            lambda: self._day_said(pair, got[1], unit),
            lambda i: self._day_said(pair, got[0]) if i == 0 else None,
        )

    def days_fan(self) -> Part:
        rng = self.rng
        count = rng.choice([2, 2, 2, 3, 3])
        pairs = [self.values.pair() for _ in range(count)]
        kind = rng.choice(
            ["days_fan", "days_fan", "days_most", "days_least", "days_total", "days_average"]
        )
        got: list[Result] = [abs(self._days()) for _ in pairs]
        spans = [f"{p.start} to {p.end}" for p in pairs]
        froms = [f"{p.start} {rng.choice(['to', 'to', 'until', 'till'])} {p.end}" for p in pairs]
        froms = [froms[0]] + [("from " if rng.random() < 0.6 else "") + text for text in froms[1:]]
        betweens = [f"{p.start} and {p.end}" for p in pairs]
        refs = ", ".join(f"$§{i}§" for i in range(count))
        aggregate = kind != "days_fan"
        if kind in ("days_most", "days_least"):
            best = (max if kind == "days_most" else min)(range(count), key=lambda i: got[i])
            got.append({"name": spans[best], "value": got[best]})
        elif aggregate:
            got.append(tidy(sum(got) / (count if kind == "days_average" else 1)))

        def calls() -> list[Call]:
            found = [self._day_call(p) for p in pairs]
            if kind in ("days_most", "days_least"):
                found.append(
                    Call(kind[5:], f"names=[{', '.join(map(quote, spans))}], values=[{refs}]")
                )
            elif aggregate:
                found.append(Call(kind[5:], f"values=[{refs}]"))
            return found

        def final() -> str:
            if not aggregate:
                return " ".join(self._day_said(p, g) for p, g in zip(pairs, got, strict=True))
            last = got[count]
            if kind in ("days_most", "days_least"):
                return f"{last['name']} is the {'longest' if kind == 'days_most' else 'shortest'}: {show(last['value'])} day{'' if last['value'] == 1 else 's'}."
            return f"{'Together' if kind == 'days_total' else 'On average'} that is {show(last)} day{'' if last == 1 else 's'}."

        return Part(
            kind,
            {
                "S": self.listed(spans),
                "O": self.listed(spans, choice=True),
                "T": self.listed(froms),
                "R": rng.choice([" and between ", ", and between ", " and "]).join(betweens),
            },
            [],
            calls,
            got,
            final,
            lambda i: self._day_said(pairs[i], got[i]) if i < count else None,
            fan=not aggregate,
        )

    def days_more(self) -> Part:
        pairs = [self.values.pair(), self.values.pair()]
        spans = [f"{p.start} to {p.end}" for p in pairs]
        got: list[Result] = [self._days(), self._days()]
        got.append(got[0] > got[1])
        return Part(
            "days_more",
            {"s": spans[0], "t": spans[1]},
            [],
            lambda: [
                *map(self._day_call, pairs),
                Call("calculate", 'expression="${§0§} > ${§1§}"'),
            ],
            got,
            lambda: (
                f"{'Yes' if got[2] else 'No'}, {spans[0]} is {'' if got[2] else 'not '}longer than {spans[1]}."
            ),
            lambda i: self._day_said(pairs[i], got[i]) if i < 2 else None,
        )
