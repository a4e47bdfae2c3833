"""What network is trained, and how does it start so that it copies from the first step on?

It does not know the text format; it is a llama-architecture decoder with content-only rotary pairs and tied embeddings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network; `content` rotary pairs do not turn."""

    vocabulary: int
    width: int = 192
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head: int = 64
    hidden: int = 512
    content: int = 20
    theta: float = 10000.0
    eps: float = 1e-5


class Block(nn.Module):
    """Attention and a gated feed-forward part."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, keys = shape.width, shape.kv_heads * shape.head
        self.wq = nn.Linear(width, shape.heads * shape.head, bias=False)
        self.wk = nn.Linear(width, keys, bias=False)
        self.wv = nn.Linear(width, keys, bias=False)
        self.wo = nn.Linear(shape.heads * shape.head, width, bias=False)
        self.w1 = nn.Linear(width, shape.hidden, bias=False)
        self.w3 = nn.Linear(width, shape.hidden, bias=False)
        self.w2 = nn.Linear(shape.hidden, width, bias=False)
        self.n1 = nn.Parameter(torch.ones(width))
        self.n2 = nn.Parameter(torch.ones(width))
        for layer in (self.wq, self.wk, self.wv, self.w1, self.w3):
            nn.init.normal_(layer.weight, std=width**-0.5)
        nn.init.zeros_(self.wo.weight)
        nn.init.zeros_(self.w2.weight)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shape = self.shape
        batch, length, width = x.shape
        h = F.rms_norm(x, (width,), self.n1, shape.eps)
        q = _turn(self.wq(h).view(batch, length, shape.heads, shape.head), cos, sin)
        k = _turn(self.wk(h).view(batch, length, shape.kv_heads, shape.head), cos, sin)
        v = self.wv(h).view(batch, length, shape.kv_heads, shape.head)
        repeat = shape.heads // shape.kv_heads
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        o = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
        x = x + self.wo(o.transpose(1, 2).reshape(batch, length, -1))
        h = F.rms_norm(x, (width,), self.n2, shape.eps)
        out: Tensor = x + self.w2(F.silu(self.w1(h)) * self.w3(h))
        return out


def _turn(z: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = z.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Network(nn.Module):
    """The whole network; `forward` gives the last hidden states, `logits` reads them."""

    frequencies: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        self.register_buffer("frequencies", frequencies(shape), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        angle = torch.arange(tokens.shape[1])[None, :, None].float() * self.frequencies
        cos, sin = angle.cos()[:, :, None, :], angle.sin()[:, :, None, :]
        h = self.embed(tokens)
        for block in self.blocks:
            h = block(h, cos, sin)
        return F.rms_norm(h, (self.shape.width,), self.norm, self.shape.eps)

    def logits(self, h: Tensor) -> Tensor:
        return h @ self.embed.weight.T


def frequencies(shape: Shape) -> Tensor:
    """Turning pairs from 2.0 to 0.02 radians a token, then content pairs that stand still."""
    turning = shape.head // 2 - shape.content
    moving = 2.0 * 0.01 ** (torch.arange(turning).float() / (turning - 1))
    return torch.cat([moving, torch.full((shape.content,), 1e-9)])


@torch.no_grad()
def wire(network: Network, seed: int, match: tuple[float, float, float] = (8.0, 8.0, 6.0)) -> None:
    """Set the first two layers so that they find an earlier occurrence of the last tokens and copy what followed.

    Channels: 0 is constant, 1-95 say which token, 96-127 the one before, 128-159 the second before, 160-191 a bag of
    the recent ones. Layer 0 fills the last three; in layer 1 one head matches two tokens, another one token and the bag.
    """
    generator = torch.Generator().manual_seed(seed)

    def ortho(rows: int, columns: int) -> Tensor:
        return torch.linalg.qr(torch.randn(columns, rows, generator=generator))[0].T

    shape = network.shape
    head, half = shape.head, shape.head // 2
    turning = half - shape.content
    freq = network.frequencies
    embed = network.embed.weight
    token = slice(1, 96)
    embed.zero_()
    embed[:, token] = 0.07 * torch.randn(embed.shape[0], 95, generator=generator)
    embed[:, 0] = 0.2
    scale = embed.pow(2).mean(1).sqrt().mean().item()
    constant = 0.2 / scale
    first, second = network.blocks[0], network.blocks[1]
    assert isinstance(first, Block)
    assert isinstance(second, Block)
    small = 0.3 * shape.width**-0.5
    for layer in (first.wq, first.wk, first.wv, first.wo):
        layer.weight.zero_()
    fast = [i for i in range(turning) if freq[i] > 0.1]
    slow = [i for i in range(turning) if freq[i] < 0.05]
    identity, other = ortho(64, 95), ortho(64, 95)
    first.wv.weight[:64, token] = identity
    first.wv.weight[64:128, token] = other
    for i in fast:
        first.wk.weight[i, 0] = 4 / constant
    for i in slow:
        first.wk.weight[head + i, 0] = 6 / constant
        first.wq.weight[2 * head + i, 0] = 6 / constant
    for index, back in ((0, 1), (1, 2)):
        for i in fast:
            angle = float(freq[i]) * back
            first.wq.weight[index * head + i, 0] = 4 * math.cos(angle) / constant
            first.wq.weight[index * head + half + i, 0] = -4 * math.sin(angle) / constant
    for i in range(32):
        first.wo.weight[96 + i, i] = 0.056
        first.wo.weight[128 + i, head + i] = 0.056
        first.wo.weight[160 + i, 2 * head + i] = 0.175
    first.wq.weight[3 * head :] = small * torch.randn(head, shape.width, generator=generator)
    one, two, bag = ortho(20, 32), ortho(20, 32), ortho(20, 32)
    low, high = list(range(turning, half)), list(range(half + turning, 2 * half))
    near = identity[:32]
    q_pair, k_pair = torch.zeros(head, shape.width), torch.zeros(head, shape.width)
    q_bag, k_bag = torch.zeros(head, shape.width), torch.zeros(head, shape.width)
    q_pair[low, token] = match[0] * (one @ near)
    k_pair[low, 96:128] = 1.5 * one
    q_pair[high, 96:128] = match[1] * two
    k_pair[high, 128:160] = 1.5 * two
    q_bag[low, token] = match[0] * (one @ near)
    k_bag[low, 96:128] = 1.5 * one
    q_bag[high, 160:192] = match[2] * bag
    k_bag[high, 160:192] = 1.5 * bag
    second.wq.weight.copy_(
        small * torch.randn(shape.heads * head, shape.width, generator=generator)
    )
    second.wq.weight[:head] = q_pair
    second.wq.weight[2 * head : 3 * head] = q_bag
    second.wk.weight[:head] = k_pair
    second.wk.weight[head : 2 * head] = k_bag
    second.wv.weight.zero_()
    second.wv.weight[:64, token] = ortho(64, 95)
    second.wv.weight[64:128, token] = ortho(64, 95)
    second.wo.weight.zero_()
    second.wo.weight[token, :head] = 0.12 * second.wv.weight[:64, token].T
    second.wo.weight[token, 2 * head : 3 * head] = 0.12 * second.wv.weight[64:128, token].T
