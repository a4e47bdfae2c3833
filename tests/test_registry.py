"""Names to objects: models, planners and tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcompiler.errors import (
    ConfigurationError,
    DuplicateToolError,
    ModelFileError,
    ModelSpecError,
    ToolDefinitionError,
    ToolLoadError,
)
from llmcompiler.llms.openai import OpenAILLM
from llmcompiler.registry import bundled_tools, installed, load_model, load_planner, load_tools

ONE = "from llmcompiler import tool\n\n@tool\ndef one() -> int:\n    '''One.'''\n    return 1\n"


@pytest.fixture(autouse=True)
def _same_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in an empty folder, and forget what tool files add to the path and the modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def _file(name: str, text: str) -> str:
    path = Path(name)
    path.write_text(text, "utf-8")
    return str(path.absolute())


# Tools


def test_a_file_gives_every_tool_in_it() -> None:
    two = "\n@tool(name='two')\ndef second() -> int:\n    '''Two.'''\n    return 2\n"
    toolbox = load_tools([_file("own.py", ONE + two)])
    assert list(toolbox) == ["one", "two"]


def test_a_list_named_tools_is_taken_instead_and_may_hold_plain_functions() -> None:
    text = ONE + "\ndef plain(x: int) -> int:\n    '''Plain.'''\n    return x\n\nTOOLS = [plain]\n"
    assert list(load_tools([_file("own.py", text)])) == ["plain"]


def test_private_tools_stay_private() -> None:
    text = ONE + "\n@tool\ndef two() -> int: ...\n_hidden = two\ndel two\n"
    assert list(load_tools([_file("own.py", text)])) == ["one"]


def test_a_file_can_import_its_neighbour_and_keeps_its_annotations() -> None:
    _file("prices.py", "PEN = 2\n")
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "import prices\nfrom llmcompiler import tool\n\n"
        "@dataclass\nclass Price:\n    euros: int\n\n"
        "@tool\ndef price() -> Price:\n    '''Price.'''\n    return Price(prices.PEN)\n"
    )
    made = load_tools([_file("own.py", text)])["price"]
    assert made.returns is not None
    assert made().euros == 2


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = _file("a/own.py", ONE)
    second = _file("b/own.py", ONE.replace("one", "uno"))
    assert list(load_tools([first, second])) == ["one", "uno"]


def test_the_same_file_twice_is_the_same_file() -> None:
    path = _file("own.py", ONE)
    assert list(load_tools([path, "own.py", "./own.py"])) == ["one"]


def test_two_tools_of_one_name_are_refused_with_both_places() -> None:
    first, second = _file("first.py", ONE), _file("second.py", ONE)
    with pytest.raises(DuplicateToolError, match=r"two tools are named 'one'"):
        load_tools([first, second])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import nothing_at_all\n", "line 1 with ModuleNotFoundError: No module named"),
        ("x = 1\n\ny = x +\n", "line 3 with SyntaxError: invalid syntax"),
        ("x = 1\nraise ValueError('no')\n", "line 2 with ValueError: no"),
        ("import json\njson.loads('{')\n", "line 2 with JSONDecodeError"),
        ("import sys\nsys.exit(3)\n", "line 2 with SystemExit: 3"),
        ("TOOLS = []\n", "its TOOLS are empty"),
        ("TOOLS = [1]\n", "its TOOLS hold 1, which is no tool"),
        ("TOOLS = 7\n", "must be a list, not a 'int'"),
        ("x = 1\n", "it holds no tool; this is one:"),
    ],
)
def test_a_file_that_gives_no_tools_says_why(text: str, problem: str) -> None:
    with pytest.raises(ToolLoadError) as caught:
        load_tools([_file("own.py", text)])
    assert problem in str(caught.value)


def test_a_file_that_failed_can_be_mended_and_loaded() -> None:
    path = _file("own.py", "raise ValueError\n")
    with pytest.raises(ToolLoadError):
        load_tools([path])
    _file("own.py", ONE)
    assert list(load_tools([path])) == ["one"]


def test_a_function_that_is_no_tool_keeps_its_own_error() -> None:
    text = "from llmcompiler import tool\n\n@tool\ndef f(x: object()) -> int: ...\n"
    with pytest.raises(ToolDefinitionError):
        load_tools([_file("own.py", text)])


def test_a_missing_file_suggests_its_neighbour() -> None:
    _file("weather.py", ONE)
    with pytest.raises(ToolLoadError, match=r"no such file; did you mean 'weather.py'\?"):
        load_tools(["wether.py"])


def test_a_module_is_found_in_the_current_directory() -> None:
    _file("weather_module.py", ONE)
    assert list(load_tools(["weather_module"])) == ["one"]


def test_a_module_whose_own_import_fails_is_not_called_missing() -> None:
    _file("half_module.py", "import nothing_at_all\n")
    with pytest.raises(
        ToolLoadError, match="ModuleNotFoundError: No module named 'nothing_at_all'"
    ):
        load_tools(["half_module"])


def test_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(ToolLoadError, match="did you mean 'units'"):
        load_tools(["untis"])


def test_bundled_tools_come_all_together_by_set_or_one_by_one() -> None:
    everything = load_tools(["bundled"])
    assert everything == bundled_tools()
    assert {"calculate", "convert", "count_words"} <= set(everything)
    assert set(load_tools(["units"])) < set(everything)
    assert list(load_tools(["convert"])) == ["convert"]
    assert load_tools(["convert"])["convert"] is everything["convert"]


# Models and planners


def test_a_server_is_named_by_its_address_and_its_model() -> None:
    llm = load_model("http://localhost:8080/v1#org/qwen3:4b")
    assert isinstance(llm, OpenAILLM)
    assert llm.name == "org/qwen3:4b"
    assert load_model("openai:gpt-9").name == "gpt-9"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "it is empty"),
        ("embeded", "did you mean 'embedded'"),
        ("lcal:x.gguf", "there is no kind of model 'lcal'; did you mean 'local'"),
        ("local:", "nothing follows 'local:'"),
        ("http://localhost:8080/v1", "names no model after '#'"),
        ("https://localhost/v1#", "names no model after '#'"),
        ("qwen.gguf", "a model file is written 'local:qwen.gguf'"),
    ],
)
def test_a_spec_that_cannot_be_read_says_what_to_write(spec: str, problem: str) -> None:
    with pytest.raises(ModelSpecError) as caught:
        load_model(spec)
    assert problem in str(caught.value)
    assert "write 'embedded', 'local:PATH.gguf'" in str(caught.value)


def test_a_model_file_that_is_not_there_is_named() -> None:
    pytest.importorskip("llama_cpp")
    with pytest.raises(ModelFileError, match=r"none\.gguf"):
        load_model("local:none.gguf")


def test_options_that_a_server_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="n_ctx: only a local model has this option"):
        load_model("openai:gpt-9", {"n_ctx": 4096})


def test_an_unknown_option_of_a_local_model_suggests_a_known_one(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    with pytest.raises(ConfigurationError, match="did you mean 'kv_type'"):
        load_model("local:none.gguf", {"kv_typ": "q8_0"})


def test_planners_are_found_by_name() -> None:
    assert hasattr(load_planner("dag"), "turn")
    with pytest.raises(ConfigurationError, match=r"no installed planner 'dga'; did you mean 'dag'"):
        load_planner("dga")


def test_everything_that_is_announced_can_be_loaded() -> None:
    for group in ("tools", "planners", "models"):
        points = installed(group)
        assert points
        for point in points.values():
            assert point.load() is not None
