"""How are weights learnt from generated conversations, in a given time, so that it can be stopped and resumed?

It does not know how good the result is for users: `evaluate` says that.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import tokenizer as tokens
import torch
import torch.nn.functional as F
from conversations import Conversations
from dialogue import MODEL as MODEL_MARK
from dialogue import OBS as OBS_MARK
from dialogue import USER as USER_MARK
from dialogue import Piece
from model import Network, Shape, wire
from optim import Muon, schedule
from tokenizers import Tokenizer
from torch import Tensor

_MARK = {USER_MARK: tokens.USER, MODEL_MARK: tokens.MODEL, OBS_MARK: tokens.OBS}


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in tokens; `spans` are the model turns to learn, as [start, end) of the tokens."""

    ids: list[int]
    spans: list[tuple[int, int]]
    kind: str = ""


def encode(tokenizer: Tokenizer, pieces: list[Piece], kind: str = "") -> Row:
    """Write a conversation in tokens."""
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for piece in pieces:
        ids.append(_MARK[piece.who])
        start = len(ids)
        ids += tokens.encode_plain(tokenizer, piece.text)
        if piece.who == MODEL_MARK:
            ids.append(tokens.END)
            if piece.learn:
                spans.append((start, len(ids)))
    return Row(ids, spans, kind)


class Batches:
    """Draws batches of conversations of like length."""

    def __init__(self, tokenizer: Tokenizer, seed: int, budget: int) -> None:
        self.tokenizer, self.budget = tokenizer, budget
        self.source = Conversations(seed, hard=True)
        self.rng = random.Random(seed + 1)
        self.pool: list[list[Row]] = []

    def next(self) -> list[Row]:
        if not self.pool:
            rows = []
            for _ in range(2400):
                kind, pieces = self.source.draw()
                rows.append(encode(self.tokenizer, pieces, kind))
            rows = sorted(
                (row for row in rows if len(row.ids) <= 640), key=lambda row: len(row.ids)
            )
            while rows:
                length = padded(len(rows[-1].ids) - 1)
                count = max(1, self.budget // length)
                self.pool.append(rows[-count:])
                del rows[-count:]
            self.rng.shuffle(self.pool)
        return self.pool.pop()


def padded(length: int) -> int:
    """Round a length up to few different ones."""
    return max(32, (length + 31) // 32 * 32)


def tensors(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor, list[list[tuple[int, int]]]]:
    """Inputs, flat positions to predict from, targets, and for every row its spans within the targets."""
    length = padded(max(len(row.ids) for row in rows) - 1)
    x = torch.zeros(len(rows), length, dtype=torch.long)
    where: list[int] = []
    target: list[int] = []
    spans: list[list[tuple[int, int]]] = []
    for i, row in enumerate(rows):
        x[i, : len(row.ids) - 1] = torch.tensor(row.ids[:-1])
        found = []
        for start, end in row.spans:
            found.append((len(target), len(target) + end - start))
            where += range(i * length + start - 1, i * length + end - 1)
            target += row.ids[start:end]
        spans.append(found)
    return x, torch.tensor(where), torch.tensor(target), spans


@dataclass(slots=True)
class Options:
    """How long and how fast."""

    folder: Path
    minutes: float = 90.0
    seed: int = 0
    rate: float = 0.008
    adam: float = 2e-3
    decay: float = 0.6
    budget: int = 6144
    threads: int = 1
    compile: bool = True
    layers: int = 6
    width: int = 192
    resume: bool = False
    save_every: float = 300.0


def save(
    path: Path, network: Network, muon: Muon, adam: torch.optim.Optimizer, state: dict[str, float]
) -> None:
    """Write a checkpoint atomically."""
    fresh = path.with_suffix(".new")
    torch.save(
        {
            "shape": asdict(network.shape),
            "weights": network.state_dict(),
            "muon": muon.moments,
            "adam": adam.state_dict(),
            "state": state,
        },
        fresh,
    )
    fresh.replace(path)


def restore(path: Path) -> tuple[Network, dict[str, object]]:
    """Read the network of a checkpoint, and the rest of it."""
    data = torch.load(path, map_location="cpu", weights_only=True)
    network = Network(Shape(**data["shape"]))
    network.load_state_dict(data["weights"])
    return network, data


def train(options: Options) -> None:
    """Train until the time is over; checkpoints are in `options.folder`."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = tokens.load(options.folder / "tokenizer.json")
    path = options.folder / "checkpoint.pt"
    state = {"steps": 0.0, "seen": 0.0, "rows": 0.0, "seconds": 0.0}
    data: dict[str, object] = {}
    if options.resume:
        network, data = restore(path)
        state = data["state"]  # type: ignore[assignment]  # as `save` wrote it
    else:
        network = Network(
            Shape(tokenizer.get_vocab_size(), width=options.width, layers=options.layers)
        )
        wire(network, options.seed)
    matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and n != "embed.weight"]
    others = [p for n, p in network.named_parameters() if p.ndim != 2 or n == "embed.weight"]
    muon = Muon(matrices, options.rate)
    adam = torch.optim.AdamW(others, lr=options.adam, betas=(0.9, 0.95), weight_decay=0.0)
    if "muon" in data:  # a checkpoint unpacked from a GGUF has no moments
        muon.moments = data["muon"]  # type: ignore[assignment]  # the same
        adam.load_state_dict(data["adam"])
    print(
        "parameters",
        sum(p.numel() for p in network.parameters()),
        "vocabulary",
        tokenizer.get_vocab_size(),
        flush=True,
    )
    forward = torch.compile(network, dynamic=True) if options.compile else network
    batches = Batches(tokenizer, options.seed * 1000 + 17 + int(state["steps"]), options.budget)
    average, shown, saved, begun = 0.0, time.time(), time.time(), time.time()
    steps = 0
    while True:
        done = (time.time() - begun) / (options.minutes * 60)
        if done >= 1:
            break
        scale = schedule(done, steps, options.decay)
        rows = batches.next()
        x, where, target, _ = tensors(rows)
        with torch.autocast("cpu", torch.bfloat16):
            h = forward(x)
            logits = network.logits(h.reshape(-1, h.shape[-1])[where])
        loss = F.cross_entropy(logits.float(), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(scale)
        for group in adam.param_groups:
            group["lr"] = options.adam * scale
        adam.step()
        for parameter in network.parameters():
            parameter.grad = None
        steps += 1
        state["steps"] += 1
        state["rows"] += len(rows)
        state["seen"] += sum(len(row.ids) for row in rows)
        average = loss.item() if not average else 0.97 * average + 0.03 * loss.item()
        if time.time() - shown > 30:
            shown = time.time()
            spent = shown - begun
            print(
                f"{spent / 60:.1f} min step {state['steps']:.0f} rows {state['rows']:.0f} tokens {state['seen'] / 1e6:.2f}M loss {average:.4f} scale {scale:.2f}",
                flush=True,
            )
        if time.time() - saved > options.save_every:
            saved = time.time()
            save(path, network, muon, adam, {**state, "seconds": state["seconds"] + saved - begun})
    state["seconds"] += time.time() - begun
    save(path, network, muon, adam, state)
    print(
        f"done: {state['rows']:.0f} conversations, {state['seen'] / 1e6:.2f}M tokens, loss {average:.4f}",
        flush=True,
    )
