"""Places of mistakes: in texts of every style, and in graphs of steps that wait for each other."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.workflow.ancestry import ancestors, circles
from llmcompiler.workflow.reading import read
from llmcompiler.workflow.reporting import place_in


@given(
    st.sampled_from(["plain", "single", "double", "literal", "folded"]),
    st.lists(st.text("ab '\"\\é", min_size=1, max_size=6).map(str.strip).filter(bool), min_size=1),
    st.integers(0, 3),
)
def test_the_place_of_a_mark_in_a_text_is_where_it_stands(
    style: str, words: list[str], at: int
) -> None:
    words = [*words[:at], "§", *words[at:]]
    match style:
        case "plain":
            words = ["x" + word.strip("'\"\\ ") if word != "§" else word for word in words]
            text = "k: w " + "\n  ".join(words) + "\n"
        case "single":
            text = "k: 'w " + "\n  ".join(word.replace("'", "''") for word in words) + "'\n"
        case "double":
            quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
            text = 'k: "w ' + "\n  ".join(quoted) + '"\n'
        case _:
            sign = "|" if style == "literal" else ">"
            text = f"k: {sign}\n  w\n  " + "\n  ".join(words) + "\n"
    source = read(text, "w.yaml")
    value = source.data["k"]
    line, column = place_in(text.splitlines(), *source.at(("k",)), value, value.index("§"))
    assert text.splitlines()[line - 1][column - 1] == "§"


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_circles_are_real_and_none_is_missed(needs: dict[str, set[str]]) -> None:
    found = circles({name: sorted(those) for name, those in needs.items()})
    inside: set[str] = set()
    for circle in found:
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        for one, two in pairwise(circle):
            assert two in needs[one]
        inside.add(circle[0])
    around = {name for name in needs if name in ancestors(name, needs)}
    assert inside <= around
    assert bool(found) == bool(around)
    for name in around:  # each is in the group of one that is shown
        assert any(
            name in ancestors(one, needs) and one in ancestors(name, needs) for one in inside
        )
