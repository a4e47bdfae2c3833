"""Pages fetched from a real server on loopback, and the addresses that are refused."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmcompiler.errors import ToolError
from llmcompiler_tools import web
from llmcompiler_tools.web import fetch, fetch_tool, is_public

PAGE = """<!doctype html><html><head><title> A  page </title><style>p {color: red}</style></head>
<body><h1>Fruit</h1><p>Apples &amp;
pears</p><script>alert("no")</script><ul><li>one</li><li>two</li></ul><p>x<br>y</body></html>"""


class Site:
    """A web server; `answers` holds what it says at each path, `asked` what it was asked."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers["Host"]))
                site.answers[self.path](self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that goes away is no news

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://{host}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def says(
        self,
        path: str,
        body: bytes = b"",
        kind: str = "text/plain; charset=utf-8",
        status: int = 200,
        **headers: str,
    ) -> str:
        """Answer at `path`; return its address."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Site]:
    """A second server, on an address of its own."""
    made = Site("127.0.0.2")
    yield made
    made.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that stand for addresses; each look-up takes the next, and loopback 1 counts as public."""
    known: dict[str, list[str]] = {}

    async def look_up(host: str, port: int, **_: Any) -> list[Any]:
        found = known[host].pop(0).split() if host in known else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(anyio, "getaddrinfo", look_up)
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1")
    return known


def get(url: str, **args: Any) -> Any:
    return anyio.run(fetch_tool(allow_private=True).invoke, {"url": url, **args})


def get_in_public(url: str) -> Any:
    return anyio.run(fetch.invoke, {"url": url})


def refusal(url: str, allow_private: bool | None = None) -> str:
    with pytest.raises(ToolError) as caught:
        anyio.run(fetch_tool(allow_private=allow_private).invoke, {"url": url})
    return str(caught.value)


# -- what is there -----------------------------------------------------------------------------


def test_a_text_is_fetched_as_it_is(site: Site) -> None:
    url = site.says("/a.json", '{"é": 1}'.encode(), "application/json")
    assert get(url) == {"url": url, "title": "", "text": '{"é": 1}', "truncated": False}
    assert site.asked == [("/a.json", f"127.0.0.1:{site.port}")]


def test_a_page_is_fetched_as_it_reads(site: Site) -> None:
    page = get(site.says("/", PAGE.encode(), "text/html"))
    assert page["title"] == "A page"
    assert page["text"] == "Fruit\n\nApples & pears\n\none\n\ntwo\n\nx\ny"


def test_the_text_is_cut_where_it_was_asked_to_be(site: Site) -> None:
    page = get(site.says("/long", b"0123456789" * 10), limit=12)
    assert (page["text"], page["truncated"]) == ("012345678901", True)
    assert get(site.url + "/long", limit=1)["text"] == "0"
    assert get(site.url + "/long", limit=100)["truncated"] is False


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Zürich".encode("latin-1"), "text/plain; charset=ISO-8859-1"),
        ("Zürich".encode(), "text/plain"),
        ("\ufeffZürich".encode(), "text/plain"),
        ("Zürich".encode(), "text/plain; charset=nonsense"),
        ('<meta charset="latin-1"><p>Zürich'.encode("latin-1"), "text/html"),
    ],
)
def test_text_is_read_in_its_own_encoding(site: Site, body: bytes, kind: str) -> None:
    assert get(site.says("/", body, kind))["text"] == "Zürich"


def test_redirects_are_followed_and_the_last_address_is_told(site: Site, other: Site) -> None:
    there = other.says("/there", b"here")
    site.says("/step", status=307, Location=there)
    url = site.says("/", status=302, Location="step")
    assert get(url) == {"url": there, "title": "", "text": "here", "truncated": False}


def test_only_a_redirect_that_says_where_to_is_followed(site: Site) -> None:
    assert get(site.says("/", b"stay", Location="/next"))["text"] == "stay"
    lost = site.says("/lost", status=302)
    assert refusal(lost, allow_private=True) == f"{lost!r} answers 302 Found"


def test_proxies_of_the_environment_are_not_asked(
    site: Site, other: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.setenv("ALL_PROXY", other.url)
    assert get(site.says("/", b"direct"))["text"] == "direct"
    assert other.asked == []


# -- what is refused ---------------------------------------------------------------------------


def test_loopback_is_refused_and_never_connected_to(site: Site) -> None:
    url = site.says("/", b"secret")
    assert refusal(url) == (
        "'127.0.0.1' is not a public address; LLMCOMPILER_ALLOW_PRIVATE=1 allows it"
    )
    assert "is not a public address" in refusal(f"http://localhost:{site.port}/")
    assert "is not a public address" in refusal(f"http://2130706433:{site.port}/")
    assert site.asked == []


def test_the_environment_may_allow_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.says("/", b"open")
    monkeypatch.setenv("LLMCOMPILER_ALLOW_PRIVATE", "1")
    assert get_in_public(url)["text"] == "open"
    assert "is not a public address" in refusal(url, allow_private=False)
    monkeypatch.setenv("LLMCOMPILER_ALLOW_PRIVATE", "0")
    assert "is not a public address" in refusal(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::1", False),
        ("::", False),
        ("::7f00:1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_redirect_to_a_private_address_is_refused(
    site: Site, other: Site, names: dict[str, list[str]]
) -> None:
    other.says("/secret", b"secret")
    url = site.says("/", status=302, Location=f"{other.url}/secret")
    assert refusal(url).startswith("'127.0.0.2' is not a public address")
    assert len(site.asked) == 1
    assert other.asked == []


def test_a_name_is_looked_up_once_and_that_address_is_asked(
    site: Site, other: Site, names: dict[str, list[str]]
) -> None:
    site.says("/", b"first")
    names["rebind.example"] = ["127.0.0.1", "127.0.0.2"]
    page = get_in_public(f"http://rebind.example:{site.port}/")
    assert page["text"] == "first"
    assert site.asked == [("/", f"rebind.example:{site.port}")]
    assert names["rebind.example"] == ["127.0.0.2"]
    assert refusal(f"http://rebind.example:{site.port}/").startswith("'rebind.example' is not")


def test_a_name_is_checked_again_at_every_redirect(site: Site, names: dict[str, list[str]]) -> None:
    site.says("/", status=302, Location="/next")
    site.says("/next", b"secret")
    names["rebind.example"] = ["127.0.0.1", "127.0.0.2"]
    assert refusal(f"http://rebind.example:{site.port}/").startswith("'rebind.example' is not")
    assert [path for path, _ in site.asked] == ["/"]


def test_a_name_with_one_private_address_among_its_addresses_is_refused(
    site: Site, names: dict[str, list[str]]
) -> None:
    names["mixed.example"] = ["127.0.0.1 10.0.0.1"]
    assert refusal(f"http://mixed.example:{site.port}/").startswith("'mixed.example' is not")
    assert site.asked == []


def test_the_next_address_is_tried_where_one_does_not_answer(
    site: Site, names: dict[str, list[str]]
) -> None:
    url = site.says("/", b"second")
    names["two.example"] = ["127.0.0.3 127.0.0.1"]
    assert get(url.replace("127.0.0.1", "two.example"))["text"] == "second"


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://example.org/", "file:///etc/passwd", "http://", "http:///x", "http://[::1", "javascript:1", "http://a\0b/"],
)  # fmt: skip
def test_only_addresses_of_the_web_are_taken(url: str) -> None:
    assert refusal(url) == f"{url!r} is not an address like https://example.org/"


def test_a_redirect_may_not_leave_the_web_or_carry_a_password(site: Site) -> None:
    url = site.says("/", status=302, Location="file:///etc/passwd")
    assert "is not an address like" in refusal(url, allow_private=True)
    url = site.says("/", status=302, Location="http://a:b@127.0.0.1/")
    assert refusal(url, True) == "an address must not hold a user name or password"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"status": 404}, "answers 404 Not Found"),
        ({"status": 304}, "answers 304 Not Modified"),
        ({"kind": "image/png"}, "is of type 'image/png', which is no text"),
        ({"body": b"a\0b"}, "is no text"),
        ({"Content_Encoding": "gzip"}, "answers in compressed form although it was asked not to"),
        ({"body": b"x" * 5_000_001}, "answers with more than 5000000 bytes"),
    ],
)
def test_what_is_no_text_or_too_much_is_refused(
    site: Site, said: dict[str, Any], problem: str
) -> None:
    url = site.says("/", **said)
    assert refusal(url, allow_private=True) == f"{url!r} {problem}"


def test_a_circle_of_redirects_is_left(site: Site) -> None:
    url = site.says("/", status=302, Location="/")
    assert refusal(url, True) == f"{url!r} leads on more than 5 times"
    assert len(site.asked) == 6


def test_a_server_that_is_not_there_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert refusal(url, allow_private=True).startswith(f"cannot fetch {url!r}: no connection")


def test_a_name_that_nobody_has_is_told_in_words() -> None:
    assert refusal("http://nobody.invalid/") == "there is no host 'nobody.invalid'"


def test_a_slow_answer_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.01):
            handler.wfile.write(b"x")

    site.answers["/"] = drips
    monkeypatch.setattr(web, "_SECONDS", 0.2)
    try:
        problem = refusal(f"{site.url}/", allow_private=True)
    finally:
        done.set()
    assert problem == f"'{site.url}/' did not answer in full within 0.2 s"


def test_a_connection_that_breaks_is_told_in_words(site: Site) -> None:
    def breaks(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")

    site.answers["/"] = breaks
    assert refusal(f"{site.url}/", True).startswith(f"cannot fetch '{site.url}/': ")


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ToolError, match="limit must be at least 1"):
        get("http://127.0.0.1/", limit=0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_https_asks_the_checked_address_for_the_certificate_of_the_name(
    site: Site, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=tls.example",
         "-addext", "subjectAltName=DNS:tls.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    site.says("/", b"sealed")
    url = f"https://tls.example:{site.port}/"

    names["tls.example"] = ["127.0.0.1", "127.0.0.1"]
    assert "certificate verify failed" in refusal(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get_in_public(url)["text"] == "sealed"
    assert asked_for == ["tls.example", "tls.example"]

    names["wrong.example"] = ["127.0.0.1"]
    assert "certificate verify failed" in refusal(f"https://wrong.example:{site.port}/")
