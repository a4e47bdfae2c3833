"""Curves of cost, made up and measured, and what is drawn beside them."""

from __future__ import annotations

from hypothesis import strategies as st

from llmcompiler.engine.cost import CostCurve
from llmcompiler.engine.drafts import LONGEST

STEEP = CostCurve({1: 1.0, 2: 2.0, 32: 32.0})
FLAT = CostCurve({1: 1.0, 2: 1.01, 32: 1.31})
STEPPED = CostCurve({1: 1.0, 2: 2.35, 4: 3.31, 8: 4.99, 16: 8.39, 64: 24.1})
# Milliseconds on an x86 CPU: kernels that take tokens by fours, and such that have none.
Q8_0 = CostCurve({1: 10, 2: 41, 3: 52, 4: 60, 5: 74, 6: 77, 7: 82, 8: 62, 12: 77, 16: 90, 32: 172})
Q4_0 = CostCurve(
    {1: 7.3, 2: 13.4, 3: 19.5, 4: 14.9, 5: 20.8, 6: 27, 7: 33, 8: 27.9, 12: 41, 16: 46, 32: 95}
)
BF16 = CostCurve({1: 18, 2: 20, 3: 25, 4: 28, 5: 31, 6: 34, 7: 37, 8: 44, 12: 55, 16: 61, 32: 112})

POINTS = st.dictionaries(st.integers(1, 128), st.floats(1e-6, 10.0), min_size=1, max_size=8)
SHORT = st.lists(st.floats(0.01, 10.0), min_size=8, max_size=8)
CHANCES = st.lists(st.floats(0, 1), max_size=LONGEST)
TOKENS = st.integers(1, 40)
