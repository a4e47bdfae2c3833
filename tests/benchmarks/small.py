"""A shape of which a model is made in a second."""

from __future__ import annotations

from benchmarks.models import Shape

SMALL = Shape(
    layers=1, width=64, heads=2, kv_heads=1, inner=96, vocabulary=500, context=8192, text=1
)
