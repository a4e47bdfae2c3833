"""Products with quantised weights, one at a time, against sums in double precision."""

from __future__ import annotations

import threading

import gguf
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engine.kernel_graphs import VARIANTS, Kind, Ours, Weights, opened, product
from tests.engine.kernel_numbers import KINDS, draw_vectors, draw_weights, near

_MOST = st.integers(1, 70)  # of vectors: tiles of 12 or 6, several of them, and what is left


@pytest.fixture(params=VARIANTS)
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ours:
    return opened(request.param, tmp_path_factory)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def _q8_0(numbers: NDArray[np.int8], factors: NDArray[np.float16]) -> Weights:
    """Make a matrix of numbers, shape (rows, blocks, 32), and factors, shape (rows, blocks)."""
    parts = factors.astype("<f2")[..., None].view(np.uint8), numbers.view(np.uint8)
    return Weights(Kind.Q8_0, np.concatenate(parts, axis=-1).reshape(len(numbers), -1))


@settings(max_examples=25, deadline=None)
@given(
    pieces=st.integers(1, 5),
    rows=st.integers(1, 200),
    count=_MOST,
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@example(pieces=20, rows=137, count=25, threads=3, seed=1)
@example(pieces=64, rows=33, count=13, threads=2, seed=2)
def _is_the_product(
    ours: Ours, kind: Kind, pieces: int, rows: int, count: int, threads: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    weights = draw_weights(random, kind, rows, pieces)
    vectors = draw_vectors(random, count, weights.width)
    found = product(ours, weights, vectors, threads)
    assert near(found, weights.plain(), vectors)


def test_a_product_is_that_of_vectors_rounded_to_8_bits(ours: Ours, kind: Kind) -> None:
    _is_the_product(ours, kind)


def test_what_comes_out_for_a_vector_does_not_depend_on_company_or_threads(
    ours: Ours, kind: Kind
) -> None:
    random = np.random.default_rng(3)
    weights = draw_weights(random, kind, 137, 5)
    vectors = draw_vectors(random, 70, weights.width)
    alone = np.concatenate([product(ours, weights, vectors[i : i + 1]) for i in range(70)])
    for count in (2, 5, 6, 7, 12, 13, 25, 61, 70):
        for threads in (1, 2, 3):
            found = product(ours, weights, vectors[-count:], threads)
            assert found.tobytes() == alone[-count:].tobytes(), (count, threads)


def test_weights_of_nothing_and_vectors_of_nothing_give_exactly_nothing(
    ours: Ours, kind: Kind
) -> None:
    random = np.random.default_rng(4)
    weights = draw_weights(random, kind, 21, 3)
    weights.data[5] = 0
    vectors = draw_vectors(random, 9, weights.width)
    vectors[3] = 0
    found = product(ours, weights, vectors)
    assert not found[:, 5].any()
    assert not found[3].any()
    assert np.count_nonzero(found) == 8 * 20


def test_the_smallest_and_largest_numbers_of_a_file_are_taken_as_they_are(ours: Ours) -> None:
    numbers = np.array([-128, 127, -127, 0, 1, -1], np.int8)
    factors = np.array([65504, -65504, 2.0**-24, 1], np.float16)
    weights = _q8_0(
        np.broadcast_to(np.repeat(numbers, 4)[:, None, None], (24, 8, 32)).copy(),
        np.broadcast_to(np.tile(factors, 6)[:, None], (24, 8)).copy(),
    )
    vectors = np.stack([np.full(256, 127.0), np.full(256, -127.0)]).astype(np.float32)
    found = product(ours, weights, vectors)
    expected = vectors.astype(np.float64) @ weights.plain().T
    assert np.allclose(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 3e38, 1e-42])
@pytest.mark.parametrize("count", [2, 12, 30])
def test_a_number_beyond_all_bounds_spoils_its_own_vector_only(
    ours: Ours, kind: Kind, bad: float, count: int
) -> None:
    random = np.random.default_rng(5)
    weights = draw_weights(random, kind, 35, 2)
    vectors = draw_vectors(random, count, weights.width)
    good = product(ours, weights, vectors)
    vectors[1, 37] = bad
    found = product(ours, weights, vectors)
    others = np.arange(count) != 1
    assert found[others].tobytes() == good[others].tobytes()
    assert found[1].tobytes() != good[1].tobytes()


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinite_number_shows_in_what_comes_out(ours: Ours, kind: Kind, bad: float) -> None:
    random = np.random.default_rng(6)
    weights = draw_weights(random, kind, 18, 2)
    vectors = draw_vectors(random, 3, weights.width)
    vectors[2, 5] = bad
    found = product(ours, weights, vectors)
    assert np.isfinite(found[:2]).all()
    assert not np.isfinite(found[2]).any()


@pytest.mark.parametrize("threads", [1, 3])
def test_vectors_may_lie_in_any_order_in_memory(ours: Ours, threads: int) -> None:
    random = np.random.default_rng(7)
    weights = draw_weights(random, Kind.Q8_0, 137, 20)
    vectors = draw_vectors(random, 2 * 3 * 5, 640).reshape(2, 3, 5, 640)
    expected = product(ours, weights, vectors.reshape(30, 640)).reshape(2, 3, 5, 137)
    for order in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 2, 1, 3), (3, 1, 0, 2)):
        # What lies at place i of memory is dimension order[i], both counted from the innermost.
        lying = vectors.transpose([3 - order[3 - axis] for axis in range(4)])
        with ours.graph() as graph:
            packed = graph.matrix(weights)
            given = graph.swapped(graph.tensor(lying), *order)
            result = ours.ggml.ggml_mul_mat(graph.plain, packed, given)
            graph.store()
            graph.compute(result, threads=threads)
            assert graph.read(result) == expected.tobytes(), order


@pytest.mark.parametrize("threads", [1, 3])
def test_products_one_after_the_other_each_take_their_own_vectors(ours: Ours, threads: int) -> None:
    random = np.random.default_rng(8)
    sizes = ((Kind.Q8_0, 137), (Kind.Q8_0, 9), (Kind.Q4_K, 137), (Kind.Q6_K, 150), (Kind.Q4_0, 40))
    matrices = [
        draw_weights(random, kind, rows, 8 * 5 if kind in KINDS[:2] else 5) for kind, rows in sizes
    ]
    first, second = draw_vectors(random, 14, 1280), draw_vectors(random, 14, 1280)
    with ours.graph() as graph:
        one, other = graph.tensor(first), graph.tensor(second)
        packed = [graph.matrix(each) for each in matrices]
        order = (0, 1, 2, 3, 4, 2, 0, 3)
        plan = [(which, one) for which in order] + [(which, other) for which in order]
        plan += [(0, one), (0, other), (2, other), (2, one)]
        results = [
            ours.ggml.ggml_mul_mat(graph.plain, packed[which], given) for which, given in plan
        ]
        graph.store()
        graph.compute(*results, threads=threads)
        found = [graph.read(result) for result in results]
    for (which, taken), data in zip(plan, found, strict=True):
        alone = product(ours, matrices[which], first if taken == one else second)
        assert data == alone.tobytes()


def test_a_weight_comes_back_as_it_was_stored(ours: Ours, kind: Kind) -> None:
    random = np.random.default_rng(9)
    for rows, pieces in ((1, 1), (7, 2), (8, 2), (15, 3), (16, 4), (17, 5), (100, 7)):
        size = int(gguf.GGML_QUANT_SIZES[kind][1])
        stored = Weights(kind, random.integers(0, 256, (rows, pieces * size), np.uint8))
        with ours.graph() as graph:
            packed = graph.matrix(stored)
            graph.store()
            assert graph.read(packed) == stored.data.tobytes()


def test_a_part_of_a_weight_comes_back_and_a_part_can_be_stored(ours: Ours, kind: Kind) -> None:
    random = np.random.default_rng(10)
    weights = draw_weights(random, kind, 37, 5)
    size = weights.piece[1]
    with ours.graph() as graph:
        packed = graph.matrix(weights)
        graph.store()
        whole = bytearray(weights.data.tobytes())
        for first, count in ((0, 1), (7, 23), (184, 1), (80, 105)):
            part = slice(first * size, (first + count) * size)
            assert graph.read(packed, first * size, count * size) == whole[part]
            whole[part] = random.bytes(count * size)
            ours.ggml.ggml_backend_tensor_set(
                packed, bytes(whole[part]), first * size, count * size
            )
        assert graph.read(packed) == whole
        ours.ggml.ggml_backend_tensor_memset(packed, 7, 3 * size, 40 * size)
        whole[3 * size : 43 * size] = b"\7" * (40 * size)
        assert graph.read(packed) == whole


def test_some_rows_of_a_weight_come_back(ours: Ours, kind: Kind) -> None:
    weights = draw_weights(np.random.default_rng(11), kind, 37, 5)
    line = weights.data.shape[1]
    with ours.graph() as graph:
        packed = graph.matrix(weights)
        rows = ours.ggml.ggml_view_2d(graph.kept, packed, weights.width, 20, line, 11 * line)
        graph.store()
        assert graph.read(rows) == weights.data[11:31].tobytes()


def test_other_numbers_in_the_same_memory_come_back_as_well(ours: Ours) -> None:
    stored = np.random.default_rng(12).standard_normal((9, 40)).astype(np.float16)
    with ours.graph() as graph:
        kept = graph.tensor(stored, packed=True)
        graph.store()
        assert graph.read(kept) == stored.tobytes()


def test_what_a_thread_stores_is_counted_for_that_thread(ours: Ours) -> None:
    weights = Weights(Kind.Q8_0, np.zeros((37, 5 * 34), np.uint8))

    def store() -> None:
        with ours.graph() as graph:
            graph.matrix(weights)
            graph.store()

    ours.library.llmcompiler_place(1)
    store()
    other = threading.Thread(target=store)
    other.start()
    other.join()
    assert ours.library.llmcompiler_place(0) == weights.data.nbytes
    assert ours.library.llmcompiler_place(0) == 0


def test_products_that_are_not_theirs_are_left_to_llama_cpp(ours: Ours) -> None:
    ggml = ours.ggml
    weights = Weights(Kind.Q8_0, np.zeros((48, 2 * 34), np.uint8))
    ones = np.ones((3, 64), np.float32)
    with ours.graph() as graph:
        vectors, indices = graph.tensor(ones), graph.empty(26, 3)
        packed = graph.matrix(weights)
        theirs = ggml.ggml_mul_mat(graph.plain, packed, vectors)
        others = {
            "weights in other memory": ggml.ggml_mul_mat(
                graph.plain, graph.matrix(weights, packed=False), vectors
            ),
            "weights of 16 bits": ggml.ggml_mul_mat(
                graph.plain, graph.tensor(np.zeros((8, 64), np.float16), packed=True), vectors
            ),
            "weights of 5 bits": ggml.ggml_mul_mat(
                graph.plain,
                graph.matrix(Weights(Kind.Q5_0, np.zeros((8, 2 * 22), np.uint8))),
                vectors,
            ),
            "vectors of 16 bits": ggml.ggml_mul_mat(
                graph.plain, packed, graph.tensor(ones.astype(np.float16))
            ),
            "a part of packed weights": ggml.ggml_mul_mat(
                graph.plain, ggml.ggml_view_2d(graph.kept, packed, 64, 16, 68, 68), vectors
            ),
            "rows by their numbers": ggml.ggml_get_rows(graph.plain, packed, indices),
        }
        graph.store()
        assert graph.supported(theirs)
        assert not [name for name, other in others.items() if graph.supported(other)]
