"""What does each kind of question about files plan, find and answer?

It does not know how requests are worded; it knows values, calls, plausible results and sentences.
"""

from __future__ import annotations

from part import LINES, SIZE, WORDS, Base, Call, Measure, Part, Result, listing, quote, show, tidy
from words import plural


class FileParts(Base):
    """Words, lines and sizes of files."""

    def measure(self) -> Measure:
        return self.rng.choice([WORDS, LINES, SIZE])

    def file_one(self) -> Part:
        m, names, got = self.measure(), self.values.files(1), [self._count()]
        return Part(
            m.word,
            {"f": self.written(names[0])},
            names,
            lambda: [Call(m.tool, f"path={quote(names[0])}", (0,))],
            got,
            lambda: f"{names[0]} has {m.amount(got[0])}.",
        )

    def words_lines(self) -> Part:
        names, got = self.values.files(1), [self._count(), self._count()]
        both = (WORDS, LINES)
        return Part(
            "words_lines",
            {"f": self.written(names[0])},
            names,
            lambda: [Call(m.tool, f"path={quote(names[0])}", (0,)) for m in both],
            got,
            lambda: f"{names[0]} has {WORDS.amount(got[0])} and {LINES.amount(got[1])}.",
            lambda i: f"{names[0]} has {both[i].amount(got[i])}.",
        )

    def file_fan(self) -> Part:
        rng = self.rng
        m = self.measure()
        count = self._fan_size()
        names = self.values.files(count)
        got: list[Result] = [self._count() for _ in names]
        kind = rng.choice(["_fan", "_most", "_least", "_total", "_average"])
        refs = ", ".join(f"$§{i}§" for i in range(count))
        shown = self.listed(
            [self.written(n) if rng.random() < 0.5 else n for n in names],
            choice=kind in ("_most", "_least"),
        )

        def calls() -> list[Call]:
            found = [Call(m.tool, f"path={quote(name)}", (i,)) for i, name in enumerate(names)]
            if kind in ("_most", "_least"):
                found.append(
                    Call(kind[1:], f"names=[{', '.join(map(quote, names))}], values=[{refs}]")
                )
            elif kind != "_fan":
                found.append(Call(kind[1:], f"values=[{refs}]"))
            return found

        if kind in ("_most", "_least"):
            best = (max if kind == "_most" else min)(range(count), key=lambda i: got[i])
            got.append({"name": names[best], "value": got[best]})
        elif kind != "_fan":
            got.append(tidy(sum(got) / (count if kind == "_average" else 1)))

        def single(i: int) -> str | None:
            return f"{names[i]} has {m.amount(got[i])}." if i < count else None

        def final() -> str:
            if kind == "_fan":
                return " ".join(f"{names[i]} has {m.amount(got[i])}." for i in range(count))
            if kind == "_total":
                return f"Together {listing(names)} have {m.amount(got[count])}."
            if kind == "_average":
                return f"On average {listing(names)} have {m.amount(got[count])}."
            best, value = got[count]["name"], got[count]["value"]
            if m is SIZE:
                return f"{best} is the {'largest' if kind == '_most' else 'smallest'}: {m.amount(value)}."
            return (
                f"{best} has the {'most' if kind == '_most' else 'fewest'} {m.many}: {show(value)}."
            )

        compared = (
            f"{names[0]} {rng.choice(['with', 'to', 'and'])} {names[1]}"
            if count == 2
            else self.listed(names)
        )
        return Part(
            m.word + kind,
            {
                "L": shown,
                "O": shown,
                "Lin": self.listed([names[0], *("in " + n for n in names[1:])]),
                "C": compared,
            },
            names,
            calls,
            got,
            final,
            single,
            fan=kind == "_fan",
        )

    def file_more(self) -> Part:
        m, names = self.measure(), self.values.files(2)
        kind = self.rng.choice(["_more", "_more", "_fewer"])
        got: list[Result] = [self._count(), self._count()]
        got.append(got[0] > got[1] if kind == "_more" else got[0] < got[1])
        sign = ">" if kind == "_more" else "<"

        def final() -> str:
            yes = bool(got[2])
            if m is SIZE:
                how = "larger" if kind == "_more" else "smaller"
                return (
                    f"Yes, {names[0]} is {how} than {names[1]}."
                    if yes
                    else f"No, {names[0]} is not {how} than {names[1]}."
                )
            how = f"{'more' if kind == '_more' else 'fewer'} {m.many}"
            return (
                f"Yes, {names[0]} has {how} than {names[1]}."
                if yes
                else f"No, {names[0]} does not have {how} than {names[1]}."
            )

        return Part(
            m.word + kind,
            {"f": self.written(names[0]), "g": self.written(names[1])},
            names,
            lambda: (
                [Call(m.tool, f"path={quote(n)}", (i,)) for i, n in enumerate(names)]
                + [Call("calculate", f'expression="${{§0§}} {sign} ${{§1§}}"')]
            ),
            got,
            final,
            lambda i: f"{names[i]} has {m.amount(got[i])}." if i < 2 else None,
        )

    def file_more_n(self) -> Part:
        m, names = self.measure(), self.values.files(1)
        n = str(
            self.rng.choice(
                [
                    self.rng.randint(1, 99),
                    self.rng.randint(1, 50) * 100,
                    self.rng.randint(100, 9999),
                ]
            )
        )
        got: list[Result] = [self._count()]
        got.append(got[0] > int(n))
        return Part(
            m.word + "_more_n",
            {"f": self.written(names[0]), "n": n},
            names,
            lambda: [
                Call(m.tool, f"path={quote(names[0])}", (0,)),
                Call("calculate", f'expression="${{§0§}} > {n}"'),
            ],
            got,
            lambda: (
                f"Yes, {names[0]} has more than {n} {m.many}."
                if got[1]
                else f"No, {names[0]} does not have more than {n} {m.many}."
            ),
            lambda i: f"{names[0]} has {m.amount(got[0])}." if i == 0 else None,
        )

    def pages(self) -> Part:
        names = self.values.files(1)
        kind = self.rng.choice(["pages", "pages", "minutes"])
        n = str(
            self.rng.choice(
                [
                    self.rng.randint(2, 99),
                    self.rng.randint(2, 40) * 10,
                    self.rng.randint(4, 30) * 25,
                ]
            )
        )
        got: list[Result] = [self._count(), self._real()]
        say = f"pages of {n} words" if kind == "pages" else f"minutes at {n} words per minute"
        verb = "fills" if kind == "pages" else "takes"
        return Part(
            kind,
            {"f": self.written(names[0]), "n": n},
            names,
            lambda: [
                Call("count_words", f"path={quote(names[0])}", (0,)),
                Call("calculate", f'expression="${{§0§}} / {n}"'),
            ],
            got,
            lambda: f"{names[0]} {verb} {show(got[1])} {say}.",
            lambda i: f"{names[0]} has {WORDS.amount(got[0])}." if i == 0 else None,
        )

    def per_line(self) -> Part:
        names = self.values.files(1)
        got: list[Result] = [self._count(), self._count(), self._real()]
        both = (WORDS, LINES)
        return Part(
            "per_line",
            {"f": self.written(names[0])},
            names,
            lambda: [
                Call("count_words", f"path={quote(names[0])}", (0,)),
                Call("count_lines", f"path={quote(names[0])}", (0,)),
                Call("calculate", 'expression="${§0§} / ${§1§}"'),
            ],
            got,
            lambda: f"{names[0]} has {show(got[2])} words per line.",
            lambda i: f"{names[0]} has {both[i].amount(got[i])}." if i < 2 else None,
        )

    def size_in(self) -> Part:
        names = self.values.files(1)
        unit = self.rng.choice(
            ["kilobyte", "kilobyte", "megabyte", "megabyte", "gigabyte", "terabyte"]
        )
        got: list[Result] = [self._count(), self._real()]
        return Part(
            "size_in",
            {"f": self.written(names[0]), "U": self.unit(unit, bare=True)},
            names,
            lambda: [
                Call("file_size", f"path={quote(names[0])}", (0,)),
                Call("convert", f'value=$§0§, from_unit="byte", to_unit="{unit}"'),
            ],
            got,
            lambda: f"{names[0]} has {show(got[1])} {plural(unit, show(got[1]))}.",
            lambda i: f"{names[0]} has {SIZE.amount(got[0])}." if i == 0 else None,
        )
