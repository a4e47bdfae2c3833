"""What do the options of ``run`` and ``plan`` ask for, as models, tools, limits and passes?

It does not know what is done with them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import ConfigurationError, EmptyRequestError, did_you_mean

if TYPE_CHECKING:
    from llmcompiler.agent import Agent
    from llmcompiler.approval import Approver
    from llmcompiler.limits import Limits
    from llmcompiler.messages import LLM, Price
    from llmcompiler.toolbox import Toolbox

__all__ = ["Asked", "local_options", "named_values", "price_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options as they were given; None is what was not."""

    request: str
    model: str
    tools: Sequence[str] | None
    max_replans: int | None
    timeout: float | None
    limit: Sequence[str] | None
    price: str | None
    on: Sequence[str] | None
    off: Sequence[str] | None
    cache: Path | None
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

        return replace(Limits(), **self.chosen_limits())

    def chosen_limits(self) -> dict[str, Any]:
        """Return the limits that the options name, and no others."""
        short: dict[str, Any] = {"seconds": self.timeout, "replans": self.max_replans}
        given = {name: value for name, value in short.items() if value is not None}
        return given | _named_limits(self.limit or ())

    def load_agent(self, llm: LLM, tools: Toolbox, approver: Approver | None = None) -> Agent:
        """Return an agent on these tools; raise `ConfigurationError` for what it cannot be."""
        from llmcompiler.agent import Agent
        from llmcompiler.passes import Passes

        return Agent(
            llm,
            tools=tools.values(),
            limits=self.limits(),
            passes=Passes().switched(self.on or (), self.off or ()),
            price=price_of(self.price),
            cache=self.cache,
            approver=approver,
        )

    def check(self) -> None:
        """Raise `ConfigurationError` for options that are wrong, before a model is loaded."""
        from llmcompiler.budget import Budget
        from llmcompiler.passes import Passes
        from llmcompiler.recall import Recall

        Budget(self.limits(), price_of(self.price))
        Passes().switched(self.on or (), self.off or ())
        if self.cache is not None:
            Recall(self.cache).close()


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


def _named_limits(given: Sequence[str]) -> dict[str, Any]:
    from llmcompiler.limits import Limits

    known = {each.name: each for each in fields(Limits)}
    values = named_values(given, "--limit")
    for name, value in values.items():
        if name not in known:
            close = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise ConfigurationError(f"there is no limit {name!r}{close}")
        kind = str(known[name].type)
        if value is None and "None" in kind:
            continue
        if isinstance(value, bool) or not isinstance(value, int if "int" in kind else (int, float)):
            what = "a whole number" if "int" in kind else "a number"
            none = " or null" if "None" in kind else ""
            raise ConfigurationError(f"limits.{name} must be {what}{none}, not {value!r}")
    return values


def price_of(text: str | None) -> Price | None:
    """Read what tokens cost; raise `ConfigurationError` for what is no price."""
    from llmcompiler.messages import Price

    if text is None:
        return None
    try:
        prompt, completion, *reused = (float(part) for part in text.split(","))
        return Price(prompt, completion, *reused)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"--price {text!r} is not PROMPT,COMPLETION: what a million tokens of each cost"
        ) from None
