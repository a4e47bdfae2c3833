"""Which commands are for those who write workflow files, and what does their help say?

It does not know how any of them is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcompiler.cli import parameters as given

__all__ = ["graph", "init", "schema", "validate"]


def validate(files: given.Workflows, as_json: given.AsJson = False) -> None:
    """Check workflow files, and show every problem with its line and column. Runs nothing.

    Names, references, types of arguments, conditions: all that can be known before a run. Problems
    go to standard error as file:line:column: message.

    Exit status: 0 all are fine, 1 one has problems, 2 one cannot be read.

    Examples:

    llmcompiler validate briefing.yaml

    llmcompiler validate workflows/*.yaml --json
    """
    from llmcompiler.cli.exits import ends_well
    from llmcompiler.cli.validate import validate as check

    with ends_well():
        status = check(files, as_json=as_json)
    raise typer.Exit(status)


def graph(
    file: given.Workflow,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="mermaid|dot|html",
            help="What to draw it as; without it by the ending of --output, else mermaid.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it, else here."),
    ] = None,
) -> None:
    """Draw a workflow: its steps, and what each of them waits for. Runs nothing.

    Examples:

    llmcompiler graph briefing.yaml

    llmcompiler graph briefing.yaml --format dot | dot -Tsvg > briefing.svg

    llmcompiler graph briefing.yaml -o briefing.html
    """
    from llmcompiler.cli.flow import draw_graph, form_of
    from llmcompiler.cli.problems import tells_problems

    with tells_problems():
        draw_graph(file, form_of(form, output), output)


def init(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="The file to write.", show_default=False)
    ] = Path("workflow.yaml"),
) -> None:
    """Write a first workflow to begin with: commented, and ready to run without a model.

    A file that is already there stays as it is.

    Examples:

    llmcompiler init

    llmcompiler init briefing.yaml && llmcompiler run briefing.yaml
    """
    from llmcompiler.cli.exits import ends_well
    from llmcompiler.cli.starter import write_starter

    with ends_well():
        write_starter(file)


def schema(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="A workflow whose tools it is for, else the bundled ones."
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of workflow files, by which editors complete and check them.

    It knows the tools and what each of them takes. A file uses it by its first line:
    # yaml-language-server: $schema=./llmcompiler.schema.json

    Examples:

    llmcompiler schema > llmcompiler.schema.json

    llmcompiler schema briefing.yaml > llmcompiler.schema.json
    """
    from llmcompiler.cli.problems import tells_problems
    from llmcompiler.cli.schema import print_schema

    with tells_problems():
        print_schema(file)
