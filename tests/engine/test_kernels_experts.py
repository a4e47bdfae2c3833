"""Products with the matrices of experts, against sums in double precision."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engine.kernel_graphs import (
    VARIANTS,
    Floats,
    Kind,
    Ours,
    Weights,
    expert_products,
    opened,
    product,
)
from tests.engine.kernel_numbers import KINDS, draw_vectors, draw_weights, near

Chosen = NDArray[np.int32]


@pytest.fixture(params=VARIANTS)
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ours:
    return opened(request.param, tmp_path_factory)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def _choose(random: np.random.Generator, experts: int, used: int, tokens: int) -> Chosen:
    """Draw different experts for each token, some of them much more often than others."""
    often = random.random((tokens, experts)) ** random.uniform(0.1, 8, experts)
    return np.argsort(-often, axis=1)[:, :used].astype(np.int32)


def _computed(
    ours: Ours, weights: Weights, vectors: Floats, chosen: Chosen, threads: int = 1
) -> Floats:
    """Multiply vectors, shape (tokens, uses or 1, width), with the experts of their tokens."""
    with ours.graph() as graph:
        result = expert_products(
            graph, graph.matrix(weights), graph.tensor(vectors), graph.tensor(chosen)
        )
        graph.store()
        graph.compute(result, threads=threads)
        found = np.frombuffer(graph.read(result), np.float32)
    return found.reshape(*chosen.shape, weights.data.shape[1]).copy()


def _right(found: Floats, weights: Weights, vectors: Floats, chosen: Chosen) -> bool:
    plain = weights.plain()
    taken = np.broadcast_to(vectors, (*chosen.shape, weights.width))
    return all(
        near(found[chosen == expert], plain[expert], taken[chosen == expert])
        for expert in np.unique(chosen)
    )


@settings(max_examples=25, deadline=None)
@given(
    pieces=st.integers(1, 3),
    rows=st.integers(1, 70),
    experts=st.integers(1, 16),
    used=st.integers(1, 4),
    tokens=st.integers(1, 40),
    each=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@example(3, 137, 8, 2, 40, False, 3, 1)
@example(2, 33, 16, 4, 17, True, 2, 2)
@example(1, 5, 1, 1, 25, False, 2, 3)
def _are_the_products(
    ours: Ours,
    kind: Kind,
    pieces: int,
    rows: int,
    experts: int,
    used: int,
    tokens: int,
    each: bool,
    threads: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    used = min(used, experts)
    weights = draw_weights(random, kind, experts, rows, pieces)
    vectors = draw_vectors(random, tokens, used if each else 1, weights.width)
    chosen = _choose(random, experts, used, tokens)
    assert _right(_computed(ours, weights, vectors, chosen, threads), weights, vectors, chosen)


def test_each_token_is_multiplied_with_its_own_experts(ours: Ours, kind: Kind) -> None:
    _are_the_products(ours, kind)


def test_an_expert_multiplies_as_a_matrix_of_its_own_to_the_last_bit(
    ours: Ours, kind: Kind
) -> None:
    random = np.random.default_rng(1)
    weights = draw_weights(random, kind, 6, 37, 3)
    vectors, chosen = draw_vectors(random, 40, 3, weights.width), _choose(random, 6, 3, 40)
    for threads in (1, 2, 3):
        found = _computed(ours, weights, vectors, chosen, threads)
        for expert in range(6):
            alone = product(ours, Weights(kind, weights.data[expert]), vectors[chosen == expert])
            assert found[chosen == expert].tobytes() == alone.tobytes()


def test_what_comes_out_for_a_token_does_not_depend_on_company(ours: Ours, kind: Kind) -> None:
    random = np.random.default_rng(2)
    weights = draw_weights(random, kind, 5, 21, 2)
    vectors, chosen = draw_vectors(random, 40, 1, weights.width), _choose(random, 5, 2, 40)
    together = _computed(ours, weights, vectors, chosen, 2)
    for token in (0, 1, 17, 39):
        one = slice(token, token + 1)
        assert _computed(ours, weights, vectors[one], chosen[one]).tobytes() == (
            together[one].tobytes()
        )


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("tokens", [1, 12, 13, 40])
def test_all_tokens_may_have_the_same_expert_and_the_others_none(
    ours: Ours, tokens: int, threads: int
) -> None:
    random = np.random.default_rng(3)
    weights = draw_weights(random, Kind.Q8_0, 16, 150, 12)
    vectors = draw_vectors(random, tokens, 1, weights.width)
    for expert in (0, 7, 15):
        chosen = np.full((tokens, 1), expert, np.int32)
        found = _computed(ours, weights, vectors, chosen, threads)
        assert _right(found, weights, vectors, chosen)


def test_a_token_may_have_an_expert_twice(ours: Ours) -> None:
    random = np.random.default_rng(4)
    weights = draw_weights(random, Kind.Q8_0, 3, 20, 4)
    vectors, chosen = draw_vectors(random, 9, 2, 128), np.full((9, 2), 1, np.int32)
    assert _right(_computed(ours, weights, vectors, chosen), weights, vectors, chosen)


def test_two_uses_may_share_a_vector_while_others_share_another(ours: Ours) -> None:
    """The vectors of a token are taken in turn."""
    random = np.random.default_rng(5)
    weights = draw_weights(random, Kind.Q8_0, 6, 20, 4)
    vectors, chosen = draw_vectors(random, 9, 2, 128), _choose(random, 6, 4, 9)
    found = _computed(ours, weights, vectors, chosen)
    assert _right(found, weights, np.tile(vectors, (1, 2, 1)), chosen)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_chosen_may_be_a_part_of_a_longer_list(ours: Ours, threads: int) -> None:
    """As a model has it: of all experts in their order, each token uses the first few."""
    random = np.random.default_rng(6)
    weights = draw_weights(random, Kind.Q4_K, 8, 37, 2)
    vectors, ranked = draw_vectors(random, 19, 1, 512), _choose(random, 8, 8, 19)
    with ours.graph() as graph:
        first = ours.ggml.ggml_view_2d(graph.plain, graph.tensor(ranked), 3, 19, 8 * 4, 2 * 4)
        result = expert_products(graph, graph.matrix(weights), graph.tensor(vectors), first)
        graph.store()
        graph.compute(result, threads=threads)
        found = np.frombuffer(graph.read(result), np.float32).reshape(19, 3, 37)
    assert _right(found, weights, vectors, ranked[:, 2:5])


@pytest.mark.parametrize("threads", [1, 3])
def test_vectors_of_tokens_may_lie_in_any_order_in_memory(ours: Ours, threads: int) -> None:
    random = np.random.default_rng(7)
    weights = draw_weights(random, Kind.Q8_0, 6, 150, 20)
    vectors, chosen = draw_vectors(random, 14, 3, 640), _choose(random, 6, 3, 14)
    expected = _computed(ours, weights, vectors, chosen).tobytes()
    for order in ((1, 0, 2, 3), (0, 2, 1, 3), (2, 1, 0, 3)):
        # What lies at place i of memory is dimension order[i], both counted from the innermost.
        lying = vectors.transpose([2 - order[2 - axis] for axis in range(3)])
        with ours.graph() as graph:
            swapped = graph.swapped(graph.tensor(lying), *order)
            result = expert_products(graph, graph.matrix(weights), swapped, graph.tensor(chosen))
            graph.store()
            graph.compute(result, threads=threads)
            assert graph.read(result) == expected, order


@pytest.mark.parametrize("threads", [1, 3])
def test_products_one_after_the_other_each_take_their_own_vectors_and_experts(
    ours: Ours, threads: int
) -> None:
    """Vectors that were rounded a moment ago, and sorted by experts, may be there still, or not."""
    random = np.random.default_rng(8)
    matrices = [
        draw_weights(random, Kind.Q8_0, 6, 137, 16),
        draw_weights(random, Kind.Q8_0, 6, 20, 16),
        draw_weights(random, Kind.Q4_K, 6, 137, 2),
        draw_weights(random, Kind.Q8_0, 9, 33, 16),
    ]
    given = [draw_vectors(random, 14, 1, 512), draw_vectors(random, 14, 2, 512)]
    lists = [_choose(random, 6, 2, 14) for _ in range(2)]
    assert (lists[0] != lists[1]).any()
    plan = [(0, 0, 0), (1, 0, 0), (3, 0, 0), (0, 0, 1), (1, 0, 0), (2, 0, 0), (0, 0, 0)]
    plan += [(0, 1, 0), (1, 1, 1), (1, 1, 0), (2, 1, 0), (2, 1, 1), (0, 1, 1), (0, 0, 1)]
    with ours.graph() as graph:
        packed = [graph.matrix(each) for each in matrices]
        vectors = [graph.tensor(each) for each in given]
        ids = [graph.tensor(each) for each in lists]
        results = [
            expert_products(graph, packed[which], vectors[one], ids[other])
            for which, one, other in plan
        ]
        graph.store()
        graph.compute(*results, threads=threads)
        found = [graph.read(result) for result in results]
    for (which, one, other), data in zip(plan, found, strict=True):
        alone = _computed(ours, matrices[which], given[one], lists[other])
        assert data == alone.tobytes(), (which, one, other)


@pytest.mark.parametrize("threads", [1, 3])
def test_one_matrix_and_experts_may_take_turns_with_the_same_vectors(
    ours: Ours, threads: int
) -> None:
    random = np.random.default_rng(9)
    experts, matrix = (
        draw_weights(random, Kind.Q8_0, 6, 37, 16),
        draw_weights(random, Kind.Q8_0, 37, 16),
    )
    vectors, chosen = draw_vectors(random, 14, 1, 512), _choose(random, 6, 2, 14)
    with ours.graph() as graph:
        kept, one = graph.matrix(experts), graph.matrix(matrix)
        shared, ids = graph.tensor(vectors), graph.tensor(chosen)
        results = [
            make()
            for make in 2
            * (
                lambda: ours.ggml.ggml_mul_mat(graph.plain, one, shared),
                lambda: expert_products(graph, kept, shared, ids),
            )
        ]
        graph.store()
        graph.compute(*results, threads=threads)
        found = [graph.read(result) for result in results]
    assert found[:2] == found[2:]
    assert found[0] == product(ours, matrix, vectors).tobytes()
    assert found[1] == _computed(ours, experts, vectors, chosen).tobytes()


@pytest.mark.parametrize("bad", [-1, 6, 2**31 - 1])
def test_an_expert_that_there_is_not_is_refused(ours: Ours, bad: int) -> None:
    random = np.random.default_rng(10)
    chosen = _choose(random, 6, 2, 5)
    chosen[3, 1] = bad
    with ours.graph() as graph:
        result = expert_products(
            graph,
            graph.matrix(draw_weights(random, Kind.Q8_0, 6, 20, 4)),
            graph.tensor(draw_vectors(random, 5, 1, 128)),
            graph.tensor(chosen),
        )
        graph.store()
        assert graph.status(result) != 0


def test_weights_of_experts_come_back_as_they_were_stored(ours: Ours, kind: Kind) -> None:
    random = np.random.default_rng(11)
    size = int(gguf.GGML_QUANT_SIZES[kind][1])
    for experts, rows, pieces in ((1, 1, 1), (2, 17, 1), (7, 16, 3), (16, 37, 2)):
        stored = Weights(kind, random.integers(0, 256, (experts, rows, pieces * size), np.uint8))
        with ours.graph() as graph:
            packed = graph.matrix(stored)
            graph.store()
            assert graph.read(packed) == stored.data.tobytes()


def test_a_part_of_experts_comes_back_and_a_part_can_be_stored(ours: Ours, kind: Kind) -> None:
    """Also one that begins with one expert and ends with another."""
    random = np.random.default_rng(12)
    weights = draw_weights(random, kind, 5, 37, 3)
    size = weights.piece[1]
    with ours.graph() as graph:
        packed = graph.matrix(weights)
        graph.store()
        whole = bytearray(weights.data.tobytes())
        for first, count in ((0, 111), (111, 111), (100, 30), (200, 300), (554, 1)):
            part = slice(first * size, (first + count) * size)
            assert graph.read(packed, first * size, count * size) == whole[part]
            whole[part] = random.bytes(count * size)
            ours.ggml.ggml_backend_tensor_set(
                packed, bytes(whole[part]), first * size, count * size
            )
        assert graph.read(packed) == whole


def test_products_of_experts_that_are_not_theirs_are_left_to_llama_cpp(ours: Ours) -> None:
    ggml = ours.ggml
    weights = Weights(Kind.Q8_0, np.zeros((4, 48, 2 * 34), np.uint8))
    ones = np.ones((3, 1, 64), np.float32)
    with ours.graph() as graph:
        vectors, ids = graph.tensor(ones), graph.tensor(np.zeros((3, 2), np.int32))
        packed = graph.matrix(weights)
        theirs = expert_products(graph, packed, vectors, ids)
        others = {
            "many matrices and no choice": ggml.ggml_mul_mat(
                graph.plain, packed, graph.tensor(np.ones((4, 3, 64), np.float32))
            ),
            "experts in other memory": expert_products(
                graph, graph.matrix(weights, packed=False), vectors, ids
            ),
            "experts of 16 bits": expert_products(
                graph, graph.tensor(np.zeros((4, 8, 64), np.float16), packed=True), vectors, ids
            ),
            "experts of 5 bits": expert_products(
                graph,
                graph.matrix(Weights(Kind.Q5_0, np.zeros((4, 8, 2 * 22), np.uint8))),
                vectors,
                ids,
            ),
        }
        graph.store()
        assert graph.supported(theirs)
        assert not [name for name, other in others.items() if graph.supported(other)]
