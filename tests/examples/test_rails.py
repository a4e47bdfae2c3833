"""Is a plan drawn so that the drawing says what the plan says?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from examples.chatbot.rails import rails

_GOES_DOWN = "●│├┤┼"


@st.composite
def plans(draw: st.DrawFn) -> dict[str, list[str]]:
    count = draw(st.integers(0, 12))
    return {
        str(step): draw(st.lists(st.sampled_from([str(n) for n in range(step)]), unique=True))
        if step
        else []
        for step in range(count)
    }


def read_back(rows: Sequence[str], names: Sequence[str]) -> dict[str, set[str]]:
    """Follow the lines of a drawing, as an eye does, to what each step reads."""
    found: dict[str, set[str]] = {}
    lanes: dict[int, str] = {}
    before = ""
    for name, row in zip(names, rows, strict=True):
        signs, gaps = row[0::2], row[1::2]
        own = signs.index("●")
        joined = [lane for lane, sign in enumerate(signs) if sign in "├┤┼╰╯┴"]
        found[name] = {lanes[lane] for lane in joined}
        if before[own : own + 1] and before[own] in _GOES_DOWN:
            found[name].add(lanes[own])
        low, high = min([own, *joined]), max([own, *joined])
        assert set(gaps[low:high]) <= {"─"}
        assert set(gaps[:low] + gaps[high:]) <= {" "}
        lanes[own] = name
        before = signs
    return found


def drawn(needs: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(rails(needs))


@given(plans())
def test_a_drawing_can_be_read_back_as_the_plan(needs: dict[str, list[str]]) -> None:
    assert read_back(rails(needs), list(needs)) == {step: set(read) for step, read in needs.items()}


def test_results_that_are_read_together_come_together() -> None:
    needs = {"1": [], "2": [], "3": [], "4": ["1", "2", "3"]}
    assert drawn(needs) == "●\n│ ●\n│ │ ●\n●─┴─╯"


def test_a_chain_goes_straight_down() -> None:
    assert drawn({"1": [], "2": ["1"], "3": ["2"]}) == "●\n●\n●"


def test_steps_that_do_not_read_each_other_do_not_touch() -> None:
    assert drawn({"1": [], "2": [], "3": []}) == "●\n  ●\n●"


def test_a_line_passes_under_another_that_it_has_nothing_to_do_with() -> None:
    assert drawn({"1": [], "2": [], "3": ["1"], "4": ["1", "2"]}) == "●\n│ ●\n├─│─●\n●─╯"


def test_what_stands_nowhere_above_is_left_out() -> None:
    assert drawn({"1": ["2", "9"], "2": []}) == "●\n  ●"


def test_a_plan_that_is_too_wide_is_drawn_as_dots() -> None:
    wide: dict[str, list[str]] = {str(step): [] for step in range(40)}
    assert rails({**wide, "last": list(wide)}) == ["●"] * 41
