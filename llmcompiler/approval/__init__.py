"""Who must approve what, and what was decided: values, and a desk where answers are handed in.

It does not know when a step waits, nor what becomes of one that was approved or denied.
"""

from llmcompiler.approval.desk import Approvals
from llmcompiler.approval.requests import (
    ApprovalPolicy,
    ApprovalRequest,
    Approver,
    Verdict,
    digest_of,
)

__all__ = [
    "ApprovalPolicy",
    "ApprovalRequest",
    "Approvals",
    "Approver",
    "Verdict",
    "digest_of",
]
