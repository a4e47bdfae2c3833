"""Which keys does a workflow file have? The page of reference, written from the models.

It does not know what the keys mean: the models say it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from llmcompiler.types import Type, describe
from llmcompiler.workflow.durations import write_duration
from llmcompiler.workflow.inputs import InputSpec, SchemaSpec
from llmcompiler.workflow.mistakes import branches, keys_of, kind_of_field
from llmcompiler.workflow.model import Defaults, LimitsSpec, ModelSpec, WorkflowFile
from llmcompiler.workflow.parts import DURATION_TITLE, EXPRESSION_TITLE, Part
from llmcompiler.workflow.schema import Plain
from llmcompiler.workflow.step_model import (
    FallbackSpec,
    ForEachSpec,
    RepeatSpec,
    RetrySpec,
    StepSpec,
)

__all__ = ["reference"]

_PARTS: Final[tuple[type[Part], ...]] = (
    WorkflowFile,
    InputSpec,
    SchemaSpec,
    ModelSpec,
    Defaults,
    StepSpec,
    ForEachSpec,
    RepeatSpec,
    RetrySpec,
    FallbackSpec,
    LimitsSpec,
)
_OPENING: Final = """\
# Workflow files, key by key

This page is written from the models that read workflow files; `llmcompiler schema` writes the same
for editors.

A duration is a text as `10s`, `200ms`, `1m30s` or `2h`, or a number of seconds. Files are YAML 1.2:
`no` and `on` are texts. Anchors, aliases and merge keys (`<<`) work.
"""


def reference() -> str:
    """Return the page, as Markdown."""
    return "\n".join([_OPENING, *(line for part in _PARTS for line in _section(part))])


def _section(part: type[Part]) -> Iterator[str]:
    yield f"## {_heading(part)}\n"
    yield _flat(part.__doc__ or "") + "\n"
    keys = keys_of(part)
    if part is SchemaSpec:
        others = keys_of(InputSpec)
        keys = {
            key: field
            for key, field in keys.items()
            if field.description != others[key].description
        }
        yield f"Its keys are those of {_link(InputSpec)}, apart from:\n"
    yield "| Key | Value | Default | Meaning | Example |"
    yield "|---|---|---|---|---|"
    for key, field in keys.items():
        cells = (f"`{key}`", _kind(field), _default(field), field.description or "")
        yield "| " + " | ".join(map(_cell, (*cells, _example(key, field)))) + " |"
    yield ""


def _heading(part: type[Part]) -> str:
    return part.called[:1].upper() + part.called[1:]


def _link(part: type[Part]) -> str:
    anchor = re.sub(r"[^a-z0-9_ -]", "", _heading(part).lower()).replace(" ", "-")
    return f"[{part.called}](#{anchor})"


def _flat(text: str) -> str:
    return re.sub(r"(?<!\n)\n[ ]*(?!\n)", " ", "\n".join(map(str.strip, text.strip().splitlines())))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _kind(field: FieldInfo) -> str:
    """Say what a value may be, with links to the parts that it is made of."""
    kind = kind_of_field(field)
    schema = TypeAdapter(kind).json_schema(schema_generator=Plain)
    if schema.get("title") == DURATION_TITLE:
        return DURATION_TITLE
    said = re.sub(r'"(\w+)"', r"`\1`", describe(Type.of(schema)))
    if schema.get("title") == EXPRESSION_TITLE:
        said = said.replace("a text", EXPRESSION_TITLE)
    inner = next(_parts_of(kind), None)
    if inner is None:
        return said
    of = "an object, each value of which is " if _is_map(kind) else ""
    return said.replace("an object", f"{of}{_link(inner)}")


def _is_map(kind: Any) -> bool:
    return any(get_origin(one) is dict for one in branches(kind))


def _parts_of(kind: Any) -> Iterator[type[Part]]:
    for one in branches(kind):
        if isinstance(one, type) and issubclass(one, BaseModel):
            if issubclass(one, Part):
                yield one
        elif get_origin(one) is dict:
            yield from _parts_of(get_args(one)[1])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == () or value == {} or isinstance(value, BaseModel):
        return ""
    timed = isinstance(value, float) and _kind(field) == DURATION_TITLE
    return f"`{write_duration(value) if timed else _yaml(value)}`"


def _example(key: str, field: FieldInfo) -> str:
    return f"`{key}: {_yaml((field.examples or [''])[0])}`"


def _yaml(value: Any) -> str:
    """Write a value in YAML, on one line."""
    writer = YAML(typ="rt", pure=True)
    writer.default_flow_style = True
    writer.width = 10_000
    text = io.StringIO()
    writer.dump(value, text)
    return text.getvalue().removesuffix("...\n").strip()
