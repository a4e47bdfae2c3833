"""How does a model server behave, well or badly? A real HTTP/1.1 server on loopback, by script.

It knows no client: what it sends is written out byte by byte, so that it can send it wrongly.

    async with serve(streams("1. add(a=1, b=2)\\n", "2. join()"), cuts("Answer: it")) as server:
        llm = OpenAILLM("m", server.url)
        ...
        assert server.requests[0].body["model"] == "m"

Each POST takes the next reply of the script; a script that is used up answers 410, which no
client tries again. A reply is an async function of a `Connection`, so a test can write its own.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.from_thread import start_blocking_portal

__all__ = [
    "Connection",
    "Request",
    "Script",
    "Server",
    "answers",
    "answers_late",
    "as_event",
    "breaks_with_error",
    "chunk",
    "cuts",
    "ends_without_reason",
    "hangs",
    "serve",
    "serve_in_thread",
    "streams",
    "web_page",
]


@dataclass
class Request:
    """What a client asked. `left` is set when it went away before the reply was complete."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    left: anyio.Event = field(default_factory=anyio.Event)

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The chat messages as pairs of role and content."""
        return [(message["role"], message["content"]) for message in self.body["messages"]]


@dataclass
class Connection:
    """One request's side of the wire, for a reply to write on."""

    stream: SocketStream
    request: Request

    async def head(
        self, status: int = 200, form: str = "text/event-stream", **headers: str
    ) -> None:
        """Send status and headers of a chunked response; `retry_after` becomes ``retry-after``."""
        lines = [f"HTTP/1.1 {status} X", f"content-type: {form}", "transfer-encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.stream.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, data: bytes) -> None:
        """Send one HTTP chunk, in one piece."""
        await self.stream.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, data: dict[str, Any] | str) -> None:
        """Send one server-sent event."""
        await self.send(as_event(data))

    async def text(self, text: str) -> None:
        """Send a piece of the reply."""
        await self.event(chunk({"content": text}))

    async def end(self) -> None:
        """End the response as HTTP wants it ended."""
        await self.stream.send(b"0\r\n\r\n")

    async def cut(self, reset: bool = False) -> None:
        """Close the connection in the middle; `reset` does it the hard way (RST)."""
        if reset:
            raw = self.stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()


Script: TypeAlias = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    """A running server: its API's root and what it was asked, oldest first."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def posts(self) -> list[Request]:
        """The requests for completions, without those for the list of models."""
        return [request for request in self.requests if request.method == "POST"]


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """Return a `chat.completion.chunk`."""
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def as_event(data: dict[str, Any] | str) -> bytes:
    """Return the bytes of a server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def streams(
    *pieces: str,
    delay: float = 0.0,
    reason: str | None = "stop",
    usage: tuple[int, int, int] | None = (10, 4, 2),
    end: Literal["done", "clean", "cut", "reset"] = "done",
) -> Script:
    """Stream `pieces`, `delay` seconds before each, then `reason` and `usage`, then `end`.

    `usage` is prompt, reused and completion tokens, sent only if the client asked for it.
    """

    async def reply(connection: Connection) -> None:
        await connection.head()
        await connection.event(chunk({"role": "assistant", "content": ""}))
        for piece in pieces:
            if delay:
                await anyio.sleep(delay)
            await connection.text(piece)
        if reason is not None:
            await connection.event(chunk({}, reason))
        options = connection.request.body.get("stream_options") or {}
        if usage is not None and reason is not None and options.get("include_usage"):
            await connection.event({**chunk({}), "choices": [], "usage": _usage(*usage)})
        if end == "done":
            await connection.event("[DONE]")
        if end in ("done", "clean"):
            await connection.end()
        else:
            await connection.cut(reset=end == "reset")

    return reply


def _usage(prompt: int, reused: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": reused},
    }


def cuts(*pieces: str, delay: float = 0.0, reset: bool = False) -> Script:
    """Stream `pieces`, then close the connection in the middle of the response."""
    return streams(*pieces, delay=delay, reason=None, end="reset" if reset else "cut")


def ends_without_reason(*pieces: str, delay: float = 0.0, done: bool = True) -> Script:
    """Stream `pieces`, then end the response properly without ever giving a finish reason."""
    return streams(*pieces, delay=delay, reason=None, end="done" if done else "clean")


def breaks_with_error(*pieces: str, message: str = "out of memory", **fields: object) -> Script:
    """Stream `pieces`, then send an error object as an event."""

    async def reply(connection: Connection) -> None:
        await connection.head()
        for piece in pieces:
            await connection.text(piece)
        await connection.event({"error": {"message": message, **fields}})
        await connection.end()

    return reply


def answers(
    status: int, body: dict[str, Any] | str = "", form: str = "application/json", **headers: str
) -> Script:
    """Answer at once, with `body` as JSON, or as it is where it is text."""

    async def reply(connection: Connection) -> None:
        await connection.head(status, form, **headers)
        text = body if isinstance(body, str) else json.dumps(body)
        if text:
            await connection.send(text.encode())
        await connection.end()

    return reply


def web_page(status: int = 200) -> Script:
    """Answer with HTML."""
    return answers(
        status, "<!doctype html><title>Welcome</title><p>Hi!", "text/html; charset=utf-8"
    )


def hangs(*pieces: str) -> Script:
    """Stream `pieces` (with none not even headers), then say nothing until the client leaves."""

    async def reply(connection: Connection) -> None:
        if pieces:
            await connection.head()
        for piece in pieces:
            await connection.text(piece)
        await anyio.sleep_forever()

    return reply


def answers_late(seconds: float, then: Script) -> Script:
    """Wait before the headers of another reply."""

    async def reply(connection: Connection) -> None:
        await anyio.sleep(seconds)
        await then(connection)

    return reply


@asynccontextmanager
async def serve(
    *script: Script, models: Sequence[str] | None = ("m",), root: str = "/v1"
) -> AsyncGenerator[Server, None]:
    """Serve `script` on a free port of loopback; `models` None has no list of models.

    The API is below `root`; every other path is 404, in JSON.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(SocketAttribute.local_port)
    server = Server(f"http://127.0.0.1:{port}{root}")
    left = iter(script)

    def reply_to(request: Request) -> Script:
        if request.method == "POST" and request.path == f"{root}/chat/completions":
            return next(left, answers(410, {"error": {"message": "the script is used up"}}))
        if request.method == "GET" and request.path == f"{root}/models" and models is not None:
            return answers(200, {"object": "list", "data": [{"id": name} for name in models]})
        return answers(404, {"detail": "Not Found"})

    async def talk(stream: SocketStream) -> None:
        server.connections += 1
        buffer = bytearray()
        try:
            async with stream:
                while (request := await _read(stream, buffer)) is not None:
                    server.requests.append(request)
                    await _reply(stream, request, buffer, reply_to(request))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    raised: Exception | None = None
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, talk)
        try:
            yield server
        except Exception as error:  # noqa: BLE001 - raised below, free of the group's wrapping
            raised = error
        group.cancel_scope.cancel()
    if raised is not None:
        raise raised


@contextmanager
def serve_in_thread(
    *script: Script, models: Sequence[str] | None = ("m",), root: str = "/v1"
) -> Generator[Server, None, None]:
    """Do as `serve` does, in a thread, for callers that have no event loop or several."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(*script, models=models, root=root)) as server,
    ):
        yield server


async def _read(stream: SocketStream, buffer: bytearray) -> Request | None:
    """Read one request, or return None when the client has gone."""
    try:
        while b"\r\n\r\n" not in buffer:
            buffer += await stream.receive()
        head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(rest) < size:
            rest += await stream.receive()
    except anyio.EndOfStream:
        return None
    buffer[:] = rest[size:]
    return Request(method, path, headers, json.loads(rest[:size]) if size else None)


async def _reply(stream: SocketStream, request: Request, buffer: bytearray, reply: Script) -> None:
    """Run `reply` until it is done or the client goes away, which is seen at once."""

    async def watch() -> None:
        try:
            while True:
                buffer.extend(await stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            request.left.set()
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            await reply(Connection(stream, request))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            request.left.set()
        group.cancel_scope.cancel()
