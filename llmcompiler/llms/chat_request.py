"""What is asked of a chat completions endpoint: roles, messages and parameters, as plain values.

It does not know any client library, nor what a server answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from llmcompiler.messages import Kind, Message, Prompt, Sampling

__all__ = ["LIMITS", "chat_messages", "client_arguments", "optional_parameters"]

LIMITS = ("max_tokens", "max_completion_tokens")
"""The two names of a reply's longest length; a server that refuses the first may want the second."""

_ROLES: dict[Kind, str] = {
    "rules": "system",
    "request": "user",
    "turn": "assistant",
    "observation": "user",
    "notice": "user",
}
_BEYOND_OPENAI = ("top_k", "min_p")  # taken by llama.cpp, vLLM and others, in the body as it is


def chat_messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Return `messages` as chat messages whose roles alternate.

    Neighbours of one role become one message: observations and notices line by line, other kinds
    with a blank line between. A conversation that grew therefore keeps its beginning.
    """
    merged: list[dict[str, str]] = []
    before: Kind | None = None
    for message in messages:
        role = _ROLES[message.kind]
        if merged and merged[-1]["role"] == role:
            lines = {before, message.kind} <= {"observation", "notice"}
            merged[-1]["content"] += ("\n" if lines else "\n\n") + message.text
        else:
            merged.append({"role": role, "content": message.text})
        before = message.kind
    return merged


def optional_parameters(
    prompt: Prompt, sampling: Sampling, refused: Collection[str] = ()
) -> dict[str, Any]:
    """Return what is asked beyond model and messages, without the parameters in `refused`.

    A JSON Schema is asked for only where there is no grammar: a grammar's form is not JSON alone.
    """
    limit = LIMITS[1] if LIMITS[0] in refused else LIMITS[0]
    wanted: dict[str, Any] = {
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        limit: sampling.max_tokens,
    }
    if prompt.schema is not None and prompt.grammar is None:
        wanted["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": prompt.schema},
        }
    return {
        name: value for name, value in wanted.items() if value is not None and name not in refused
    }


def client_arguments(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return `parameters` as a client library of OpenAI's takes them: foreign ones in `extra_body`."""
    known = {name: value for name, value in parameters.items() if name not in _BEYOND_OPENAI}
    foreign = {name: value for name, value in parameters.items() if name in _BEYOND_OPENAI}
    return known | ({"extra_body": foreign} if foreign else {})
