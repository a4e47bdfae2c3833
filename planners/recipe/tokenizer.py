"""How is text cut into tokens, so that llama.cpp cuts it the same way and a value looks alike wherever it stands?

It does not know the model; it is trained on sentences whose values were taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from conversations import Conversations
from dialogue import Dialogue, Piece, render
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<|pad|>", "<|end|>", "<|user|>", "<|model|>", "<|obs|>"]
PAD, END, USER, MODEL, OBS = range(5)

_FINE = r"[A-Za-z][a-z]*|[0-9]|\n| |."
"""Merges never cross these pieces, so the coarser splitter of llama.cpp finds the same tokens."""

_LLAMA_DEFAULT = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
]

_AFTER_BLANK = [
    "the",
    "of",
    "in",
    "is",
    "are",
    "and",
    "to",
    "from",
    "for",
    "how",
    "many",
    "what",
    "which",
    "me",
    "please",
    "tell",
    "there",
    "than",
    "more",
    "between",
    "many",
    "does",
    "do",
    "you",
    "it",
    "can",
    "could",
    "would",
    "have",
    "has",
    "word",
    "words",
    "line",
    "lines",
    "bytes",
    "file",
    "time",
    "number",
    "days",
    "weeks",
    "hours",
    "size",
    "count",
    "total",
    "average",
    "most",
    "average",
    "much",
    "will",
    "know",
    "need",
    "want",
    "give",
    "find",
    "get",
    "that",
    "this",
    "my",
    "with",
    "by",
    "at",
    "or",
    "if",
    "be",
    "as",
    "into",
    "i",
    "I",
    "not",
    "sum",
    "long",
    "hour",
    "day",
    "week",
    "together",
    "on",
    "also",
    "then",
    "hours",
    "degrees",
    "cannot",
    "only",
    "model",
    "small",
    "demonstration",
    "real",
    "use",
    "arithmetic",
    "units",
    "dates",
    "files",
    "more",
    "behind",
    "ahead",
    "than",
    "no",
    "was",
    "it",
    "words",
    "lines",
    "a",
    "an",
    "pages",
    "page",
    "per",
    "failed",
    "needs",
    "skipped",
    "did",
    "mean",
]
"""Words that keep their leading blank as one token; they hardly ever start a value."""

_MARKS = [("=", '"'), ('"', ","), ('"', ")"), ("$", "{"), ("=", "["), ("]", ")"), ("(", ")")]


def corpus(seed: int, count: int) -> Iterator[str]:
    """Yield conversations without their values."""
    source = Conversations(seed)
    for _ in range(count):
        asked = source.requests.ask()
        names = [name for part in asked.parts for name in part.names]
        source_text = asked.text
        if asked.parts:
            dialogue = Dialogue(source.rng, source.values, asked)
            plan = dialogue.plan()
            text = render([Piece("", source_text), Piece("", plan), *dialogue.rest(0.3)])
            names += [name for part in asked.parts for name in part.names]
        else:
            text = f"{source_text}\nAnswer: {asked.answer}"
        for name in sorted(set(names), key=len, reverse=True):
            text = text.replace(name, "")
        for special in SPECIALS:
            text = text.replace(special, "\n")
        yield text


def train(path: Path, seed: int, size: int, count: int = 20000) -> None:
    """Train merges with the fine splitter and write the tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_FINE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed, count), trainer)
    data = json.loads(tokenizer.to_str())
    vocabulary, merges = data["model"]["vocab"], data["model"]["merges"]
    pairs = [*_MARKS, *(("Ġ", word) for word in dict.fromkeys(_AFTER_BLANK))]
    for first, second in pairs:
        if second in vocabulary and first + second not in vocabulary:
            merges.append([first, second])
            vocabulary[first + second] = len(vocabulary)
    data["pre_tokenizer"] = None
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def load(path: Path) -> Tokenizer:
    """Read the tokenizer, cutting as llama.cpp's ``default`` pre-tokenizer does."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in _LLAMA_DEFAULT]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.encode_special_tokens = True  # what looks like a control token in a text is text
    return tokenizer


def encode_plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """Encode text that holds no control tokens, whatever it looks like."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
