"""What does one streamed response say: its text, its end, its count, or why there is none?

It does not know what is asked, nor whether it is asked again.
"""

from __future__ import annotations

import json
import time
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any

import anyio

from llmcompiler.llms.endpoint_errors import Refusal
from llmcompiler.messages import FinishReason, Usage

if TYPE_CHECKING:
    import openai
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletionChunk

__all__ = ["Refused", "Reply", "refusal_of"]

_TRAILER = 5.0  # seconds for the count of tokens that follows the reason


class Refused(Exception):
    """Carries a refusal from where it was met to where it is decided; never leaves the back end."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


class Reply:
    """One streamed response: its text piece by piece, then how it ended and what it used."""

    __slots__ = ("_chunks", "reason", "usage")

    def __init__(self, chunks: openai.AsyncStream[ChatCompletionChunk]) -> None:
        self._chunks = chunks
        self.reason: FinishReason | None = None
        self.usage: Usage | None = None

    async def check_form(self) -> None:
        """Raise `Refused` if this is a web page or a plain answer instead of a stream."""
        response = self._chunks.response
        form = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if "html" in form:
            raise Refused(Refusal(response.status_code, page=True))
        if "json" in form:
            raise Refused(_plain_answer(await response.aread(), response.status_code))

    async def next_text(self, scope: anyio.CancelScope, patience: float) -> str | None:
        """Return the next piece of text, or None at the stream's end.

        Every chunk, with text or without, moves the deadline of `scope` to `patience` seconds on.
        """
        import openai

        while True:
            try:
                chunk = await anext(self._chunks, None)
            except openai.APIError as error:
                if self.reason is not None:
                    return None
                raise Refused(refusal_of(error)) from error
            except ValueError as error:
                raise Refused(Refusal(200, "not JSON", garbled=True)) from error
            if chunk is None:
                return None
            text = self._take(chunk)
            left = patience if self.reason is None else min(patience, _TRAILER)
            scope.deadline = anyio.current_time() + left
            if text:
                return text

    def _take(self, chunk: ChatCompletionChunk) -> str:
        # Servers that only resemble OpenAI's leave out what its types promise.
        if getattr(chunk, "usage", None) is not None:
            self.usage = _usage(chunk.usage)
        for choice in getattr(chunk, "choices", None) or ():
            if getattr(choice, "finish_reason", None):
                self.reason = _reason(choice.finish_reason)
            text = getattr(getattr(choice, "delta", None), "content", None)
            return text if isinstance(text, str) else ""
        return ""

    async def close(self) -> None:
        """Close the response; the server sees its connection go unless it has ended already."""
        with anyio.CancelScope(shield=True):
            await self._chunks.close()


def _reason(word: str | None) -> FinishReason:
    match word:
        case "length":
            return "length"
        case "content_filter" | "error":
            return "cut"
        case _:  # servers have words of their own for an ordinary end
            return "stop"


def _usage(counted: CompletionUsage | None) -> Usage:
    details = getattr(counted, "prompt_tokens_details", None)
    return Usage(
        prompt_tokens=getattr(counted, "prompt_tokens", None) or 0,
        reused_tokens=getattr(details, "cached_tokens", None) or 0,
        completion_tokens=getattr(counted, "completion_tokens", None) or 0,
        model_calls=1,
    )


def refusal_of(error: openai.APIError, connect_timeout: float | None = None) -> Refusal:
    """Take an error of the client library apart.

    `connect_timeout`, in seconds, is given where the error came instead of a response; without it
    the response had begun.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status_refusal(error)
    if isinstance(error, openai.APIConnectionError):
        if connect_timeout is None:
            return Refusal(200, "the connection broke before the first word")
        return _network_refusal(error, connect_timeout)
    if isinstance(error, openai.APIResponseValidationError):
        return Refusal(error.status_code, error.message, garbled=True)
    code = error.code or ""
    status = int(code) if code.isdecimal() else 500
    return Refusal(status, error.message, code, error.param or "", numbers=_numbers(error.body))


def _plain_answer(body: bytes, status: int) -> Refusal:
    """Read JSON that came where a stream was asked for; it may hold an error."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    said = _message_in(found) if isinstance(found, dict) and "error" in found else ""
    return Refusal(status, said or "it answers with JSON at once", garbled=True)


def _status_refusal(error: openai.APIStatusError) -> Refusal:
    headers = error.response.headers
    page = "html" in headers.get("content-type", "")
    said = "" if page else _message_in(error.body)
    return Refusal(
        error.status_code,
        said or error.response.reason_phrase,
        error.code or "",
        error.param or "",
        _seconds(headers.get("retry-after-ms"), headers.get("retry-after")),
        page=page,
        numbers=_numbers(error.body),
    )


def _network_refusal(error: BaseException, connect_timeout: float) -> Refusal:
    chain = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(below)
    names = {type(link).__name__ for link in chain}
    if names & {"SSLError", "SSLCertVerificationError"}:
        return Refusal(None, f"its certificate is not trusted: {chain[-1]}", fatal=True)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        return Refusal(None, str(chain[-1]), fatal=True)
    if "ConnectTimeout" in names:
        return Refusal(None, f"no connection within {connect_timeout:g} s")
    words = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    return Refusal(None, words[-1] if words else str(chain[-1]) or "no connection")


def _seconds(milliseconds: str | None, seconds: str | None) -> float | None:
    """Read how long a server asks to be left alone."""
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if seconds is not None:
            return max(0.0, float(seconds))
    except ValueError:
        date = parsedate_tz(seconds or "")
        return max(0.0, mktime_tz(date) - time.time()) if date is not None else None
    return None


def _message_in(body: object) -> str:
    """Return the words in an error's body, however the server wraps them."""
    match body:
        case {"error": inner}:
            return _message_in(inner)
        case {"message": str(words)} | {"detail": str(words)}:
            return words
        case dict() | list():
            return json.dumps(body, ensure_ascii=False)
        case str():
            return body
        case _:
            return ""


def _numbers(body: object) -> dict[str, int]:
    fields: dict[Any, Any] = body if isinstance(body, dict) else {}
    return {str(name): value for name, value in fields.items() if isinstance(value, int)}
