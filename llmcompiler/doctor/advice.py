"""Is what was found well, and what should be done where it is not?

A function from findings to sentences: it looks at nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import requires
from typing import Any, Literal

from llmcompiler.doctor.machine import Gpu, LlamaBuild, Machine
from llmcompiler.engine.memory import bytes_text

__all__ = ["Check", "judge"]

_PRODUCTS = {"AVX512_VNNI", "AVX_VNNI"}  # instructions that our own kernels need one of
_LOCAL = "pip install 'llmcompiler-runtime[local]'"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `advice` says what to do, where there is something to do."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return asdict(self)


def judge(machine: Machine) -> tuple[Check, ...]:
    """Say of each thing whether it is well, and what to do where it is not."""
    return (
        Check("python", "ok", machine.python),
        _judge_compiler(machine),
        _judge_llama(machine),
        *_judge_kernels(machine),
        _judge_gpu(machine),
        _judge_llguidance(machine.llguidance),
    )


def _judge_compiler(machine: Machine) -> Check:
    if machine.compiler is not None:
        cache = "; ccache makes a second build quick" if machine.ccache else ""
        return Check("compiler", "ok", f"{machine.compiler}{cache}")
    if machine.llama is not None and not machine.llama.problem:
        return Check("compiler", "ok", "none found, and none needed: llama.cpp is built")
    return Check(
        "compiler",
        "warn",
        "no C++ compiler was found, and llama.cpp is built with one",
        "install one: apt install build-essential, dnf install gcc-c++ or xcode-select --install",
    )


def _judge_llama(machine: Machine) -> Check:
    build = machine.llama
    if build is None:
        return Check(
            "llama.cpp",
            "warn",
            "not installed: only model servers can be used",
            f"for models in this process: {_LOCAL}",
        )
    said = f"llama-cpp-python {build.version}"
    if build.problem:
        return Check(
            "llama.cpp",
            "fail",
            f"{said} does not load: {build.problem}",
            f"build it anew: {_setting(machine.gpus)}{_rebuild(_options(machine.gpus))}",
        )
    missing = sorted(machine.features - set(build.flags.split()))
    if missing and build.flags:
        return Check(
            "llama.cpp",
            "warn",
            f"{said} was built without {', '.join(missing)}, which this processor has",
            f"build it anew: {_rebuild(['-DGGML_NATIVE=on', *_options(machine.gpus)])}",
        )
    return Check("llama.cpp", "ok", f"{said}: {build.flags}")


def _judge_kernels(machine: Machine) -> Iterator[Check]:
    """Say what computes 8-bit weights and attention, where llama.cpp runs at all."""
    build = machine.llama
    if build is None or build.problem:
        return
    if build.kernels:
        used = "for models that no GPU computes" if build.offloads else "for every model"
        yield Check("kernels", "ok", f"{build.kernels}, compiled for this processor, {used}")
    elif machine.features & _PRODUCTS and not build.offloads:
        yield Check(
            "kernels",
            "warn",
            f"this processor could compute several tokens at once much faster: {build.lacking}",
            "they are compiled at the first use: apt install gcc or dnf install gcc, then try again"
            if "compiler" in build.lacking
            else "llmcompiler doctor tries again; kernels=off does without",
        )
    else:
        yield Check("kernels", "ok", f"llama.cpp's own: {build.lacking}")


def _judge_gpu(machine: Machine) -> Check:
    names = ", ".join(gpu.name for gpu in machine.gpus)
    build = machine.llama
    if build is not None and build.offloads:
        return _judge_offload(build, names)
    if not machine.gpus:
        return Check("gpu", "ok", "none found: the CPU does the work")
    if build is None:
        return Check(
            "gpu",
            "ok",
            f"{names}, for when the local backend is installed",
            f"with it{_needs(machine.gpus)}: {_setting(machine.gpus)}"
            f'CMAKE_ARGS="{machine.gpus[0].option}" {_LOCAL}',
        )
    if build.problem:
        return Check("gpu", "ok", names)
    return Check(
        "gpu",
        "warn",
        f"{names} is here, but llama.cpp was built without GPU support",
        f"build it anew{_needs(machine.gpus)}: {_setting(machine.gpus)}"
        f"{_rebuild(_options(machine.gpus))}",
    )


def _judge_offload(build: LlamaBuild, names: str) -> Check:
    used = [each for each in build.devices if each.kind == "gpu"]
    if used:
        listed = ", ".join(
            f"{each.description or each.name} ({each.name}, {bytes_text(each.free)} free)"
            for each in used
        )
        return Check("gpu", "ok", listed)
    if names and build.devices:
        return Check(
            "gpu",
            "warn",
            f"{names} is here and llama.cpp was built for GPUs, but finds none that it can use",
            "look at the driver (nvidia-smi, rocminfo or vulkaninfo says whether it works), and at "
            "CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
        )
    return Check("gpu", "ok", names or "none found: the CPU does the work")


def _judge_llguidance(found: str | None) -> Check:
    if found is not None:
        return Check("llguidance", "ok", found)
    return Check(
        "llguidance",
        "warn",
        "not installed: local models are held to the plan language by llama.cpp's slower grammars",
        f"install it: {_LOCAL}",
    )


def _options(gpus: tuple[Gpu, ...]) -> list[str]:
    """Return the CMake option of the first GPU; others of another make would be built without."""
    return [gpus[0].option] if gpus else []


def _setting(gpus: tuple[Gpu, ...]) -> str:
    return gpus[0].setting if gpus else ""


def _needs(gpus: tuple[Gpu, ...]) -> str:
    return f" (needs {gpus[0].toolkit})" if gpus[0].toolkit else ""


def _rebuild(options: list[str]) -> str:
    variables = f'CMAKE_ARGS="{" ".join(options)}" ' if options else ""
    return (
        f"{variables}pip install --force-reinstall --no-cache-dir --no-deps "
        f"'llama-cpp-python{_requirement()}'"
    )


def _requirement() -> str:
    """Return which versions of llama-cpp-python this project goes with."""
    name = "llama-cpp-python"
    lines = requires("llmcompiler-runtime") or []
    ours = (line.partition(";")[0].strip() for line in lines if line.startswith(name))
    return next(ours, name).removeprefix(name)
