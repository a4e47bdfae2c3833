"""Is a graph written so that every text in it stays text?"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcompiler.drawing import Box, generations, reduced, to_dot, to_mermaid

# What mermaid or DOT could take for their own, often; else any text.
AWKWARD = st.lists(
    st.sampled_from(
        [*'"<>&#;:%`$[]{}()|\\-', "\n", "\r\n", "%%{init}%%", "end", "#35;", "&quot;", "\\n", "-->"]
    )
    | st.text(max_size=3)
).map("".join)


def plain(text: str) -> str:
    """What a label may make of a text: one line, without halves of surrogate pairs."""
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def read_mermaid(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Read labels and edges back, by the part of mermaid's grammar that is meant to be used."""
    head, *lines = text.removesuffix("\n").split("\n")
    assert head == "flowchart LR"
    labels: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    for line in lines:
        box = re.fullmatch(r'    ([tn][0-9]+)\["([^"<>&`\\:%]*)"\]', line)
        edge = re.fullmatch(r"    ([tn][0-9]+) --> ([tn][0-9]+)", line)
        if box is not None:
            assert "$$" not in box[2]
            assert not re.search(r"#(?![0-9]+;)", box[2])
            assert box[1] not in labels
            labels[box[1]] = re.sub(r"#([0-9]+);", lambda found: chr(int(found[1])), box[2])
        else:
            assert edge is not None, line
            edges.append((edge[1], edge[2]))
    assert all(end in labels for edge in edges for end in edge)
    return list(labels.values()), edges


@settings(deadline=None)  # the first example loads networkx
@given(st.lists(AWKWARD, min_size=1, max_size=5))
@example(["%%{init: {'theme': 'dark'}}%%", 'a"]\n    click t1 "x', "1. a", "- b", "$$x$$$", "#35;"])
def test_any_text_is_a_label_in_mermaid(labels: list[str]) -> None:
    boxes = [Box(str(place), label) for place, label in enumerate(labels)]
    shown, _ = read_mermaid(to_mermaid(boxes, ()))
    assert shown == [plain(label) for label in labels]


@given(st.lists(AWKWARD, min_size=1, max_size=5))
def test_any_text_is_a_label_in_dot(labels: list[str]) -> None:
    boxes = [Box(str(place), label) for place, label in enumerate(labels)]
    lines = to_dot(boxes, ()).split("\n")[3:-2]
    shown: list[str] = []
    for line in lines:
        found = re.fullmatch(r'    t[0-9]+ \[label="((?:[^"\\]|\\["\\])*)"\]', line)
        assert found is not None, line
        assert "&" not in found[1].replace("&amp;", "")
        shown.append(re.sub(r"\\(.)", r"\1", found[1]).replace("&amp;", "&"))
    assert shown == [plain(label) for label in labels]


@given(st.lists(AWKWARD, min_size=2, max_size=6, unique=True))
def test_any_text_is_an_id(ids: list[str]) -> None:
    edges = [(ids[0], each) for each in ids[1:]]
    shown, read = read_mermaid(to_mermaid([Box(each, "x") for each in ids], edges))
    assert len(shown) == len(ids)
    assert len(set(read)) == len(edges)
    assert len({first for first, _ in read}) == 1
    assert to_dot([Box(each, "x") for each in ids], edges).count(" -> ") == len(edges)


def test_numbers_keep_their_number_and_other_ids_get_one() -> None:
    drawn = to_mermaid([Box("7", "a"), Box("geo-1", "b")], [("7", "geo-1")])
    assert drawn == 'flowchart LR\n    t7["a"]\n    n2["b"]\n    t7 --> n2\n'


def test_an_edge_from_nowhere_gets_a_box() -> None:
    assert 't9["9"]' in to_mermaid([Box("1", "a")], [("9", "1")])


def test_edges_that_follow_from_others_are_left_out() -> None:
    edges = [("1", "2"), ("2", "3"), ("1", "3"), ("1", "2")]
    assert reduced("123", edges) == (("1", "2"), ("2", "3"))


def test_of_a_circle_every_edge_is_kept() -> None:
    assert reduced("12", [("1", "2"), ("2", "1")]) == (("1", "2"), ("2", "1"))


@pytest.mark.parametrize(
    ("edges", "rows"),
    [
        ([], (("1", "2", "3"),)),
        ([("1", "2"), ("2", "3"), ("1", "3")], (("1",), ("2",), ("3",))),
        ([("1", "3"), ("9", "2")], (("1", "2"), ("3",))),
        ([("2", "3"), ("3", "2")], (("1",), ("2", "3"))),
    ],
)
def test_rows_stand_behind_what_they_need(
    edges: list[tuple[str, str]], rows: tuple[tuple[str, ...], ...]
) -> None:
    assert generations("123", edges) == rows


def test_an_entity_in_a_dot_label_stays_text() -> None:
    assert "&amp;quot;" in to_dot([Box("1", "&quot;")], ())
