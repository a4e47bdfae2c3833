"""Who must approve what, and what was decided: values, bound to a step and its very arguments.

It does not know when a step waits, nor who is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.plan import Json, TaskId

__all__ = ["ApprovalPolicy", "ApprovalRequest", "Approver", "Verdict", "digest_of"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one step with one set of arguments; `digest` stands for these."""

    step: TaskId
    digest: str
    approved: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A step that waits for approval: exactly this `tool` with exactly these `args`.

    For a fan-out `elements` is how many calls it makes, and `args` holds the lists whole. `reason`
    says why it must be approved.
    """

    step: TaskId
    tool: str
    args: Mapping[str, Json]
    digest: str
    reason: str
    elements: int | None = None

    def approve(self) -> Verdict:
        """Say yes to this step with these arguments."""
        return Verdict(self.step, self.digest, True)

    def deny(self, reason: str = "") -> Verdict:
        """Say no; the model reads the reason."""
        return Verdict(self.step, self.digest, False, reason)


Approver: TypeAlias = "Callable[[ApprovalRequest], bool | Verdict | Awaitable[bool | Verdict]]"


def digest_of(step: str, tool: str, args: Mapping[str, Json]) -> str:
    """Return a hash of the step, its tool and its arguments, as 16 hexadecimal digits."""
    said = json.dumps([step, tool, args], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Which steps of a run need approval beside those whose tools say so themselves.

    `flows`: where untrusted text or private data flows into a tool that sends or writes. `writes`:
    every tool that writes. `tools`: those of these names. `when` is asked for each step, with the
    tool's name and the arguments.
    """

    flows: bool = True
    writes: bool = False
    tools: frozenset[str] = frozenset()
    when: Callable[[str, Mapping[str, Json]], bool] | None = None

    def reason(self, tool: str, args: Mapping[str, Json], *, writes: bool) -> str | None:
        """Say why this call needs approval; None if it needs none."""
        if tool in self.tools:
            return f"the run's policy names {tool}"
        if self.writes and writes:
            return f"{tool} writes"
        if self.when is not None and self.when(tool, args):
            return "the run's policy asks for it"
        return None
