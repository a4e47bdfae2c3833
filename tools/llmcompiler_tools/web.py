"""Pages of the web: what stands at an address.

It does not write anywhere, run scripts or keep cookies. Only public addresses are reached: a name
is looked up once, what it stands for is checked, and that very address is connected to, again at
every redirect.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx2
from typing_extensions import TypedDict

from llmcompiler import Tool, tool
from llmcompiler.errors import ToolError
from llmcompiler_tools.readable import readable

__all__ = ["TOOLS", "Page", "fetch", "fetch_tool", "is_public"]

_SECONDS: Final = 30.0  # for everything
_CONNECT_SECONDS: Final = 5.0  # for one address of a name
_LARGEST: Final = 5_000_000  # bytes of an answer
_REDIRECTS: Final = 5
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_ADDRESSES: Final = 4  # of a name that are tried
_TEXTS = re.compile(r"text/|application/([\w.-]+\+)?(json|xml|javascript|yaml|x-yaml|toml|sql)|$")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_HEADERS: Final = {
    "User-Agent": "llmcompiler",
    "Accept": "text/*, application/json, application/xml;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",
}


class Page(TypedDict):
    """What stands at an address; `url` is where it was found in the end."""

    url: str
    title: str
    text: str
    truncated: bool


def fetch_tool(*, allow_private: bool | None = None) -> Tool[..., Any]:
    """Make the tool `fetch`.

    `allow_private` lets it reach loopback and private addresses; None asks the environment
    variable LLMCOMPILER_ALLOW_PRIVATE, which says so with 1.
    """

    @tool(timeout=_SECONDS + 5, untrusted=True, sends=True)
    async def fetch(url: str, limit: int = 20_000) -> Page:
        """Read a page of the web, or another text at an http or https address.

        Args:
            url: the address
            limit: how many characters of the text to give at most
        """
        if limit < 1:
            raise ToolError("limit must be at least 1")
        allowed = allow_private
        if allowed is None:
            allowed = os.environ.get("LLMCOMPILER_ALLOW_PRIVATE") == "1"
        with anyio.move_on_after(_SECONDS):
            try:
                return await _page(url, limit, allowed)
            except httpx2.HTTPError as error:
                raise ToolError(f"cannot fetch {url!r}: {_explained(error)}") from None
        raise ToolError(f"{url!r} did not answer in full within {_SECONDS:g} s")

    return fetch


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it holds another inside."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


async def _page(url: str, limit: int, allow_private: bool) -> Page:
    timeout = httpx2.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
    target = _read(url)
    # No proxies of the environment, which would look names up themselves; its certificates are used.
    async with httpx2.AsyncClient(
        trust_env=False,
        verify=httpx2.create_ssl_context(),
        follow_redirects=False,
        timeout=timeout,
        headers=_HEADERS,
    ) as client:
        for _ in range(_REDIRECTS + 1):
            async with _answer(client, target, allow_private) as answer:
                if answer.status_code not in _MOVED or "location" not in answer.headers:
                    content = await _content(answer, target)
                    title, text = await anyio.to_thread.run_sync(
                        _text, content, answer, target, abandon_on_cancel=True
                    )
                    return {
                        "url": str(target),
                        "title": title,
                        "text": text[:limit],
                        "truncated": len(text) > limit,
                    }
                target = _read(str(target.join(answer.headers["location"])))
    raise ToolError(f"{url!r} leads on more than {_REDIRECTS} times")


def _read(url: str) -> httpx2.URL:
    try:
        target = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise ToolError(f"{url!r} is not an address like https://example.org/") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ToolError(f"{url!r} is not an address like https://example.org/")
    if target.userinfo:
        raise ToolError("an address must not hold a user name or password")
    return target


async def _addresses(target: httpx2.URL, allow_private: bool) -> list[str]:
    """Look the host up; refuse it where any of its addresses is not public."""
    host = target.raw_host.decode("ascii")
    try:
        port = target.port or (443 if target.scheme == "https" else 80)
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ToolError(f"there is no host {target.host!r}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise ToolError(
            f"{target.host!r} is not a public address; LLMCOMPILER_ALLOW_PRIVATE=1 allows it"
        )
    return addresses[:_ADDRESSES]


@asynccontextmanager
async def _answer(
    client: httpx2.AsyncClient, target: httpx2.URL, allow_private: bool
) -> AsyncIterator[httpx2.Response]:
    """Ask one of the checked addresses, under the name that was asked for."""
    host = target.raw_host.decode("ascii")
    named = {"sni_hostname": host} if target.scheme == "https" and not _is_ip(host) else {}
    failed: httpx2.HTTPError | None = None
    for address in await _addresses(target, allow_private):
        request = client.build_request(
            "GET",
            target.copy_with(host=address),
            headers={"Host": target.netloc.decode("ascii")},
            extensions=named,
        )
        try:
            answer = await client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            failed = error
            continue
        try:
            yield answer
        finally:
            await answer.aclose()
        return
    raise failed or ToolError(f"there is no host {target.host!r}")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _content(answer: httpx2.Response, target: httpx2.URL) -> bytes:
    if not answer.is_success:
        raise ToolError(f"{str(target)!r} answers {answer.status_code} {answer.reason_phrase}")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _TEXTS.match(kind):
        raise ToolError(f"{str(target)!r} is of type {kind!r}, which is no text")
    if answer.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise ToolError(f"{str(target)!r} answers in compressed form although it was asked not to")
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > _LARGEST:
            raise ToolError(f"{str(target)!r} answers with more than {_LARGEST} bytes")
    return bytes(content)


def _text(content: bytes, answer: httpx2.Response, target: httpx2.URL) -> tuple[str, str]:
    """Return the title and the text of an answer."""
    kind = answer.headers.get("content-type", "").lower()
    is_html = "html" in kind or (not kind and content[:256].lstrip().lower().startswith(b"<"))
    charset = answer.charset_encoding
    if charset is None and is_html and (found := _META_CHARSET.search(content[:2048])):
        charset = found[1].decode("ascii")
    try:
        text = content.decode(charset or "utf-8-sig", errors="replace")
    except (LookupError, UnicodeError):
        text = content.decode("utf-8-sig", errors="replace")
    if "\0" in text:
        raise ToolError(f"{str(target)!r} is no text")
    return readable(text) if is_html else ("", text)


def _explained(error: httpx2.HTTPError) -> str:
    match error:
        case httpx2.TimeoutException():
            return "it does not answer in time"
        case httpx2.ConnectError():
            return f"no connection ({error})"
        case _:
            return str(error) or type(error).__name__


fetch = fetch_tool()
TOOLS: tuple[Tool[..., Any], ...] = (fetch,)
