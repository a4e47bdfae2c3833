"""How is a model to be loaded and run: layers on the GPU, context, threads, key-value cache?

It does not know llama.cpp: these are values, and `model` turns them into parameters.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from llmcompiler.errors import ConfigurationError, did_you_mean

__all__ = [
    "CONTEXT_DEFAULT",
    "SEQUENCES_MOST",
    "EngineOptions",
    "FlashAttention",
    "KVType",
    "KernelUse",
    "LoadMode",
    "SplitMode",
    "default_threads",
    "environment_options",
    "read_options",
]

KVType: TypeAlias = Literal["f16", "q8_0", "q4_0"]
FlashAttention: TypeAlias = Literal["auto", "on", "off"]
KernelUse: TypeAlias = Literal["auto", "on", "off"]
LoadMode: TypeAlias = Literal["auto", "none", "mmap", "mlock", "mmap+mlock", "dio"]
SplitMode: TypeAlias = Literal["none", "layer", "row", "tensor"]

CONTEXT_DEFAULT = 8192
SEQUENCES_MOST = 256  # llama.cpp's own limit


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to load and run a GGUF model; the defaults fit most machines.

    Memory. `n_ctx` is the most tokens that one request may have, its reply included; None takes
    the model's trained context, at most 8192, and more where memory is plenty. `n_cells` is how
    many tokens the key-value cache holds for all requests together and `n_seq` how many sequences
    it tells apart, those kept for later included; None takes what the free memory allows.
    `kv_type` is the precision of that cache and `kv_type_v` that of its values, where it differs;
    quantised values need flash attention. `cache_ram` is how many MiB of evicted prefixes are kept
    in memory; `cache_dir` is a folder for up to `cache_disk` MiB of them, None for none. `load_mode`
    is how the weights come there: "auto" maps the file where that works, "none" reads it, "dio"
    past the system's cache of files; "mlock" keeps them from being swapped out, as far as the system
    allows.

    Work. `threads` None takes the physical cores this process may use, less one, and shares them
    with the other models of the process. `rows` is how many requests decode in one step, `chunk`
    how many tokens one step evaluates at most: a cancel takes effect after so many. `drafts`
    guesses tokens ahead where that is quicker, which changes no text; `draft_model` is a small GGUF
    of the same vocabulary to guess with, which is on the GPUs if any layer is. `kernels` computes quantised weights and attention on the
    processor by code that is compiled for it at the first use: "auto" where that can be done, "on"
    or an error, "off" for llama.cpp's own code. `reproducible` makes a request's text independent of
    what else is computed: cells apart, no flash attention, one request a step.

    GPUs. `n_gpu_layers` -1 offloads every layer that fits, when the build can; `offload_kqv` False
    keeps the key-value cache in main memory. `main_gpu` is the one to use with `split_mode` "none"
    (and for small tensors with "row"); `tensor_split` gives each GPU's share; "tensor" computes
    every layer on all of them at once.

    Raises:
        ConfigurationError: a value is out of range or two do not go together.
    """

    n_gpu_layers: int = -1
    n_ctx: int | None = None
    n_cells: int | None = None
    n_seq: int | None = None
    rows: int = 16
    threads: int | None = None
    chunk: int = 256
    kv_type: KVType = "f16"
    kv_type_v: KVType | None = None
    flash_attention: FlashAttention = "auto"
    reproducible: bool = False
    drafts: bool = True
    draft_model: str | None = None
    kernels: KernelUse = "auto"
    cache_ram: int = 512
    cache_dir: str | None = None
    cache_disk: int = 4096
    load_mode: LoadMode = "auto"
    offload_kqv: bool = True
    main_gpu: int = 0
    tensor_split: tuple[float, ...] | None = None
    split_mode: SplitMode = "layer"

    def __post_init__(self) -> None:
        _whole("n_gpu_layers", self.n_gpu_layers, -1)
        _whole("n_ctx", self.n_ctx, 8, optional=True)
        _whole("n_cells", self.n_cells, 8, optional=True)
        _whole("n_seq", self.n_seq, 1, SEQUENCES_MOST, optional=True)
        _whole("rows", self.rows, 1, SEQUENCES_MOST)
        _whole("threads", self.threads, 1, optional=True)
        _whole("chunk", self.chunk, 1)
        _whole("cache_ram", self.cache_ram, 0)
        _whole("cache_disk", self.cache_disk, 0)
        _whole("main_gpu", self.main_gpu, 0)
        _one_of("kv_type", self.kv_type, get_args(KVType))
        _one_of("kv_type_v", self.value_type, get_args(KVType))
        _one_of("flash_attention", self.flash_attention, get_args(FlashAttention))
        _one_of("kernels", self.kernels, get_args(KernelUse))
        _one_of("load_mode", self.load_mode, get_args(LoadMode))
        _one_of("split_mode", self.split_mode, get_args(SplitMode))
        for name in ("reproducible", "drafts", "offload_kqv"):
            _truth(name, getattr(self, name))
        for name in ("draft_model", "cache_dir"):
            _path(name, getattr(self, name))
        _shares(self.tensor_split)
        self._check_together()

    @property
    def value_type(self) -> KVType:
        """The precision of the cache's values; `kv_type` is that of its keys."""
        return self.kv_type if self.kv_type_v is None else self.kv_type_v

    @property
    def attention(self) -> FlashAttention:
        """Whether flash attention is to be used, after `reproducible` and "tensor" had their say."""
        if self.reproducible:
            return "off"
        return "on" if self.split_mode == "tensor" else self.flash_attention

    def of_draft(self, n_ctx: int | None = None) -> EngineOptions:
        """Return how the draft model is run, for texts of up to `n_ctx` tokens.

        All of it is on the GPUs where any layer of the large one is, and its texts share cells.
        """
        return replace(
            self,
            draft_model=None,
            reproducible=False,
            n_ctx=n_ctx,
            n_gpu_layers=-1 if self.n_gpu_layers else 0,
        )

    def _check_together(self) -> None:
        if self.reproducible:
            self._check_reproducible()
        if self.value_type != "f16" and self.flash_attention == "off":
            name = "kv_type" if self.kv_type_v is None else "kv_type_v"
            raise ConfigurationError(
                f"{name} {self.value_type!r} needs flash attention: "
                f"set flash_attention to 'auto' or 'on', or {name} to 'f16'"
            )
        if self.split_mode == "tensor":
            if self.flash_attention == "off":
                raise ConfigurationError(
                    "split_mode 'tensor' needs flash attention: "
                    "set flash_attention to 'auto' or 'on', or split_mode to 'layer'"
                )
            if (self.kv_type, self.value_type) != ("f16", "f16"):
                raise ConfigurationError(
                    "split_mode 'tensor' needs a cache of 'f16': "
                    "leave kv_type out, or set split_mode to 'layer'"
                )
        if self.draft_model is not None and not self.drafts:
            raise ConfigurationError(
                "draft_model is given and drafts is off: set drafts to true, or leave it out"
            )
        if (self.n_cells or 0) and (self.n_ctx or 0) > (self.n_cells or 0):
            raise ConfigurationError(
                f"n_ctx is {self.n_ctx} and n_cells {self.n_cells}, and a request cannot have more "
                f"tokens than the cache: raise n_cells or lower n_ctx"
            )

    def _check_reproducible(self) -> None:
        if self.flash_attention == "on":
            raise ConfigurationError(
                "reproducible needs flash attention off: leave flash_attention out, "
                "or set reproducible to false"
            )
        if self.value_type != "f16":
            raise ConfigurationError(
                f"reproducible needs flash attention off, and values of {self.value_type!r} need it "
                f"on: set {'kv_type' if self.kv_type_v is None else 'kv_type_v'} to 'f16', "
                f"or reproducible to false"
            )
        if self.split_mode == "tensor":
            raise ConfigurationError(
                "reproducible needs flash attention off, and split_mode 'tensor' needs it on: "
                "set split_mode to 'layer', or reproducible to false"
            )
        if self.n_cells is not None:
            raise ConfigurationError(
                "with reproducible every sequence has cells of its own, n_ctx of them: "
                "leave n_cells out and set n_ctx and n_seq"
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
    for name in ("draft_model", "cache_dir"):
        if isinstance(given.get(name), Path):
            given[name] = str(given[name])
    return EngineOptions(**given)


def environment_options(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the options of the variable ``LLMCOMPILER_OPTIONS``, as names and values.

    They are written as on the command line, with blanks between: ``threads=4 kv_type=q8_0``. A
    value is JSON where it can be read as such, else text.

    Raises:
        ConfigurationError: it is not written so.
    """
    text = (os.environ if environment is None else environment).get("LLMCOMPILER_OPTIONS", "")
    found: dict[str, Any] = {}
    for pair in text.split():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"LLMCOMPILER_OPTIONS holds {pair!r}, which is not NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


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


def _whole(
    name: str, value: object, least: int, most: int | None = None, *, optional: bool = False
) -> None:
    if optional and value is None:
        return
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= least
        and (most is None or value <= most)
    ):
        return
    reach = f"{least} or more" if most is None else f"{least} to {most}"
    raise ConfigurationError(f"{name} must be a whole number of {reach}, not {value!r}")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ConfigurationError(f"{name} must be one of {choices}, not {value!r}")


def _truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, not {value!r}")


def _path(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.strip()):
        raise ConfigurationError(f"{name} must be a path, not {value!r}")


def _shares(shares: tuple[float, ...] | None) -> None:
    if shares is not None and (not shares or min(shares) < 0 or not 0 < sum(shares) < float("inf")):
        raise ConfigurationError(
            f"tensor_split must be shares of 0 or more with a sum above 0, not {shares!r}"
        )
