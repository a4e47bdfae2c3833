"""What does this machine have for running models, and what should be done about the rest?

It does not know how its findings are printed, nor the libraries that it looks for.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import anyio

from llmcompiler.errors import LLMCompilerError
from llmcompiler.messages import Message, Prompt, Sampling, TextDelta
from llmcompiler.registry import load_model

__all__ = ["Check", "Gpu", "LlamaBuild", "Machine", "check_model", "examine", "judge", "look"]

_PATIENCE = 60.0  # seconds that a model may take to load and to begin an answer
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


@dataclass(frozen=True, slots=True)
class LlamaBuild:
    """llama.cpp as it is installed; `flags` are what it was built with, `problem` why it fails."""

    version: str
    flags: str = ""
    offloads: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, and the CMake option that makes llama.cpp use it."""

    name: str
    option: str
    toolkit: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found; None is what is not there."""

    python: str
    compiler: str | None
    llama: LlamaBuild | None
    llguidance: str | None
    gpus: tuple[Gpu, ...]


def examine(model: str | None = None) -> tuple[Check, ...]:
    """Look at this machine and at a model: the one named, else the embedded one if it can run."""
    machine = look()
    checks = judge(machine)
    usable = machine.llama is not None and not machine.llama.problem and machine.llguidance
    if model is not None:
        return (*checks, check_model(model))
    return (*checks, check_model("embedded")) if usable else checks


# Looking


def look() -> Machine:
    """Find out what is there; starts a few short programs, changes nothing."""
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        compiler=_compiler(),
        llama=_llama_build(),
        llguidance=_version("llguidance"),
        gpus=tuple(_gpus()),
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
import json, llama_cpp
print(json.dumps({
    "flags": llama_cpp.llama_print_system_info().decode(),
    "offloads": bool(llama_cpp.llama_supports_gpu_offload()),
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
        said = json.loads(done.stdout.strip().splitlines()[-1])
        flags = said["flags"].replace(" = 1", "").replace("|", " ")
        return LlamaBuild(found, " ".join(flags.split()), said["offloads"])
    except (ValueError, LookupError):
        last = done.stderr.strip().splitlines()
        return LlamaBuild(
            found, problem=last[-1] if last else f"it ends with status {done.returncode}"
        )


def _gpus() -> Iterator[Gpu]:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        yield Gpu("Apple GPU", "-DGGML_METAL=on")
    listed = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    if not listed and Path("/dev/nvidia0").exists():
        listed = ["NVIDIA GPU"]
    toolkit = "" if shutil.which("nvcc") else "the CUDA toolkit (nvcc)"
    yield from (Gpu(name.strip(), "-DGGML_CUDA=on", toolkit) for name in listed if name.strip())
    if Path("/dev/kfd").exists():
        yield Gpu("AMD GPU", "-DGGML_HIP=on", "" if shutil.which("hipcc") else "ROCm (hipcc)")
    elif not listed and any(Path("/dev/dri").glob("renderD*")):
        toolkit = "" if shutil.which("glslc") else "the Vulkan SDK (glslc)"
        yield Gpu("graphics device at /dev/dri", "-DGGML_VULKAN=on", toolkit)


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


# Judging


def judge(machine: Machine) -> tuple[Check, ...]:
    """Say of each thing whether it is well, and what to do where it is not."""
    return (
        Check("python", "ok", machine.python),
        _judge_compiler(machine),
        _judge_llama(machine.llama),
        _judge_gpu(machine),
        _judge_llguidance(machine.llguidance),
    )


def _judge_compiler(machine: Machine) -> Check:
    if machine.compiler is not None:
        return Check("compiler", "ok", machine.compiler)
    if machine.llama is not None and not machine.llama.problem:
        return Check("compiler", "ok", "none found, and none needed: llama.cpp is built")
    return Check(
        "compiler",
        "warn",
        "no C++ compiler was found, and llama.cpp is built with one",
        "install one: apt install build-essential, dnf install gcc-c++ or xcode-select --install",
    )


def _judge_llama(build: LlamaBuild | None) -> Check:
    if build is None:
        return Check(
            "llama.cpp",
            "warn",
            "not installed: only model servers can be used",
            f"for models in this process: {_LOCAL}",
        )
    if build.problem:
        return Check(
            "llama.cpp",
            "fail",
            f"llama-cpp-python {build.version} does not load: {build.problem}",
            f"build it anew: {_rebuild('')}",
        )
    return Check("llama.cpp", "ok", f"llama-cpp-python {build.version}: {build.flags}")


def _judge_gpu(machine: Machine) -> Check:
    names = ", ".join(gpu.name for gpu in machine.gpus)
    if not machine.gpus:
        return Check("gpu", "ok", "none found: the CPU does the work")
    if machine.llama is None:
        return Check("gpu", "ok", f"{names}, for when the local backend is installed")
    if machine.llama.offloads or machine.llama.problem:
        return Check("gpu", "ok", names)
    first = machine.gpus[0]
    needs = f" (needs {first.toolkit})" if first.toolkit else ""
    return Check(
        "gpu",
        "warn",
        f"{names} is here, but llama.cpp was built without GPU support",
        f"build it anew{needs}: {_rebuild(first.option)}",
    )


def _judge_llguidance(found: str | None) -> Check:
    if found is not None:
        return Check("llguidance", "ok", found)
    return Check(
        "llguidance",
        "warn",
        "not installed: local models cannot be held to the plan language",
        f"install it: {_LOCAL}",
    )


def _rebuild(option: str) -> str:
    variables = f'CMAKE_ARGS="{option}" ' if option else ""
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


# A model


def check_model(spec: str) -> Check:
    """Load or reach the model that `spec` names, and ask it for one token."""
    name = f"model {spec}"
    began = monotonic()
    try:
        heard = anyio.run(_ask, spec)
    except LLMCompilerError as error:
        return Check(name, "fail", str(error))
    taken = f"{monotonic() - began:.1f} s"
    if heard:
        return Check(name, "ok", f"answers; the first word took {taken}")
    return Check(name, "warn", f"can be reached, but said nothing ({taken})", "ask it something")


async def _ask(spec: str) -> bool:
    llm = load_model(spec)
    prompt = Prompt((Message("request", "Hello!"),))
    heard = False
    try:
        async for delta in llm.stream(prompt, Sampling(max_tokens=8, timeout=_PATIENCE)):
            heard = heard or (isinstance(delta, TextDelta) and bool(delta.text))
    finally:
        with anyio.CancelScope(shield=True):
            await llm.aclose()
    return heard
