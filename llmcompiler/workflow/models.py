"""Which language models does a workflow name, and who closes them?

It does not know what is asked of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from llmcompiler.errors import ConfigurationError, did_you_mean
from llmcompiler.messages import LLM, Delta, Prompt, Sampling, TextDelta
from llmcompiler.registry import load_model

__all__ = ["Models", "NoModel"]


class NoModel:
    """Stands where a workflow names no model; it refuses whatever it is asked."""

    name = "none"

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Refuse."""
        raise ConfigurationError("the workflow names no model: add one under 'models'")
        yield TextDelta("")

    async def aclose(self) -> None:
        """Do nothing."""


class Models:
    """Models by name, each loaded when it is first asked for.

    `given` are not closed here. Those of a workflow `within` another are the same where they are
    set up alike, and the outer one's to close; `through` wraps what is handed out.
    """

    def __init__(
        self,
        specs: Mapping[str, tuple[str, Mapping[str, Any]]],
        given: Mapping[str, LLM] | None = None,
        *,
        within: Models | None = None,
        through: Callable[[LLM], LLM] | None = None,
    ) -> None:
        self._specs = specs
        self._given = dict(given or {})
        self._loaded: dict[str, LLM] = {} if within is None else within._loaded
        self._owns = within is None
        self._through = through

    def get(self, name: str | None = None) -> LLM:
        """Return a model by its name, or the first there is; raise `ConfigurationError`."""
        if name is None:
            name = next(iter((*self._specs, *self._given)), None)
            if name is None:
                return NoModel()
        found = self._found(name)
        return found if self._through is None else self._through(found)

    def _found(self, name: str) -> LLM:
        if name in self._given:
            return self._given[name]
        if name not in self._specs:
            raise ConfigurationError(
                f"there is no model {name!r}{did_you_mean(name, (*self._specs, *self._given))}"
            )
        spec, options = self._specs[name]
        key = json.dumps([spec, options], sort_keys=True, default=str)
        if key not in self._loaded:
            self._loaded[key] = load_model(spec, options)
        return self._loaded[key]

    async def aclose(self) -> None:
        """Close what was loaded here."""
        while self._owns and self._loaded:
            await self._loaded.popitem()[1].aclose()
