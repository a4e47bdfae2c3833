"""Does every box have a place of its own, behind what it needs?"""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.trace.layout import Layout, placed, spread


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    count = draw(st.integers(0, 40))
    edges = draw(st.sets(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60))
    kept = [(str(a), str(b)) for a, b in sorted(edges) if a < b < count]
    return [str(number) for number in range(count)], kept


def lay(ids: list[str], edges: list[tuple[str, str]]) -> Layout:
    return placed(ids, edges, width=100.0, height=30.0, gap=10.0)


@settings(deadline=None, max_examples=60)
@given(graphs())
def test_no_box_covers_another_and_all_are_in_the_picture(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    layout = lay(*graph)
    assert set(layout.boxes) == set(graph[0])
    for (x, y), (other_x, other_y) in combinations(layout.boxes.values(), 2):
        assert abs(x - other_x) >= 99.9 or abs(y - other_y) >= 29.9
    for x, y in layout.boxes.values():
        assert 0 <= x <= layout.width - 100
        assert 0 <= y <= layout.height - 30


@settings(deadline=None, max_examples=60)
@given(graphs())
def test_arrows_lead_forward_from_box_to_box(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    layout = lay(*graph)
    along = 1 if layout.down else 0
    for wire in layout.wires:
        ways = [point[along] for point in wire.points]
        assert ways == sorted(ways)
        assert ways[0] < ways[-1]
        first = layout.boxes[wire.first][along]
        assert ways[0] == first + (30 if layout.down else 100)
        assert ways[-1] == layout.boxes[wire.second][along]


def test_a_long_chain_goes_down_and_a_short_one_to_the_right() -> None:
    ids = [str(number) for number in range(40)]
    assert lay(ids, list(pairwise(ids))).down
    assert not lay(ids[:5], list(pairwise(ids[:5]))).down


def test_a_wide_row_is_folded() -> None:
    ids = [str(number) for number in range(300)]
    layout = lay([*ids, "end"], [(each, "end") for each in ids])
    assert layout.height < 40 * 31
    assert max(x for x, _ in layout.boxes.values()) == layout.boxes["end"][0]


def test_a_circle_has_places_too() -> None:
    assert set(lay(["a", "b"], [("a", "b"), ("b", "a")]).boxes) == {"a", "b"}


def test_bends_do_not_take_the_name_of_a_box() -> None:
    ids = ["a", "b", "c", "1.1"]
    layout = lay(ids, [("a", "b"), ("b", "c"), ("1.1", "c")])
    assert set(layout.boxes) == set(ids)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0, 20))
def test_values_are_spread_and_move_no_more_than_needed(wanted: list[float], gap: float) -> None:
    found = spread(wanted, [gap] * len(wanted))
    assert all(after - before >= gap - 1e-6 for before, after in pairwise(found))
    assert abs(sum(found) - sum(wanted)) < 1e-6 or len(wanted) == 1
    if all(after - before >= gap for before, after in pairwise(wanted)):
        assert all(abs(a - b) < 1e-6 for a, b in zip(found, wanted, strict=True))
