"""JSON Schema as a small type language: does this fit there, what is at this path?

It does not know tools, plans or pydantic: a type is a schema and the definitions it refers to.
"""

from llmcompiler.types.convert import converted
from llmcompiler.types.fit import may_fit
from llmcompiler.types.paths import PathProblem, Step, at_path, element_of
from llmcompiler.types.schema import Schema, Type, accepts_text, array_of, describe, plain_types
from llmcompiler.types.values import Foreign, problem

__all__ = [
    "Foreign",
    "PathProblem",
    "Schema",
    "Step",
    "Type",
    "accepts_text",
    "array_of",
    "at_path",
    "converted",
    "describe",
    "element_of",
    "may_fit",
    "plain_types",
    "problem",
]
