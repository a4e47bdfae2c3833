from __future__ import annotations

from pathlib import Path

import pytest

from llmcompiler.engine import devices
from llmcompiler.engine.devices import find_devices, free_memory

MEMINFO = "MemTotal:       24684000 kB\nMemFree:  1000 kB\nMemAvailable:   20000000 kB\n"


def _write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_free_is_what_can_be_had_without_swapping(tmp_path: Path) -> None:
    assert devices._host(_write(tmp_path, proc__meminfo=MEMINFO)) == 20000000 * 1024


@pytest.mark.parametrize(
    ("folder", "limit", "used"),
    [
        ("sys/fs/cgroup", "memory.max", "memory.current"),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_a_container_has_what_its_group_leaves(
    folder: str, limit: str, used: str, tmp_path: Path
) -> None:
    group = _write(tmp_path, proc__meminfo=MEMINFO) / folder
    group.mkdir(parents=True)
    (group / limit).write_text("4000000000\n")
    (group / used).write_text("3000000000\n")
    (group / "memory.stat").write_text("anon 1\nactive_file 500000000\ninactive_file 100000000\n")
    assert devices._host(tmp_path) == 1_600_000_000


def test_a_group_without_a_limit_limits_nothing(tmp_path: Path) -> None:
    group = _write(tmp_path, proc__meminfo=MEMINFO) / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("3000000000\n")
    assert devices._host(tmp_path) == 20000000 * 1024


def test_a_machine_that_says_nothing_is_guessed(tmp_path: Path) -> None:
    guessed = devices._host(tmp_path)
    assert guessed is None or guessed > 1 << 28


def test_llama_cpp_finds_the_cpu_here_and_memory_is_free() -> None:
    found = find_devices()
    assert "cpu" in [each.kind for each in found]
    assert all(each.name and each.description for each in found)
    host = free_memory().host
    assert host is None or host > 1 << 26
