"""The commands about models in this process: options, doctor with a file, bench-engine."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import fields
from pathlib import Path

import pytest

from llmcompiler.cli.bench import read_widths
from llmcompiler.cli.options import ABOUT
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError
from tests.cli.command import Shell
from tests.engine.tiny_model import write_tiny_model


def _shell(folder: Path) -> Shell:
    write_tiny_model(folder / "tiny.gguf")
    return Shell(folder)


def test_every_option_is_explained() -> None:
    assert list(ABOUT) == [each.name for each in fields(EngineOptions)]


def test_options_are_listed_with_their_defaults(tmp_path: Path) -> None:
    shown = Shell(tmp_path)("options").out
    assert "chunk=256 " in shown
    assert "kv_type=f16 " in shown
    assert "n_seq=null " in shown
    assert max(len(line) for line in shown.splitlines()) <= 100
    listed = json.loads(Shell(tmp_path)("options", "--json").out)
    assert {"name": "rows", "default": 16, "about": ABOUT["rows"]} in listed


def test_the_help_leads_to_the_options(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "llmcompiler options" in " ".join(shell("run", "--help").out.split())
    assert "LLMCOMPILER_OPTIONS" in shell("options", "--help").out


def test_doctor_reads_a_file_with_options(tmp_path: Path) -> None:
    shell = _shell(tmp_path)
    ended = shell("doctor", "-m", "local:tiny.gguf", "-o", "n_ctx=512", "-o", "threads=1", "--json")
    found = {check["name"]: check for check in json.loads(ended.out)}
    assert "requests of 512 tokens" in found["memory for tiny.gguf"]["detail"]
    assert found["model local:tiny.gguf"]["status"] == "ok"
    assert ended.status == 0


def test_doctor_fails_over_options_that_do_not_fit(tmp_path: Path) -> None:
    ended = _shell(tmp_path)("doctor", "-m", "local:tiny.gguf", "-o", "n_ctx=9999")
    assert ended.status == 1
    assert "was trained for 4096" in ended.out


def test_a_model_in_parts_is_named_by_the_first(tmp_path: Path) -> None:
    first = write_tiny_model(tmp_path / "tiny.gguf", tensors_each=8)
    shell, spec = Shell(tmp_path), f"local:{first.name}"
    ended = shell("doctor", "-m", spec, "-o", "threads=1", "--json")
    found = {check["name"]: check["status"] for check in json.loads(ended.out)}
    assert (found[f"memory for {first.name}"], found[f"model {spec}"]) == ("ok", "ok")
    arguments = ("--quick", "--threads", "1", "--streams", "1", "--json", "--quiet")
    assert json.loads(shell("bench-engine", spec, *arguments).out)["model"] == "tiny random"
    first.with_name("tiny-00003-of-00003.gguf").unlink()
    for command in (("doctor", "-m", spec), ("bench-engine", spec)):
        ended = shell(*command)
        assert ended.status
        assert "'tiny-00003-of-00003.gguf' should be beside it" in ended.out + ended.err


def test_a_model_is_measured_as_a_table(tmp_path: Path) -> None:
    ended = _shell(tmp_path)("bench-engine", "tiny.gguf", "--quick", "--threads", "1")
    assert ended.status == 0, ended.err
    assert "measuring: loading" in ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("model         tiny random")
    assert any(
        line.split() == ["requests", "at", "once", "1", "2", "4", "8", "16"] for line in lines
    )
    assert sum("1.00x" in line for line in lines) >= 2


def test_a_model_is_measured_as_json(tmp_path: Path) -> None:
    arguments = ("--quick", "--threads", "1", "--streams", "2,1", "--json", "--quiet")
    ended = _shell(tmp_path)("bench-engine", "local:tiny.gguf", *arguments)
    said = json.loads(ended.out)
    assert ended.err == ""
    assert list(said["streams"]) == ["1", "2"]
    assert said["threads"] == 1
    assert said["llama_cpp_python"][0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.gguf"], "there is no such file"),
        (["tiny.gguf", "--streams", "0"], "--streams must be numbers from 1 to 256"),
        (["tiny.gguf", "-o", "kv_typ=q8_0"], "there is no local model option 'kv_typ'"),
        (["tiny.gguf", "--context", "9999"], "was trained for 4096"),
    ],
)
def test_what_cannot_be_measured_says_why(arguments: list[str], said: str, tmp_path: Path) -> None:
    ended = _shell(tmp_path)("bench-engine", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_a_measurement_can_be_interrupted(tmp_path: Path) -> None:
    process = _shell(tmp_path).start("bench-engine", "tiny.gguf", "--threads", "1")
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("measuring: first token"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(("text", "widths"), [("4", (4,)), ("16,1,1", (1, 16))])
def test_widths_are_sorted(text: str, widths: tuple[int, ...]) -> None:
    assert read_widths(text) == widths


@pytest.mark.parametrize("text", ["", "a", "1,,2", "0,1", "257"])
def test_widths_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--streams must be"):
        read_widths(text)
