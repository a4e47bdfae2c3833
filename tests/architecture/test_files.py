"""Is every file short, does it say what it is for, and does it list what it offers?"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, modules, tree

LONGEST = 400
FORBIDDEN = {"utils", "helpers", "base", "common", "manager", "core", "misc"}


def _all_python() -> list[Path]:
    """Every Python file of the project, tests and examples included."""
    homes = ("llmcompiler", "tools", "planners", "examples", "tests", "benchmarks")
    return sorted(path for home in homes for path in (ROOT / home).rglob("*.py"))


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield public functions, classes and their public methods; what is inside functions is not."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{child.name}.")


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each) in ("overload", "typing.overload") for each in decorators)


def _exported(module: ast.Module) -> list[str] | None:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts them."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("path", _all_python(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines: split it into the questions that it answers"


@pytest.mark.parametrize("module", modules())
def test_a_module_opens_by_saying_what_it_answers_and_what_it_does_not_know(module: str) -> None:
    parsed = tree(modules()[module])
    if not parsed.body:
        return
    said = " ".join((ast.get_docstring(parsed) or "").split())
    sentences = [part for part in said.replace("?", ".").split(".") if part.strip()]
    assert len(sentences) >= 2 or (len(sentences) >= 1 and "?" in said and ":" in said), said


@pytest.mark.parametrize("module", modules())
def test_every_public_function_has_a_docstring(module: str) -> None:
    bare = [
        name
        for name, node in _functions(tree(modules()[module]))
        if not _is_overload(node) and ast.get_docstring(node) is None  # type: ignore[arg-type]  # only definitions come here
    ]
    assert not bare, f"{module}: {bare}"


@pytest.mark.parametrize("module", modules())
def test_exports_are_sorted_and_are_exactly_what_is_public(module: str) -> None:
    parsed = tree(modules()[module])
    defined = {
        node.name
        for node in parsed.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    exported = _exported(parsed)
    if exported is None:
        assert not defined, f"{module} has no __all__, but defines {sorted(defined)}"
        return
    assert exported == sorted(set(exported), key=_order)
    assert defined <= set(exported), f"not in __all__: {sorted(defined - set(exported))}"


@pytest.mark.parametrize("module", modules("llmcompiler", "llmcompiler_tools"))
def test_every_export_can_be_imported(module: str) -> None:
    if module.startswith("llmcompiler.engine") or module == "llmcompiler.llms.local":
        pytest.importorskip("llama_cpp")
    loaded = importlib.import_module(module)
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing


@pytest.mark.parametrize("module", modules())
def test_no_module_is_named_after_nothing(module: str) -> None:
    assert not FORBIDDEN & set(module.split(".")), "name it after the question that it answers"
