"""What may stand in a workflow file? Every key with its type, default and meaning.

It does not know YAML, expressions or tools.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from llmcompiler.limits import Limits
from llmcompiler.types import Type, problem
from llmcompiler.workflow.inputs import InputSpec, SchemaSpec
from llmcompiler.workflow.mistakes import describe_mistakes
from llmcompiler.workflow.parts import (
    VARIABLE,
    Count,
    Duration,
    Maybe,
    Name,
    OneOrMore,
    Part,
    Some,
    Text,
    Variable,
    short,
)
from llmcompiler.workflow.problems import Problem
from llmcompiler.workflow.reading import Source
from llmcompiler.workflow.step_model import (
    FallbackSpec,
    ForEachSpec,
    OnError,
    RepeatSpec,
    RetryLike,
    RetrySpec,
    StepSpec,
)

__all__ = [
    "Defaults",
    "FallbackSpec",
    "ForEachSpec",
    "InputSpec",
    "LimitsSpec",
    "ModelSpec",
    "OnError",
    "RepeatSpec",
    "RetrySpec",
    "SchemaSpec",
    "StepSpec",
    "WorkflowFile",
    "load_model",
]


def _variables(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(isinstance(one, str) for one in value):
        raise ValueError("must be a list of names, or an object of names and defaults")
    return dict.fromkeys(value)


class ModelSpec(Part):
    """A language model by name; a text alone is `use`."""

    called: ClassVar[str] = "a model"

    use: Text = Field(
        description="Which model: `embedded`, `local:PATH.gguf`, `openai:NAME` or "
        "`http://HOST:PORT/v1#NAME`. Expressions may read `env`, `secrets` and `inputs`.",
        examples=["local:${{ env.GGUF }}"],
    )
    gpu_layers: Maybe[Annotated[int, Field(ge=-1)]] = Field(
        default=None,
        description="How many layers a local model has on the GPU; -1: all.",
        examples=[-1],
    )
    context: Maybe[Some] = Field(
        default=None,
        description="How many tokens a request to a local model may have.",
        examples=[8192],
    )
    threads: Maybe[Some] = Field(
        default=None, description="How many processor cores a local model uses.", examples=[4]
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Further options of the engine or the endpoint, by its own names.",
        examples=[{"kv_type": "q8_0"}],
    )

    def engine_options(self) -> dict[str, Any]:
        """Return everything but `use`, by the engine's names."""
        named = {"n_gpu_layers": self.gpu_layers, "n_ctx": self.context, "threads": self.threads}
        return {**{key: one for key, one in named.items() if one is not None}, **self.options}


class Defaults(Part):
    """What holds for every step that does not say otherwise."""

    called: ClassVar[str] = "the defaults"

    timeout: Maybe[Duration] = Field(
        default=None, description="How long one try of a step may take.", examples=["10s"]
    )
    retry: Maybe[RetryLike] = Field(
        default=None,
        description="Whether and when a step is tried again; not for steps that write, unless "
        "their tool is idempotent.",
        examples=[{"limit": 2, "delay": "200ms", "backoff": "exponential"}],
    )
    on_error: OnError = Field(default="fail", description="What a failure does.", examples=["skip"])


class LimitsSpec(Part):
    """What a run may use."""

    called: ClassVar[str] = "the limits"

    seconds: Maybe[Duration] = Field(
        default=None,
        description="How long a run may take; without it, 5 minutes.",
        examples=["1m30s"],
    )
    tool_calls: Maybe[Some] = Field(
        default=None, description="How many calls of tools there may be.", examples=[50]
    )
    model_calls: Maybe[Some] = Field(
        default=None, description="How many calls of models there may be.", examples=[20]
    )
    tokens: Maybe[Some] = Field(
        default=None, description="How many tokens may be computed.", examples=[100_000]
    )
    cost: Maybe[Annotated[float, Field(gt=0)]] = Field(
        default=None,
        description="What the models may cost, in the currency of the prices.",
        examples=[0.5],
    )
    replans: Maybe[Count] = Field(
        default=None, description="How often a model may plan anew.", examples=[2]
    )
    concurrency: Maybe[Some] = Field(
        default=None, description="How many steps run at once; without it, 128.", examples=[8]
    )

    def as_limits(self, others: Limits | None = None) -> Limits:
        """Return `others`, or the defaults, with what is said here."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return replace(others or Limits(), **said)


_ENV_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": {"type": "string", "pattern": VARIABLE}},
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    ]
}


class WorkflowFile(Part):
    """A workflow: steps that run in parallel as far as what they refer to lets them.

    Keys at the top that begin with `x-` are left alone: a place for anchors.
    """

    called: ClassVar[str] = "a workflow"

    version: Literal[1] = Field(
        default=1, description="The version of this language.", examples=[1]
    )
    name: Maybe[Text] = Field(
        default=None, description="What the workflow is called.", examples=["city-briefing"]
    )
    description: Maybe[str] = Field(
        default=None, description="What it does.", examples=["Weather and news for a few cities"]
    )
    inputs: dict[Name, InputSpec] = Field(
        default_factory=dict,
        description="What a run is given, by name; read as `${{ inputs.NAME }}`.",
        examples=[{"cities": {"type": "array", "items": {"type": "string"}}}],
    )
    env: Annotated[
        dict[Variable, str | None], BeforeValidator(_variables), WithJsonSchema(_ENV_SCHEMA)
    ] = Field(
        default_factory=dict,
        description="The environment variables that are read, as a list of names, or by name with "
        "a default; read as `${{ env.NAME }}`.",
        examples=[["GGUF"]],
    )
    secrets: Annotated[tuple[Variable, ...], Strict(False)] = Field(
        default=(),
        description="The environment variables that are secret: no log, trace or model shows "
        "them; read as `${{ secrets.NAME }}`.",
        examples=[["MAIL_KEY"]],
    )
    models: dict[Name, Annotated[ModelSpec, short("use", str)]] = Field(
        default_factory=dict,
        description="The language models that steps name.",
        examples=[{"planner": {"use": "embedded"}}],
    )
    tools: OneOrMore = Field(
        default=(),
        description="Where tools come from: files beside this one, and installed ones by name; "
        "another workflow's file is a tool as well. Without it, the bundled ones.",
        examples=[["./my_tools.py", "web"]],
    )
    defaults: Defaults = Field(
        default_factory=Defaults,
        description="What holds for every step that does not say otherwise.",
        examples=[{"timeout": "10s", "on_error": "skip"}],
    )
    steps: Annotated[dict[Name, StepSpec], Field(min_length=1)] = Field(
        description="The steps by name. Their order means nothing: a step runs as soon as those "
        "that it refers to have ended.",
        examples=[{"news": {"uses": "search", "with": {"query": "Oslo"}}}],
    )
    outputs: dict[str, Any] = Field(
        default_factory=dict,
        description="What a run gives back, by name.",
        examples=[{"text": "${{ steps.compare.output.text }}"}],
    )
    limits: LimitsSpec = Field(
        default_factory=LimitsSpec,
        description="What a run may use.",
        examples=[{"seconds": 60, "tool_calls": 50}],
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            key: value
            for key, value in data.items()
            if not (isinstance(key, str) and key.startswith("x-"))
        }


def load_model(source: Source) -> tuple[WorkflowFile | None, list[Problem]]:
    """Read a workflow file's data into its model; return it with all that is wrong, in order.

    The model is None where the data does not fit it. What `source` has to report is among the
    problems.
    """
    try:
        file = WorkflowFile.model_validate(source.data, by_alias=True, by_name=False)
    except ValidationError as error:
        found = describe_mistakes(error, WorkflowFile, source)
        # What is said of a key when the text is read need not be said again of its name.
        known = {(one.line, one.column) for one in source.problems}
        others = (one for one in found if (one.line, one.column) not in known)
        return None, sorted([*source.problems, *others])
    problems = [*source.problems]
    for name, one in file.inputs.items():
        if "default" in one.model_fields_set:
            said = problem(one.default, Type.of(one.as_schema()), f"the default of {name!r}")
            if said is not None:
                problems.append(source.problem(("inputs", name, "default"), said))
    return file, sorted(problems)
