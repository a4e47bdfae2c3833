"""What the doctor says of machines, made up and real."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from llmcompiler.doctor import (
    Check,
    Gpu,
    LlamaBuild,
    LlamaDevice,
    Machine,
    check_model,
    examine,
    judge,
    look,
    machine,
)
from tests.llms.server import serve_in_thread, streams, web_page

NVIDIA = Gpu("NVIDIA H200", "-DGGML_CUDA=on")
CUDA0 = LlamaDevice("CUDA0", "NVIDIA H200", "gpu", 140 << 30)
WELL = Machine(
    python="CPython 3.11.7",
    compiler="g++ 12",
    llama=LlamaBuild("0.3.36", "CPU : AVX2 FMA", offloads=True, devices=(CUDA0,)),
    llguidance="1.9.1",
    gpus=(NVIDIA,),
    features=frozenset({"AVX2", "FMA"}),
)


def _find(machine: Machine, name: str) -> Check:
    return next(check for check in judge(machine) if check.name == name)


def test_a_machine_that_has_everything_needs_no_advice() -> None:
    assert {check.status for check in judge(WELL)} == {"ok"}
    assert not [check for check in judge(WELL) if check.advice]


def test_an_idle_gpu_is_pointed_out_with_the_command_that_puts_it_to_work() -> None:
    idle = replace(WELL, llama=LlamaBuild("0.3.36", offloads=False))
    check = _find(idle, "gpu")
    assert check.status == "warn"
    assert 'CMAKE_ARGS="-DGGML_CUDA=on" pip install' in check.advice
    assert "'llama-cpp-python<" in check.advice or "'llama-cpp-python>" in check.advice


def test_a_missing_toolkit_is_named_before_the_build_fails() -> None:
    gpu = Gpu("NVIDIA H200", "-DGGML_CUDA=on", "the CUDA toolkit (nvcc)")
    idle = replace(WELL, gpus=(gpu,), llama=LlamaBuild("0.3.36", offloads=False))
    assert "needs the CUDA toolkit" in _find(idle, "gpu").advice


@pytest.mark.parametrize(
    ("gpu", "command"),
    [
        (
            Gpu("NVIDIA", "-DGGML_CUDA=on", setting="CUDACXX=/usr/local/cuda/bin/nvcc "),
            'CUDACXX=/usr/local/cuda/bin/nvcc CMAKE_ARGS="-DGGML_CUDA=on" pip install '
            "--force-reinstall --no-cache-dir",
        ),
        (
            Gpu("AMD", "-DGGML_HIP=on", setting='HIPCXX="$(hipconfig -l)/clang" '),
            'HIPCXX="$(hipconfig -l)/clang" CMAKE_ARGS="-DGGML_HIP=on" pip install',
        ),
        (Gpu("Apple", "-DGGML_METAL=on"), 'CMAKE_ARGS="-DGGML_METAL=on" pip install'),
        (Gpu("Arc", "-DGGML_VULKAN=on"), 'CMAKE_ARGS="-DGGML_VULKAN=on" pip install'),
    ],
)
def test_every_make_of_gpu_has_its_own_command(gpu: Gpu, command: str) -> None:
    idle = replace(WELL, gpus=(gpu,), llama=LlamaBuild("0.3.36", offloads=False))
    assert f": {command}" in _find(idle, "gpu").advice


def test_before_the_installation_the_command_that_uses_the_gpu_is_told() -> None:
    check = _find(replace(WELL, llama=None), "gpu")
    assert check.status == "ok"
    assert check.advice == (
        "with it: CMAKE_ARGS=\"-DGGML_CUDA=on\" pip install 'llmcompiler-runtime[local]'"
    )


def test_a_gpu_that_is_used_is_shown_with_its_free_memory() -> None:
    assert _find(WELL, "gpu").detail == "NVIDIA H200 (CUDA0, 140 GiB free)"


def test_a_build_for_gpus_that_finds_none_points_at_the_driver() -> None:
    cpu = LlamaDevice("CPU", "EPYC", "cpu", 1 << 30)
    blind = replace(WELL, llama=LlamaBuild("0.3.36", "CPU : AVX2 FMA", True, devices=(cpu,)))
    check = _find(blind, "gpu")
    assert check.status == "warn"
    assert "nvidia-smi" in check.advice


def test_a_build_that_leaves_the_processor_idle_is_pointed_out() -> None:
    check = _find(replace(WELL, features=WELL.features | {"AVX512"}), "llama.cpp")
    assert check.status == "warn"
    assert "without AVX512, which this processor has" in check.detail
    assert 'CMAKE_ARGS="-DGGML_NATIVE=on -DGGML_CUDA=on"' in check.advice


def test_a_cache_of_the_compiler_is_mentioned() -> None:
    assert "ccache" in _find(replace(WELL, ccache=True), "compiler").detail


def test_cuda_is_found_where_it_is_installed_and_not_on_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def which(name: str, path: str | None = None) -> str | None:
        return "/usr/local/cuda/bin/nvcc" if path else None

    monkeypatch.setattr(shutil, "which", which)
    assert machine._cuda() == ("", "CUDACXX=/usr/local/cuda/bin/nvcc ")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert machine._cuda() == ("the CUDA toolkit (nvcc)", "")


def test_the_core_alone_is_no_failure() -> None:
    core = replace(WELL, llama=None, llguidance=None, compiler=None)
    assert "fail" not in {check.status for check in judge(core)}
    assert "llmcompiler-runtime[local]" in _find(core, "llama.cpp").advice
    assert _find(core, "compiler").status == "warn"


def test_no_compiler_is_needed_once_llama_is_built() -> None:
    assert _find(replace(WELL, compiler=None), "compiler").status == "ok"


def test_a_build_that_does_not_load_is_a_failure() -> None:
    broken = replace(WELL, llama=LlamaBuild("0.3.36", problem="Illegal instruction"))
    check = _find(broken, "llama.cpp")
    assert check.status == "fail"
    assert "Illegal instruction" in check.detail
    assert check.advice.startswith(
        'build it anew: CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall'
    )


def test_kernels_that_a_compiler_would_bring_are_pointed_out() -> None:
    build = LlamaBuild("0.3.36", "CPU : AVX2 FMA", lacking="there is no C compiler: install gcc")
    able = replace(WELL, llama=build, gpus=(), features=frozenset({"AVX512_VNNI"}))
    check = _find(able, "kernels")
    assert check.status == "warn"
    assert "there is no C compiler" in check.detail
    assert "gcc" in check.advice


def test_a_processor_without_the_instructions_for_kernels_is_no_fault() -> None:
    build = LlamaBuild("0.3.36", "CPU : AVX2 FMA", lacking="this processor has neither")
    check = _find(replace(WELL, llama=build), "kernels")
    assert (check.status, check.advice) == ("ok", "")
    assert check.detail == "llama.cpp's own: this processor has neither"


def test_kernels_that_are_there_are_named_with_what_they_are_for() -> None:
    build = LlamaBuild("0.3.36", "CPU : AVX2 FMA", kernels="AVX512-VNNI")
    assert "AVX512-VNNI" in _find(replace(WELL, llama=build, gpus=()), "kernels").detail
    both = replace(build, offloads=True, devices=(CUDA0,))
    assert "models that no GPU computes" in _find(replace(WELL, llama=both), "kernels").detail


def test_nothing_is_said_of_kernels_where_llama_does_not_run() -> None:
    for build in (None, LlamaBuild("0.3.36", problem="Illegal instruction")):
        assert "kernels" not in {check.name for check in judge(replace(WELL, llama=build))}


def test_a_server_that_answers_is_well() -> None:
    with serve_in_thread(streams("Hello")) as server:
        assert check_model(f"{server.url}#m").status == "ok"


@pytest.mark.parametrize("spec", ["nothing", "local:none.gguf", "http://127.0.0.1:9/v1"])
def test_a_model_that_cannot_be_had_says_why(spec: str) -> None:
    check = check_model(spec)
    assert check.status == "fail"
    assert check.detail


def test_a_web_page_is_not_a_model() -> None:
    with serve_in_thread(web_page()) as server:
        check = check_model(f"{server.url}#m")
    assert (check.status, "web page" in check.detail) == ("fail", True)


def test_this_machine_can_be_looked_at() -> None:
    found = look()
    assert found.python.startswith(("CPython", "PyPy"))
    pytest.importorskip("llama_cpp")
    assert found.llama is not None
    assert not found.llama.problem
    assert "cpu" in [device.kind for device in found.llama.devices]


def test_a_named_model_is_looked_at_in_place_of_the_embedded_one() -> None:
    with serve_in_thread(streams("Hello")) as server:
        names = [check.name for check in examine(f"{server.url}#m")]
    assert names[-1] == f"model {server.url}#m"
    assert "model embedded" not in names
