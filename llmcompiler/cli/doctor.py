"""How do the doctor's findings read at the command line?

It does not know what is looked at, nor what is well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmcompiler.cli.exits import FAILED, FINISHED
from llmcompiler.doctor import examine

__all__ = ["report"]


def report(model: str | None, options: Mapping[str, Any], *, as_json: bool) -> int:
    """Print the findings and return the exit status: 1 where one of them is a failure."""
    checks = examine(model, options)
    if as_json:
        print(json.dumps([check.to_json() for check in checks], ensure_ascii=False, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{check.status:<4}  {check.name:<{width}}  {check.detail}")
            if check.advice:
                print(f"{'':4}  {'':{width}}  -> {check.advice}")
    return FAILED if any(check.status == "fail" for check in checks) else FINISHED
