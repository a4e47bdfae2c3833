"""What can llama.cpp compute on here, and how much memory is free there?

It does not know models: a device has a name and bytes.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmcompiler.engine.binding import binding

__all__ = ["Device", "DeviceKind", "FreeMemory", "find_devices", "free_memory"]

DeviceKind: TypeAlias = Literal["cpu", "gpu", "accelerator"]

_KINDS: dict[int, DeviceKind] = {0: "cpu", 1: "gpu", 2: "gpu", 3: "accelerator"}


@dataclass(frozen=True, slots=True)
class Device:
    """Something llama.cpp computes on; `free` and `total` are bytes of its memory."""

    name: str
    description: str
    kind: DeviceKind
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """Free bytes of main memory, None where unknown, and of each GPU that can be used."""

    host: int | None
    gpus: tuple[int, ...] = ()


def free_memory() -> FreeMemory:
    """Look how much memory is free now.

    Raises:
        MissingExtraError: the packages of the local back end are not installed.
    """
    gpus = tuple(each.free for each in find_devices() if each.kind == "gpu")
    offloads = bool(binding().llama_supports_gpu_offload())
    return FreeMemory(_host(), gpus if offloads else ())


def find_devices() -> tuple[Device, ...]:
    """List what llama.cpp was built for and finds here; empty where it cannot be asked.

    Raises:
        MissingExtraError: the packages of the local back end are not installed.
    """
    library = binding()._lib  # ggml, which libllama is linked with, has no binding of its own
    try:
        library.ggml_backend_dev_count.restype = ctypes.c_size_t
        library.ggml_backend_dev_get.restype = ctypes.c_void_p
        library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
        count = library.ggml_backend_dev_count()
        return tuple(_device(library, library.ggml_backend_dev_get(i)) for i in range(count))
    except AttributeError:
        return ()


def _device(library: Any, device: int) -> Device:
    for name in ("name", "description"):
        function = getattr(library, f"ggml_backend_dev_{name}")
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    library.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    size = ctypes.POINTER(ctypes.c_size_t)
    library.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, size, size]
    library.ggml_backend_dev_memory.restype = None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return Device(
        (library.ggml_backend_dev_name(device) or b"").decode("utf-8", "replace"),
        (library.ggml_backend_dev_description(device) or b"").decode("utf-8", "replace"),
        _KINDS.get(library.ggml_backend_dev_type(device), "accelerator"),
        free.value,
        total.value,
    )


def _host(root: Path = Path("/")) -> int | None:
    """Return the free bytes of main memory: the machine's, or the container's if that is less."""
    found = [each for each in (_machine(root), _container(root)) if each is not None]
    return min(found) if found else None


def _machine(root: Path) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
        kibibytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(kibibytes) * 1024
    except (OSError, ValueError, LookupError, StopIteration):
        pass
    try:  # elsewhere half of what is built in is a careful guess
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _container(root: Path) -> int | None:
    """Return what a control group leaves, whose file pages can be dropped; versions 2 and 1."""
    for folder, limit, used in (
        ("sys/fs/cgroup", "memory.max", "memory.current"),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        group = root / folder
        try:
            most = int((group / limit).read_text("ascii"))
            now = int((group / used).read_text("ascii"))
            pairs = [
                line.split() for line in (group / "memory.stat").read_text("ascii").split("\n")
            ]
        except (OSError, ValueError):
            continue
        droppable = sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in _DROPPABLE)
        return max(0, most - now + droppable)
    return None


_DROPPABLE = ("active_file", "inactive_file")
