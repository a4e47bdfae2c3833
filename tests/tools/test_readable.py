"""What a page of HTML reads like."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler_tools.readable import readable


@pytest.mark.parametrize(
    ("html", "title", "text"),
    [
        ("plain", "", "plain"),
        ("<p>a<p>b", "", "a\nb"),
        ("<script>x<p>y</script>z", "", "z"),
        ("<head><title>t</title><meta x></head>body", "t", "body"),
        ("<head><title>t</title><body>no head's end", "t", "no head's end"),
        ("<svg><title>no</title></svg>a", "", "a"),
        ("1 &lt; 2 &#8212; caf&eacute;", "", "1 < 2 — café"),
        ("<p>a\n b\t c</p>", "", "a b c"),
        ("", "", ""),
    ],
)
def test_a_page_reads_like_this(html: str, title: str, text: str) -> None:
    assert readable(html) == (title, text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*"<>/!-[]&;\"' ap", "<p>", "<![", "<!--", "<script>", "&#x"])))
def test_broken_html_is_read_as_far_as_it_can_be(pieces: list[str]) -> None:
    title, text = readable("".join(pieces))
    assert isinstance(title, str)
    assert isinstance(text, str)
