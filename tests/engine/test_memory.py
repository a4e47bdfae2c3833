from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmcompiler.engine.devices import FreeMemory
from llmcompiler.engine.footprint import footprint
from llmcompiler.engine.gguf import Header, Scalar
from llmcompiler.engine.memory import MemoryPlan, bytes_text, plan_memory
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError

GIB = 1 << 30


def _model(
    *,
    layers: int = 32,
    trained: int = 131072,
    weights: float = 4.5,
    tied: bool = False,
    hybrid: bool = False,
) -> Header:
    """Make the header of a model like one of eight billion parameters, of `weights` GiB.

    A `tied` embedding is a third of them; of a `hybrid` every other layer is recurrent.
    """
    metadata: dict[str, Scalar] = {
        "general.architecture": "llama",
        "llama.block_count": layers,
        "llama.context_length": trained,
        "llama.embedding_length": 4096,
        "llama.feed_forward_length": 14336,
        "llama.vocab_size": 128256,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
    }
    lists: dict[str, tuple[Scalar, ...]] = {}
    if hybrid:
        lists["llama.attention.head_count_kv"] = (8, 0) * (layers // 2)
        metadata |= {
            "llama.ssm.inner_size": 8192,
            "llama.ssm.state_size": 128,
            "llama.ssm.conv_kernel": 4,
        }
    part = int(weights * GIB) // (layers + (layers // 2 if tied else 2))
    tensors = {f"blk.{layer}.ffn_up.weight": part for layer in range(layers)}
    if tied:
        tensors["token_embd.weight"] = part * (layers // 2)
    else:
        tensors |= {"token_embd.weight": part, "output.weight": part}
    return Header(Path("eight.gguf"), metadata, lists, tensors)


def _plan(free: float, model: Header | None = None, **options: Any) -> MemoryPlan:
    return plan_memory(
        model or _model(), EngineOptions(**options), FreeMemory(int(free * GIB), gpus=())
    )


def _on_gpus(
    *gpus: float, host: float = 64, model: Header | None = None, **options: Any
) -> MemoryPlan:
    free = FreeMemory(int(host * GIB), tuple(int(gpu * GIB) for gpu in gpus))
    return plan_memory(model or _model(), EngineOptions(**options), free)


def test_a_small_machine_gets_a_modest_context() -> None:
    plan = _plan(8)
    assert (plan.n_ctx, plan.n_cells, plan.n_seq) == (8192, 8192, 64)
    assert plan.total_bytes < 8 * GIB


def test_a_large_machine_gets_a_long_context_and_room_to_cache() -> None:
    plan = _plan(64)
    assert plan.n_ctx == 32768
    assert plan.n_cells > plan.n_ctx + 8192
    assert plan.kv_bytes + plan.scratch_bytes < 16 * GIB


def test_what_is_not_asked_for_takes_a_quarter_of_what_the_weights_leave() -> None:
    plan = _plan(20)
    assert plan.n_cells > 8192
    assert plan.kv_bytes + plan.scratch_bytes < (20 - 4.5) * GIB / 3


def test_a_request_never_gets_more_than_the_trained_context_but_the_cache_may_hold_more() -> None:
    plan = _plan(64, _model(trained=4096))
    assert plan.n_ctx == 4096
    assert plan.n_cells == 4096 + 8192


def test_short_memory_shortens_what_is_left_open() -> None:
    plan = _plan(5.6)
    assert 512 <= plan.n_ctx < 8192
    assert plan.total_bytes <= 5.6 * GIB


def test_what_is_asked_for_is_taken_as_it_is() -> None:
    plan = _plan(64, n_ctx=1000, n_cells=5000, n_seq=9)
    assert (plan.n_ctx, plan.n_cells, plan.n_seq) == (1000, 5120, 9)


def test_a_request_may_be_as_long_as_the_cells_allow() -> None:
    assert _plan(64, n_cells=2048).n_ctx == 2048
    assert _plan(64, n_cells=20480).n_ctx == 20480


def test_memory_that_is_not_known_is_not_used_up() -> None:
    plan = plan_memory(_model(), EngineOptions(), FreeMemory(None))
    assert (plan.n_ctx, plan.n_cells) == (8192, 16384)


def test_more_than_the_trained_context_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"n_ctx is 5000, and 'eight.gguf' was trained"):
        _plan(64, _model(trained=4096), n_ctx=5000)


def test_a_model_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"needs 4\.7 GiB of main memory \(4\.5 GiB of weights.* and 4\.0 GiB are free: "
        r"take a smaller quantisation of it or set kv_type to 'q8_0'$",
    ):
        _plan(4)


def test_a_context_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"a cache of 131072 tokens needs 2\d GiB of main memory .* and 10 GiB are free: "
        r"lower n_ctx or set kv_type",
    ):
        _plan(10, n_ctx=131072)


def test_a_quantised_cache_lets_more_in() -> None:
    with pytest.raises(ConfigurationError):
        _plan(12, n_ctx=65536)
    assert _plan(12, n_ctx=65536, kv_type="q8_0").n_ctx == 65536


def test_cells_apart_are_counted_for_each_sequence() -> None:
    plan = _plan(64, n_ctx=4000, n_seq=3, reproducible=True)
    assert (plan.n_ctx, plan.n_cells, plan.n_seq) == (4000, 3 * 4096, 3)


def test_cells_apart_leave_fewer_sequences() -> None:
    assert 2 <= _plan(8, reproducible=True).n_seq <= 8
    assert _plan(200, reproducible=True).n_seq == 8


def test_cells_apart_that_do_not_fit_say_so() -> None:
    with pytest.raises(ConfigurationError, match=r"lower n_ctx or lower n_seq$"):
        _plan(16, n_ctx=16384, n_seq=16, reproducible=True)


def test_there_are_sequences_for_twice_as_many_requests_as_decode_at_once() -> None:
    assert _plan(64, rows=100).n_seq == 200
    assert _plan(64, rows=256).n_seq == 256
    assert _plan(64, n_ctx=64, n_cells=256).n_seq == 16


def test_without_a_gpu_nothing_is_offloaded() -> None:
    assert _plan(64).n_gpu_layers == 0


def test_a_large_gpu_takes_every_layer_and_what_is_behind_the_last() -> None:
    plan = _on_gpus(24)
    assert plan.n_gpu_layers == 33
    assert plan.n_ctx >= 8192


def test_a_small_gpu_takes_the_layers_that_fit_with_their_cache() -> None:
    plan = _on_gpus(4)
    assert 16 <= plan.n_gpu_layers < 33
    part = 4.5 * GIB / 34
    cache = plan.n_cells * 4096
    assert plan.n_gpu_layers * part + (plan.n_gpu_layers - 1) * cache < 4 * GIB
    assert _on_gpus(2).n_gpu_layers < plan.n_gpu_layers


def test_a_tiny_gpu_is_left_alone() -> None:
    assert _on_gpus(0.1).n_gpu_layers == 0


def test_a_cache_in_main_memory_leaves_room_for_more_layers() -> None:
    assert _on_gpus(4, n_ctx=32768, offload_kqv=False).n_gpu_layers > (
        _on_gpus(4, n_ctx=32768).n_gpu_layers
    )


def test_several_gpus_count_together_and_one_alone_where_the_model_is_not_split() -> None:
    together = _on_gpus(3, 3).n_gpu_layers
    assert together == 33
    assert _on_gpus(3, 3, split_mode="none").n_gpu_layers < together
    assert _on_gpus(3, 24, split_mode="none", main_gpu=1).n_gpu_layers == 33
    assert _on_gpus(3, split_mode="none", main_gpu=1).n_gpu_layers == 0


def test_unequal_shares_fill_the_first_that_is_full() -> None:
    assert _on_gpus(3, 3, tensor_split=(9, 1)).n_gpu_layers < 33


def test_shares_that_go_with_the_memory_fill_all_gpus() -> None:
    assert _on_gpus(16, 2, tensor_split=(8, 1)).n_gpu_layers == 33


def test_an_embedding_that_is_used_twice_takes_its_place_twice() -> None:
    assert _on_gpus(8).n_gpu_layers == 33
    assert _on_gpus(6, model=_model(tied=True)).n_gpu_layers == 33
    assert _on_gpus(5.5, model=_model(tied=True)).n_gpu_layers < 33
    assert _plan(8, _model(tied=True)).weights_bytes == pytest.approx(4.5 * GIB, rel=0.01)


def _drafted(
    free: float, *gpus: float, small: float = 1.0, model: Header | None = None, **options: Any
) -> MemoryPlan:
    """Plan for a model with a draft model of sixteen layers and `small` GiB beside it."""
    memory = FreeMemory(int(free * GIB), tuple(int(gpu * GIB) for gpu in gpus))
    draft = replace(_model(layers=16, weights=small), path=Path("small.gguf"))
    return plan_memory(model or _model(), EngineOptions(**options), memory, draft)


def test_a_draft_model_is_counted_with_a_cache_of_as_many_cells() -> None:
    alone, both = _plan(64, n_ctx=8192, n_cells=8192), _drafted(64, n_ctx=8192, n_cells=8192)
    cache = both.n_cells * 16 * 4096
    assert both.draft_bytes == pytest.approx(GIB + cache + alone.scratch_bytes, rel=0.01)
    assert both.total_bytes == alone.total_bytes + both.draft_bytes
    assert both.draft_ctx == 8192


def test_a_draft_model_leaves_less_for_the_cache() -> None:
    assert _drafted(16).n_cells < _plan(16).n_cells
    assert _drafted(7).total_bytes <= 7 * GIB
    assert _drafted(7).n_ctx < _plan(7).n_ctx
    assert _drafted(32, reproducible=True).n_seq < _plan(32, reproducible=True).n_seq


def test_a_draft_model_guesses_for_texts_as_long_as_both_models_take() -> None:
    assert _drafted(64).draft_ctx == _drafted(64).n_ctx == 32768
    assert _drafted(64, model=_model(trained=2048)).draft_ctx == 2048


def test_a_draft_model_that_does_not_fit_beside_the_large_one_is_refused_with_its_number() -> None:
    assert _plan(6, n_ctx=4096).n_ctx == 4096
    with pytest.raises(
        ConfigurationError,
        match=r"'eight.gguf' with a cache of 4096 tokens needs 7\.\d GiB of main memory \(4\.5 GiB of "
        r"weights, 6\d\d MiB to compute with, 2\.\d GiB for 'small.gguf' to draft\), and 6\.0 GiB are "
        r"free: leave draft_model out or take a smaller",
    ):
        _drafted(6, small=2, n_ctx=4096)


def test_a_draft_model_is_on_the_gpus_where_any_layer_is() -> None:
    assert _on_gpus(7).n_gpu_layers == 33
    assert 0 < _drafted(64, 7).n_gpu_layers < 33
    assert _drafted(64, 9).n_gpu_layers == 33
    assert _drafted(64, 2, small=2).n_gpu_layers == 0
    assert _drafted(3, 12, small=2.5).n_gpu_layers == 33


def test_layers_that_are_asked_for_are_taken_as_they_are() -> None:
    assert _on_gpus(1, n_gpu_layers=20).n_gpu_layers == 20
    assert _on_gpus(24, n_gpu_layers=99).n_gpu_layers == 33
    assert _on_gpus(24, n_gpu_layers=0).n_gpu_layers == 0


def test_what_a_gpu_does_not_take_must_fit_into_main_memory() -> None:
    with pytest.raises(ConfigurationError, match="of main memory"):
        _on_gpus(2, host=2)


def test_a_cache_that_is_not_offloaded_must_fit_into_main_memory() -> None:
    with pytest.raises(ConfigurationError, match=r"and 4\.0 GiB are free"):
        _on_gpus(24, host=4, n_ctx=65536, offload_kqv=False)
    assert _on_gpus(24, host=4, n_ctx=65536).n_gpu_layers == 33


def test_states_leave_room_for_a_cache_in_a_memory_that_is_short() -> None:
    hybrid = _model(hybrid=True)
    plan = _plan(5.8, hybrid)
    assert plan.n_ctx == 8192
    assert plan.n_seq >= 2
    assert _plan(5, hybrid).n_ctx >= 512
    assert _plan(5.35, hybrid, n_ctx=8192).n_ctx == 8192


def test_recurrent_models_have_as_many_sequences_as_their_states_allow() -> None:
    metadata: dict[str, Scalar] = {
        "general.architecture": "mamba",
        "mamba.block_count": 64,
        "mamba.context_length": 8192,
        "mamba.embedding_length": 4096,
        "mamba.ssm.inner_size": 8192,
        "mamba.ssm.state_size": 128,
        "mamba.ssm.conv_kernel": 4,
    }
    model = Header(Path("m.gguf"), metadata, {}, {"blk.0.ssm_in.weight": GIB})
    plan = _plan(17, model)
    assert 4 <= plan.n_seq < 64
    assert plan.kv_bytes <= 4 * GIB


@pytest.mark.parametrize(
    ("count", "text"),
    [(512, "512 bytes"), (2048, "2.0 KiB"), (512 << 20, "512 MiB"), (int(4.6 * GIB), "4.6 GiB")],
)
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert bytes_text(count) == text


@st.composite
def _options(draw: st.DrawFn) -> EngineOptions:
    try:
        return EngineOptions(
            n_ctx=draw(st.none() | st.integers(8, 40000)),
            n_cells=draw(st.none() | st.integers(8, 80000)),
            n_seq=draw(st.none() | st.integers(1, 256)),
            rows=draw(st.integers(1, 256)),
            chunk=draw(st.integers(1, 1024)),
            reproducible=draw(st.booleans()),
            offload_kqv=draw(st.booleans()),
            n_gpu_layers=draw(st.just(-1) | st.integers(0, 40)),
        )
    except ConfigurationError:
        assume(False)
        raise


@given(
    options=_options(),
    host=st.floats(0, 100),
    gpus=st.lists(st.floats(0, 50), max_size=3),
    trained=st.integers(512, 200000),
    weights=st.floats(0.1, 40),
    hybrid=st.booleans(),
    draft=st.none() | st.floats(0.1, 4),
)
def test_a_plan_fits_and_holds_together(
    options: EngineOptions,
    host: float,
    gpus: list[float],
    trained: int,
    weights: float,
    hybrid: bool,
    draft: float | None,
) -> None:
    model = _model(trained=trained, weights=weights, hybrid=hybrid)
    free = FreeMemory(int(host * GIB), tuple(int(gpu * GIB) for gpu in gpus))
    small = None if draft is None else _model(layers=8, weights=draft)
    try:
        plan = plan_memory(model, options, free, small)
    except ConfigurationError:
        return
    size = footprint(model, options)
    assert 1 <= plan.n_ctx <= min(trained, plan.n_cells)
    assert 1 <= plan.n_seq <= 256
    assert 0 <= plan.n_gpu_layers <= 33
    assert options.n_ctx in (None, plan.n_ctx)
    assert options.n_seq in (None, plan.n_seq)
    states = plan.n_seq * size.state_per_sequence
    assert plan.kv_bytes == plan.n_cells * size.kv_per_token + states
    if not plan.n_gpu_layers:
        assert plan.total_bytes <= (free.host or 0)
    elif options.n_gpu_layers < 0:
        assert plan.total_bytes <= (free.host or 0) + sum(free.gpus)


@given(host=st.floats(4.9, 100), gpu=st.floats(0, 50), hybrid=st.booleans())
def test_what_is_left_open_is_chosen_so_that_it_fits(host: float, gpu: float, hybrid: bool) -> None:
    plan = _on_gpus(gpu, host=host, model=_model(hybrid=hybrid))
    assert plan.n_ctx >= 512


@given(
    less=st.floats(5, 60), more=st.floats(0, 60), reproducible=st.booleans(), hybrid=st.booleans()
)
def test_more_memory_never_gives_less(
    less: float, more: float, reproducible: bool, hybrid: bool
) -> None:
    model = _model(hybrid=hybrid)
    try:
        small = _plan(less, model, reproducible=reproducible)
    except ConfigurationError:
        return
    large = _plan(less + more, model, reproducible=reproducible)
    assert (small.n_ctx, small.n_cells) <= (large.n_ctx, large.n_cells)


@given(less=st.floats(0, 30), more=st.floats(0, 30))
def test_a_larger_gpu_never_takes_fewer_layers(less: float, more: float) -> None:
    assert _on_gpus(less).n_gpu_layers <= _on_gpus(less + more).n_gpu_layers
