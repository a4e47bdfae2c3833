"""What did this pure tool give for these arguments, in an earlier run?

It does not know which tools are pure, what a run is, or when it is a good time to write.
"""

from llmcompiler.recall.results import Recall

__all__ = ["Recall"]
