from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine import options
from llmcompiler.engine.options import (
    EngineOptions,
    default_threads,
    environment_options,
    read_options,
)
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
        ({"n_seq": 257}, "n_seq must be a whole number of 1 to 256, not 257"),
        ({"rows": 0}, "rows must be a whole number of 1 to 256"),
        ({"n_cells": 4}, "n_cells must be"),
        ({"cache_ram": -1}, "cache_ram must be a whole number of 0 or more"),
        ({"cache_disk": 0.5}, "cache_disk must be"),
        ({"cache_dir": ""}, "cache_dir must be a path, not ''"),
        ({"draft_model": 3}, "draft_model must be a path, not 3"),
        ({"drafts": "yes"}, "drafts must be true or false, not 'yes'"),
        ({"reproducible": 1}, "reproducible must be true or false, not 1"),
        ({"offload_kqv": None}, "offload_kqv must be true or false"),
        ({"kv_type": "q5"}, "kv_type must be one of 'f16', 'q8_0', 'q4_0', not 'q5'"),
        ({"flash_attention": True}, "flash_attention must be one of"),
        ({"split_mode": "rows"}, "split_mode must be one of"),
        ({"tensor_split": []}, "tensor_split must be shares"),
        ({"tensor_split": [-1, 2]}, "tensor_split must be shares"),
        ({"tensor_split": 3}, "tensor_split must be a list of numbers"),
        ({"kv_type_v": "q5"}, "kv_type_v must be one of"),
        ({"load_mode": "lock"}, "load_mode must be one of 'auto', 'none', 'mmap', 'mlock'"),
    ],
)
def test_a_wrong_option_is_named(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_options(values)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"kv_type": "q8_0", "flash_attention": "off"},
            "kv_type 'q8_0' needs flash attention: set flash_attention to 'auto' or 'on', or kv_type",
        ),
        (
            {"kv_type_v": "q4_0", "flash_attention": "off"},
            "kv_type_v 'q4_0' needs flash attention.* or kv_type_v to 'f16'",
        ),
        ({"reproducible": True, "flash_attention": "on"}, "leave flash_attention out, or set rep"),
        ({"reproducible": True, "kv_type": "q8_0"}, "set kv_type to 'f16', or reproducible to fal"),
        ({"reproducible": True, "split_mode": "tensor"}, "set split_mode to 'layer', or reprod"),
        ({"reproducible": True, "n_cells": 4096}, "leave n_cells out and set n_ctx and n_seq"),
        ({"split_mode": "tensor", "flash_attention": "off"}, "'tensor' needs flash attention"),
        ({"split_mode": "tensor", "kv_type": "q8_0"}, "'tensor' needs a cache of 'f16'"),
        ({"drafts": False, "draft_model": "small.gguf"}, "set drafts to true, or leave it out"),
        ({"n_ctx": 512, "n_cells": 256}, "n_ctx is 512 and n_cells 256.*raise n_cells or lower"),
    ],
)
def test_options_that_do_not_go_together_say_what_to_change(
    values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_options(values)


def test_keys_may_be_quantised_without_flash_attention() -> None:
    chosen = EngineOptions(kv_type="q8_0", kv_type_v="f16", flash_attention="off")
    assert (chosen.kv_type, chosen.value_type, chosen.attention) == ("q8_0", "f16", "off")


def test_values_are_stored_as_keys_are_unless_told_otherwise() -> None:
    assert EngineOptions(kv_type="q8_0").value_type == "q8_0"
    assert EngineOptions(kv_type="q8_0", kv_type_v="q4_0").value_type == "q4_0"


def test_what_is_reproducible_is_computed_without_flash_attention() -> None:
    chosen = EngineOptions(reproducible=True)
    assert chosen.attention == "off"


def test_computing_every_layer_on_all_gpus_takes_flash_attention_along() -> None:
    assert EngineOptions(split_mode="tensor").attention == "on"


def test_paths_may_be_paths() -> None:
    chosen = read_options({"cache_dir": Path("cache"), "draft_model": Path("small.gguf")})
    assert (chosen.cache_dir, chosen.draft_model) == ("cache", "small.gguf")


def test_the_environment_gives_options_as_the_command_line_does() -> None:
    given = {"LLMCOMPILER_OPTIONS": " threads=4 kv_type=q8_0\ntensor_split=[3,1] drafts=false "}
    assert environment_options(given) == {
        "threads": 4,
        "kv_type": "q8_0",
        "tensor_split": [3, 1],
        "drafts": False,
    }
    assert environment_options({}) == {}


def test_an_environment_that_cannot_be_read_says_where() -> None:
    with pytest.raises(ConfigurationError, match="LLMCOMPILER_OPTIONS holds 'threads', which is"):
        environment_options({"LLMCOMPILER_OPTIONS": "threads"})


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
