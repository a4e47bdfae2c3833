"""What do the options of ``run`` and ``plan`` ask for, as models, tools and limits?

It does not know what is done with them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import ConfigurationError, EmptyRequestError
from llmcompiler.events import Event, event_to_json

if TYPE_CHECKING:
    from llmcompiler.limits import Limits
    from llmcompiler.messages import LLM
    from llmcompiler.toolbox import Toolbox

__all__ = ["Asked", "EventFile", "local_options", "named_values"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were given; None is what was not."""

    request: str
    model: str
    tools: Sequence[str] | None
    max_replans: int | None
    timeout: float | None
    gpu_layers: int | None
    context: int | None
    threads: int | None
    option: Sequence[str] | None
    quiet: bool

    def text(self) -> str:
        """Return the request, from standard input for ``-``; raise `EmptyRequestError`."""
        text = sys.stdin.read() if self.request == "-" else self.request
        # An argument that is not UTF-8 arrives with lone surrogates, which no model can read.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
        if not text:
            raise EmptyRequestError
        return text

    def load_model(self) -> LLM:
        """Return the model with its options."""
        from llmcompiler.registry import load_model

        options = local_options(self.gpu_layers, self.context, self.threads, self.option)
        return load_model(self.model, options)

    def load_tools(self) -> Toolbox:
        """Return the tools: those of ``--tools``, else the bundled ones."""
        from llmcompiler.registry import load_tools

        return load_tools(self.tools or ["bundled"])

    def limits(self) -> Limits:
        """Return the limits; raise `ConfigurationError` for values that are none."""
        from llmcompiler.limits import Limits

        limits = Limits()
        if self.timeout is not None:
            limits = replace(limits, seconds=self.timeout)
        if self.max_replans is not None:
            limits = replace(limits, replans=self.max_replans)
        return limits


def local_options(
    gpu_layers: int | None, context: int | None, threads: int | None, option: Sequence[str] | None
) -> dict[str, Any]:
    """Put the options of local models together; what ``--option`` says counts most."""
    short = {"n_gpu_layers": gpu_layers, "n_ctx": context, "threads": threads}
    options: dict[str, Any] = {name: value for name, value in short.items() if value is not None}
    return options | named_values(option or (), "--option")


def named_values(given: Sequence[str], what: str) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value is JSON where it can be read as such, else text."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"{what} {pair!r} is not NAME=VALUE")
        try:
            found[name.strip()] = json.loads(text)
        except ValueError:
            found[name.strip()] = text
    return found


class EventFile:
    """Writes every event to a file as one line, at once; without a path it writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._file = None if path is None else path.open("w", buffering=1, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"cannot write events to {str(path)!r}: {error.strerror or error}"
            ) from None

    def __call__(self, event: Event) -> None:
        """Write the event; on a full disk say so once, and let the run go on."""
        if self._file is None:
            return
        try:
            self._file.write(event_to_json(event) + "\n")
        except OSError as error:
            problem = error.strerror or error
            print(f"llmcompiler: events are lost, {str(self._path)!r}: {problem}", file=sys.stderr)
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
