from __future__ import annotations

from llmcompiler.engine.figures import Meter
from llmcompiler.messages import Figures


def test_a_new_meter_has_nothing_to_tell() -> None:
    assert Meter(lambda: 5.0).figures() == Figures()


def test_tokens_are_timed_from_the_request_and_those_of_one_step_together() -> None:
    times = iter([100.0, 100.5, 101.0, 103.0])
    meter = Meter(lambda: next(times))
    meter.arrived()
    meter.arrived(3)
    meter.arrived(0)
    meter.arrived()
    assert meter.figures().arrivals == (0.5, 1.0, 1.0, 1.0, 3.0)


def test_the_times_of_steps_add_up() -> None:
    meter = Meter(lambda: 0.0)
    meter.step(decode=0.5, constraint=0.25, python=0.125)
    meter.step(decode=0.5)
    assert meter.figures() == Figures(steps=2, decode=1.0, constraint=0.25, python=0.125)


def test_what_was_counted_is_told_under_the_same_name() -> None:
    meter = Meter(lambda: 0.0)
    meter.evaluated += 1
    meter.reused += 2
    meter.forced += 3
    meter.drafted += 4
    meter.accepted += 5
    meter.steps += 6
    assert meter.figures() == Figures(1, 2, 3, 4, 5, 6)


def test_figures_that_were_given_out_stay_as_they_were() -> None:
    meter = Meter(lambda: 0.0)
    before = meter.figures()
    meter.arrived()
    meter.step()
    assert before == Figures()
