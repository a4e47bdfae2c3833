"""What does a model server's refusal mean, is it worth another try, and what is to be done?

It does not know HTTP or any client library: it reads a refusal that was taken apart already.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from llmcompiler.errors import ContextLengthError, EndpointError, ModelError, did_you_mean

__all__ = [
    "LONGEST_WAIT",
    "OFFICIAL",
    "Landscape",
    "Refusal",
    "context_numbers",
    "explain",
    "is_about_the_model",
    "refused_parameter",
    "shown",
    "wants_a_look_around",
    "worth_another_try",
]

OFFICIAL = "api.openai.com"
LONGEST_WAIT = 60.0
"""Seconds: a server that asks to be left alone for longer is not tried again."""

_AGAIN = frozenset({200, 408, 409, 429})
_WORDS = frozenset({"stop", "seed"})  # too common in prose to be taken for a parameter's name


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server, or the network before it, said instead of a reply.

    `status` is the HTTP status, or the code of an error inside a stream; None where there was no
    answer at all, and `reason` then is the network's word for it. `retry_after` is in seconds.
    `page` says that the answer is a web page; `garbled` that it is no stream of the API.
    `fatal` marks what no second try will mend (a certificate, a malformed address).
    """

    status: int | None = None
    message: str = ""
    code: str = ""
    parameter: str = ""
    retry_after: float | None = None
    page: bool = False
    garbled: bool = False
    fatal: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Landscape:
    """What asking around after a refusal found: the models there (None: no list to be had), and
    the address at which the API answers instead, or "".
    """

    models: tuple[str, ...] | None = None
    elsewhere: str = ""


def shown(url: str) -> str:
    """Return `url` fit for a message: without a user name, password, query or last slash."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def worth_another_try(refusal: Refusal) -> bool:
    """Say whether the same call may well succeed a little later."""
    status = refusal.status
    if refusal.fatal or refusal.garbled or (refusal.page and status == 200):
        return False
    if refusal.code == "insufficient_quota" or (refusal.retry_after or 0.0) > LONGEST_WAIT:
        return False
    # 200 with none of the marks above is a stream that broke off before its first word.
    return status is None or status in _AGAIN or (status >= 500 and status != 501)


def wants_a_look_around(refusal: Refusal) -> bool:
    """Say whether the address or the model's name seems wrong, so that asking around may help."""
    no_api = refusal.garbled or (refusal.page and refusal.status == 200)
    return no_api or refusal.status in (404, 405) or is_about_the_model(refusal)


def refused_parameter(refusal: Refusal, sent: Collection[str]) -> str | None:
    """Return which of the parameters `sent` the server will not have, if that is what it says."""
    if refusal.status not in (400, 422) or context_numbers(refusal) is not None:
        return None
    if is_about_the_model(refusal):
        return None
    for name in sorted(sent):
        if refusal.parameter.partition(".")[0] == name:
            return name
    for name in sorted(sent):
        quote = r"['\"`]" if name in _WORDS else r"\b"
        if re.search(quote + re.escape(name) + quote, refusal.message):
            return name
    return None


_HOLDS = (
    r"context (?:length|size|window)\D{0,40}?(\d+)",
    r"limit of (\d+) tokens",
    r"> (\d+) maximum",
    r"maximum number of tokens allowed \((\d+)\)",
)
_NEEDS = (
    r"(\d+) in the messages",
    r"(\d+) input tokens",
    r"resulted in (\d+) tokens",
    r"requested (\d+) tokens",
    r"request \((\d+) tokens\)",
    r"too long: (\d+)",
    r"token count \((\d+)\)",
    r"first (\d+) tokens",
)


def context_numbers(refusal: Refusal) -> tuple[int, int] | None:
    """Return the tokens of the prompt and those that the context holds, where a server says so."""
    if {"n_prompt_tokens", "n_ctx"} <= refusal.numbers.keys():
        return refusal.numbers["n_prompt_tokens"], refusal.numbers["n_ctx"]
    needed = _first_number(_NEEDS, refusal.message)
    holds = _first_number(_HOLDS, refusal.message)
    return None if needed is None or holds is None else (needed, holds)


def _first_number(patterns: tuple[str, ...], text: str) -> int | None:
    for pattern in patterns:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return int(found[1])
    return None


def is_about_the_model(refusal: Refusal) -> bool:
    """Say whether the server refuses because it does not have the model."""
    if refusal.code == "model_not_found":
        return True
    about = re.search(r"\bmodel\b", refusal.message, re.IGNORECASE)
    missing = re.search(
        r"not found|not exist|no such|unknown|invalid model|not a valid model|not available",
        refusal.message,
        re.IGNORECASE,
    )
    return refusal.status in (400, 404, 422) and bool(about and missing)


def explain(url: str, model: str, refusal: Refusal, around: Landscape | None = None) -> ModelError:
    """Return the error for `refusal`: one sentence that says what to do."""
    kind, problem = _problem(url, model, refusal, around or Landscape())
    numbers = context_numbers(refusal)
    if kind == "request" and numbers is not None:
        return ContextLengthError(*numbers)
    return EndpointError(shown(url), kind, problem)


def _problem(url: str, model: str, refusal: Refusal, around: Landscape) -> tuple[str, str]:
    status = refusal.status
    said = _said(refusal.message)
    if refusal.page and status in (200, 404, 405):
        return "protocol", f"answers with a web page, not the API: {_where(url, around)}"
    if refusal.garbled:
        return "protocol", f"does not stream chat completions ({said}): {_where(url, around)}"
    if status is None:
        return "connection", f"cannot be reached ({said}): is it running, and is the URL right?"
    if status in (401, 403):
        return "auth", _auth(url, status, said)
    if is_about_the_model(refusal) or (status == 404 and around.models):
        if around.models is None or model not in around.models:
            return "model", _no_model(model, around)
        return "protocol", f"has no chat completions for {model!r} ({said}): {_where(url, around)}"
    if status in (404, 405):
        return "protocol", f"has no /chat/completions ({status}): {_where(url, around)}"
    if refusal.code == "insufficient_quota":
        return "auth", "says that the account's quota is used up: check its plan and billing"
    if status == 200:
        return "server", f"breaks off ({said}): try again later, or look at its log"
    if status == 429:
        wait = refusal.retry_after
        when = f"in {wait:g} s" if wait else "later"
        return "server", f"is asked too often (429: {said}): try again {when}"
    if status >= 500 or status in _AGAIN:
        return "server", f"fails ({status}: {said}): try again later, or look at its log"
    if refusal.code == "context_length_exceeded":
        return "request", (
            f"says that the prompt is longer than its context ({said}): "
            f"shorten the request or give the model a larger context"
        )
    return "request", f"refuses the request ({status}: {said}): see whether {model!r} can chat"


def _said(message: str) -> str:
    text = " ".join(message.split()) or "no reason given"
    return text if len(text) <= 200 else text[:200] + "…"


def _where(url: str, around: Landscape) -> str:
    if around.elsewhere:
        return f"use {shown(around.elsewhere)!r}, where the API is"
    if not urlsplit(url).path.rstrip("/").endswith("/v1"):
        return "is /v1 missing from the URL?"
    return "is the URL that of an OpenAI-compatible API?"


def _auth(url: str, status: int, said: str) -> str:
    if urlsplit(url).hostname == OFFICIAL and status == 401:
        return "refuses the key (401): check OPENAI_API_KEY"
    return f"refuses the key ({status}: {said}): set OPENAI_API_KEY to one that it takes"


def _no_model(model: str, around: Landscape) -> str:
    if not around.models:
        return f"does not have the model {model!r}: check the name"
    guess = did_you_mean(model, around.models)
    names = ", ".join(repr(name) for name in around.models[:5])
    more = len(around.models) - 5
    rest = f" and {more} more" if more > 0 else ""
    return f"does not have the model {model!r}{guess or ': use one that it has'} ({names}{rest})"
