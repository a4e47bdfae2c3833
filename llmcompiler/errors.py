"""What can go wrong, as one tree; every message is built here and says what to do next.

This module does not know who raises what: it imports nothing of the project.

    LLMCompilerError
    ├── ConfigurationError            wrong before anything ran; the caller can mend it
    │   ├── ToolDefinitionError       a function that cannot be a tool
    │   ├── DuplicateToolError        two tools of one name
    │   ├── ToolLoadError             a tool file, module or name that cannot be loaded
    │   ├── ModelSpecError            a model name that cannot be read
    │   ├── ModelFileError            a GGUF that is missing, foreign or truncated
    │   ├── MissingExtraError         a back end whose packages are not installed
    │   └── EmptyRequestError         nothing was asked
    ├── ModelError                    the model or its server did not do its part
    │   ├── EndpointError             down, slow, wrong key, wrong model, not an API
    │   ├── ContextLengthError        more tokens than the model's context holds
    │   ├── ReplyError                a reply that fits no form; carries the text
    │   └── ScriptExhaustedError      a scripted model that was asked once too often
    ├── PlanError                     a plan line that cannot be read or is not legal here
    ├── ToolError                     a tool's own refusal, as an observation for the model
    │   ├── ToolArgumentError         arguments that do not fit the tool's schema when bound
    │   ├── ToolResultError           a result that cannot be used, or was lost: the call was made
    │   └── ToolTimeoutError          a tool that ran past its time limit
    ├── ApprovalError                 a verdict for a step that does not wait for it
    └── RunError                      how a whole run ended
        ├── RunTimeoutError           the run's time limit passed before there was an answer
        ├── LimitReachedError         another of the run's limits was used up before there was one
        └── RunCancelledError         somebody stopped the run
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "ApprovalError",
    "ConfigurationError",
    "ContextLengthError",
    "DuplicateToolError",
    "EmptyRequestError",
    "EndpointError",
    "LLMCompilerError",
    "LimitReachedError",
    "MissingExtraError",
    "ModelError",
    "ModelFileError",
    "ModelSpecError",
    "PlanError",
    "ReplyError",
    "RunCancelledError",
    "RunError",
    "RunTimeoutError",
    "ScriptExhaustedError",
    "ToolArgumentError",
    "ToolDefinitionError",
    "ToolError",
    "ToolLoadError",
    "ToolResultError",
    "ToolTimeoutError",
    "did_you_mean",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `known`, or an empty text.

    Where none is close as it is written, case and the order of words are set aside.
    """
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        turned = {_sorted_words(name): name for name in names}
        found = difflib.get_close_matches(_sorted_words(word), turned, n=1, cutoff=0.75)
        close = [turned[name] for name in found]
    return f"; did you mean {close[0]!r}?" if close else ""


def _sorted_words(name: str) -> str:
    return " ".join(sorted(re.split(r"[\W_]+", name.lower())))


class LLMCompilerError(Exception):
    """Base of everything this library raises on purpose.

    Where it ended a run, `result` is that run's `Result`: what had finished is in there.
    """

    result: object = None


class ConfigurationError(LLMCompilerError):
    """Raised when something is wrong before anything ran."""


class ToolDefinitionError(ConfigurationError):
    """Raised when a function cannot become a tool."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"the function {name!r} cannot be a tool: {problem}")


class DuplicateToolError(ConfigurationError):
    """Raised when two tools carry one name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name = name
        super().__init__(
            f"two tools are named {name!r} ({first} and {second}): rename one with @tool(name=...)"
        )


class ToolLoadError(ConfigurationError):
    """Raised when a tool file, module or installed name cannot be loaded."""

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        super().__init__(f"cannot load tools from {source!r}: {problem}")


class ModelSpecError(ConfigurationError):
    """Raised when a model is named in a way that cannot be read."""

    def __init__(self, spec: str, problem: str) -> None:
        self.spec = spec
        super().__init__(
            f"cannot use the model {spec!r}: {problem}; write 'embedded', 'local:PATH.gguf', "
            f"'openai:NAME' or 'http://HOST:PORT/v1#NAME'"
        )


class ModelFileError(ConfigurationError):
    """Raised when a model file is missing, is not GGUF, or is truncated."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"cannot load the model file {path!r}: {problem}")


class MissingExtraError(ConfigurationError):
    """Raised when a back end is asked for whose packages are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} is not installed: run pip install 'llmcompiler-runtime[{extra}]'")


class EmptyRequestError(ConfigurationError):
    """Raised when the request holds no text."""

    def __init__(self) -> None:
        super().__init__("the request is empty: say what you want to know")


class ModelError(LLMCompilerError):
    """Raised when the model or its server did not do its part."""


class EndpointError(ModelError):
    """Raised when a model server is down, slow, refuses, or does not speak the API.

    `kind` is one of "connection", "timeout", "auth", "model", "protocol", "server", "request".
    """

    def __init__(self, url: str, kind: str, problem: str) -> None:
        self.url = url
        self.kind = kind
        super().__init__(f"the model server at {url} {problem}")


class ContextLengthError(ModelError):
    """Raised when a prompt needs more tokens than the model's context holds."""

    def __init__(self, needed: int, available: int, hint: str = "") -> None:
        self.needed = needed
        self.available = available
        super().__init__(
            f"the prompt needs {needed} tokens and the context holds {available}: "
            f"{hint or 'shorten the request or give the model a larger context'}"
        )


class ReplyError(ModelError):
    """Raised when a reply fits no form even after one complaint; `text` is the reply."""

    def __init__(self, problem: str, text: str) -> None:
        self.text = text
        shown = text if len(text) <= 200 else text[:200] + "…"
        super().__init__(f"the model's reply cannot be used: {problem}; it wrote {shown!r}")


class ScriptExhaustedError(ModelError):
    """Raised when a scripted or recorded model is asked for a reply it does not have."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


class PlanError(LLMCompilerError):
    """Raised, or handed to the planner, when a plan line cannot be read or is not legal.

    `line` and `column` count from 1 in the turn's text; `task` is the line's id if it was read;
    `problem` is one sentence and already holds a suggestion where there is one.
    """

    def __init__(
        self,
        problem: str,
        *,
        line: int = 0,
        column: int = 0,
        task: str | None = None,
        source: str = "",
    ) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        self.task = task
        self.source = source
        where = f"line {line}, column {column}: " if line else ""
        super().__init__(f"{where}{problem}")


class ToolError(LLMCompilerError):
    """Raised by a tool to refuse with a reason; the model reads the message."""


class ToolArgumentError(ToolError):
    """Raised when arguments do not fit a tool's schema once references are filled in."""


class ToolResultError(ToolError):
    """Raised when a call was made and its result cannot be used, or got lost on the way."""


class ToolTimeoutError(ToolError):
    """Raised when a tool ran past its time limit, in seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"timed out after {seconds:g} s")


class ApprovalError(LLMCompilerError):
    """Raised when a verdict does not belong to any step that waits, or to other arguments."""

    def __init__(self, step: str, problem: str) -> None:
        self.step = step
        super().__init__(f"the verdict on step {step!r} cannot be used: {problem}")


class RunError(LLMCompilerError):
    """Raised when a whole run ended without an answer."""


class RunTimeoutError(RunError):
    """Raised when the run's time limit passed before there was an answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"the run's time limit of {seconds:g} s passed before there was an answer: "
            f"raise it with limits.seconds or --timeout"
        )


class LimitReachedError(RunError):
    """Raised when a limit other than the time was used up before there was an answer."""

    def __init__(self, limit: str, value: float) -> None:
        self.limit = limit
        self.value = value
        what = (
            f"{value:g} of cost" if limit == "cost" else f"{value:,.0f} {limit.replace('_', ' ')}"
        )
        super().__init__(
            f"the run's limit of {what} was used up before there was an answer: "
            f"raise limits.{limit}"
        )


class RunCancelledError(RunError):
    """Raised when somebody stopped the run."""

    def __init__(self) -> None:
        super().__init__("the run was cancelled")
