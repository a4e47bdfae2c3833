from __future__ import annotations

from llmcompiler.engine.figures import Meter, Step
from llmcompiler.messages import Figures


def test_a_new_meter_has_nothing_to_tell() -> None:
    assert Meter(lambda: 5.0).figures() == Figures()


def test_tokens_are_timed_from_the_request_and_those_of_one_step_together() -> None:
    meter = Meter(lambda: 100.0)
    for came, written in ((100.5, 1), (101.0, 4), (102.0, 4), (103.0, 5)):
        meter.step(Step(came=came), written)
    assert meter.figures().arrivals == (0.5, 1.0, 1.0, 1.0, 3.0)


def test_tokens_that_needed_no_step_are_timed_when_they_are_told() -> None:
    times = iter([100.0, 100.5])
    meter = Meter(lambda: next(times))
    meter.ahead(2)
    meter.step(Step(came=102.0), 3)
    assert meter.figures().arrivals == (0.5, 0.5, 2.0)
    assert meter.figures().steps == 1


def test_the_times_of_steps_add_up() -> None:
    meter = Meter(lambda: 0.0)
    meter.step(Step(decode=0.5, constraint=0.25, python=0.125), 0)
    meter.step(Step(decode=0.5), 0)
    assert meter.figures() == Figures(steps=2, decode=1.0, constraint=0.25, python=0.125)


def test_a_step_is_told_to_all_who_took_part() -> None:
    one, other = Meter(lambda: 0.0), Meter(lambda: 1.0)
    step = Step(decode=0.5, came=3.0)
    one.step(step, 1)
    other.step(step, 2)
    assert one.figures().arrivals == (3.0,)
    assert other.figures().arrivals == (2.0, 2.0)
    assert one.figures().decode == other.figures().decode == 0.5


def test_what_was_counted_is_told_under_the_same_name() -> None:
    meter = Meter(lambda: 0.0)
    meter.evaluated += 1
    meter.reused += 2
    meter.forced += 3
    meter.drafted += 4
    meter.accepted += 5
    meter.prefills += 6
    assert meter.figures() == Figures(1, 2, 3, 4, 5, prefills=6)


def test_figures_that_were_given_out_stay_as_they_were() -> None:
    meter = Meter(lambda: 0.0)
    before = meter.figures()
    meter.step(Step(decode=1.0), 1)
    assert before == Figures()
