"""Large values, shortened: the same shape, nothing invented, and what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.plan import Cancelled, Failed, Json, Ok, Skipped, Star
from llmcompiler.preview import LeftOut, Preview, preview, preview_of, size_of

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
LEAVES = SCALARS | st.text(max_size=60) | st.text(st.sampled_from('"\n\u0001é😀a'), max_size=90)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=12), inner, max_size=8)
    ),
    max_leaves=15,
)
REPEATED = st.builds(lambda one, times: [one] * times, NESTED, st.integers(1, 60))
VALUES = NESTED | REPEATED | st.dictionaries(st.text(max_size=3), NESTED | REPEATED, max_size=3)


def shortened(value: Json, chars: int) -> Preview:
    short = preview(value, chars)
    assert short is not None
    return short


def shown_of(short: Preview) -> Any:
    return short.value


def written(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def check_is_the_beginning(shown: Json, whole: Json) -> None:
    """Every list and object begins like the whole one, every leaf is it, or a prefix of it."""
    if isinstance(whole, str):
        assert isinstance(shown, str)
        assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))
    elif isinstance(whole, Mapping):
        assert isinstance(shown, Mapping)
        assert list(shown) == list(whole)[: len(shown)]
        for name in shown:
            check_is_the_beginning(shown[name], whole[name])
    elif isinstance(whole, Sequence):
        assert isinstance(shown, Sequence)
        assert len(shown) <= len(whole)
        for one, other in zip(shown, whole, strict=False):
            check_is_the_beginning(one, other)
    else:
        assert shown == whole
        assert type(shown) is type(whole)


def at(value: Any, path: Sequence[Any]) -> list[Any]:
    """Return all that is at a path; of a list, elements in which the rest of the path is."""
    if not path:
        return [value]
    first, *rest = path
    if not isinstance(first, Star):
        return at(value[first], rest) if _has(value, first) else []
    return (
        [found for inner in value for found in at(inner, rest)] if isinstance(value, list) else []
    )


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, dict) and step in value


def _beginnings(shown: Any, whole: Any) -> int:
    """Count the places where less is shown than there is."""
    if isinstance(whole, str):
        return int(shown != whole)
    if isinstance(whole, dict):
        return int(len(shown) < len(whole)) + sum(_beginnings(shown[n], whole[n]) for n in shown)
    if isinstance(whole, list):
        return int(len(shown) < len(whole)) + sum(map(_beginnings, shown, whole))
    return 0


@settings(max_examples=150)
@given(VALUES, st.integers(1, 400))
def test_a_preview_is_the_beginning_of_everything_within_its_size(value: Json, chars: int) -> None:
    short = preview(value, chars)
    room = max(chars, 24)
    if short is None:
        assert len(written(value)) <= room or isinstance(value, int)
        return
    assert len(written(value)) > room
    assert len(written(short.value)) == short.shown <= room
    assert json.loads(written(short.value)) == short.value
    check_is_the_beginning(short.value, value)


@settings(max_examples=150)
@given(VALUES, st.integers(1, 400))
def test_what_is_left_out_is_told_by_paths_that_lead_there(value: Json, chars: int) -> None:
    short = preview(value, chars)
    if short is None:
        return
    assert short.left_out
    for cut in short.left_out:
        found = at(value, cut.path)
        sizes = [len(inner) for inner in found if isinstance(inner, str | list | dict)]
        assert sizes, "the path leads somewhere"
        assert 0 <= cut.shown < cut.whole <= sum(sizes)
    told = len(short.left_out) + short.more
    assert told <= _beginnings(short.value, value)
    assert len(short.notes) <= 9


@given(VALUES)
def test_the_size_is_that_of_the_json(value: Json) -> None:
    size = len(written(value))
    assert size_of(value, 10**9) == (size, True)
    assert size_of(value) == (size, True)
    assert size_of(value, size) == (size, True)
    for enough in {0, 1, size // 2, size - 1}:
        found, _ = size_of(value, enough)
        assert enough < found <= size


def test_a_long_list_of_records_shows_the_first_of_them_whole() -> None:
    value: Json = {"query": "x", "items": [{"id": i, "name": f"number {i}"} for i in range(5000)]}
    short = shortened(value, 800)
    items = shown_of(short)["items"]
    assert items == [{"id": i, "name": f"number {i}"} for i in range(len(items))]
    assert len(items) >= 15
    assert short.notes == (f".items: {len(items)} of 5,000 elements",)
    assert (short.chars, short.counted) == (len(written(value)), True)


def test_a_few_long_texts_are_each_cut() -> None:
    value: Json = [{"url": f"/{i}", "text": "word " * 2000} for i in range(3)]
    short = shortened(value, 600)
    assert [page["url"] for page in shown_of(short)] == ["/0", "/1", "/2"]
    shown = sum(len(page["text"]) - 1 for page in shown_of(short))
    assert short.notes == (f"[*].text: {shown} of 30,000 characters",)
    assert short.shown > 550


def test_one_large_part_does_not_hide_the_small_ones() -> None:
    rest: dict[str, Json] = {"title": "T", "links": ["/a", "/b"], "code": 200}
    shown = shown_of(shortened({"text": "a" * 120_000, **rest}, 300))
    assert 200 < len(shown.pop("text")) < 300
    assert shown == rest


def test_a_large_element_does_not_hide_those_after_it() -> None:
    value: Json = [1, 2, 3, "a" * 5000, 4, 5]
    shown = shown_of(shortened(value, 200))
    assert shown[:3] == [1, 2, 3]
    assert shown[4:] == [4, 5]
    assert str(shown[3]).startswith("aaa")


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (LeftOut(("items",), 20, 5000, "elements"), ".items: 20 of 5,000 elements"),
        (LeftOut((), 97, 10_000, "characters"), "97 of 10,000 characters"),
        (LeftOut((0, "a b"), 2, 3, "names"), '[0]["a b"]: 2 of 3 names'),
        (LeftOut((Star(), "text"), 2, 3, "elements"), "[*].text: 2 of 3 elements"),
    ],
)
def test_a_place_is_told_as_a_path(cut: LeftOut, said: str) -> None:
    assert str(cut) == said


def test_many_places_are_counted() -> None:
    value: Json = {f"n{i}": "a" * 100 for i in range(20)}
    short = shortened(value, 1000)
    assert len(short.notes) == 9
    assert short.notes[-1] == "12 more places"


def test_a_cut_text_does_not_grow_by_its_escapes() -> None:
    short = shortened("\n" * 1000, 100)
    assert short.value == "\n" * 48 + "…"
    assert short.shown == 99


def test_a_number_is_there_whole_or_not_at_all() -> None:
    value: Json = {"n": 10**40, "m": 10**40, "text": "a" * 100}
    short = shortened(value, 70)
    assert short.value == {"n": 10**40}
    assert short.notes == ("1 of 3 names",)
    assert preview(10**40, 24) is None


def test_what_stands_very_deep_is_left_out() -> None:
    value: Json = ["a" * 10_000]
    for _ in range(5000):
        value = [value]
    short = shortened(value, 100)
    assert short.shown <= 100
    (note,) = short.notes
    assert note.endswith("]: 0 of 1 elements")


def test_a_value_that_fits_is_no_preview_however_deep() -> None:
    value: Json = []
    for _ in range(40):
        value = [value]
    assert preview(value, 100) is None


class _Counted(list[Any]):
    """A list that counts how many of its elements were looked at."""

    looked = 0

    def __iter__(self) -> Iterator[Any]:
        for inner in super().__iter__():
            _Counted.looked += 1
            yield inner


def _looked_at(length: int, chars: int) -> int:
    _Counted.looked = 0
    inner = [_Counted(["a" * 50] * 10) for _ in range(length)]
    short = shortened(_Counted(inner), chars)
    assert not short.counted
    assert short.chars > 100_000
    return _Counted.looked


def test_the_work_grows_with_what_is_shown_and_not_with_the_value() -> None:
    small, large = _looked_at(10_000, 8000), _looked_at(100_000, 8000)
    assert small == large
    assert large < 60_000


def test_of_an_outcome_that_is_shortened_which_a_model_reads() -> None:
    long = "no " * 1000
    assert preview_of(Ok(1), 100) is None
    assert preview_of(Ok(long), 100) == preview(long, 100)
    assert preview_of(Failed("E", "no"), 100) is None
    assert preview_of(Failed("E", long), 100) == preview(long, 100)
    elements = (Ok(long), Failed("E", "no"))
    assert preview_of(Failed("E", "1 of 2", 1, elements), 100) == preview([long, None], 100)
    assert preview_of(Skipped("it needs $1"), 1) is None
    assert preview_of(Cancelled("the time is up"), 1) is None
