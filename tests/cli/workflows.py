"""Which workflow files do the tests of the command run?

It knows no expectation: the tests beside it do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from llmcompiler.cli.app import app
from llmcompiler.workflow import Problem, Workflow, WorkflowError
from tests.cli.command import Shell

Ran: TypeAlias = Result

SHOP = """\
version: 1
name: shop
tools: [./store.py, ./mail.py]
inputs:
  product: {type: string, default: pen}
  more: {type: integer, default: 1, maximum: 10}
  loud: {type: boolean, default: false}
steps:
  found: {uses: stock, with: {product: "${{ inputs.product }}"}}
  sum: {uses: add, with: {left: "${{ steps.found.output }}", right: "${{ inputs.more }}"}}
  told:
    if: ${{ inputs.loud }}
    uses: send_mail
    approve: always
    with: {text: "There are ${{ steps.sum.output }}"}
outputs:
  total: ${{ steps.sum.output }}
"""
MAIL = '''
from pathlib import Path

from llmcompiler import tool


@tool(effects="write")
def send_mail(text: str) -> str:
    """Send a mail."""
    with Path("sent.txt").open("a") as sent:
        sent.write(f"{text}\\n")
    return "sent"
'''
BROKEN = """\
version: 1
steps:
  a: {uses: totl, with: {values: [1]}}
  b: {uses: total, with: {values: "${{ steps.c.output }}"}}
"""
ALONE = """\
version: 1
tools: [text]
inputs: {folder: {type: string, default: .}}
steps:
  files: {uses: list_files, with: {folder: "${{ inputs.folder }}", pattern: "*.py"}}
  lines:
    for_each: ${{ steps.files.output }}
    uses: count_lines
    with: {path: "${{ item }}"}
outputs: {text: "seen: ${{ steps.files.output | join(', ') }}"}
"""


def shop(folder: Path) -> Shell:
    """Write the workflow and its tools into a folder, and hand out a shell there."""
    shell = Shell(folder)
    (folder / "mail.py").write_text(MAIL, "utf-8")
    (folder / "shop.yaml").write_text(SHOP, "utf-8")
    (folder / "broken.yaml").write_text(BROKEN, "utf-8")
    (folder / "alone.yaml").write_text(ALONE, "utf-8")
    return shell


def problems(file: Path) -> list[Problem]:
    """Return what is wrong with a file, as loading it tells."""
    with pytest.raises(WorkflowError) as raised:
        Workflow.load(file)
    return list(raised.value.problems)


def call(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Ran:
    """Run the command in this process, in a folder with the workflows: there are many such calls."""
    shop(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    return CliRunner().invoke(app, list(arguments))
