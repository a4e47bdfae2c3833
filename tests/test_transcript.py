"""The conversation only grows."""

from __future__ import annotations

from llmcompiler.transcript import Request, Transcript, Turn


def test_a_longer_transcript_leaves_the_shorter_one_as_it_was() -> None:
    short = Transcript().plus(Request("a"))
    longer = short.plus(Turn("Answer: b"))
    assert short.entries == (Request("a"),)
    assert longer.entries == (Request("a"), Turn("Answer: b"))
