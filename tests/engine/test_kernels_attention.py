"""Attention over rows of 16 bits, one at a time, against softmax in double precision."""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engine.kernel_graphs import VARIANTS, Floats, Ours, attention, opened

Halves = NDArray[np.float16]
Mask = Literal["none", "causal", "scattered", "graded", "shared"]
_MASKS: tuple[Mask, ...] = ("none", "causal", "scattered", "graded", "shared")
_WIDTHS = (16, 32, 64, 80, 96, 128, 192, 256, 512)
# Of the largest value: scores of 32 bits err by some units in the last place, which weights follow.
_ERROR = 2e-5
_F32, _F16, _BF16, _Q8_0 = 0, 1, 30, 8


@pytest.fixture(params=VARIANTS)
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ours:
    return opened(request.param, tmp_path_factory)


def _expected(
    queries: Floats, keys: Halves, values: Halves, mask: Halves | None, scale: float
) -> NDArray[np.float64]:
    sharing = queries.shape[2] // keys.shape[2]
    k = np.repeat(keys.astype(np.float64), sharing, axis=2)
    v = np.repeat(values.astype(np.float64), sharing, axis=2)
    scores = np.einsum("bthd,brhd->bhtr", queries.astype(np.float64), k) * scale
    if mask is not None:
        scores += mask.astype(np.float64)
    highest = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(highest), highest, 0))
    total = weights.sum(-1, keepdims=True)
    weights /= np.where(total > 0, total, 1)
    return np.einsum("bhtr,brhd->bthd", weights, v)


def _mask(kind: Mask, random: np.random.Generator, shape: tuple[int, int, int]) -> Halves | None:
    """Draw what is added to scores: nothing, -inf where a row is not seen, or other numbers."""
    batches, tokens, rows = shape
    if kind == "none":
        return None
    if kind == "causal":
        seen = np.arange(rows) <= np.arange(rows - tokens, rows)[:, None]
        made = np.where(seen, 0, -np.inf)[None, None].repeat(batches, 0)
    else:
        made = np.where(random.random((batches, 1, tokens, rows)) < 0.4, 0, -np.inf)
        if kind == "graded":
            made = np.where(made == 0, random.standard_normal(made.shape), made)
            # As good as not seen, and not so large that a score of 32 bits is lost in the sum.
            made[random.random(made.shape) < 0.1] = -60
        made[random.random((batches, 1, tokens)) < 0.1] = -np.inf
    return (made[:1] if kind == "shared" else made).astype(np.float16)


def _drawn(
    random: np.random.Generator,
    *,
    batches: int = 1,
    tokens: int = 3,
    rows: int = 40,
    heads: int = 4,
    sharing: int = 2,
    width: int = 64,
    value_width: int = 64,
) -> tuple[Floats, Halves, Halves]:
    def draw(*shape: int) -> Floats:
        return random.standard_normal(shape, np.float32)

    return (
        draw(batches, tokens, heads * sharing, width),
        draw(batches, rows, heads, width).astype(np.float16),
        draw(batches, rows, heads, value_width).astype(np.float16),
    )


@settings(max_examples=80, deadline=None)
@given(
    batches=st.integers(1, 3),
    tokens=st.integers(1, 9),
    rows=st.one_of(st.integers(1, 70), st.integers(500, 1100)),
    heads=st.integers(1, 3),
    sharing=st.integers(1, 8),
    width=st.sampled_from(_WIDTHS),
    value_width=st.sampled_from(_WIDTHS),
    kind=st.sampled_from(_MASKS),
    threads=st.integers(1, 3),
    strong=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example(2, 5, 1030, 2, 5, 80, 96, "scattered", 3, True, 1)
@example(1, 1, 513, 1, 1, 64, 64, "none", 1, False, 2)
def _is_attention(
    ours: Ours,
    batches: int,
    tokens: int,
    rows: int,
    heads: int,
    sharing: int,
    width: int,
    value_width: int,
    kind: Mask,
    threads: int,
    strong: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    q, k, v = _drawn(
        random,
        batches=batches,
        tokens=tokens,
        rows=rows,
        heads=heads,
        sharing=sharing,
        width=width,
        value_width=value_width,
    )
    mask = _mask(kind, random, (batches, tokens, rows))
    scale = width**-0.5 * (4 if strong else 1)
    found = attention(ours, q, k, v, mask, scale=scale, threads=threads)
    expected = _expected(q, k, v, mask, scale)
    assert np.abs(found - expected).max() <= _ERROR * np.abs(v).max()


def test_attention_weighs_the_values_of_the_rows_that_a_token_sees(ours: Ours) -> None:
    _is_attention(ours)


@pytest.mark.parametrize("rows", [1, 40, 1030])
def test_a_token_that_sees_nothing_gets_nothing(ours: Ours, rows: int) -> None:
    q, k, v = _drawn(np.random.default_rng(3), tokens=4, rows=rows)
    mask = np.zeros((1, 1, 4, rows), np.float16)
    mask[0, 0, 2] = -np.inf
    found = attention(ours, q, k, v, mask, scale=0.1)
    assert not found[0, 2].any()
    assert np.count_nonzero(found) == 3 * found[0, 0].size


def test_rows_that_are_not_seen_may_hold_anything(ours: Ours) -> None:
    """Cells of a cache that no sequence uses hold what was there before, or nothing at all."""
    q, k, v = _drawn(np.random.default_rng(4), rows=700)
    hidden = np.random.default_rng(5).random(700) < 0.5
    mask = np.where(hidden, -np.inf, 0).astype(np.float16)[None, None, None].repeat(3, 2)
    good = attention(ours, q, k, v, mask, scale=0.1)
    k[:, hidden], v[:, hidden] = np.nan, np.inf
    assert attention(ours, q, k, v, mask, scale=0.1).tobytes() == good.tobytes()
    left = attention(ours, q, k[:, ~hidden], v[:, ~hidden], None, scale=0.1)
    assert left.tobytes() == good.tobytes()


def test_what_comes_out_for_a_token_does_not_depend_on_company_or_threads(ours: Ours) -> None:
    random = np.random.default_rng(6)
    q, k, v = _drawn(random, batches=2, tokens=17, rows=1030, heads=2, sharing=3)
    mask = _mask("scattered", random, (2, 17, 1030))
    assert mask is not None
    together = [attention(ours, q, k, v, mask, scale=0.125, threads=n) for n in (1, 2, 3)]
    assert together[0].tobytes() == together[1].tobytes() == together[2].tobytes()
    for batch in range(2):
        for token in (0, 5, 16):
            alone = attention(
                ours,
                q[batch : batch + 1, token : token + 1],
                k[batch : batch + 1],
                v[batch : batch + 1],
                mask[batch : batch + 1, :, token : token + 1],
                scale=0.125,
                threads=2,
            )
            assert alone[0, 0].tobytes() == together[0][batch, token].tobytes()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e38])
def test_a_query_beyond_all_bounds_spoils_its_own_token_only(ours: Ours, bad: float) -> None:
    q, k, v = _drawn(np.random.default_rng(7), tokens=5, rows=600)
    good = attention(ours, q, k, v, None, scale=0.125)
    q[0, 3] = bad
    found = attention(ours, q, k, v, None, scale=0.125)
    others = np.arange(5) != 3
    assert found[:, others].tobytes() == good[:, others].tobytes()
    assert found[:, 3].tobytes() != good[:, 3].tobytes()


def test_a_row_far_above_all_others_is_all_that_comes_out(ours: Ours) -> None:
    """Also where it stands behind the first 512, whose weights are then worth nothing."""
    q, k, v = _drawn(np.random.default_rng(8), tokens=2, rows=900, sharing=1)
    for row in (0, 511, 512, 899):
        mask = np.full((1, 1, 2, 900), -60000, np.float16)
        mask[..., row] = 60000
        found = attention(ours, q, k, v, mask, scale=0.125)
        assert np.array_equal(found, v[:, row : row + 1].astype(np.float32).repeat(2, 1))


def _operation(
    ours: Ours,
    *,
    width: int = 64,
    value_width: int = 64,
    keys: int = _F16,
    values: int = _F16,
    heads: tuple[int, int] = (4, 2),
    mask: tuple[int, ...] | None = (1, 1, 3, 40),
    bias: float = 0.0,
    cap: float = 0.0,
    sinks: bool = False,
) -> bool:
    """Say whether the kernels take an operation like this."""
    ggml = ours.ggml
    with ours.graph() as graph:
        operation = ggml.ggml_flash_attn_ext(
            graph.plain,
            graph.empty(_F32, 1, heads[0], 3, width),
            graph.empty(keys, 1, heads[1], 40, width),
            graph.empty(values, 1, heads[1], 40, value_width),
            None if mask is None else graph.empty(_F16, *mask),
            0.125,
            bias,
            cap,
        )
        if sinks:
            ggml.ggml_flash_attn_ext_add_sinks(operation, graph.empty(_F32, heads[0]))
        return graph.supported(operation)


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"mask": None},
        {"mask": (1, 1, 64, 256)},
        {"heads": (8, 1)},
        {"width": 80, "value_width": 512},
    ],
)
def test_attention_is_theirs_where_the_thread_that_computes_wants_it(
    ours: Ours, plain: dict[str, Any]
) -> None:
    found: list[bool] = []
    with ours.attending():
        assert _operation(ours, **plain)
        other = threading.Thread(target=lambda: found.append(_operation(ours)))
        other.start()
        other.join()
    assert found == [False]
    assert not _operation(ours, **plain)


@pytest.mark.parametrize(
    "special",
    [
        {"cap": 30.0},
        {"bias": 8.0},
        {"sinks": True},
        {"keys": _Q8_0},
        {"values": _Q8_0},
        {"keys": _Q8_0, "values": _Q8_0},
        {"keys": _BF16},
        {"values": _BF16},
        {"keys": _BF16, "values": _BF16},
        {"keys": _F32, "values": _F32},
        {"width": 36},
        {"value_width": 68},
        {"width": 576, "value_width": 512},
        {"width": 64, "value_width": 528},
        {"mask": (1, 4, 3, 40)},
        {"mask": (1, 1, 2, 40)},
        {"mask": (1, 1, 3, 32)},
    ],
)
def test_attention_of_other_kinds_is_left_to_llama_cpp(ours: Ours, special: dict[str, Any]) -> None:
    with ours.attending():
        assert _operation(ours)
        assert not _operation(ours, **special)
