"""The JSON Schema for editors: it says of files what loading them says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter, ValidationError

from llmcompiler import tool
from llmcompiler.toolbox import Toolbox
from llmcompiler.workflow.mistakes import keys_of, kind_of_field
from llmcompiler.workflow.model import WorkflowFile, load_model
from llmcompiler.workflow.parts import Part
from llmcompiler.workflow.reading import read
from llmcompiler.workflow.reference import reference
from llmcompiler.workflow.schema import json_schema
from tests.workflow.test_model import WHOLE

ROOT = Path(__file__).parents[2]


class Point(BaseModel):
    lat: float
    lon: float
    around: list[Point] = []


@tool
def forecast(at: Point, hours: int = 24, unit: Literal["C", "F"] = "C") -> str:
    """What the weather will be.

    Args:
        at: where
        hours: how far ahead
        unit: of the temperatures
    """
    return f"{at} {hours} {unit}"


@tool
def search(query: str) -> list[str]:
    """Search the web.

    Args:
        query: what to look for
    """
    return [query]


TOOLS = Toolbox([forecast, search])
LLM = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "model": {"type": "string"}},
    "required": ["prompt"],
    "additionalProperties": False,
}


def wrong(text: str, toolbox: Toolbox | None = None, **built_in: Any) -> list[str]:
    schema = json_schema(toolbox, built_in)
    Draft202012Validator.check_schema(schema)
    found = Draft202012Validator(schema).iter_errors(read(text, "w.yaml").data)
    return sorted("/".join(map(str, error.absolute_path)) for error in found)


def step(text: str) -> str:
    return f"steps: {{a: {text}}}"


def test_a_whole_file_fits() -> None:
    assert wrong(WHOLE) == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("workflows/*.yaml")), ids=str)
def test_every_example_fits(path: Path) -> None:
    assert wrong(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (step("{uses: x, wiht: {}}"), ["steps/a"]),
        (step("{with: {}}"), ["steps/a"]),
        (step("{uses: x, timeout: 10 seconds}"), ["steps/a/timeout"]),
        (step("{uses: x, timeout: }"), ["steps/a/timeout"]),
        (step("{uses: x, on_error: contine}"), ["steps/a/on_error"]),
        (step("{uses: x, retry: -1}"), ["steps/a/retry"]),
        ("steps: {}", ["steps"]),
        ("steps: {1x: {uses: x}}", ["steps"]),
        ("name: x", [""]),
        (f"{step('{uses: x}')}\nnam: x", [""]),
    ],
)
def test_what_loading_refuses_the_schema_refuses(text: str, where: list[str]) -> None:
    assert wrong(text) == where
    assert load_model(read(text, "w.yaml"))[0] is None


@pytest.mark.parametrize(
    "text",
    [
        "{uses: search, with: {query: Oslo}}",
        "{uses: search, with: {query: '${{ inputs.q }}'}}",
        "{uses: forecast, with: {at: '${{ steps.b.output }}', hours: '${{ inputs.h }}'}}",
        "{uses: forecast, with: {at: {lat: '${{ item }}', lon: 1}, unit: F}}",
        "{uses: forecast, with: {at: {lat: 1, lon: 1, around: [{lat: 1, lon: '${{ item }}'}]}}}",
        "{uses: search, with: {query: x}, fallback: search}",
        "{uses: search, with: {query: x}, fallback: {uses: forecast}}",
        "{uses: ./other.yaml, with: {anything: 1}}",
        "{uses: ../shared/other.yml}",
        "{uses: llm, with: {prompt: hello}}",
        "{uses: agent, with: {request: hello}}",
    ],
)
def test_calls_of_tools_with_values_and_expressions_fit(text: str) -> None:
    assert wrong(step(text), TOOLS, llm=LLM) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{uses: serch, with: {query: x}}", ["steps/a/uses"]),
        ("{uses: search}", ["steps/a"]),
        ("{uses: search, with: {}}", ["steps/a/with"]),
        ("{uses: search, with: {query: x, more: 1}}", ["steps/a/with"]),
        ("{uses: search, with: {query: 5}}", ["steps/a/with/query"]),
        ("{uses: forecast, with: {at: {lat: 1}}}", ["steps/a/with/at"]),
        ("{uses: forecast, with: {at: {lat: x, lon: 1}}}", ["steps/a/with/at"]),
        ("{uses: forecast, with: {at: '${{ x }}', hours: many}}", ["steps/a/with/hours"]),
        ("{uses: forecast, with: {at: '${{ x }}', unit: K}}", ["steps/a/with/unit"]),
        ("{uses: search, with: {query: x}, fallback: serch}", ["steps/a/fallback"]),
        ("{uses: search, with: {query: x}, fallback: {uses: search, with: {q: 1}}}", ["steps/a/fallback"]),
        ("{uses: llm, with: {prompts: hello}}", ["steps/a/with", "steps/a/with"]),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit_their_tool_are_refused(text: str, where: list[str]) -> None:
    assert wrong(step(text), TOOLS, llm=LLM) == where


def test_without_tools_any_name_may_be_used() -> None:
    assert wrong(step("{uses: whatever, with: {x: 1}}")) == []


def test_an_editor_is_told_what_every_key_and_every_tool_is_for() -> None:
    schema = json_schema(TOOLS)
    steps = schema["$defs"]["StepSpec"]
    assert all(one["description"] for one in steps["properties"].values())
    names = {one.get("const"): one["description"] for one in steps["properties"]["uses"]["anyOf"]}
    assert names["search"] == "Search the web."
    assert {"agent", "llm", "forecast"} <= names.keys()
    query = steps["allOf"][1]["then"]["properties"]["with"]["properties"]["query"]
    assert query["description"] == "what to look for"


def test_the_schema_is_json_and_the_same_every_time() -> None:
    assert json.dumps(json_schema(TOOLS)) == json.dumps(json_schema(Toolbox([search, forecast])))


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    schema = json_schema(TOOLS)

    def check(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert value["$ref"].removeprefix("#/$defs/") in schema["$defs"]
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)

    check(schema)


def parts(kind: type[Part] = Part) -> list[type[Part]]:
    return [one for part in kind.__subclasses__() for one in (part, *parts(part))]


@pytest.mark.parametrize("part", [one for one in parts() if hasattr(one, "called")], ids=str)
def test_every_key_is_described_and_its_examples_are_right(part: type[Part]) -> None:
    for key, field in keys_of(part).items():
        assert field.description, key
        assert field.description.endswith("."), key
        assert field.examples, key
        for example in field.examples:
            TypeAdapter(kind_of_field(field)).validate_python(example)


_WHATEVER = Draft202012Validator(json_schema())
_KEYS = [key for one in parts() if hasattr(one, "called") for key in keys_of(one)]
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 2.5, "", "x", "10s", "fail", "always", "string"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3)
        | st.fixed_dictionaries({"uses": inner}, optional=dict.fromkeys(("with", "if"), inner))
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(WorkflowFile.model_fields)), _VALUES, max_size=5))
def test_the_schema_and_the_models_agree_on_whatever_stands_in_a_file(data: Any) -> None:
    data = {"steps": {"a": {"uses": "x"}}, **data}
    fits = _WHATEVER.is_valid(data)
    try:
        WorkflowFile.model_validate(data, by_alias=True, by_name=False)
    except ValidationError:
        assert not fits, data
    else:
        assert fits, data


# The page of reference


def test_the_page_of_reference_holds_every_key_of_every_part() -> None:
    page = reference()
    for part in parts():
        if hasattr(part, "called"):
            for key, field in keys_of(part).items():
                assert f"| `{key}` |" in page, key
                assert str(field.description).replace("|", r"\|") in page


def test_every_example_on_the_page_is_yaml() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    examples = [row.split(" | ")[-1].removesuffix(" |").strip("`") for row in rows]
    assert len(examples) >= 60
    for example in examples:
        assert read(example.replace(r"\|", "|"), "w.yaml").problems == (), example


def test_every_link_on_the_page_leads_to_a_heading() -> None:
    page = reference()
    headings = {
        line.removeprefix("## ").lower().replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("## ")
    }
    links = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert links
    assert links <= headings


def test_the_page_in_the_documentation_is_the_one_that_is_written() -> None:
    page = ROOT / "docs" / "workflows.md"
    if not page.exists():
        pytest.skip("docs/workflows.md is not there")
    assert page.read_text("utf-8") == reference(), (
        "write it anew: see llmcompiler.workflow.reference"
    )
