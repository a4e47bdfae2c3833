"""How often is every token of a turn the likeliest one (which is what greedy decoding writes), on conversations never trained on?

It does not know grammars, spans or tools: it is the plain network on generated conversations, for training time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import tokenizer as tokens
import torch
from conversations import Conversations
from dialogue import MODEL as MODEL_MARK
from dialogue import Piece
from export import shuffled
from model import Network
from tokenizers import Tokenizer
from train import Row, encode, restore, tensors

SETS: dict[str, dict[str, bool]] = {
    "trained phrasings": {},
    "values": {"held_values": True},
    "phrasings": {"held_phrases": True},
    "compositions": {"held_pairs": True},
    "all unseen": {"held_values": True, "held_phrases": True, "held_pairs": True},
}


@dataclass(slots=True)
class Score:
    """Right and all turns, by form of turn; what went wrong."""

    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, str, str]] = field(default_factory=list)

    def line(self) -> str:
        names = ["plan", "join", "replan", "answer", "repair"]
        return "  ".join(
            f"{name} {self.right[name] / self.total[name]:.3f} (n {self.total[name]})"
            for name in names
            if self.total[name]
        )


def form(pieces: list[Piece], at: int) -> str:
    """Which kind of turn this is: the plan, a join, a replan, an immediate answer, or a repair."""
    text = pieces[at].text
    if text.startswith("Replan: "):
        return "replan"
    if text.startswith("Answer: "):
        return "join" if any(piece.who == MODEL_MARK for piece in pieces[:at]) else "answer"
    return "plan" if at == 1 else "repair"


def draw(name: str, count: int, seed: int) -> list[list[Piece]]:
    """Draw conversations of a set."""
    source = Conversations(seed, plan_only=0.0, **SETS[name])
    return [source.draw()[1] for _ in range(count)]


@torch.no_grad()
def score(network: Network, tokenizer: Tokenizer, dialogues: list[list[Piece]]) -> Score:
    """Score every learnt turn of every conversation."""
    found = Score()
    rows: list[tuple[Row, list[Piece]]] = sorted(
        ((encode(tokenizer, p), p) for p in dialogues), key=lambda item: len(item[0].ids)
    )
    rows = [row for row in rows if len(row[0].ids) <= 900]
    for start in range(0, len(rows), 16):
        group = rows[start : start + 16]
        x, where, target, spans = tensors([row for row, _ in group])
        with torch.autocast("cpu", torch.bfloat16):
            h = network(x)
        guess = network.logits(h.reshape(-1, h.shape[-1])[where].float()).argmax(-1)
        for (_, pieces), turns in zip(group, spans, strict=True):
            learnt = [at for at, piece in enumerate(pieces) if piece.learn]
            for at, (begin, end) in zip(learnt, turns, strict=True):
                name = form(pieces, at)
                found.total[name] += 1
                if bool((guess[begin:end] == target[begin:end]).all()):
                    found.right[name] += 1
                else:
                    written = tokenizer.decode(guess[begin:end].tolist(), skip_special_tokens=False)
                    said = " // ".join(
                        piece.text for piece in pieces[:at] if piece.who != MODEL_MARK
                    )
                    found.failures.append((name, said, pieces[at].text, written))
    return found


def report(
    checkpoint: Path, vocabulary: Path, count: int, seed: int, show: int, shuffle: bool
) -> None:
    """Print the scores of a checkpoint on every set."""
    torch.set_num_threads(1)
    network, _ = restore(checkpoint)
    if shuffle:
        network.load_state_dict(shuffled(network.state_dict()))
    tokenizer = tokens.load(vocabulary)
    for name in SETS:
        found = score(network, tokenizer, draw(name, count, seed))
        print(f"{name:18} {found.line()}", flush=True)
        for kind, said, wanted, came in found.failures[:show]:
            print("\n      ".join([f"    {kind}: {said!r}", f"want {wanted!r}", f"got  {came!r}"]))
