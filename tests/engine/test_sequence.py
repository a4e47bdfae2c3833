from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.sequence import TextStream, TokenSequence


def test_a_sequence_tells_its_prompt_from_what_was_generated() -> None:
    sequence = TokenSequence([1, 2, 3])
    sequence.tokens.append(7)
    assert (sequence.prompt_length, sequence.generated, sequence.generated_length) == (3, [7], 1)


def test_a_character_split_over_tokens_comes_out_whole() -> None:
    stream = TextStream()
    assert [stream.push(bytes([byte])) for byte in "é€🎉".encode()] == [
        "", "é", "", "", "€", "", "", "", "🎉",
    ]  # fmt: skip
    assert stream.finish() == ""


def test_an_unfinished_character_ends_as_a_replacement() -> None:
    stream = TextStream()
    assert stream.push("€".encode()[:2]) == ""
    assert stream.finish() == "�"


def test_a_stop_text_across_tokens_is_never_shown() -> None:
    stream = TextStream(["END"])
    assert [stream.push(piece) for piece in (b"ab E", b"N", b"D cd")] == ["ab ", "", ""]
    assert stream.stopped
    assert stream.push(b"more") == ""
    assert stream.finish() == ""


def test_what_only_looked_like_a_stop_is_shown_after_all() -> None:
    stream = TextStream(["END"])
    assert [stream.push(piece) for piece in (b"E", b"N", b"O")] == ["", "", "ENO"]
    assert not stream.stopped


def test_a_held_beginning_of_a_stop_is_given_out_at_the_end() -> None:
    stream = TextStream(["END"])
    assert stream.push(b"xEN") == "x"
    assert stream.finish() == "EN"


def test_the_earliest_of_several_stops_wins() -> None:
    stream = TextStream(["cd", "b"])
    assert stream.push(b"abcd") == "a"
    assert stream.stopped


_TEXT = st.text(st.sampled_from("ab€🎉\n"), max_size=20)


@given(_TEXT, st.lists(_TEXT.filter(bool), max_size=3), st.randoms())
def test_however_bytes_are_cut_the_text_is_that_before_the_first_stop(
    text: str, stops: list[str], chance: object
) -> None:
    import random

    assert isinstance(chance, random.Random)
    data = text.encode()
    stream = TextStream(stops)
    shown = ""
    while data:
        size = chance.randint(1, 3)
        piece, data = data[:size], data[size:]
        shown += stream.push(piece)
        assert text.startswith(shown)
    shown += stream.finish()
    # The stop that is complete first ends the text; of those, the one that begins first.
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    first_end = min((end for end, _ in ends), default=None)
    if first_end is None:
        assert shown == text
        assert not stream.stopped
    else:
        assert stream.stopped
        assert not any(stop in shown for stop in stops)
        assert text.startswith(shown)
        assert len(shown) < first_end
