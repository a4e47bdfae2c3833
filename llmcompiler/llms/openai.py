"""How does any OpenAI-compatible server become an `LLM`: what is tried again, what is given up?

It does not know planners or their forms: it streams text, and no tools API is used.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import anyio
from anyio.lowlevel import RunVar

from llmcompiler.errors import EndpointError, ModelSpecError
from llmcompiler.llms.chat_request import (
    LIMITS,
    chat_messages,
    client_arguments,
    optional_parameters,
)
from llmcompiler.llms.endpoint_errors import (
    OFFICIAL,
    Landscape,
    Refusal,
    context_numbers,
    explain,
    refused_parameter,
    shown,
    wants_a_look_around,
    worth_another_try,
)
from llmcompiler.llms.openai_reply import Refused, Reply, refusal_of
from llmcompiler.messages import Delta, Finished, Prompt, Sampling, TextDelta, Usage
from llmcompiler.retry import Retry

if TYPE_CHECKING:
    import openai

    _Held: TypeAlias = "tuple[openai.AsyncOpenAI, AsyncGenerator[openai.AsyncOpenAI, None]]"

__all__ = ["OpenAILLM"]

_log = logging.getLogger("llmcompiler")
_NO_KEY = "no-key"  # a server of one's own takes any, and the client insists on having one
_LOOK_AROUND = 5.0  # seconds for finding out what a refusing server has instead


class OpenAILLM:
    """A model behind any OpenAI-compatible `/chat/completions`.

    `base_url` is the API's root, usually ending in ``/v1``; None takes OPENAI_BASE_URL, else
    OpenAI itself. `api_key` None takes OPENAI_API_KEY; a server other than OpenAI's may need none.
    Until the first piece of a reply, connection errors and the statuses 408, 409, 429 and 5xx are
    tried again up to `max_retries` times, within ``Sampling.timeout`` in all; after it, nothing is.
    `connect_timeout` is in seconds. `client` is a ready ``openai.AsyncOpenAI``, never closed here.

    ``Prompt.grammar`` is ignored; ``Prompt.schema`` is sent where there is no grammar. A parameter
    that the server will not have (`stream_options`, `temperature`, …) is left out from then on.
    A reasoning model's thoughts (`reasoning_content`) are no answer and are skipped.
    One object may serve several event loops, one after the other: it has a client in each.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        max_retries: int = 3,
        connect_timeout: float = 10.0,
        client: openai.AsyncOpenAI | None = None,
    ) -> None:
        url = base_url or os.environ.get("OPENAI_BASE_URL") or f"https://{OFFICIAL}/v1"
        if client is not None:
            url = str(client.base_url)
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ModelSpecError(shown(url), "its URL must start with http:// or https://")
        if not model:
            raise ModelSpecError(shown(url), "the model's name is missing")
        self._model = model
        self._url = url
        self._key = api_key
        self._retry = Retry(attempts=max_retries)
        self._connect_timeout = connect_timeout
        self._given = client
        self._refused: set[str] = set()
        self._held: RunVar[_Held | None] = RunVar("client", None)

    @property
    def name(self) -> str:
        """The model's name, as the server knows it."""
        return self._model

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt`: pieces of text, then how the reply ended.

        Raise `EndpointError` or `ContextLengthError` when no first piece is to be had.
        """
        reply, text = await self._begin(prompt, sampling)
        letters = 0
        try:
            while text is not None:
                letters += len(text)
                yield TextDelta(text)
                text = await self._next(reply, sampling.timeout)
        finally:
            await reply.close()
        usage = reply.usage
        if usage is None:
            sent = sum(len(message.text) for message in prompt.messages)
            usage = Usage(sent // 4, 0, letters // 4, 1, estimated=True)
        yield Finished(reply.reason or "cut", usage)

    async def aclose(self) -> None:
        """Close the connections of this event loop; a later call opens new ones."""
        held = self._held.get()
        if held is not None:
            await held[1].aclose()

    async def _next(self, reply: Reply, timeout: float) -> str | None:
        """Return the next piece; None when the reply has ended, in whatever way."""
        try:
            with anyio.fail_after(timeout) as scope:
                return await reply.next_text(scope, timeout)
        except Refused as refused:
            problem = refused.refusal.message
        except TimeoutError:
            problem = f"silent for {timeout:g} s"
        if reply.reason is None:
            _log.info("a reply of %r broke off: %s", self._model, problem)
        return None

    async def _begin(self, prompt: Prompt, sampling: Sampling) -> tuple[Reply, str | None]:
        """Return an open reply and its first piece; only this is ever tried again."""
        client = await self._client()
        last: Refused | None = None
        rest = 0.0  # of what the server asked to be left alone, beyond the policy's own wait

        def worthwhile(error: BaseException) -> bool:
            nonlocal last
            if not isinstance(error, Refused):
                return False
            last = error
            wait = error.refusal.retry_after or 0.0
            return worth_another_try(error.refusal) and anyio.current_time() + wait < scope.deadline

        def before(number: int, error: BaseException, wait: float) -> None:
            nonlocal rest
            asked = last.refusal.retry_after if last is not None else None
            rest = max(0.0, (asked or 0.0) - wait)
            _log.info("try %d of %r in %.1f s: %s", number, self._model, wait + rest, error)

        async def again() -> tuple[Reply, str | None]:
            await anyio.sleep(rest)
            return await self._ask(client, prompt, sampling, scope)

        with anyio.move_on_after(sampling.timeout) as scope:
            try:
                return await self._ask(client, prompt, sampling, scope)
            except Refused as first:
                try:
                    return await self._retry.go_on(first, again, on=worthwhile, before=before)
                except Refused as refused:
                    last = refused
        if last is None:
            problem = f"did not begin to answer within {sampling.timeout:g} s"
            hint = "try again, or look whether it is overloaded"
            raise EndpointError(shown(self._url), "timeout", f"{problem}: {hint}")
        around = await self._look_around(client, last.refusal)
        raise explain(self._url, self._model, last.refusal, around) from last.__cause__

    async def _ask(
        self,
        client: openai.AsyncOpenAI,
        prompt: Prompt,
        sampling: Sampling,
        scope: anyio.CancelScope,
    ) -> tuple[Reply, str | None]:
        """Ask once; parameters that the server refuses are left out one by one."""
        too_long: set[str] = set()
        while True:
            optional = optional_parameters(prompt, sampling, self._refused | too_long)
            body = {"model": self._model, "messages": chat_messages(prompt.messages), **optional}
            try:
                return await self._open(client, body, sampling.timeout, scope)
            except Refused as error:
                numbers = context_numbers(error.refusal)
                refused = refused_parameter(error.refusal, optional)
                if refused is not None:
                    self._refused.add(refused)
                elif numbers is not None and numbers[0] < numbers[1] and {*LIMITS} & {*optional}:
                    too_long.update(LIMITS)  # the prompt fits, but not with the longest reply
                else:
                    raise

    async def _open(
        self,
        client: openai.AsyncOpenAI,
        body: dict[str, Any],
        timeout: float,
        scope: anyio.CancelScope,
    ) -> tuple[Reply, str | None]:
        import openai

        create: Any = client.chat.completions.create
        waits = openai.Timeout(None, connect=self._connect_timeout)  # `scope` bounds the others
        try:
            chunks = await create(**client_arguments(body), stream=True, timeout=waits)
        except openai.APIError as error:
            raise Refused(refusal_of(error, self._connect_timeout)) from error
        reply = Reply(chunks)
        try:
            await reply.check_form()
            text = await reply.next_text(scope, timeout)
            if text is None and reply.reason is None:
                raise Refused(Refusal(200, "its stream ended before the first word"))
        except BaseException:
            await reply.close()
            raise
        return reply, text

    async def _client(self) -> openai.AsyncOpenAI:
        if self._given is not None:
            return self._given.with_options(max_retries=0)
        held = self._held.get()
        if held is None:
            key = self._key or os.environ.get("OPENAI_API_KEY")
            if not key and urlsplit(self._url).hostname == OFFICIAL:
                raise EndpointError(shown(self._url), "auth", "needs a key: set OPENAI_API_KEY")
            holder = self._open_client(key or _NO_KEY)
            held = (await anext(holder), holder)
            self._held.set(held)
        return held[0]

    async def _open_client(self, key: str) -> AsyncGenerator[openai.AsyncOpenAI, None]:
        """Hold a client open. An event loop closes its generators before it ends: this one too."""
        import openai

        client = openai.AsyncOpenAI(base_url=self._url, api_key=key, max_retries=0)
        try:
            yield client
        finally:
            self._held.set(None)  # a generator holds on to its loop
            await client.close()

    async def _look_around(self, client: openai.AsyncOpenAI, refusal: Refusal) -> Landscape:
        """Find out what the server has instead of what it refused."""
        if wants_a_look_around(refusal):
            with anyio.move_on_after(_LOOK_AROUND):
                models = await _models(client)
                if models is not None:
                    return Landscape(models)
                elsewhere = self._url.rstrip("/") + "/v1"
                if await _models(client.with_options(base_url=elsewhere)) is not None:
                    return Landscape(elsewhere=elsewhere)
        return Landscape()


async def _models(client: openai.AsyncOpenAI) -> tuple[str, ...] | None:
    """Return the names of the server's models; None where it has no such list."""
    import openai

    try:
        answer = await client.models.with_raw_response.list()
        found = json.loads(answer.text)["data"]
        return tuple(str(model["id"]) for model in found)
    except (openai.APIError, ValueError, LookupError, TypeError):
        return None
