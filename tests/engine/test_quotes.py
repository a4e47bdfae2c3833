from __future__ import annotations

import random

import pytest

from llmcompiler.engine.quotes import Quotes

_WANTED = ("time_in.place", "convert.value", "most.names", "most.values", "answer.numbers")
_SOURCES = (
    "What time is it in São Paulo, and how much is 1,250 or minus 40 miles in README.md?",
    '$1 = "2026-11-21 17:03"',
    "$2 = 19.3121",
    '$3 failed: there is no place "Osloo"; did you mean "Oslo"?',
)


def _refused_at(text: str, sources: tuple[str, ...] = _SOURCES) -> str | None:
    """Write `text` character by character; return what was written before the first refusal."""
    quotes = Quotes(_WANTED, sources)
    written = b""
    for byte in text.encode():
        piece = bytes([byte])
        if not quotes.admits(piece):
            return written.decode("utf-8", "replace")
        quotes.advance(piece)
        written += piece
    return None if quotes.admits_end() else text


@pytest.mark.parametrize(
    "text",
    [
        '1. time_in(place="São Paulo")\n2. join()',
        '1. time_in(place="README.md")',
        '1. time_in(place="README")',
        '1. time_in(place="Oslo")',
        '1. time_in(place="time is it")',
        '1. time_in(place=$1)',
        '1. time_in(place=$1.links[0].name)\n2. time_in(place="Oslo")',
        '1. time_in(place="${1}")',
        '1. time_in(place="${1} > ${2.value[0]}, or 1,250 miles!")',
        '1. time_in(place="${12}", x=1)',
        "1. convert(value=1250)",
        "1. convert(value=-40)",
        "1. convert(value=40)",
        "1. convert(value=19.3121)",
        "1. convert(value=$2)",
        "1. convert(value=null)",
        '1. most(names=["Oslo", "São Paulo"], values=[$1, 40])',
        '1. most(names=["Oslo", "São Paulo"], values=[$1, 40], other="free, (of course)")',
        '1. free(place="Atlantis", n=123456)',
        '1. free(text="a \\" quote, x=1) time_in(place=")',
        "Answer: It is 17:03 on 2026-11-21 there, that is 19.3121.",
        "Answer: It is 17:03.\nAnd 19.3121... or 40-",
        "Answer: words only",
        "Answer: use --model http://HOST:PORT/v7#NAME",
        "Replan: $3 failed at 17:03\n5. time_in(place=\"Oslo\")\n6. join()",
        "just prose with 123 in it",
        "",
    ],
)  # fmt: skip
def test_quoting_is_admitted(text: str) -> None:
    assert _refused_at(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('1. time_in(place="Rome")', '1. time_in(place="R'),
        ('1. time_in(place="Oslox")', '1. time_in(place="Oslo'),
        ('1. time_in(place="Os")', '1. time_in(place="Os'),
        ('1. time_in(place="slo")', '1. time_in(place="'),
        ('1. time_in(place="")', '1. time_in(place="'),
        ('1. time_in(place=" in")', '1. time_in(place="'),
        ('1. time_in(place="in ")', '1. time_in(place="in '),
        ('1. time_in(place="sao")', '1. time_in(place="'),
        ('1. time_in(place="time $x")', '1. time_in(place="time $'),
        ('1. time_in(place="\\u0053ão Paulo")', '1. time_in(place="\\'),
        ('1. time_in(place="time\\n")', '1. time_in(place="time'),
        ('1. time_in(place="${x}")', '1. time_in(place="${'),
        ('1. time_in(place="${}")', '1. time_in(place="${'),
        ('1. time_in(place="${1} and on")', '1. time_in(place="${1} and o'),
        ('1. time_in(place="${1} / 7")', '1. time_in(place="${1} / '),
        ("1. convert(value=125)", "1. convert(value=125"),
        ("1. convert(value=12500)", "1. convert(value=1250"),
        ("1. convert(value=-17)", "1. convert(value=-"),
        ("1. convert(value=19)", "1. convert(value=19"),
        ("1. convert(value=3)", "1. convert(value="),
        ('1. most(names=["Oslo", "Rome"])', '1. most(names=["Oslo", "R'),
        ('1. most(names=["Oslo"], values=[40, 41])', '1. most(names=["Oslo"], values=[40, 4'),
        ("Answer: 19.3", "Answer: 19.3"),
        ("Answer: 19.3 is", "Answer: 19.3"),
        ("Answer: 19 is", "Answer: 19"),
        ("Answer: 18", "Answer: 1"),
        ("Answer: 17:04", "Answer: 17:0"),
        ("Answer: 2026-11-22", "Answer: 2026-11-2"),
        ("Replan: 3 things", "Replan: "),
        (
            'Replan: it failed\n5. time_in(place="Rome")',
            'Replan: it failed\n5. time_in(place="R',
        ),
    ],
)
def test_what_is_not_a_quote_is_refused(text: str, written: str) -> None:
    assert _refused_at(text) == written


def test_a_token_of_several_characters_is_judged_as_a_whole() -> None:
    quotes = Quotes(_WANTED, _SOURCES)
    quotes.advance(b'1. time_in(place="Os')
    assert quotes.admits(b'lo")\n2. jo')
    assert not quotes.admits(b'l")')
    assert not quotes.admits(b"lo?")


def test_the_bytes_of_a_split_character_are_judged_one_by_one() -> None:
    quotes = Quotes(_WANTED, _SOURCES)
    quotes.advance(b'1. time_in(place="S')
    first, second = "ã".encode()
    assert quotes.admits(bytes([first]))
    assert not quotes.admits(b"\xe2")
    quotes.advance(bytes([first]))
    assert quotes.admits(bytes([second]))
    assert not quotes.admits("è".encode()[1:])


def test_pieces_in_a_row_are_counted_and_none_is_written() -> None:
    quotes = Quotes(_WANTED, _SOURCES)
    quotes.advance(b'1. time_in(place="S')
    pieces = ["ã".encode()[:1], "ã".encode()[1:], b"o Pau", b"lo", b'")', b"\n"]
    assert quotes.admitted(pieces) == len(pieces)
    assert quotes.admitted([*pieces[:3], b"la", b"lo"]) == 3
    assert quotes.admitted(iter(pieces)) == len(pieces)
    assert quotes.admitted([]) == 0
    assert quotes.admits(pieces[0])
    assert not quotes.admits(b"lo")


def test_text_that_was_forced_lets_go_of_that_value_only() -> None:
    quotes = Quotes(_WANTED, _SOURCES)
    quotes.advance(b'1. time_in(place="Atlan')
    assert quotes.admits(b'tis")\n')
    quotes.advance(b'tis")\n2. time_in(place="')
    assert not quotes.admits(b"A")
    assert quotes.admits(b"Oslo")


def test_a_forced_number_lets_go_of_that_number_only() -> None:
    quotes = Quotes(_WANTED, _SOURCES)
    quotes.advance(b"Answer: 99")
    assert quotes.admits(b"9 and 40")
    assert not quotes.admits(b"9 and 41")


def test_the_label_of_a_note_is_no_number_of_its() -> None:
    assert _refused_at("Answer: 2", ("$2 = 7",)) == "Answer: "
    assert _refused_at("1. convert(value=2)", ("$2 = 7",)) == "1. convert(value="


def test_an_amount_in_dollars_is_a_number() -> None:
    assert _refused_at("1. convert(value=5)", ("How much is $5?",)) is None


def test_escaped_text_of_an_observation_is_quoted_as_it_reads() -> None:
    sources = ('$1 = "a \\"b\\" c\\nd"',)
    assert _refused_at('1. time_in(place="a \\"b\\" c\\nd")', sources) is None


def test_a_span_never_crosses_from_one_source_to_another() -> None:
    assert _refused_at('1. time_in(place="one two")', ("one", "two")) == '1. time_in(place="one'


def test_nothing_wanted_admits_everything() -> None:
    quotes = Quotes((), ("x",))
    for piece in (b'1. time_in(place="Atl', b'antis")\nAnswer: 5'):
        assert quotes.admits(piece)
        quotes.advance(piece)
    assert quotes.admits_end()


def test_random_text_raises_nothing_and_cuts_do_not_matter() -> None:
    chance = random.Random(4)
    words = [
        '1. time_in(place="',
        "São",
        " Paulo",
        '"',
        ")",
        "\n",
        "Answer:",
        " 17",
        ":03",
        "$1",
        "[",
    ]
    words += [
        "\\",
        "u00",
        "${",
        "}",
        "]",
        ", ",
        "é",
        "Oslo",
        "convert(value=",
        "-40",
        "{",
        "=",
        "\x00",
    ]
    for _ in range(2000):
        data = "".join(chance.choices(words, k=chance.randrange(12))).encode()
        whole, split = Quotes(_WANTED, _SOURCES), Quotes(_WANTED, _SOURCES)
        admitted = True
        for byte in data:
            admitted = admitted and split.admits(bytes([byte]))
            split.advance(bytes([byte]))
        if admitted or not data:
            assert whole.admits(data)
        whole.advance(data)
        assert whole.admits_end() == split.admits_end()
