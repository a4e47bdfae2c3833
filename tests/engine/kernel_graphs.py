"""Single operations of ggml, computed by a library of our kernels and by nothing else, for tests."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint8, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from llmcompiler.engine.binding import binding
from llmcompiler.engine.kernels.compiling import KernelsUnavailable, compiled
from llmcompiler.engine.kernels.library import Kernels, find_kernels
from tests.engine.kernel_programs import toolchain, wrapped_compiler

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Kind = gguf.GGMLQuantizationType
VARIANTS = ("all that this processor has", "AVX-VNNI")
# Why there are none though nothing is broken; a compiler that fails is not among the reasons.
_NO_MACHINE = re.compile(
    "no C compiler|x86-64|neither AVX512-VNNI|no instructions|headers|elsewhere|cannot be used|home"
)
_NUMBERS = {
    np.dtype(np.float32): Kind.F32,
    np.dtype(np.float16): Kind.F16,
    np.dtype(np.int32): Kind.I32,
}
_ROOM = 64  # tensors of a graph, at most


class _Parameters(ctypes.Structure):
    _fields_ = (("size", c_size_t), ("memory", c_void_p), ("no_alloc", c_bool))


_CALLS: dict[str, tuple[Any, list[Any]]] = {
    "ggml_init": (c_void_p, [_Parameters]),
    "ggml_free": (None, [c_void_p]),
    "ggml_tensor_overhead": (c_size_t, []),
    "ggml_graph_overhead": (c_size_t, []),
    "ggml_new_tensor": (c_void_p, [c_void_p, c_int, c_int, POINTER(c_int64)]),
    "ggml_permute": (c_void_p, [c_void_p, c_void_p, *[c_int] * 4]),
    "ggml_view_2d": (c_void_p, [c_void_p, c_void_p, c_int64, c_int64, c_size_t, c_size_t]),
    "ggml_mul_mat": (c_void_p, [c_void_p] * 3),
    "ggml_mul_mat_id": (c_void_p, [c_void_p] * 4),
    "ggml_get_rows": (c_void_p, [c_void_p] * 3),
    "ggml_flash_attn_ext": (c_void_p, [*[c_void_p] * 5, *[c_float] * 3]),
    "ggml_flash_attn_ext_add_sinks": (None, [c_void_p] * 2),
    "ggml_new_graph": (c_void_p, [c_void_p]),
    "ggml_build_forward_expand": (None, [c_void_p] * 2),
    "ggml_nbytes": (c_size_t, [c_void_p]),
    "ggml_quantize_chunk": (c_size_t, [c_int, *[c_void_p] * 2, *[c_int64] * 3, c_void_p]),
    "ggml_backend_alloc_ctx_tensors_from_buft": (c_void_p, [c_void_p] * 2),
    "ggml_backend_buffer_free": (None, [c_void_p]),
    "ggml_backend_tensor_set": (None, [c_void_p, c_void_p, c_size_t, c_size_t]),
    "ggml_backend_tensor_get": (None, [c_void_p, c_void_p, c_size_t, c_size_t]),
    "ggml_backend_tensor_memset": (None, [c_void_p, c_uint8, c_size_t, c_size_t]),
    "ggml_backend_cpu_buffer_type": (c_void_p, []),
    "ggml_backend_dev_buffer_type": (c_void_p, [c_void_p]),
    "ggml_backend_dev_init": (c_void_p, [c_void_p, c_char_p]),
    "ggml_backend_dev_supports_op": (c_bool, [c_void_p] * 2),
    "ggml_backend_graph_compute": (c_int, [c_void_p] * 2),
    "ggml_backend_free": (None, [c_void_p]),
    "ggml_backend_reg_dev_get": (c_void_p, [c_void_p, c_size_t]),
    "ggml_backend_reg_get_proc_address": (c_void_p, [c_void_p, c_char_p]),
}


@dataclass(frozen=True)
class Weights:
    """Rows of a matrix, or of one for each expert, as a file keeps them: a line of bytes each."""

    kind: Kind
    data: Bytes

    @property
    def piece(self) -> tuple[int, int]:
        """How many numbers share factors, and how many bytes they take."""
        numbers, size = gguf.GGML_QUANT_SIZES[self.kind]
        return int(numbers), int(size)

    @property
    def width(self) -> int:
        numbers, size = self.piece
        return self.data.shape[-1] // size * numbers

    def plain(self) -> NDArray[np.float64]:
        """Return the numbers, as gguf's own code in Python reads them."""
        return gguf.quants.dequantize(self.data, self.kind).astype(np.float64)


class Ours:
    """A library of our kernels, as ggml sees it, without being known to ggml."""

    def __init__(self, path: Path) -> None:
        self.ggml: Any = ctypes.CDLL(
            binding()._lib._name
        )  # the same library, with types of our own
        for name, (result, arguments) in _CALLS.items():
            function = getattr(self.ggml, name)
            function.restype, function.argtypes = result, arguments
        self.library: Any = ctypes.CDLL(str(path))
        self.library.ggml_backend_init.restype = c_void_p
        self.library.llmcompiler_place.restype = c_size_t
        self.library.llmcompiler_kernel.restype = c_char_p
        registration = self.library.ggml_backend_init()
        self.device = self.ggml.ggml_backend_reg_dev_get(registration, 0)
        found = self.ggml.ggml_backend_reg_get_proc_address(
            registration, b"ggml_backend_set_n_threads"
        )
        self.set_threads = ctypes.CFUNCTYPE(None, c_void_p, c_int)(found)
        self.instructions: str = self.library.llmcompiler_kernel().decode()

    @contextmanager
    def attending(self) -> Iterator[None]:
        """Let what this thread computes meanwhile use their attention."""
        self.library.llmcompiler_attend(1)
        try:
            yield
        finally:
            self.library.llmcompiler_attend(0)

    @contextmanager
    def graph(self) -> Iterator[Graph]:
        """Make room for operations, and free it afterwards."""
        graph = Graph(self)
        try:
            yield graph
        finally:
            graph.free()


@dataclass
class Graph:
    """Operations on tensors, whose shapes are as numpy has them: the innermost one last."""

    ours: Ours
    plain: Any = None
    kept: Any = None
    buffers: list[Any] = field(default_factory=list)
    given: list[tuple[int, NDArray[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ggml = self.ours.ggml
        size = _ROOM * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead()
        self.plain = ggml.ggml_init(_Parameters(size, None, True))
        self.kept = ggml.ggml_init(_Parameters(size, None, True))

    def tensor(self, array: NDArray[Any], *, packed: bool = False) -> int:
        """Add a tensor of numbers; a `packed` one lies in the kernels' own memory."""
        kind = _NUMBERS[array.dtype]
        return self._tensor(kind, array.shape[::-1], array, packed)

    def matrix(self, weights: Weights, *, packed: bool = True) -> int:
        """Add quantised weights: a matrix, or one for each expert."""
        sizes = (weights.width, *weights.data.shape[-2::-1])
        return self._tensor(weights.kind, sizes, weights.data, packed)

    def empty(self, kind: int, *shape: int) -> int:
        """Add a tensor of a type that is numbered as ggml does, with nothing in it."""
        return self._tensor(kind, shape[::-1], None, False)

    def _tensor(
        self, kind: int, sizes: Sequence[int], array: NDArray[Any] | None, packed: bool
    ) -> int:
        context = self.kept if packed else self.plain
        numbers = (c_int64 * len(sizes))(*sizes)
        made: int = self.ours.ggml.ggml_new_tensor(context, kind, len(sizes), numbers)
        if array is not None:
            self.given.append((made, np.ascontiguousarray(array)))
        return made

    def swapped(self, tensor: int, *order: int) -> int:
        """View a tensor with its dimensions, counted from the innermost, at other places."""
        made: int = self.ours.ggml.ggml_permute(self.plain, tensor, *order)
        return made

    def store(self) -> None:
        """Give all tensors their memory, and what they hold."""
        ggml = self.ours.ggml
        own = ggml.ggml_backend_dev_buffer_type(self.ours.device)
        for context, kind in ((self.kept, own), (self.plain, ggml.ggml_backend_cpu_buffer_type())):
            buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, kind)
            if buffer:
                self.buffers.append(buffer)
        for tensor, array in self.given:
            assert ggml.ggml_nbytes(tensor) == array.nbytes
            ggml.ggml_backend_tensor_set(tensor, array.ctypes.data, 0, array.nbytes)

    def read(self, tensor: int, offset: int = 0, size: int | None = None) -> bytes:
        """Return what a tensor holds: `size` bytes of it from `offset` on, or all."""
        ggml = self.ours.ggml
        whole = ggml.ggml_nbytes(tensor) if size is None else size
        room = ctypes.create_string_buffer(whole)
        ggml.ggml_backend_tensor_get(tensor, room, offset, whole)
        return room.raw

    def supported(self, operation: int) -> bool:
        """Say whether the kernels would compute an operation."""
        return bool(self.ours.ggml.ggml_backend_dev_supports_op(self.ours.device, operation))

    def compute(self, *results: int, threads: int = 1) -> None:
        """Compute `results`, in their order."""
        assert self.status(*results, threads=threads) == 0

    def status(self, *results: int, threads: int = 1) -> int:
        """Compute `results`; return what the back end says: 0 if all is well."""
        ggml = self.ours.ggml
        graph = ggml.ggml_new_graph(self.plain)
        for result in results:
            assert self.supported(result)
            ggml.ggml_build_forward_expand(graph, result)
        backend = ggml.ggml_backend_dev_init(self.ours.device, None)
        self.ours.set_threads(backend, threads)
        found: int = ggml.ggml_backend_graph_compute(backend, graph)
        ggml.ggml_backend_free(backend)
        return found

    def free(self) -> None:
        for buffer in self.buffers:
            self.ours.ggml.ggml_backend_buffer_free(buffer)
        self.ours.ggml.ggml_free(self.plain)
        self.ours.ggml.ggml_free(self.kept)


def product(ours: Ours, weights: Weights, vectors: Floats, threads: int = 1) -> Floats:
    """Multiply a matrix with vectors, shape (..., width)."""
    with ours.graph() as graph:
        result = graph.ours.ggml.ggml_mul_mat(
            graph.plain, graph.matrix(weights), graph.tensor(vectors)
        )
        graph.store()
        graph.compute(result, threads=threads)
        found = np.frombuffer(graph.read(result), np.float32)
    return found.reshape(*vectors.shape[:-1], len(weights.data)).copy()


def expert_products(graph: Graph, weights: int, vectors: int, chosen: int) -> int:
    """Add products of vectors with the matrices of the experts that are chosen for them."""
    made: int = graph.ours.ggml.ggml_mul_mat_id(graph.plain, weights, vectors, chosen)
    return made


def attention(
    ours: Ours,
    queries: Floats,
    keys: NDArray[np.float16],
    values: NDArray[np.float16],
    mask: NDArray[np.float16] | None,
    *,
    scale: float,
    threads: int = 1,
) -> Floats:
    """Attend: arrays of shape (batches, tokens or rows, heads, width), as llama.cpp lays them.

    `mask` has the shape (batches or 1, 1, tokens, rows).
    """
    with ours.graph() as graph, ours.attending():
        q, k, v = (graph.swapped(graph.tensor(a), 0, 2, 1, 3) for a in (queries, keys, values))
        seen = None if mask is None else graph.tensor(mask)
        result = ours.ggml.ggml_flash_attn_ext(graph.plain, q, k, v, seen, scale, 0.0, 0.0)
        graph.store()
        graph.compute(result, threads=threads)
        found = np.frombuffer(graph.read(result), np.float32)
    return found.reshape(*queries.shape[:3], values.shape[3]).copy()


def kernels_here() -> Kernels:
    """Return the kernels of this machine; skip the test where there can be none."""
    try:
        return find_kernels()
    except KernelsUnavailable as reason:
        _skip(str(reason))


def _skip(reason: str) -> NoReturn:
    """Skip a test for want of a machine or a compiler; kernels that are wrong make it fail."""
    if _NO_MACHINE.search(reason):
        pytest.skip(f"there are no kernels here: {reason}")
    pytest.fail(f"there should be kernels here, and there are none: {reason}")


_opened: dict[str, Ours | str] = {}


def opened(variant: str, folder: pytest.TempPathFactory) -> Ours:
    """Open the kernels as they are here, or those for fewer instructions; or skip the test."""
    if variant not in _opened:
        _opened[variant] = _open(variant, folder)
    found = _opened[variant]
    if isinstance(found, str):
        _skip(found)
    return found


def _open(variant: str, folder: pytest.TempPathFactory) -> Ours | str:
    if variant == VARIANTS[0]:
        return Ours(kernels_here().path)
    place = folder.mktemp("fewer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", str(wrapped_compiler(place / "narrow", "-mno-avx512f")))
        patch.setenv("PATH", str(place))
        patch.setenv("XDG_CACHE_HOME", str(place))
        try:
            return Ours(compiled(toolchain()))
        except KernelsUnavailable as reason:
            return str(reason)
