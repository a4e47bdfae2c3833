"""Which commands look at tools, and what does their help say?

It does not know how any of them is done.
"""

from __future__ import annotations

from typing import Annotated

import typer

from llmcompiler.cli import parameters as given
from llmcompiler.cli.exits import ends_well

__all__ = ["call_tool", "list_tools", "show_tool", "tools_app"]

tools_app = typer.Typer(help="Look at tools, and call one without a model.", no_args_is_help=True)


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
