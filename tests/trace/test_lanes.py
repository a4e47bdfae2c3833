"""Do bars share lanes without touching, and in no more lanes than needed?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.trace.lanes import lanes

SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda span: (span[0], sum(span)))
)


@given(SPANS)
def test_no_two_bars_overlap_in_one_lane(spans: list[tuple[int, int]]) -> None:
    given_lanes = lanes(spans)
    for lane in set(given_lanes):
        inside = sorted(span for span, its in zip(spans, given_lanes, strict=True) if its == lane)
        ends = [0, *(end for _, end in inside)]
        assert all(start >= end for (start, _), end in zip(inside, ends, strict=False))


@given(SPANS)
def test_there_are_as_many_lanes_as_bars_at_the_busiest_moment(
    spans: list[tuple[int, int]],
) -> None:
    busiest = max((sum(a <= at < b for a, b in spans) for at, _ in spans), default=0)
    assert set(lanes(spans)) == set(range(busiest))


def test_a_lane_that_is_free_again_is_used_again() -> None:
    assert lanes([(0, 2), (1, 3), (2, 4), (3, 5)]) == (0, 1, 0, 1)
