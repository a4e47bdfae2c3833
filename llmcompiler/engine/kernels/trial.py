"""Does a library compute, within ggml as it is installed here, what it should?

It is tried out in a program of its own: had ggml's tables another layout, that program would end,
and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from llmcompiler.engine.kernels.programs import KernelsUnavailable, run_program

__all__ = ["try_out"]

_PATIENCE: Final = 60.0  # seconds

# It needs ggml alone, and says that all is well. Threads of two OpenMP libraries wait for one
# another at full speed: that is a hundred times slower than no kernels.
_TRY = """
import ctypes, os, re, sys
folder, path = sys.argv[1:]
def parallel():
    with open("/proc/self/maps") as maps:
        return set(re.findall(r"/.*/lib[gi]?omp[^/\\n]*", maps.read()))
ggml = ctypes.CDLL(folder + "/libggml.so")
ggml.ggml_backend_load.restype = ctypes.c_void_p
ggml.ggml_backend_load.argtypes = [ctypes.c_char_p]
ggml.ggml_backend_dev_by_type.restype = ctypes.c_void_p
ggml.ggml_backend_reg_dev_get.restype = ctypes.c_void_p
ggml.ggml_backend_reg_dev_get.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
before = parallel()
own = ctypes.CDLL(path)
made = ggml.ggml_backend_load(os.fsencode(path))
if not made:
    sys.exit("this ggml does not take it")
if not before:
    sys.exit("llama.cpp was built without OpenMP: build it anew")
if parallel() != before:
    sys.exit("llama.cpp was built with another OpenMP than this compiler's: install gcc, or build it")
own.llmcompiler_place(1)
own.llmcompiler_attend(1)
devices = ggml.ggml_backend_reg_dev_get(made, 0), ggml.ggml_backend_dev_by_type(0)
checks = own.llmcompiler_check, own.llmcompiler_check_experts, own.llmcompiler_check_attention
for check in checks:
    check.restype = ctypes.c_char_p
    check.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    wrong = check(*devices)
    if wrong:
        sys.exit(wrong.decode())
print("right")
"""


def try_out(libraries: Path, path: Path, stopped: Callable[[], bool] = lambda: False) -> None:
    """Let a library compute; `libraries` is where ggml's lie.

    Raises:
        KernelsUnavailable: it does not compute what it should, or nobody wants to wait for it.
    """
    command = [sys.executable, "-I", "-c", _TRY, str(libraries), str(path)]
    status, said = run_program(command, "trying them out", _PATIENCE, stopped)
    lines = said.strip().splitlines()
    if status or lines[-1:] != ["right"]:
        reason = lines[-1] if status >= 0 and lines else f"status {status}"
        raise KernelsUnavailable(f"they fail when they are tried out: {reason}")
