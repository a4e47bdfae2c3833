"""Which commands, arguments and options are there, and what does their help say?

It does not know how any of them is done.
"""

from __future__ import annotations

from typing import Annotated

import typer

from llmcompiler.cli import parameters as given
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
    request: given.Request,
    model: given.Model = "embedded",
    tools: given.Tools = None,
    max_replans: given.Replans = None,
    timeout: given.Timeout = None,
    limit: given.Limit = None,
    price: given.Prices = None,
    approve: given.Approve = None,
    pass_: given.Pass = None,
    no_pass: given.NoPass = None,
    cache: given.Cache = None,
    gpu_layers: given.GpuLayers = None,
    context: given.Context = None,
    threads: given.Threads = None,
    option: given.Options = None,
    events: given.Events = None,
    trace: given.Trace = None,
    page: given.Page = None,
    as_json: given.AsJson = False,
    quiet: given.Quiet = False,
) -> None:
    """Answer a request: plan it, run the plan while it is being written, read the results.

    Progress and a summary go to standard error, the answer to standard output. Before a step that
    needs approval you are asked; what does not depend on it goes on meanwhile.

    Exit status: 0 answered, 1 failed, 2 wrong usage, 130 interrupted.

    Examples:

    llmcompiler run "How many words are in README.md?"

    llmcompiler run "Is it later in Tokyo or in Lima?" --json --quiet

    llmcompiler run "What is in store?" --tools store.py -m local:qwen3-4b.gguf

    llmcompiler run "Mail the total to Ann." --tools store.py --approve send_mail --page run.html
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.run import Wanted, answer

    asked = Asked(
        request=request,
        model=model,
        tools=tools,
        max_replans=max_replans,
        timeout=timeout,
        limit=limit,
        price=price,
        on=pass_,
        off=no_pass,
        cache=cache,
        gpu_layers=gpu_layers,
        context=context,
        threads=threads,
        option=option,
        quiet=quiet,
    )
    wanted = Wanted(approve=approve or (), events=events, trace=trace, page=page, as_json=as_json)
    raise typer.Exit(answer(asked, wanted))


@app.command("plan")
def plan(
    request: given.Request,
    model: given.Model = "embedded",
    tools: given.Tools = None,
    max_replans: given.Replans = None,
    timeout: given.Timeout = None,
    limit: given.Limit = None,
    price: given.Prices = None,
    cache: given.Cache = None,
    gpu_layers: given.GpuLayers = None,
    context: given.Context = None,
    threads: given.Threads = None,
    option: given.Options = None,
    events: given.Events = None,
    as_json: given.AsJson = False,
    mermaid: Annotated[
        bool,
        typer.Option(
            "--mermaid", help="Draw the plan as a mermaid flowchart.", rich_help_panel="Output"
        ),
    ] = False,
    dot: Annotated[
        bool, typer.Option("--dot", help="Draw the plan for Graphviz.", rich_help_panel="Output")
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Say what it would take: calls, and the critical path by the durations in --cache.",
            rich_help_panel="Output",
        ),
    ] = False,
    lint: Annotated[
        bool,
        typer.Option(
            "--lint",
            help="Show each way by which untrusted text or private data gets into a step that "
            "sends or writes; exit status 1 if there is one.",
            rich_help_panel="Output",
        ),
    ] = False,
    page: given.Page = None,
    quiet: given.Quiet = False,
) -> None:
    """Write the plan for a request and run nothing of it.

    Examples:

    llmcompiler plan "How many words are in README.md and LICENSE together?"

    llmcompiler plan "What is 3 miles in km, and what time is it in Oslo?" --mermaid

    llmcompiler plan "Mail me what example.org says." --tools mail.py --lint --estimate
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.plan import Views, show_plan

    asked = Asked(
        request=request,
        model=model,
        tools=tools,
        max_replans=max_replans,
        timeout=timeout,
        limit=limit,
        price=price,
        on=None,
        off=None,
        cache=cache,
        gpu_layers=gpu_layers,
        context=context,
        threads=threads,
        option=option,
        quiet=quiet,
    )
    views = Views(
        form="json" if as_json else "mermaid" if mermaid else "dot" if dot else "text",
        estimate=estimate,
        lint=lint,
        events=events,
        page=page,
    )
    with ends_well():
        status = show_plan(asked, views)
    raise typer.Exit(status)


@tools_app.command("list")
def list_tools(tools: given.Tools = None, as_json: given.AsJson = False) -> None:
    """List tools, one to a line: the bundled ones, or those of --tools."""
    from llmcompiler.cli.tools import list_all

    with ends_well():
        list_all(tools, as_json=as_json)


@tools_app.command("show")
def show_tool(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool's name.")],
    tools: given.Tools = None,
    as_json: given.AsJson = False,
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
    tools: given.Tools = None,
    model: given.Model = "embedded",
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
def options(as_json: given.AsJson = False) -> None:
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
    option: given.Options = None,
    as_json: given.AsJson = False,
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
    gpu_layers: given.GpuLayers = None,
    context: given.Context = None,
    threads: given.Threads = None,
    option: given.Options = None,
    as_json: given.AsJson = False,
    quiet: given.Quiet = False,
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
