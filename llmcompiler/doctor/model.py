"""Can a model be used here: what does its file say, how would it be loaded, does it answer?

It does not know llama.cpp or any server: the file is read, memory is planned, and one word is asked
for through the seam that everybody uses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import anyio

from llmcompiler.doctor.advice import Check
from llmcompiler.engine.devices import free_memory
from llmcompiler.engine.footprint import Footprint, footprint
from llmcompiler.engine.gguf import Header, read_header
from llmcompiler.engine.memory import MemoryPlan, bytes_text, plan_memory
from llmcompiler.engine.options import environment_options, read_options
from llmcompiler.errors import ConfigurationError, LLMCompilerError
from llmcompiler.llms.template import ChatTemplate
from llmcompiler.messages import Message, Prompt, Sampling, TextDelta
from llmcompiler.registry import installed, load_model

__all__ = ["check_file", "check_model", "model_file"]

_PATIENCE = 60.0  # seconds that a model may take to load and to begin an answer


def model_file(spec: str) -> Path | None:
    """Return the GGUF that a spec names: a path, "local:PATH" or an installed model; else None."""
    name = spec.strip()
    if name.startswith("local:"):
        return Path(name.removeprefix("local:")).expanduser()
    point = installed("models").get(name)
    if point is None:
        return Path(name).expanduser() if name.endswith(".gguf") else None
    made = point.load()
    made = made() if callable(made) else made
    return Path(made) if isinstance(made, str | os.PathLike) else None


def check_file(
    spec: str, options: Mapping[str, Any] | None = None, *, llama: bool = True
) -> tuple[Check, ...]:
    """Read the file of a local model: what it takes, how it would be loaded, what its template does.

    Nothing is said of other models, nor of a file that cannot be read, which loading complains
    about. `llama` says whether llama.cpp may be asked for free memory.
    """
    path = model_file(spec)
    try:
        if path is None:
            return ()
        header = read_header(path)
        return (_check_memory(header, options or {}, llama=llama), *_check_template(header))
    except ConfigurationError:
        return ()


def _check_memory(header: Header, options: Mapping[str, Any], *, llama: bool) -> Check:
    name = f"memory for {header.path.name}"
    try:
        chosen = read_options({**environment_options(), **options})
        size = footprint(header, chosen)
        if not llama:
            return Check(name, "ok", _takes(size))
        free = free_memory()
        small = None if chosen.draft_model is None else read_header(chosen.draft_model)
        plan = plan_memory(header, chosen, free, small)
    except ConfigurationError as error:
        return Check(name, "fail", str(error))
    return Check(name, "ok", f"{_takes(size)}; {_planned(plan, size, bool(free.gpus))}")


def _takes(size: Footprint) -> str:
    token = f"{bytes_text(size.kv_per_token)} of cache a token"
    state = size.state_per_sequence
    return f"{bytes_text(size.weights)} of weights, {token}" + (
        f", {bytes_text(state)} a sequence" if state else ""
    )


def _planned(plan: MemoryPlan, size: Footprint, gpus: bool) -> str:
    layers = f", {plan.n_gpu_layers} of {len(size.blocks) + 1} layers on the GPU" if gpus else ""
    draft = f" ({bytes_text(plan.draft_bytes)} to draft)" if plan.draft_bytes else ""
    return (
        f"would be loaded for requests of {plan.n_ctx} tokens (trained: {size.trained}), a cache of "
        f"{plan.n_cells} in {plan.n_seq} sequences, {bytes_text(plan.total_bytes)} in all{draft}{layers}"
    )


def _check_template(header: Header) -> tuple[Check, ...]:
    name = f"template of {header.path.name}"
    source = header.text("tokenizer.chat_template")
    if source is None:
        return (Check(name, "ok", "none: ChatML is taken"),)
    try:
        rewrites = ChatTemplate(source, {"bos_token": "", "eos_token": ""}).rewrites
    except ConfigurationError as error:
        return (Check(name, "fail", str(error)),)
    if rewrites:
        return (
            Check(
                name,
                "warn",
                rewrites,
                "a model server renders it as it is, and computes earlier turns again",
            ),
        )
    return (Check(name, "ok", "only appends: what was computed stays of use"),)


def check_model(spec: str, options: Mapping[str, Any] | None = None) -> Check:
    """Load or reach the model that `spec` names, and ask it for one token."""
    name = f"model {spec}"
    began = monotonic()
    try:
        heard = anyio.run(_ask, spec, options)
    except LLMCompilerError as error:
        return Check(name, "fail", str(error))
    taken = f"{monotonic() - began:.1f} s"
    if heard:
        return Check(name, "ok", f"answers; the first word took {taken}")
    return Check(name, "warn", f"can be reached, but said nothing ({taken})", "ask it something")


async def _ask(spec: str, options: Mapping[str, Any] | None) -> bool:
    llm = load_model(spec, options)
    prompt = Prompt((Message("request", "Hello!"),))
    heard = False
    try:
        async for delta in llm.stream(prompt, Sampling(max_tokens=8, timeout=_PATIENCE)):
            heard = heard or (isinstance(delta, TextDelta) and bool(delta.text))
    finally:
        with anyio.CancelScope(shield=True):
            await llm.aclose()
    return heard
