"""What stands on the terminal while a run goes on."""

from __future__ import annotations

import io

from llmcompiler.cli.progress import LiveProgress, PlainProgress, Silence, progress_for, region_for
from llmcompiler.events import (
    AnswerDelta,
    Event,
    PlanDelta,
    PlanStarted,
    RunStarted,
    StepFinished,
    StepPlanned,
    StepStarted,
)
from llmcompiler.plan import TaskId

ONE = TaskId("1")
EVENTS: tuple[Event, ...] = (
    RunStarted("r", 1, 0.0, "?", "m", ("fetch",)),
    PlanStarted("r", 2, 0.0, 1, "plan"),
    PlanDelta("r", 3, 0.1, '1. fetch(url="a")\n2. fe'),
    StepPlanned("r", 4, 0.1, ONE, "fetch", {"url": "a"}, (), '1. fetch(url="a")'),
    StepStarted("r", 5, 0.1, ONE, "fetch", {"url": "a"}, None),
)
DONE = StepFinished("r", 6, 2.1, ONE, "text", 2.0)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_live_one_a_file_the_plain_one_and_quiet_none() -> None:
    assert isinstance(progress_for(Terminal(), quiet=False), LiveProgress)
    assert isinstance(progress_for(io.StringIO(), quiet=False), PlainProgress)
    assert isinstance(progress_for(Terminal(), quiet=True), Silence)
    assert isinstance(region_for(io.StringIO(), quiet=False), Silence)


def test_plain_lines_are_written_as_things_happen() -> None:
    stream = io.StringIO()
    with PlainProgress(stream) as progress:
        for event in EVENTS:
            progress(event)
        before = stream.getvalue()
        progress(DONE)
    assert before.splitlines() == [
        "   0.00 s  ask      m, 1 tool",
        '   0.10 s  plan     1. fetch(url="a")',
        "   0.10 s  start    1 fetch",
    ]
    assert stream.getvalue().splitlines()[-1] == '   2.10 s  done     1 fetch  2.00 s  = "text"'


def test_the_live_region_shows_what_runs_and_what_is_being_written() -> None:
    now = 100.0
    progress = LiveProgress(Terminal(), clock=lambda: now)
    for event in EVENTS:
        progress(event)
    now = 101.1
    shown = [str(row) for row in progress._region().renderables]
    assert shown[-2].endswith("1 fetch  1.00 s")
    assert "writing  2. fe" in shown[-1]
    progress(DONE)
    assert not any("1 fetch" in str(row) for row in progress._region().renderables)


def test_lines_in_quick_succession_are_shown_at_once_and_written_together() -> None:
    now, stream = 100.0, Terminal()
    progress = LiveProgress(stream, clock=lambda: now)
    progress(EVENTS[0])
    written = stream.getvalue()
    progress(EVENTS[3])
    assert stream.getvalue() == written
    assert "1. fetch" in str(progress._region().renderables[0])
    now = 100.1
    progress(EVENTS[4])
    assert "1. fetch" in stream.getvalue()
    assert "1. fetch" not in str(progress._region().renderables[0])


def test_the_live_region_is_gone_before_the_answer_begins() -> None:
    stream = Terminal()
    with LiveProgress(stream) as progress:
        progress(RunStarted("r", 1, 0.0, "?", "m", ()))
        progress(AnswerDelta("r", 2, 0.1, "It is"))
        assert stream.getvalue().endswith("\x1b[2K")
        length = len(stream.getvalue())
    assert len(stream.getvalue()) == length


def test_many_running_steps_are_counted_instead_of_shown() -> None:
    progress = LiveProgress(Terminal(), lines=False, clock=lambda: 0.0)
    for number in range(30):
        progress(StepStarted("r", number, 0.0, TaskId(str(number)), "fetch", {}, None))
    rows = [str(row) for row in progress._region().renderables]
    assert len(rows) == 9
    assert "and 22 more steps running" in rows[-1]


def test_plain_lines_wait_while_somebody_is_asked() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    with progress.held(), progress.held():
        for event in EVENTS:
            progress(event)
        assert stream.getvalue() == ""
    assert len(stream.getvalue().splitlines()) == 3


def test_the_live_region_leaves_the_screen_to_a_question_and_comes_back() -> None:
    stream = Terminal()
    with LiveProgress(stream) as progress:
        progress(EVENTS[0])
        with progress.held():
            asked = len(stream.getvalue())
            for event in EVENTS[1:]:
                progress(event)
            assert len(stream.getvalue()) == asked
        assert "1. fetch" in stream.getvalue()[asked:]
        progress(DONE)
    assert "2.00 s" in stream.getvalue()[asked:]


def test_a_region_that_was_closed_in_a_question_stays_closed() -> None:
    stream = Terminal()
    with LiveProgress(stream) as progress:
        with progress.held():
            progress(AnswerDelta("r", 2, 0.1, "It is"))
        length = len(stream.getvalue())
        progress(AnswerDelta("r", 3, 0.2, " so"))
    assert len(stream.getvalue()) == length
