"""Does reading survive anything? Random turns, broken at random, are read in random pieces.

It does not know what a broken turn should mean, only what must hold of every reading.
Run it alone for long: ``python tests/language/fuzz.py --count 1000000 --seed 1``.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable
from typing import Literal, cast, get_args

from llmcompiler.language import TurnReader, parse_line, write_task
from llmcompiler.messages import FinishReason
from llmcompiler.plan import TaskId
from llmcompiler.roles import AnswerText, Ignored, Read, Reason, Sealed, Text, TurnItem, Unreadable

Allow = Literal["any", "join", "answer", "lines"]
TYPES = (Text, Read, Unreadable, Sealed, Ignored, Reason, AnswerText)
SHOWN_ELSEWHERE = "the line was cut off"
MARKER = re.compile(
    r"(?:final)?answer:|replan:|\*\*(?:(?:final)?answer|replan)(?::\*\*|\*\*:)", re.IGNORECASE
)
SLOWEST = 0.5  # seconds of processor time for one turn of a few hundred characters

TOOLS = (
    "search",
    "geocode",
    "forecast",
    "compare",
    "a.b",
    "get-page",
    "f",
    "join_tables",
    "joiner",
)
NAMES = ("place", "query", "at", "x", "hours", "answer", "each", "left-hand")
TEXTS = (
    "Oslo", "Lima, Peru", "a (b) [c]", "it's", 'say "hi"', "$5 million", "${1} / 7", "$1", "", "é…日本",
    "1. search(", "# no", "tab\there", "\\", "C:\\d", "join()", "Answer: x", "\u2028", "}{", "$${2.price}",
    "${1['a b'][0]}", "line\nbreak",
)  # fmt: skip
WRITTEN = (
    "None", "True", "False", "null", "true", "-3", "0.5", "1e9", "1e999", "007", "$1", "${2}", "$3.name",
    '$1["a b"]', "$1[0][*].x", "each $2.links", "each(${1})", "(1, 2)", "[1, 2,]", '{"a": $1, "b": [null]}',
    "foo", "g(1)", "2026-11-21", "'single'", "'it\\'s'", '"\\u0024{1}"', '"\\ud800"', "NaN", "[[[[1]]]]", "{",
)  # fmt: skip
LINES = (
    "Thought: I should search.", "Here is my plan:", "```", "```text", "# a comment", "", "   ", "- search it",
    "Replan: it was not found.", "Answer: Oslo is warmer.", "**Answer:** yes", "Final answer: no",
    "<think>1. f(x=1)</think>", "<think>", "</think>", "so be it.</think>Answer: 3", "<END_OF_PLAN>", "join",
    "3. join", "x = f(1)", "4. y = f(1)", "f(1)", "1. First I search", "3.5 million", "Step 2: f(x=1)",
)  # fmt: skip
ENDS = (
    "\n",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\n\n",
    "  # note (hi)\n",
    ";\n",
    ",\n",
    " and so on\n",
    "",
    " ",
)
INSERTED = "()[]{}\"'\\$,=.:#\n \t`<>/*0123456789aéj\u2028\x00\ud800*"


def random_value(rng: random.Random) -> str:
    """Write some value, well-formed or not."""
    if rng.random() < 0.5:
        text = rng.choice(TEXTS).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'
    return rng.choice(WRITTEN)


def random_line(rng: random.Random, number: int) -> str:
    """Write some line of a turn."""
    if rng.random() < 0.25:
        return rng.choice(LINES)
    args = [
        random_value(rng) if rng.random() < 0.3 else f"{rng.choice(NAMES)}={random_value(rng)}"
        for _ in range(rng.randrange(4))
    ]
    between = rng.choice((", ", ", ", ",", ",\n  ", ", # why\n "))
    dot = rng.choice((". ", ". ", ". ", ") ", ": ", "."))
    head = rng.choice(("", "", "", "  ")) + f"{number}{dot}{rng.choice(TOOLS)}"
    return f"{head}({between.join(args)}{rng.choice((')', ')', ')', ')', ',)', ''))}"


def random_turn(rng: random.Random) -> str:
    """Write a turn of up to a dozen lines."""
    text = "".join(
        random_line(rng, number) + rng.choice(ENDS) for number in range(1, rng.randrange(1, 9))
    )
    return text + rng.choice(("", "9. join()", "9. join($1, $2)", "join()<END_OF_PLAN>", "9. join"))


def mutate(rng: random.Random, text: str) -> str:
    """Break a turn: drop, insert, swap or double characters, cut it, or splice it."""
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        if not text:
            return text
        at = rng.randrange(len(text))
        match rng.randrange(7):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + rng.choice(INSERTED) + text[at:]
            case 2:
                text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
            case 3:
                text = text[:at] + text[at] + text[at:]
            case 4:
                text = text[:at]
            case 5:
                end = min(len(text), at + rng.randrange(40))
                text = text[:end] + text[at:end] + text[end:]
            case _:
                other = rng.randrange(len(text))
                text = text[:at] + text[other : other + 20] + text[at + 10 :]
    return text


def pieces(rng: random.Random, text: str) -> list[str]:
    """Cut a text at random: into characters, or into few or many pieces."""
    longest = rng.choice((1, 3, 8, 40))
    cut: list[str] = []
    at = 0
    while at < len(text):
        size = rng.randint(1, longest)
        cut.append(text[at : at + size])
        at += size
    return cut


def read(
    parts: list[str], allow: Allow, reason: FinishReason, first_line: int = 1
) -> list[TurnItem]:
    """Read a turn from its pieces, and join what is only cut differently."""
    reader = TurnReader(first_line, allow)
    items = [item for part in parts for item in reader.feed(part)] + reader.close(reason)
    joined: list[TurnItem] = []
    for item in items:
        last = joined[-1] if joined else None
        if isinstance(item, Text) and isinstance(last, Text):
            joined[-1] = Text(last.text + item.text)
        elif isinstance(item, AnswerText) and isinstance(last, AnswerText):
            joined[-1] = AnswerText(last.text + item.text)
        else:
            joined.append(item)
    return joined


def comparable(items: list[TurnItem]) -> list[object]:
    """Make items that can be compared: errors compare by what they say."""
    return [
        (error.problem, error.line, error.column, error.task, error.source)
        if isinstance(item, Unreadable) and (error := item.error)
        else item
        for item in items
    ]


def _dense(text: str) -> str:
    return "".join(text.split())


def lost(text: str, items: list[TurnItem], allow: Allow) -> str:
    """Say which characters of a turn are in no item, or return an empty text."""
    texts = [
        item
        for item in items
        if isinstance(item, Text | Reason | AnswerText)
        or (isinstance(item, Ignored) and item.reason != SHOWN_ELSEWHERE)
    ]
    written = _dense(text)
    if allow == "answer":  # where an unmarked answer stands last, whatever was set aside before it
        counted = sorted("".join(_dense(item.text) for item in texts))
        return "" if counted == sorted(written) or MARKER.search(written) else written
    at = 0
    for item in texts:
        part = _dense(item.text)
        if isinstance(item, Reason | AnswerText):
            marker = MARKER.match(written, at)
            at = marker.end() if marker else at
        if not written.startswith(part, at):
            return written[at : at + 40]
        at += len(part)
    rest = written[at:]
    return "" if not rest or MARKER.fullmatch(rest) else rest


def check(text: str, parts: list[str], allow: Allow, reason: FinishReason) -> None:
    """Read a turn whole and in pieces, and assert what must hold of every reading."""
    started = time.process_time()
    whole = read([text], allow, reason)
    seconds = time.process_time() - started
    assert seconds < SLOWEST, f"took {seconds:.1f} s"
    assert all(isinstance(item, TYPES) for item in whole), "an item of no known type"
    cut = read(parts, allow, reason)
    assert comparable(whole) == comparable(cut), f"pieces {parts!r} give other items"
    missing = lost(text, whole, allow)
    assert not missing, f"lost: {missing!r}"
    assert sum(isinstance(item, Sealed) for item in whole) <= 1, "sealed twice"
    lines = text.count("\n") + 1
    for item in whole:
        if isinstance(item, Read):
            task = item.task
            assert _dense(item.source) in _dense(text), "a source that was not written"
            assert allow != "answer", "a step where only an answer is allowed"
            assert 1 <= task.line <= lines
            written = write_task(task)
            again = parse_line(written, task.line)
            assert again == task, f"{written!r} reads as {again!r}"
            assert write_task(again) == written
        elif isinstance(item, Unreadable):
            error = item.error
            assert 1 <= error.line <= lines, f"line {error.line} of {lines}"
            assert 1 <= error.column <= len(text) + 1, f"column {error.column}"
            assert error.problem
            assert error.task is None or TaskId(error.task).isdigit()


def run(count: int, seed: int, progress: Callable[[int], None] = lambda _: None) -> None:
    """Check `count` turns; raise AssertionError with the turn that fails."""
    rng = random.Random(seed)
    for done in range(count):
        text = mutate(rng, random_turn(rng))
        allow = cast("Allow", rng.choice(("any", "any", "any", "join", "answer", "lines")))
        reason = cast("FinishReason", rng.choice(get_args(FinishReason)))
        try:
            check(text, pieces(rng, text), allow, reason)
        except Exception as error:
            raise AssertionError(
                f"turn {done} of seed {seed}, allow={allow!r}, reason={reason!r}: {error!r}\n{text!r}"
            ) from error
        if done % 10_000 == 9_999:
            progress(done + 1)


def main() -> None:
    """Check as many random turns as the command line says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()

    def progress(done: int) -> None:
        print(f"{done} turns in {time.perf_counter() - started:.0f} s", flush=True)

    run(options.count, options.seed, progress)
    print(f"{options.count} turns hold, in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
