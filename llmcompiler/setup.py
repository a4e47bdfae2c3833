"""What does a run work with?

It does not know how a run goes on, nor where models and tools come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from llmcompiler.approval import ApprovalPolicy, Approver
from llmcompiler.limits import Limits
from llmcompiler.messages import LLM, Accustomed, Price
from llmcompiler.output import OutputType
from llmcompiler.passes import Durations, Passes
from llmcompiler.roles import Planner
from llmcompiler.toolbox import Toolbox

if TYPE_CHECKING:
    from llmcompiler.recall import Recall

__all__ = ["Setup"]

Out = TypeVar("Out", default=str)
_MENDS = 2


@dataclass(frozen=True, slots=True)
class Setup(Generic[Out]):
    """The same for every run of an agent unless overridden; `durations` and `recall` learn from each."""

    llm: LLM
    joiner: LLM
    planner: Planner
    toolbox: Toolbox
    limits: Limits
    output: OutputType[Out]
    passes: Passes = field(default_factory=Passes)
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    approver: Approver | None = None
    price: Price | None = None
    durations: Durations = field(default_factory=Durations)
    recall: Recall | None = None

    @property
    def mends(self) -> int:
        """How many turns of a run may be spent on writing failed steps anew."""
        if self.limits.mends is not None:
            return self.limits.mends
        said = self.llm.mends if isinstance(self.llm, Accustomed) else None
        return _MENDS if said is None else said
