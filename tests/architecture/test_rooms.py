"""Which room may import which library, and which rooms wait for anything?"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.source import PACKAGES, ROOT, imported, inside, modules, tree

# A library is named in its room and nowhere else; a new one needs a line here and in the README.
ROOMS: dict[str, tuple[str, ...]] = {
    "anyio": ("llmcompiler", "llmcompiler_tools"),
    "griffe": ("llmcompiler.signature",),
    "httpx2": ("llmcompiler_tools.web",),
    "jinja2": ("llmcompiler.llms.template", "llmcompiler.workflow"),
    "llama_cpp": ("llmcompiler.engine.binding",),
    "llguidance": ("llmcompiler.engine.guidance",),
    "networkx": ("llmcompiler.graph", "llmcompiler.drawing"),
    "numpy": ("llmcompiler.engine",),
    "openai": ("llmcompiler.llms.openai", "llmcompiler.llms.openai_reply"),
    "pydantic": (
        "llmcompiler.events",
        "llmcompiler.output",
        "llmcompiler.signature",
        "llmcompiler.toolbox",
        "llmcompiler.workflow",
    ),
    "pydantic_core": ("llmcompiler.signature", "llmcompiler.toolbox", "llmcompiler.workflow"),
    "rich": ("llmcompiler.cli",),
    "ruamel": ("llmcompiler.workflow",),
    "tenacity": ("llmcompiler.retry",),
    "typer": ("llmcompiler.cli",),
    "typing_extensions": ("llmcompiler", "llmcompiler_tools", "llmcompiler_planners"),
}

# Everything else decides, and a decision is a plain function over values.
WAITING = (
    "llmcompiler.agent",
    "llmcompiler.approval.desk",
    "llmcompiler.cli",
    "llmcompiler.doctor",
    "llmcompiler.engine.loop",
    "llmcompiler.engine.mailbox",
    "llmcompiler.executor",
    "llmcompiler.llms",
    "llmcompiler.retry",
    "llmcompiler.run",
    "llmcompiler.streamed",
    "llmcompiler.testing",
    "llmcompiler.toolbox",
    "llmcompiler.turns",
    "llmcompiler.workflow.asking",
    "llmcompiler.workflow.models",
    "llmcompiler.workflow.outcome",
    "llmcompiler.workflow.repeating",
    "llmcompiler.workflow.secrecy",
    "llmcompiler.workflow.workflow",
    "llmcompiler_planners.dag",
    "llmcompiler_tools",
)

PROBE = """
import sys
import llmcompiler
print(*sorted(name for name in sys.modules if name in {names!r}))
"""


@pytest.mark.parametrize("module", modules())
def test_a_library_is_imported_only_in_its_rooms(module: str) -> None:
    strangers = [
        f"line {line}: {name}"
        for name, line in imported(modules()[module])
        if name not in sys.stdlib_module_names
        and name not in PACKAGES
        and not inside(module, ROOMS.get(name, ()))
    ]
    assert not strangers, f"{module} imports what is not in its list in this file: {strangers}"


@pytest.mark.parametrize("module", modules())
def test_only_listed_rooms_wait(module: str) -> None:
    if inside(module, WAITING):
        return
    waits = [
        node.lineno
        for node in ast.walk(tree(modules()[module]))
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]
    assert not waits, f"{module} awaits at lines {waits}: keep decisions synchronous"


def test_every_listed_room_exists() -> None:
    named = {room for rooms in ROOMS.values() for room in rooms} | set(WAITING)
    assert not named - set(modules())


def test_importing_the_kernel_loads_no_heavy_library() -> None:
    names = {"openai", "networkx", "llama_cpp", "numpy", "jinja2", "typer", "rich", "httpx2"}
    loaded = subprocess.run(
        [sys.executable, "-c", PROBE.format(names=names)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert loaded.stdout.split() == []
