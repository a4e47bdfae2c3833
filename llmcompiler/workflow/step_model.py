"""What may stand in a step of a workflow? Every key with its type, default and meaning.

It does not know the file around it, expressions or tools.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, PlainValidator, WithJsonSchema

from llmcompiler.retry import Retry
from llmcompiler.workflow.parts import (
    Condition,
    Count,
    Duration,
    Maybe,
    OneOrMore,
    Part,
    Some,
    Text,
    Wait,
    short,
)

__all__ = [
    "FallbackSpec",
    "ForEachSpec",
    "OnError",
    "RepeatSpec",
    "RetryLike",
    "RetrySpec",
    "StepSpec",
]

OnError: TypeAlias = Literal["fail", "continue", "skip", "replan"]


def _always(value: Any) -> bool:
    if value == "always" or value is True:
        return True
    if value is False:
        return False
    raise ValueError("must be 'always', true or false")


def _elements(value: Any) -> Any:
    if not isinstance(value, str | list | dict) or value == "":
        raise ValueError("must be an expression, a list or an object")
    return value


class RetrySpec(Part):
    """Whether and when a step that failed is tried again; a number alone is the `limit`."""

    called: ClassVar[str] = "a retry"

    limit: Count = Field(
        description="How many more times a failed step is tried; 0: never.", examples=[2]
    )
    delay: Wait = Field(
        default=0.2, description="How long to wait before the first new try.", examples=["200ms"]
    )
    backoff: Literal["constant", "linear", "exponential"] = Field(
        default="exponential",
        description="How the wait grows: it stays (`constant`), grows by the delay each time "
        "(`linear`), or doubles (`exponential`).",
        examples=["exponential"],
    )
    jitter: Wait = Field(
        default=0.0, description="Up to how much longer to wait, by chance.", examples=["100ms"]
    )
    max_delay: Maybe[Duration] = Field(
        default=None,
        description="The longest wait; without it a minute, or the delay where that is longer.",
        examples=["10s"],
    )
    on: OneOrMore = Field(
        default=(),
        description="The kinds of errors that are worth a new try, as a name or a list of them; "
        "without it, all.",
        examples=[["TimeoutError", "ToolTimeoutError"]],
    )

    def as_retry(self) -> Retry:
        """Return it as the executor's value."""
        return Retry(
            attempts=self.limit,
            delay=self.delay,
            factor=2.0 if self.backoff == "exponential" else 1.0,
            ceiling=max(60.0, self.delay) if self.max_delay is None else self.max_delay,
            jitter=self.jitter,
            linear=self.backoff == "linear",
            on=self.on,
        )


RetryLike: TypeAlias = Annotated[RetrySpec, short("limit", int)]


class ForEachSpec(Part):
    """One run of a step for every element, in parallel; an expression or a list alone is `in`."""

    called: ClassVar[str] = "for_each"

    in_: Annotated[
        Any,
        PlainValidator(_elements),
        WithJsonSchema({"type": ["string", "array", "object"]}),
    ] = Field(
        validation_alias="in",
        serialization_alias="in",
        description="The elements: an expression that gives a list or an object, or these "
        "themselves. `${{ item }}` is the element; of an object, `item.key` and `item.value`.",
        examples=["${{ inputs.cities }}"],
    )
    limit: Maybe[Some] = Field(
        default=None, description="How many of them run at once; without it, all.", examples=[4]
    )


class RepeatSpec(Part):
    """A step that runs again until its output is as it should be."""

    called: ClassVar[str] = "repeat"

    until: Condition = Field(
        description="The condition that ends it; `output` is what the step just gave.",
        examples=["${{ output.done }}"],
    )
    limit: Some = Field(description="How many times it runs at most.", examples=[5])
    delay: Wait = Field(
        default=0.0, description="How long to wait between two runs.", examples=["1s"]
    )


class FallbackSpec(Part):
    """What is run in a step's place when it failed; a name alone is `uses`."""

    called: ClassVar[str] = "a fallback"

    uses: Text = Field(
        description="A tool, `agent`, `llm` or a workflow file, as in a step.",
        examples=["search_archive"],
    )
    with_: Maybe[dict[str, Any]] = Field(
        default=None,
        validation_alias="with",
        serialization_alias="with",
        description="Its arguments; without them, those of the step.",
        examples=[{"query": "${{ inputs.topic }}"}],
    )
    timeout: Maybe[Duration] = Field(
        default=None, description="How long one try may take.", examples=["10s"]
    )
    retry: Maybe[RetryLike] = Field(
        default=None, description="Whether and when it is tried again.", examples=[1]
    )


class StepSpec(Part):
    """One call of a tool, a model, an agent or another workflow."""

    called: ClassVar[str] = "a step"

    uses: Text = Field(
        description="What the step does: the name of a tool, `agent`, `llm`, or another workflow "
        "as `./other.yaml`.",
        examples=["search"],
    )
    with_: dict[str, Any] = Field(
        default_factory=dict,
        validation_alias="with",
        serialization_alias="with",
        description="The arguments by name: values, and expressions in `${{ }}`.",
        examples=[{"query": "${{ inputs.topic }}"}],
    )
    needs: OneOrMore = Field(
        default=(),
        description="Steps that must have ended before this one, beside those that it refers to.",
        examples=[["news"]],
    )
    if_: Maybe[Condition] = Field(
        default=None,
        validation_alias="if",
        serialization_alias="if",
        description="The step is skipped where this is false. It is asked when all steps before "
        "it are ok, unless it calls `always()`, `failure()` (one of the steps before it failed, "
        "however far) or `success()` (all that it needs or refers to are ok).",
        examples=["${{ steps.compare.output.severe }}"],
    )
    for_each: Maybe[Annotated[ForEachSpec, short("in", str, list)]] = Field(
        default=None,
        description="Run the step once for every element, in parallel; its output is the list of "
        "their outputs, in order.",
        examples=["${{ inputs.cities }}"],
    )
    repeat: Maybe[RepeatSpec] = Field(
        default=None,
        description="Run the step again until a condition holds.",
        examples=[{"until": "${{ output.done }}", "limit": 5}],
    )
    on_error: Maybe[OnError] = Field(
        default=None,
        description="What a failure does: the workflow ends as failed, while steps that do not "
        "depend on this one run on (`fail`); what depends on the step runs and reads null "
        "(`continue`); what depends on it is skipped (`skip`); or a model is asked to reach the "
        "same by other means (`replan`). `skip` and `continue` leave the workflow finished.",
        examples=["continue"],
    )
    timeout: Maybe[Duration] = Field(
        default=None,
        description="How long one try may take; with `repeat`, one of its runs.",
        examples=["10s"],
    )
    retry: Maybe[RetryLike] = Field(
        default=None,
        description="Whether and when the step is tried again after a failure. Not for tools that "
        "write, unless they are idempotent.",
        examples=[{"limit": 2, "delay": "200ms"}],
    )
    approve: Maybe[
        Annotated[bool, PlainValidator(_always), WithJsonSchema({"enum": ["always", True, False]})]
    ] = Field(
        default=None,
        description="Whether somebody must agree before the step, or its fallback, runs; without "
        "it, the tool's own rule. `always` and true are one. With false nobody is asked, whatever "
        "the tool says; a policy of whoever runs the workflow still holds.",
        examples=["always"],
    )
    fallback: Maybe[Annotated[FallbackSpec, short("uses", str)]] = Field(
        default=None,
        description="What is run in its place when all tries failed.",
        examples=[{"uses": "search_archive"}],
    )
    cache: Maybe[bool] = Field(
        default=None,
        description="Whether the result is kept for further runs with the same arguments; "
        "without it, where the tool is pure.",
        examples=[True],
    )
    name: Maybe[Text] = Field(
        default=None,
        description="What to call the step where it is shown.",
        examples=["Weather of today"],
    )
    description: Maybe[str] = Field(
        default=None, description="What the step is for.", examples=["Finds where each town is."]
    )
