"""How is a model to be loaded and run: layers on the GPU, context, threads, key-value cache?

It does not know llama.cpp: these are values, and `model` turns them into parameters.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from llmcompiler.errors import ConfigurationError, did_you_mean

__all__ = [
    "CONTEXT_DEFAULT",
    "EngineOptions",
    "FlashAttention",
    "KVType",
    "SplitMode",
    "default_threads",
    "read_options",
]

KVType: TypeAlias = Literal["f16", "q8_0", "q4_0"]
FlashAttention: TypeAlias = Literal["auto", "on", "off"]
SplitMode: TypeAlias = Literal["none", "layer", "row"]

CONTEXT_DEFAULT = 8192


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to load and run a GGUF model; the defaults fit most machines.

    `n_gpu_layers` -1 offloads every layer when the build can. `n_ctx` is in tokens; None takes the
    model's trained context, at most 8192. `threads` None takes the physical cores this process
    may use, less one. `kv_type` is the precision of the key-value cache; a quantised one needs
    flash attention. `tensor_split` gives each GPU's share. `chunk` is how many prompt tokens are
    evaluated between two looks at whether the request was cancelled.

    Raises:
        ConfigurationError: a value is out of range or two do not go together.
    """

    n_gpu_layers: int = -1
    n_ctx: int | None = None
    threads: int | None = None
    kv_type: KVType = "f16"
    flash_attention: FlashAttention = "auto"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] | None = None
    split_mode: SplitMode = "layer"
    chunk: int = 256

    def __post_init__(self) -> None:
        _whole("n_gpu_layers", self.n_gpu_layers, -1)
        _whole("n_ctx", self.n_ctx, 8, optional=True)
        _whole("threads", self.threads, 1, optional=True)
        _whole("main_gpu", self.main_gpu, 0)
        _whole("chunk", self.chunk, 1)
        _one_of("kv_type", self.kv_type, get_args(KVType))
        _one_of("flash_attention", self.flash_attention, get_args(FlashAttention))
        _one_of("split_mode", self.split_mode, get_args(SplitMode))
        if self.kv_type != "f16" and self.flash_attention == "off":
            raise ConfigurationError(
                f"kv_type {self.kv_type!r} needs flash attention: "
                f"set flash_attention to 'auto' or 'on', or kv_type to 'f16'"
            )
        shares = self.tensor_split
        if shares is not None and (
            not shares or min(shares) < 0 or not 0 < sum(shares) < float("inf")
        ):
            raise ConfigurationError(
                f"tensor_split must be shares of 0 or more with a sum above 0, not {shares!r}"
            )


def read_options(values: Mapping[str, Any]) -> EngineOptions:
    """Make options of names and values, as they come from a file or a command line.

    Raises:
        ConfigurationError: a name is unknown or a value does not fit.
    """
    known = [each.name for each in fields(EngineOptions)]
    for name in values:
        if name not in known:
            raise ConfigurationError(
                f"there is no local model option {name!r}{did_you_mean(name, known)}"
            )
    given = dict(values)
    if given.get("tensor_split") is not None:
        try:
            given["tensor_split"] = tuple(float(share) for share in given["tensor_split"])
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"tensor_split must be a list of numbers, not {values['tensor_split']!r}"
            ) from None
    return EngineOptions(**given)


def default_threads() -> int:
    """Count the threads to compute with: physical cores this process may use, less one.

    More threads than free cores slow llama.cpp down many times over, since its threads spin.
    """
    return max(1, min(_physical_cores(), _quota()) - 1)


def _physical_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
        siblings = {
            Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
            for cpu in allowed
        }
        try:
            return len({path.read_text("ascii") for path in siblings})
        except OSError:
            return len(allowed)
    logical = os.cpu_count() or 1
    two_each = platform.machine().lower() in ("x86_64", "amd64")
    return max(1, logical // 2) if two_each else logical


def _quota(path: str = "/sys/fs/cgroup/cpu.max") -> int:
    """Return how many whole CPUs a container may use at once, or a large number."""
    try:
        quota, period = Path(path).read_text("ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 16


def _whole(name: str, value: object, least: int, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number of {least} or more, not {value!r}")


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ConfigurationError(f"{name} must be one of {choices}, not {value!r}")
