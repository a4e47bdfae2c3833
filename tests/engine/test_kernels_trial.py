"""What becomes of kernels that do not compute what they should, and of models meanwhile."""

from __future__ import annotations

import shutil
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.kernels import compiling, library, trial
from llmcompiler.engine.kernels.compiling import KernelsUnavailable, compiled
from llmcompiler.engine.kernels.library import find_kernels
from llmcompiler.engine.kernels.programs import Stopped
from llmcompiler.engine.kernels.trial import try_out
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ModelError
from tests.engine.kernel_graphs import kernels_here
from tests.engine.kernel_programs import Machine, said, script, start, toolchain, wrapped_compiler

# As a compiler might get it wrong: sums of products are all taken for 0.
_NO_PRODUCTS = """
#include <immintrin.h>
#define _mm512_cvtepi32_ps(value) _mm512_setzero_ps()
#define _mm256_cvtepi32_ps(value) _mm256_setzero_ps()
"""
# Rounding leaves a number as it is: what e to the power of a number is comes out wrong.
_NO_POWERS = """
#include <immintrin.h>
#define _mm512_roundscale_ps(value, way) (value)
#define _mm256_round_ps(value, way) (value)
"""
_WRONG = "^wrong-cc: they fail when they are tried out: .* is wrong$"
# Says why there are none, on a processor that is taken for one with the instructions.
_REASON = """
import platform
from llmcompiler.engine.kernels import compiling, library

platform.machine = lambda: "x86_64"
compiling._processor = lambda: "flags : avx512_vnni"
try:
    library.find_kernels()
except compiling.KernelsUnavailable as reason:
    print(reason)
"""
# Leaves a file where it is told to, and never comes back.
_WAITS = """
int creat(const char *, int);
int pause(void);
__attribute__((constructor)) void wait_here(void) { creat("%s", 0600); pause(); }
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def _miscompile(place: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    kernels_here()
    (place / "wrong.h").write_text(text)
    wrong = wrapped_compiler(place / "wrong-cc", "-O1", "-include", str(place / "wrong.h"))
    monkeypatch.setenv("CC", str(wrong))
    monkeypatch.setenv("PATH", str(place))  # where there is no other
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setattr(library, "_found", None)


def _make_instead(machine: Machine, text: str) -> None:
    """Let the compiler make a library of `text`, whatever it is asked to make."""
    source = machine.place / "instead.c"
    source.write_text(text)
    real = wrapped_compiler(machine.place / "real", "-shared", "-fPIC", str(source))
    find = 'while [ "$1" != -o ]; do shift; done'
    script(machine.programs / "gcc", f"echo $0 >> {machine.calls}", find, f'{real} -o "$2"')


@pytest.mark.parametrize("wrong", [_NO_PRODUCTS, _NO_POWERS], ids=["products", "attention"])
def test_kernels_that_compute_something_else_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    _miscompile(tmp_path, monkeypatch, wrong)
    with pytest.raises(KernelsUnavailable, match=_WRONG):
        find_kernels()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_kernels_whose_experts_are_taken_for_one_another_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _miscompile(tmp_path, monkeypatch, "")
    sources = tmp_path / "sources"
    shutil.copytree(Path(compiling.__file__).parent, sources)
    products = (sources / "products.h").read_text()
    other = products.replace("packed_of(weights, i)", "packed_of(weights, 0)")
    assert other != products
    (sources / "products.h").write_text(other)
    monkeypatch.setattr(compiling, "_HERE", sources)
    with pytest.raises(KernelsUnavailable, match=r"tried out: a product of experts is wrong$"):
        find_kernels()


def test_where_one_compiler_computes_something_else_the_next_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _miscompile(tmp_path, monkeypatch, _NO_PRODUCTS)
    wrapped_compiler(tmp_path / "gcc")
    made = compiled(toolchain(), partial(try_out, toolchain().libraries))
    assert [made] == list((tmp_path / "cache").rglob("*.so"))
    (failure,) = (tmp_path / "cache").rglob("*.failed")
    assert failure.read_text().endswith("a product is wrong")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("void abort(void); __attribute__((constructor)) void f(void) { abort(); }", "status -6"),
        ("int nothing;", "this ggml does not take it"),
        ("void * ggml_backend_init(void) { return 0; }", "this ggml does not take it"),
    ],
    ids=["crashes", "is no back end", "has nothing to register"],
)
def test_a_library_that_fails_does_so_in_a_program_of_its_own(
    machine: Machine, text: str, reason: str
) -> None:
    _make_instead(machine, text)
    assert said(start(_REASON)).strip() == f"gcc: they fail when they are tried out: {reason}"
    assert machine.kept(".so") == []


def test_a_trial_that_never_ends_is_ended(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PATIENCE", 0.5)
    _make_instead(machine, _WAITS % (machine.place / "waits"))
    with pytest.raises(KernelsUnavailable, match=r"^gcc: trying them out took longer than 0\.5 s$"):
        find_kernels()
    assert machine.kept(".so") == []


def test_a_trial_can_be_stopped_and_that_is_not_remembered(machine: Machine) -> None:
    _make_instead(machine, _WAITS % (machine.place / "waits"))
    with pytest.raises(Stopped, match=r"^trying them out was stopped$"):
        find_kernels((machine.place / "waits").exists)
    assert library._found is None
    assert machine.kept() == []


def test_whoever_waits_for_another_that_compiles_can_be_stopped(machine: Machine) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exec sleep 60")
    given_up = threading.Event()

    def first() -> None:
        with pytest.raises(Stopped, match="compiling was stopped"):
            find_kernels(given_up.is_set)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        with pytest.raises(Stopped, match="waiting for them was stopped"):
            find_kernels(machine.calls.exists)
    finally:
        given_up.set()
        thread.join()
    assert machine.called() == ["gcc"]


def test_a_model_that_needs_kernels_says_why_there_are_none(
    machine: Machine, q8_gguf: Path
) -> None:
    machine.compiler("gcc", "echo 'a.c:1: error: it is too old' >&2", "exit 1")
    with pytest.raises(
        ConfigurationError,
        match=r"kernels is 'on', and there are none here: gcc: it is too old; or set kernels to 'auto'",
    ):
        Model(read_header(q8_gguf), EngineOptions(kernels="on"))


def test_a_model_that_does_not_need_kernels_goes_on_without(
    machine: Machine, q8_gguf: Path
) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exit 1")
    model = Model(read_header(q8_gguf), EngineOptions(threads=1))
    assert (model.kernels, model.packed, model.attends) == (None, 0, False)
    assert machine.called() == ["gcc"]
    model.close()


def test_a_model_that_wants_no_kernels_compiles_none(machine: Machine, q8_gguf: Path) -> None:
    machine.compiler("gcc")
    model = Model(read_header(q8_gguf), EngineOptions(threads=1, kernels="off"))
    assert (model.kernels, model.packed, model.attends) == (None, 0, False)
    assert machine.called() == []
    model.close()


def test_a_model_whose_loading_is_stopped_while_kernels_are_compiled_is_not_loaded(
    machine: Machine, q8_gguf: Path
) -> None:
    machine.compiler("gcc", "echo $0 >> {calls}", "exec sleep 60")
    with pytest.raises(ModelError, match="was stopped"):
        Model(read_header(q8_gguf), EngineOptions(threads=1), stopped=machine.calls.exists)


def test_a_trial_that_says_nothing_has_not_gone_well(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody else waits for all programs, and every status is taken for 0."""
    machine.compiler("gcc")
    monkeypatch.setattr(sys, "executable", str(script(machine.place / "python", "exit 0")))
    with pytest.raises(KernelsUnavailable, match="they fail when they are tried out: status 0"):
        find_kernels()


def test_a_program_without_an_interpreter_compiles_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.compiler("gcc")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(KernelsUnavailable, match="no Python interpreter"):
        find_kernels()
    assert machine.called() == []


def test_a_folder_that_cannot_be_read_is_a_reason_and_no_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise OSError(5, "Input/output error")

    machine.compiler("gcc")
    monkeypatch.setattr(compiling, "_key", fail)
    with pytest.raises(KernelsUnavailable, match="Input/output error"):
        find_kernels()
    assert library._found is None


def test_a_library_that_cannot_be_loaded_here_is_not_kept(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be found again, and fail again, for ever."""
    machine.compiler("gcc")
    monkeypatch.setattr(sys, "executable", str(script(machine.place / "python", "echo right")))
    with pytest.raises(KernelsUnavailable, match="they cannot be loaded"):
        find_kernels()
    assert machine.kept() == []
