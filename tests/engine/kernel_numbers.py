"""Numbers to multiply, drawn as files and models have them, and how near a product must come."""

from __future__ import annotations

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.engine.kernel_graphs import Bytes, Floats, Kind, Weights

KINDS = (Kind.Q8_0, Kind.Q4_0, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K)
# Where factors of 16 bits stand in what shares them.
_FACTORS = {
    Kind.Q8_0: (0,),
    Kind.Q4_0: (0,),
    Kind.Q4_K: (0, 2),
    Kind.Q5_K: (0, 2),
    Kind.Q6_K: (208,),
}
_EXACT = 1e-5  # of the sizes of what is added up: sums of 32 bits, in another order than numpy's


def draw_weights(random: np.random.Generator, kind: Kind, *shape: int) -> Weights:
    """Draw rows as a file may have them: any numbers, some factors 0 or below.

    `shape` ends with how many rows there are, and of how many pieces each.
    """
    size = int(gguf.GGML_QUANT_SIZES[kind][1])
    made: Bytes = random.integers(0, 256, (*shape, size), np.uint8)
    for place in _FACTORS[kind]:
        factors = random.standard_normal((*shape, 1)) * 0.01
        factors[random.random(factors.shape) < 0.1] = 0
        made[..., place : place + 2] = factors.astype("<f2").view(np.uint8)
    return Weights(kind, made.reshape(*shape[:-1], -1))


def draw_vectors(random: np.random.Generator, *shape: int) -> Floats:
    """Draw vectors of very different sizes, shape (..., width)."""
    sizes = 10.0 ** random.integers(-3, 4, (*shape[:-1], 1))
    return (random.standard_normal(shape) * sizes).astype(np.float32)


def near(found: Floats, plain: NDArray[np.float64], vectors: Floats) -> bool:
    """Say whether `found` is the product of vectors with a matrix but for what rounding may do.

    It is, in 32 bits, that of vectors rounded to 8 bits; and that of the vectors themselves within
    half a step of 127 for each number, and half a unit in the last of 11 bits for the factor.
    """
    rounded, exact = _rounded(vectors), vectors.astype(np.float64)
    sizes = _worst(plain).T
    sums = np.abs(found - rounded @ plain.T) <= _EXACT * (abs(rounded) @ sizes)
    steps = _worst(exact) * (0.5001 / 127 + 2.0**-11)
    return bool(sums.all() and (np.abs(found - exact @ plain.T) <= steps @ sizes).all())


def _rounded(vectors: Floats) -> NDArray[np.float64]:
    """Round each 32 numbers of a vector to 8 bits and a factor of 16, as llama.cpp does."""
    blocks = vectors.reshape(len(vectors), -1, 32)
    largest = np.abs(blocks).max(-1, keepdims=True)
    steps = np.float32(127) / np.where(largest > 0, largest, np.float32(1))
    factor = (largest / np.float32(127)).astype(np.float16).astype(np.float64)
    return (np.rint(blocks * steps).astype(np.float64) * factor).reshape(vectors.shape)


def _worst(plain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each number the largest of its 32, which stands for what it is made of."""
    blocks = np.abs(plain.reshape(len(plain), -1, 32)).max(-1)
    return np.repeat(blocks, 32, axis=1)
