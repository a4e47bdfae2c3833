"""Which commands, arguments and options are there, and what does their help say?

It does not know how any of them is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from llmcompiler.cli import authoring
from llmcompiler.cli import parameters as given
from llmcompiler.cli.exits import ends_well
from llmcompiler.cli.tool_commands import tools_app

__all__ = ["app", "bench_engine", "doctor", "options", "plan", "run"]

_ORDER = ("run", "plan", "validate", "graph", "init", "schema", "tools")


class _InOrder(TyperGroup):
    """Lists the commands in the order in which somebody meets them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer hands over its own kind
        """Return their names."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


app = typer.Typer(
    name="llmcompiler",
    cls=_InOrder,
    help="Plan an LLM's function calls as a graph, and run it while it is still being written; or "
    "write the graph yourself, as a workflow in YAML.",
    epilog='Begin with: llmcompiler run "What is 17 * 23?"',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tools_app, name="tools")
app.command("validate")(authoring.validate)
app.command("graph")(authoring.graph)
app.command("init")(authoring.init)
app.command("schema")(authoring.schema)


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
    ctx: typer.Context,
    request: given.Request = None,
    file: given.File = None,
    input_: given.Input = None,
    input_file: given.InputFile = None,
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
    """Answer a request, or run a workflow.

    A request is planned, the plan is run while it is being written, and its results are read. A
    path that ends in .yaml or .yml and is there is a workflow: a plan that you wrote.

    Progress and a summary go to standard error, the answer or the outputs to standard output.
    Before a step that needs approval you are asked; what does not depend on it goes on meanwhile.

    Exit status: 0 answered, 1 failed, 2 wrong usage, 130 interrupted.

    Examples:

    llmcompiler run "How many words are in README.md?"

    llmcompiler run "Is it later in Tokyo or in Lima?" --json --quiet

    llmcompiler run "What is in store?" --tools store.py -m local:qwen3-4b.gguf

    llmcompiler run "Mail the total to Ann." --tools store.py --approve send_mail --page run.html

    llmcompiler run briefing.yaml --input 'cities=["Oslo", "Lima"]' --input brief=yes
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.run import Wanted, answer
    from llmcompiler.cli.which import chosen_file, named_options

    workflow = chosen_file(request, file, input_, input_file, quiet=quiet)
    asked = Asked(
        request=request or "",
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
    if workflow is None:
        raise typer.Exit(answer(asked, wanted))
    from llmcompiler.cli.workflow import Given, run_workflow

    named = named_options(ctx)
    status = run_workflow(
        Given(file=workflow, pairs=input_, inputs=input_file, named=named), asked, wanted
    )
    raise typer.Exit(status)


@app.command("plan")
def plan(
    ctx: typer.Context,
    request: given.Request = None,
    file: given.File = None,
    input_: given.Input = None,
    input_file: given.InputFile = None,
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
    freeze: Annotated[
        Path | None,
        typer.Option(
            "--freeze",
            metavar="FILE.yaml",
            help="Keep the plan as a workflow, which runs without a model to the same results.",
            rich_help_panel="Output",
        ),
    ] = None,
    page: given.Page = None,
    quiet: given.Quiet = False,
) -> None:
    """Write the plan for a request, or show that of a workflow; run nothing of it.

    Of a workflow it shows the steps, what each of them waits for, and what they would take.

    Examples:

    llmcompiler plan "How many words are in README.md and LICENSE together?"

    llmcompiler plan "What is 3 miles in km, and what time is it in Oslo?" --mermaid

    llmcompiler plan "Mail me what example.org says." --tools mail.py --lint --estimate

    llmcompiler plan "How long is each file in docs?" --freeze lengths.yaml

    llmcompiler plan briefing.yaml
    """
    from llmcompiler.cli.ask import Asked
    from llmcompiler.cli.plan import Views, show_plan
    from llmcompiler.cli.which import chosen_file, named_options

    workflow = chosen_file(request, file, input_, input_file, quiet=quiet)
    asked = Asked(
        request=request or "",
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
        freeze=freeze,
        events=events,
        page=page,
    )
    if workflow is None:
        with ends_well():
            status = show_plan(asked, views)
        raise typer.Exit(status)
    from llmcompiler.cli.flow import refuse_idle, show_workflow
    from llmcompiler.cli.problems import tells_problems

    with tells_problems():
        refuse_idle(named_options(ctx))
        status = show_workflow(workflow, views, pairs=input_, inputs=input_file, cache=cache)
    raise typer.Exit(status)


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
