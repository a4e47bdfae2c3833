"""With what does somebody begin who has never written a workflow?

It knows one file and where to put it; it does not know how workflows are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llmcompiler.errors import ConfigurationError

__all__ = ["STARTER", "write_starter"]

STARTER: Final = """\
# yaml-language-server: $schema=./llmcompiler.schema.json
#
# A workflow: steps that call tools, in parallel as far as they do not need each other.
#
#   llmcompiler validate FILE.yaml
#   llmcompiler run FILE.yaml
#   llmcompiler run FILE.yaml --input folder=docs --input pattern="*.md"
#   llmcompiler schema FILE.yaml > llmcompiler.schema.json   (your editor then completes names)

version: 1
name: longest-file
description: Counts the lines of some files, and finds the longest of them.

# What a run is given. One without a default must be given.
inputs:
  folder: {type: string, default: ., description: A folder below the current one.}
  pattern: {type: string, default: "*.y*ml", description: Which files to look at.}
  in_thousands: {type: boolean, default: false}

# Where tools come from: bundled ones by name, and your own in a file beside this one.
# See them all: llmcompiler tools list
tools: [text, arithmetic]
# tools: [text, arithmetic, ./my_tools.py]

# Language models, for steps that use `llm` or `agent`; this file needs none.
# models:
#   writer: {use: embedded}

defaults: {timeout: 10s}

# The order of steps means nothing: a reference to a step's output is what makes it wait.
steps:
  files:
    uses: list_files
    with: {folder: "${{ inputs.folder }}", pattern: "${{ inputs.pattern }}"}

  lines: # one call for each file, in parallel; the output is the list of their results
    for_each: ${{ steps.files.output }}
    uses: count_lines
    with: {path: "${{ item }}"}

  sum:
    uses: total
    with: {values: "${{ steps.lines.output }}"}

  longest:
    if: ${{ steps.files.output | length > 0 }}
    uses: most
    with: {names: "${{ steps.files.output }}", values: "${{ steps.lines.output }}"}
    on_error: continue # fail (as without this), continue, skip or replan
    # retry: {limit: 2, delay: 200ms, backoff: exponential}
    # approve: always    somebody is asked before the step runs

  thousands:
    if: ${{ inputs.in_thousands }}
    uses: calculate
    with: {expression: "${{ steps.sum.output }} / 1000"}

  # tell:
  #   uses: llm
  #   with: {model: writer, prompt: "Say this in French: ${{ steps.sum.output }} lines"}

outputs:
  report: >-
    files: ${{ steps.files.output | length }}, lines: ${{ steps.sum.output }},
    the longest: ${{ steps.longest.output.name | default('none') }}

limits: {seconds: 60, tool_calls: 500}
"""


def write_starter(file: Path) -> None:
    """Write the starter file, and say what to do with it; never over a file that is there."""
    if file.suffix not in (".yaml", ".yml"):
        raise ConfigurationError(f"a workflow's name ends in .yaml or .yml, unlike {str(file)!r}")
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(STARTER.replace("FILE.yaml", file.name))
    except FileExistsError:
        raise ConfigurationError(
            f"{str(file)!r} is already there and stays as it is: give another name"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot write {str(file)!r}: {reason}") from None
    print(f"{file} is written. Try it: llmcompiler run {file}")
