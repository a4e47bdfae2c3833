from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.messages import Logprob


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


def test_the_stop_that_is_complete_first_wins() -> None:
    stream = TextStream(["cd", "b"])
    assert stream.push(b"abcd") == "a"
    assert stream.stopped
    assert TextStream(["abcd", "c"]).push(b"abcd") == "ab"


def test_of_stops_that_end_together_the_longest_wins() -> None:
    assert TextStream(["d", "bcd", "cd"]).push(b"abcd") == "a"


_TEXT = st.text(st.sampled_from("ab€🎉\n"), max_size=20)
_CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=30)


def _pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut `data` into pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    while data:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def _before_the_first_stop(text: str, stops: list[str]) -> str | None:
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    return text[: min(ends)[1]] if ends else None


@given(_TEXT, st.lists(_TEXT.filter(bool), max_size=3), _CUTS)
def test_however_bytes_are_cut_the_text_is_that_before_the_first_stop(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    stream = TextStream(stops)
    shown = "".join(map(stream.push, _pieces(text.encode(), sizes))) + stream.finish()
    before = _before_the_first_stop(text, stops)
    assert stream.stopped == (before is not None)
    assert shown == (text if before is None else before)


@given(st.binary(max_size=40), _CUTS)
def test_however_broken_bytes_are_cut_the_text_is_the_same(data: bytes, sizes: list[int]) -> None:
    stream = TextStream()
    shown = "".join(map(stream.push, _pieces(data, sizes))) + stream.finish()
    assert shown == data.decode("utf-8", "replace")


@given(_TEXT, st.sampled_from(["ab", "b\n", "€🎉a"]), _CUTS)
def test_text_is_held_back_only_while_it_may_become_a_stop(
    text: str, stop: str, sizes: list[int]
) -> None:
    stream = TextStream([stop])
    given_out = decoded = ""
    taken = b""
    for piece in _pieces(text.encode(), sizes):
        given_out += stream.push(piece)
        if stream.stopped:
            break
        taken += piece
        decoded = taken.decode("utf-8", "ignore")
        held = decoded[len(given_out) :]
        assert decoded.startswith(given_out)
        assert stop.startswith(held)
        assert not any(
            stop.startswith(decoded[at:]) for at in range(len(given_out)) if decoded[at:]
        )


def _named(name: str) -> Logprob:
    return Logprob(name, -1.0)


def test_a_logprob_comes_with_the_text_of_its_token() -> None:
    stream = TextStream()
    assert stream.push(b"a", _named("a")) == "a"
    assert stream.take_logprobs() == (_named("a"),)
    assert stream.take_logprobs() == ()


def test_tokens_of_one_character_give_their_logprobs_together() -> None:
    stream = TextStream()
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert stream.push(first, _named("1")) == ""
    assert stream.take_logprobs() == ()
    assert stream.push(second, _named("2")) == "é"
    assert stream.take_logprobs() == (_named("1"), _named("2"))


def test_a_token_that_is_held_back_holds_back_its_logprob() -> None:
    stream = TextStream(["END"])
    assert stream.push(b"ab E", _named("1")) == "ab "
    assert stream.take_logprobs() == ()
    assert stream.push(b"N", _named("2")) == ""
    assert stream.take_logprobs() == ()
    assert stream.push(b"O", _named("3")) == "ENO"
    assert stream.take_logprobs() == (_named("1"), _named("2"), _named("3"))


def test_a_token_that_is_held_after_one_that_was_held_waits_for_its_own_text() -> None:
    stream = TextStream(["ab"])
    assert stream.push(b"xa", _named("1")) == "x"
    assert stream.push(b"a", _named("2")) == "a"
    assert stream.take_logprobs() == (_named("1"),)
    assert stream.finish() == "a"
    assert stream.take_logprobs() == (_named("2"),)


def test_tokens_of_a_stop_text_are_not_reported() -> None:
    stream = TextStream(["END"])
    for piece in (b"ab", b" E", b"N", b"D cd", b"ef"):
        stream.push(piece, _named(piece.decode()))
    stream.finish()
    assert stream.take_logprobs() == (_named("ab"),)


def test_what_was_held_at_the_end_is_reported_and_a_broken_character_too() -> None:
    stream = TextStream(["END"])
    stream.push(b"xE", _named("1"))
    stream.push("€".encode()[:2], _named("2"))
    assert stream.take_logprobs() == ()
    assert stream.finish() == "E�"
    assert stream.take_logprobs() == (_named("1"), _named("2"))


@given(
    st.binary(max_size=40) | _TEXT.map(str.encode),
    st.lists(st.text("ab€", min_size=1, max_size=3), max_size=2),
    _CUTS,
)
def test_logprobs_come_in_order_and_for_all_that_is_shown_whole(
    data: bytes, stops: list[str], sizes: list[int]
) -> None:
    pieces = _pieces(data, sizes)
    stream = TextStream(stops)
    reported: list[Logprob] = []
    shown = ""
    for place, piece in enumerate(pieces):
        shown += stream.push(piece, _named(str(place)))
        reported += stream.take_logprobs()
        # As much text as these tokens alone would give has been shown.
        whole = b"".join(pieces[: len(reported)]).decode("utf-8", "replace")
        assert len(whole) <= len(shown)
    stream.finish()
    reported += stream.take_logprobs()
    assert reported == [_named(str(place)) for place in range(len(reported))]
    if not stream.stopped:
        assert len(reported) == len(pieces)
