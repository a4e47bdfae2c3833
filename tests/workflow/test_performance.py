"""Speed: a thousand steps are loaded and checked in a second of CPU."""

from __future__ import annotations

import time

import pytest

from llmcompiler.workflow import WorkflowError
from tests.workflow.trying import loaded

_ROOM = 4  # a machine under load is slower than the second that is promised


def large(count: int, *, wrong: bool = False) -> str:
    """Return a workflow of so many steps of six lines, each tenth beginning a chain."""
    lines = ["steps:"]
    for number in range(count):
        before = f"${{{{ steps.s{number - 1}.output }}}}" if number % 10 else "1.5"
        lines += [
            f"  s{number}:",
            f"    uses: {'forecats' if wrong else 'forecast'}",
            "    with:",
            f"      lat: {before}",
            f"      lon: {number}",
            f"    on_error: {'continue' if number % 3 else 'fail'}",
        ]
    return "\n".join([*lines, f'outputs: {{x: "${{{{ steps.s{count - 1}.output }}}}"}}', ""])


def test_a_thousand_steps_are_loaded_and_checked_quickly() -> None:
    text = large(1000)
    begun = time.process_time()
    workflow = loaded(text)
    assert time.process_time() - begun < _ROOM
    assert len(workflow.file.steps) == 1000


def test_a_thousand_mistakes_are_told_quickly() -> None:
    text = large(1000, wrong=True)
    begun = time.process_time()
    with pytest.raises(WorkflowError) as raised:
        loaded(text)
    assert time.process_time() - begun < 2 * _ROOM
    assert len(raised.value.problems) == 1000


def test_a_circle_of_a_thousand_steps_is_found_quickly() -> None:
    text = large(1000).replace(
        "lat: 1.5\n      lon: 0\n", 'lat: 1\n      lon: "${{ steps.s999.output }}"\n'
    )
    text = text.replace("lat: 1.5", 'lat: "${{ steps.s0.output }}"')
    begun = time.process_time()
    with pytest.raises(WorkflowError) as raised:
        loaded(text)
    assert time.process_time() - begun < _ROOM
    assert str(raised.value.problems[0]).endswith(
        ":3:3: the steps wait for each other in a circle: s0 -> s999 -> s998 -> s997 -> s996 -> "
        "s995 -> s994 -> s993 -> s992 -> s991 -> s990 -> s0"
    )
