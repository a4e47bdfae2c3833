"""What do our source files say? Paths and syntax trees, read once.

It knows no rule: the tests beside it do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "llmcompiler": ROOT / "llmcompiler",
    "llmcompiler_tools": ROOT / "tools" / "llmcompiler_tools",
    "llmcompiler_planners": ROOT / "planners" / "llmcompiler_planners",
}


def modules(*packages: str) -> dict[str, Path]:
    """Return every module of the packages (all three if none is named) by its dotted name."""
    found: dict[str, Path] = {}
    for package in packages or tuple(PACKAGES):
        home = PACKAGES[package]
        for path in sorted(home.rglob("*.py")):
            parts = path.relative_to(home).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the top-level package of every import, lazy ones included, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def inside(module: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of the rooms or lies inside one."""
    return any(module == room or module.startswith(room + ".") for room in rooms)
