"""What holds of every plan and every text, checked on many that nobody thought of."""

from __future__ import annotations

import random
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.language import TurnReader, parse_line, parse_plan, write_argument, write_plan
from llmcompiler.plan import Argument, Each, Plan, Ref, Star, Task, TaskId, Template
from llmcompiler.roles import Ignored, Read, TurnItem, Unreadable

FUZZ: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("fuzz.py")))
check = cast("Callable[..., None]", FUZZ["check"])
fuzz = cast("Callable[[int, int], None]", FUZZ["run"])

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    "${}1a.[]\"'\\ \n#,():", max_size=12
)
IDS = st.integers(1, 30).map(lambda number: TaskId(str(number)))
STEPS = (
    st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True)
    | TEXTS
    | st.integers(0, 99)
    | st.just(Star())
)
REFS = st.builds(Ref, IDS, st.lists(STEPS, max_size=3).map(tuple))


def _template(parts: list[str | Ref]) -> Template | str:
    """Join texts that stand side by side, as reading does."""
    joined: list[str | Ref] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    if any(isinstance(part, Ref) for part in joined):
        return Template(tuple(joined))
    return "".join(part for part in joined if isinstance(part, str))


TEMPLATES = st.lists(TEXTS | REFS, max_size=4).map(_template)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | REFS
    | TEMPLATES
)
VALUES: st.SearchStrategy[Argument] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,10}", fullmatch=True) | st.sampled_from(
    ["each", "größe", "true", "answer"]
)
TOOLS = NAMES.filter(lambda name: name.lower() != "join")
ARGUMENTS = VALUES | st.builds(Each, REFS)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    tasks = []
    number = draw(st.integers(1, 20))
    for line in range(1, draw(st.integers(1, 5)) + 1):
        args = draw(st.dictionaries(NAMES, ARGUMENTS, max_size=3))
        positional = tuple(draw(st.lists(ARGUMENTS, max_size=2)))
        tasks.append(Task(TaskId(str(number)), draw(TOOLS), args, positional, line=line))
        number += draw(st.integers(1, 3))
    joins = draw(st.none() | st.lists(IDS, min_size=1, max_size=3, unique=True).map(tuple))
    return Plan(tuple(tasks), joins)


@given(plans())
@settings(deadline=None)
def test_what_is_written_is_read_as_the_same_plan(plan: Plan) -> None:
    text = write_plan(plan)
    assert parse_plan(text) == plan
    assert write_plan(parse_plan(text)) == text


@given(VALUES)
@settings(deadline=None)
def test_what_is_written_is_read_as_the_same_value(value: Argument) -> None:
    assert parse_line(f"1. f({write_argument(value)})").positional == (value,)


@given(plans(), st.randoms(use_true_random=False), st.sampled_from(["any", "join", "lines"]))
@settings(deadline=None)
def test_pieces_make_no_difference_to_a_plan(plan: Plan, rng: random.Random, allow: str) -> None:
    text = write_plan(plan)
    check(text, FUZZ["pieces"](rng, text), allow, "stop")


@given(
    st.text(max_size=60) | st.text("12. ajoin()=\"'$\n{}[],:#<>/`Answer", max_size=60),
    st.sampled_from(["any", "join", "answer", "lines"]),
    st.sampled_from(["stop", "cut", "length"]),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_without_an_error_or_a_loss(text: str, allow: str, reason: str) -> None:
    check(text, list(text), allow, reason)


@pytest.mark.parametrize("seed", range(4))
def test_broken_turns_are_read_the_same_in_any_pieces(seed: int) -> None:
    fuzz(1500, seed)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        " " * 1_000_000,
        "1. f(x=" + "[" * 1_000_000,
        "1. f(x=" + "(1," * 300_000,
        '1. f(x="' + "a" * 1_000_000,
        '1. f(x="' + "\\n" * 500_000 + '")\n',
        '1. f(x="' + "${1} " * 200_000 + '")\n',
        '1. f(x="' + "${1" * 300_000 + '")\n',
        '1. f(x="' + "$" * 1_000_000 + '")\n',
        "1. f(x=$1" + ".a" * 500_000 + ")\n",
        "1. f(x=" + "9" * 1_000_000 + ")\n",
        "1. f(" + "x=1," * 250_000 + ")\n",
        "1. f(" + ",".join(f"x{i}={i}" for i in range(80_000)) + ")\n",
        "1. f(x=1,\n" + "y,\n" * 100_000,
        "1. f(x=1 #" + " #," * 300_000,
        "1. f(x=1)\n" * 20_000,
        "1. f() " * 140_000,
        "<think>" * 140_000,
        "<think></think>" * 20_000,
        "</think>" * 40_000,
        "a</think>" * 110_000,
        "Answer: " + "a \n" * 300_000,
        "Answer: " + " " * 1_000_000 + "a",
        "```\nAnswer: " + "\n```" * 250_000,
        "Thought: x\n" * 30_000,
        "1" * 1_000_000,
        "1." * 500_000,
        "a." * 500_000 + "(",
        "1. " + "a" * 1_000_000 + "(",
        "1. f(" + "a" * 1_000_000 + "=1)\n",
        "# " * 500_000,
        "*" * 1_000_000,
        "a = " * 250_000,
        "\n" * 300_000,
        "1. f(" + "\n" * 200_000,
        '1. f("' + "'" * 1_000_000,
        "1. f(" + "#\n" * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_a_million_characters_take_a_time_that_grows_no_faster_than_they_do(text: str) -> None:
    started = time.process_time()
    items = _read(text, len(text))
    _read(text[:20_000], 1)
    seconds = time.process_time() - started
    assert seconds < 10.0, f"took {seconds:.1f} s"
    assert items or not text.strip()


def _read(text: str, size: int) -> list[TurnItem]:
    reader = TurnReader()
    items: list[TurnItem] = []
    for at in range(0, len(text), size):
        items += reader.feed(text[at : at + size])
    return items + reader.close("stop")


def test_a_deep_value_does_not_exhaust_the_stack() -> None:
    limit = sys.getrecursionlimit()
    items = _read("1. f(x=" + "[" * (limit * 2) + "]" * (limit * 2) + ")\n2. g(x=1)\n", 1)
    assert [item.error.task for item in items if isinstance(item, Unreadable)] == ["1"]
    assert [item.task.id for item in items if isinstance(item, Read)] == ["2"]
    assert not [item for item in items if isinstance(item, Ignored)]
