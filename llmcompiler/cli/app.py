"""Which commands, arguments and options are there, and what does their help say?

It does not know how any of them is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcompiler.cli.exits import ends_well

__all__ = [
    "app",
    "bench_engine",
    "call_tool",
    "doctor",
    "list_tools",
    "options",
    "plan",
    "run",
    "show_tool",
]

app = typer.Typer(
    name="llmcompiler",
    help="Plan an LLM's function calls as a graph, and run it while it is still being written.",
    epilog='Begin with: llmcompiler run "What is 17 * 23?"',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tools_app = typer.Typer(help="Look at tools, and call one without a model.", no_args_is_help=True)
app.add_typer(tools_app, name="tools")

_ASKING = "The model"
_LOCAL = "Local models"
_OUTPUT = "Output"

Request = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST", help="What you want to know; '-' reads it from standard input."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="SPEC",
        envvar="LLMCOMPILER_MODEL",
        help="embedded, local:PATH.gguf, openai:NAME or http://HOST:PORT/v1#NAME.",
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
        "'bundled'.",
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
        help="Bounds planning and tools together (300); then it answers with what there is.",
        rich_help_panel=_ASKING,
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
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output.", rich_help_panel=_OUTPUT)
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no summary.", rich_help_panel=_OUTPUT),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"llmcompiler {version('llmcompiler-runtime')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version


@app.command("run")
def run(
    request: Request,
    model: Model = "embedded",
    tools: Tools = None,
    max_replans: Replans = None,
    timeout: Timeout = None,
    gpu_layers: GpuLayers = None,
    context: Context = None,
    threads: Threads = None,
    option: Options = None,
    events: Events = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Answer a request: plan it, run the plan while it is being written, read the results.

    Progress and a summary go to standard error, the answer to standard output.

    Exit status: 0 answered, 1 failed, 2 wrong usage, 130 interrupted.

    Examples:

    llmcompiler run "How many words are in README.md?"

    llmcompiler run "Is it later in Tokyo or in Lima?" --json --quiet

    llmcompiler run "What is in store?" --tools store.py -m local:qwen3-4b.gguf
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.run import answer

    asked = Asked(
        request, model, tools, max_replans, timeout, gpu_layers, context, threads, option, quiet
    )
    raise typer.Exit(answer(asked, events, as_json=as_json))


@app.command("plan")
def plan(
    request: Request,
    model: Model = "embedded",
    tools: Tools = None,
    max_replans: Replans = None,
    timeout: Timeout = None,
    gpu_layers: GpuLayers = None,
    context: Context = None,
    threads: Threads = None,
    option: Options = None,
    events: Events = None,
    as_json: AsJson = False,
    mermaid: Annotated[
        bool,
        typer.Option(
            "--mermaid", help="Draw the plan as a mermaid flowchart.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write the plan for a request and run nothing of it.

    Examples:

    llmcompiler plan "How many words are in README.md and LICENSE together?"

    llmcompiler plan "What is 3 miles in km, and what time is it in Oslo?" --mermaid
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.plan import show_plan

    asked = Asked(
        request, model, tools, max_replans, timeout, gpu_layers, context, threads, option, quiet
    )
    with ends_well():
        show_plan(asked, events, form="json" if as_json else "mermaid" if mermaid else "text")


@tools_app.command("list")
def list_tools(tools: Tools = None, as_json: AsJson = False) -> None:
    """List tools, one to a line: the bundled ones, or those of --tools."""
    from llmcompiler.cli.tools import list_all

    with ends_well():
        list_all(tools, as_json=as_json)


@tools_app.command("show")
def show_tool(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool's name.")],
    tools: Tools = None,
    as_json: AsJson = False,
) -> None:
    """Show what a tool takes, what it returns, and its limits."""
    from llmcompiler.cli.tools import show

    with ends_well():
        show(name, tools, as_json=as_json)


@tools_app.command("call")
def call_tool(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool's name.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its arguments.")
    ] = None,
    args: Annotated[
        str | None, typer.Option("--args", metavar="JSON", help="Its arguments as one JSON object.")
    ] = None,
    tools: Tools = None,
    model: Model = "embedded",
) -> None:
    """Call a tool and print its result as JSON. A model is loaded only if the tool asks for one.

    Examples:

    llmcompiler tools call convert value=3 from_unit=mile to_unit=kilometer

    llmcompiler tools call total --args '{"values": [1, 2, 3]}'
    """
    from llmcompiler.cli.tools import call

    with ends_well():
        call(name, values or [], args, tools, model)


@app.command("options")
def options(as_json: AsJson = False) -> None:
    """List the options of local models: for --option, for YAML, and for EngineOptions in Python.

    The variable LLMCOMPILER_OPTIONS holds those that always count, with blanks between.

    Examples:

    llmcompiler run "What is 3 miles in km?" -m local:qwen3-4b.gguf -o kv_type=q8_0 -o cache_dir=cache

    LLMCOMPILER_OPTIONS="threads=4 reproducible=true" llmcompiler run "What is 17 * 23?"
    """
    from llmcompiler.cli.options import list_options

    with ends_well():
        list_options(as_json=as_json)


@app.command("doctor")
def doctor(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="SPEC", help="A model to look at as well."),
    ] = None,
    option: Options = None,
    as_json: AsJson = False,
) -> None:
    """Look at Python, compiler, llama.cpp, GPU and models, and say what to do about each.

    Exit status 1 if something that was asked for cannot work.
    """
    from llmcompiler.cli.ask import named_values
    from llmcompiler.cli.doctor import report

    with ends_well():
        status = report(model, named_values(option or (), "--option"), as_json=as_json)
    raise typer.Exit(status)


@app.command("bench-engine")
def bench_engine(
    model: Annotated[
        str, typer.Argument(metavar="MODEL.gguf", help="The model; 'embedded' is the bundled one.")
    ],
    streams: Annotated[
        str, typer.Option("--streams", metavar="1,2,…", help="How many requests at once.")
    ] = "1,2,4,8,16",
    quick: Annotated[bool, typer.Option("--quick", help="Shorter, and less exact.")] = False,
    gpu_layers: GpuLayers = None,
    context: Context = None,
    threads: Threads = None,
    option: Options = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how fast this machine runs a model: prompts, replies, first token, many at once.

    Progress goes to standard error, the figures to standard output. Other programs that compute
    meanwhile make them worse.

    Examples:

    llmcompiler bench-engine qwen3-4b.gguf

    llmcompiler bench-engine embedded --quick --json
    """
    from llmcompiler.cli.ask import local_options
    from llmcompiler.cli.bench import bench_engine as measure

    with ends_well():
        chosen = local_options(gpu_layers, context, threads, option)
        measure(model, chosen, streams, quick=quick, as_json=as_json, quiet=quiet)
