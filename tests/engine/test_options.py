from __future__ import annotations

from typing import Any

import pytest

from llmcompiler.engine import options
from llmcompiler.engine.options import EngineOptions, default_threads, read_options
from llmcompiler.errors import ConfigurationError


def test_the_defaults_offload_everything_and_leave_the_rest_to_the_model() -> None:
    chosen = EngineOptions()
    assert (chosen.n_gpu_layers, chosen.n_ctx, chosen.threads) == (-1, None, None)


def test_options_are_read_from_names_and_values() -> None:
    chosen = read_options({"n_ctx": 1024, "kv_type": "q8_0", "tensor_split": [3, 1]})
    assert chosen == EngineOptions(n_ctx=1024, kv_type="q8_0", tensor_split=(3.0, 1.0))


def test_an_unknown_option_suggests_the_closest() -> None:
    with pytest.raises(
        ConfigurationError, match="no local model option 'n_ctxx'; did you mean 'n_ctx'"
    ):
        read_options({"n_ctxx": 5})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"n_ctx": 0}, "n_ctx must be a whole number of 8 or more, not 0"),
        ({"n_ctx": "many"}, "n_ctx must be a whole number"),
        ({"threads": 0}, "threads must be"),
        ({"threads": True}, "threads must be"),
        ({"n_gpu_layers": -2}, "n_gpu_layers must be"),
        ({"chunk": 0}, "chunk must be"),
        ({"kv_type": "q5"}, "kv_type must be one of 'f16', 'q8_0', 'q4_0', not 'q5'"),
        ({"flash_attention": True}, "flash_attention must be one of"),
        ({"split_mode": "rows"}, "split_mode must be one of"),
        ({"tensor_split": []}, "tensor_split must be shares"),
        ({"tensor_split": [-1, 2]}, "tensor_split must be shares"),
        ({"tensor_split": 3}, "tensor_split must be a list of numbers"),
        ({"kv_type": "q8_0", "flash_attention": "off"}, "needs flash attention"),
    ],
)
def test_a_wrong_option_is_named(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_options(values)


def test_one_core_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_physical_cores", lambda: 8)
    monkeypatch.setattr(options, "_quota", lambda: 64)
    assert default_threads() == 7
    monkeypatch.setattr(options, "_quota", lambda: 2)
    assert default_threads() == 1
    monkeypatch.setattr(options, "_physical_cores", lambda: 1)
    assert default_threads() == 1


def test_there_is_at_least_one_thread_here() -> None:
    assert default_threads() >= 1
