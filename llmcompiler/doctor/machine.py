"""What is there: Python, a compiler, llama.cpp and what it was built for, GPUs and their toolkits?

It starts a few short programs and keeps the kernels that are compiled; what is well about it is judged elsewhere.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["Gpu", "LlamaBuild", "LlamaDevice", "Machine", "look"]

_PATIENCE = 60.0  # seconds that llama.cpp may take to load

# What Linux calls what a processor can do, and what llama.cpp says it was built with.
_FEATURES = {
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx_vnni": "AVX_VNNI",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
}


@dataclass(frozen=True, slots=True)
class LlamaDevice:
    """What llama.cpp computes on; `free` is bytes of its memory, `kind` "cpu", "gpu" or other."""

    name: str
    description: str
    kind: str
    free: int


@dataclass(frozen=True, slots=True)
class LlamaBuild:
    """llama.cpp as it is installed; `flags` are what it was built with, `problem` why it fails.

    `kernels` are the instructions that our own code computes with, or `lacking` why there is none.
    """

    version: str
    flags: str = ""
    offloads: bool = False
    problem: str = ""
    devices: tuple[LlamaDevice, ...] = ()
    kernels: str = ""
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, and what makes llama.cpp use it: a CMake option, and `setting` before the command.

    `toolkit` is what has to be installed first.
    """

    name: str
    option: str
    toolkit: str = ""
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found; None is what is not there. `features` are the processor's, as flags name them."""

    python: str
    compiler: str | None
    llama: LlamaBuild | None
    llguidance: str | None
    gpus: tuple[Gpu, ...]
    ccache: bool = False
    features: frozenset[str] = frozenset()


def look() -> Machine:
    """Find out what is there; starts a few short programs, and keeps kernels that it compiles."""
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        compiler=_compiler(),
        llama=_llama_build(),
        llguidance=_version("llguidance"),
        gpus=tuple(_gpus()),
        ccache=shutil.which("ccache") is not None,
        features=_features(),
    )


def _compiler() -> str | None:
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl"):
        path = shutil.which(name) if name else None
        if path is not None:
            first = _output([path, "--version"]).splitlines()
            return first[0] if first else path
    return None


# llama.cpp is asked in a program of its own: a build for another processor ends it on the spot.
_ASK_LLAMA = """
import json, time
from llama_cpp import llama_cpp
from llmcompiler.engine.devices import find_devices
from llmcompiler.engine.kernels.compiling import KernelsUnavailable
from llmcompiler.engine.kernels.library import find_kernels
try:
    end = time.monotonic() + 45
    kernels, lacking = find_kernels(lambda: time.monotonic() > end, anew=True).instructions, ""
except KernelsUnavailable as problem:
    kernels, lacking = "", str(problem)
print(json.dumps({
    "kernels": kernels,
    "lacking": lacking,
    "flags": llama_cpp.llama_print_system_info().decode(),
    "offloads": bool(llama_cpp.llama_supports_gpu_offload()),
    "devices": [[each.name, each.description, each.kind, each.free] for each in find_devices()],
}))
"""


def _llama_build() -> LlamaBuild | None:
    found = _version("llama-cpp-python")
    if found is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and the text above
            [sys.executable, "-c", _ASK_LLAMA],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return LlamaBuild(found, problem=f"it does not load within {_PATIENCE:g} s")
    try:
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        flags = said["flags"].replace(" = 1", "").replace("|", " ")
        devices = tuple(LlamaDevice(*each) for each in said["devices"])
        return LlamaBuild(
            found,
            " ".join(flags.split()),
            said["offloads"],
            devices=devices,
            kernels=said["kernels"],
            lacking=said["lacking"],
        )
    except (ValueError, LookupError):
        last = done.stderr.strip().splitlines()
        return LlamaBuild(
            found, problem=last[-1] if last else f"it ends with status {done.returncode}"
        )


def _features() -> frozenset[str]:
    """Return what this processor can do that makes a difference, where the system says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    words = set(flags.partition(":")[2].split())
    return frozenset(name for flag, name in _FEATURES.items() if flag in words)


def _gpus() -> Iterator[Gpu]:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        yield Gpu("Apple GPU", "-DGGML_METAL=on")
    listed = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    if not listed and Path("/dev/nvidia0").exists():
        listed = ["NVIDIA GPU"]
    toolkit, setting = _cuda()
    for name in listed:
        if name.strip():
            yield Gpu(name.strip(), "-DGGML_CUDA=on", toolkit, setting)
    if Path("/dev/kfd").exists():
        yield _amd()
    elif not listed and any(Path("/dev/dri").glob("renderD*")):
        toolkit = "" if shutil.which("glslc") else "the Vulkan SDK (glslc)"
        yield Gpu("graphics device at /dev/dri", "-DGGML_VULKAN=on", toolkit)


def _cuda() -> tuple[str, str]:
    """Return what of CUDA is missing, and what must be set where it is not on the path."""
    if shutil.which("nvcc"):
        return "", ""
    found = shutil.which("nvcc", path="/usr/local/cuda/bin:/opt/cuda/bin")
    return ("", f"CUDACXX={found} ") if found else ("the CUDA toolkit (nvcc)", "")


def _amd() -> Gpu:
    if not shutil.which("hipcc"):
        return Gpu("AMD GPU", "-DGGML_HIP=on", "ROCm (hipcc)")
    setting = 'HIPCXX="$(hipconfig -l)/clang" HIP_PATH="$(hipconfig -R)" '
    return Gpu("AMD GPU", "-DGGML_HIP=on", setting=setting)


def _output(command: list[str]) -> str:
    """Return what a short program prints; nothing if it is not there or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
