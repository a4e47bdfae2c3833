"""Which options do ``run`` and ``plan`` share, and what does their help say?

It does not know what becomes of their values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Approve",
    "AsJson",
    "Cache",
    "Context",
    "Events",
    "File",
    "GpuLayers",
    "Input",
    "InputFile",
    "Limit",
    "Model",
    "NoPass",
    "Options",
    "Page",
    "Pass",
    "Prices",
    "Quiet",
    "Replans",
    "Request",
    "Threads",
    "Timeout",
    "Tools",
    "Trace",
    "Workflow",
    "Workflows",
]

_WORKFLOW = "A workflow"
_ASKING = "The model"
_RUNNING = "The plan"
_LOCAL = "Local models"
_OUTPUT = "Output"

Request = Annotated[
    str | None,
    typer.Argument(
        metavar="REQUEST|FILE.yaml",
        help="What you want to know ('-' reads it from standard input), or a workflow file that is "
        "there.",
        show_default=False,
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A workflow file, whatever its name.",
        rich_help_panel=_WORKFLOW,
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=VALUE",
        help="An input of the workflow, repeatable; read by its declared type: 'no' is false for a "
        "boolean, lists and objects are JSON.",
        rich_help_panel=_WORKFLOW,
    ),
]
InputFile = Annotated[
    Path | None,
    typer.Option(
        "--input-file",
        metavar="FILE.json|FILE.yaml",
        help="Inputs by name; '-' reads JSON from standard input. --input counts more.",
        rich_help_panel=_WORKFLOW,
    ),
]
Workflows = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflow files.")]
Workflow = Annotated[Path, typer.Argument(metavar="FILE", help="A workflow file.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="SPEC",
        envvar="LLMCOMPILER_MODEL",
        help="embedded, local:PATH.gguf, openai:NAME or http://HOST:PORT/v1#NAME. Given here, it "
        "replaces every model that a workflow names.",
        rich_help_panel=_ASKING,
    ),
]
Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tools",
        "-t",
        metavar="FILE.py|MODULE|NAME",
        help="Tools to plan with, repeatable. They replace the bundled tools unless one of them is "
        "'bundled'. A workflow names its own.",
        rich_help_panel=_ASKING,
    ),
]
Replans = Annotated[
    int | None,
    typer.Option(
        "--max-replans",
        min=0,
        metavar="N",
        help="How often the model may ask for more steps (2).",
        rich_help_panel=_ASKING,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Bounds planning and tools together (300); then it answers with what there is. A "
        "workflow ends with it.",
        rich_help_panel=_ASKING,
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="Any limit of the run, repeatable: tool_calls=20, model_calls=4, tokens=50000, "
        "mends=0, result_chars=4000, concurrency=8; null is no limit.",
        rich_help_panel=_ASKING,
    ),
]
Prices = Annotated[
    str | None,
    typer.Option(
        "--price",
        metavar="PROMPT,COMPLETION",
        help="What a million tokens cost, for the summary and for --limit cost=…",
        rich_help_panel=_ASKING,
    ),
]
Approve = Annotated[
    list[str] | None,
    typer.Option(
        "--approve",
        metavar="TOOL|all",
        help="Approve every call of this tool that needs it, repeatable. Of others you are asked; "
        "where there is no terminal they are denied, and the model reads why.",
        rich_help_panel=_RUNNING,
    ),
]
Pass = Annotated[
    list[str] | None,
    typer.Option(
        "--pass",
        metavar="NAME",
        help="Turn a pass on, repeatable: hedge calls a slow tool a second time.",
        rich_help_panel=_RUNNING,
    ),
]
NoPass = Annotated[
    list[str] | None,
    typer.Option(
        "--no-pass",
        metavar="NAME",
        help="Turn a pass off, repeatable: merge, cache, drop, bulk, order.",
        rich_help_panel=_RUNNING,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        help="Keep results of pure tools, and how long each tool takes, for later runs.",
        rich_help_panel=_RUNNING,
    ),
]
GpuLayers = Annotated[
    int | None,
    typer.Option(
        "--gpu-layers",
        metavar="N",
        help="Layers on the GPU; -1 is all of them, where build and machine can (-1).",
        rich_help_panel=_LOCAL,
    ),
]
Context = Annotated[
    int | None,
    typer.Option(
        "--context",
        metavar="TOKENS",
        help="The most tokens of a request (the model's own, as memory allows).",
        rich_help_panel=_LOCAL,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", help="Threads to compute with.", rich_help_panel=_LOCAL),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=VALUE",
        help="Any other option, repeatable: kv_type=q8_0, n_seq=8, tensor_split=[3,1]. All of them: "
        "llmcompiler options.",
        rich_help_panel=_LOCAL,
    ),
]
Events = Annotated[
    Path | None,
    typer.Option(
        "--events",
        metavar="FILE.jsonl",
        help="Write every event to this file as it happens.",
        rich_help_panel=_OUTPUT,
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE.json",
        help="Write when each step and turn ran, for ui.perfetto.dev or chrome://tracing.",
        rich_help_panel=_OUTPUT,
    ),
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--page",
        metavar="FILE.html",
        help="Draw it as a page for a browser: graph, timeline, every step.",
        rich_help_panel=_OUTPUT,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output.", rich_help_panel=_OUTPUT)
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no summary.", rich_help_panel=_OUTPUT),
]
