"""Does a real browser show the page, run its script and nothing of what a tool said?"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from llmcompiler.plan import Ok
from llmcompiler.trace import html_page
from tests.trace.sample import run_of, small, task

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine"),
]


def shown(text: str, folder: Path) -> str:
    """Return the page's elements after its script ran."""
    page = folder / "page.html"
    page.write_text(text, "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'user'}")
    done = subprocess.run(
        [str(BROWSER), *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return done.stdout.decode("utf-8")


def test_the_script_of_the_page_runs(tmp_path: Path) -> None:
    text = html_page(*small())
    assert "<title>3 fetch: done</title>" in text
    assert "<title>3 fetch: done</title>" not in shown(
        text, tmp_path
    )  # the script shows it instead


def test_nothing_that_a_tool_said_runs(tmp_path: Path) -> None:
    says = 'document.body.setAttribute("data-owned", "1")'
    evil = f"</script></style></title><script>{says}</script><img src=x onerror='{says}'>"
    run = run_of(
        [task(evil, evil, place=evil)], lambda _: 1.0, outcomes={evil: Ok(evil)}, answer=evil
    )
    assert "<body data-owned" not in shown(html_page(*run), tmp_path)


def test_a_script_that_got_in_would_still_not_run(tmp_path: Path) -> None:
    says = 'document.body.setAttribute("data-owned", "1")'
    text = html_page(*small()).replace("</body>", f"<script>{says}</script></body>")
    assert "<body data-owned" not in shown(text, tmp_path)
