"""What the page of failures shows: runs in which something goes wrong, and how they are written down.

python -m tests.gallery.cases        # writes what happens now into docs/failures.md

Each case is a run in virtual time: its lines of progress, its result, what the model was told of
it, and how the command would end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from llmcompiler import Limits, ToolError, tool
from llmcompiler.cli.exits import status_of
from llmcompiler.cli.lines import line_of
from llmcompiler.errors import EndpointError
from llmcompiler.events import RunStarted, StepPlanned
from llmcompiler.plan import Cancelled, Failed, Ok, Outcome, Skipped
from llmcompiler.testing import Reply
from tests.gallery.scene import Seen, play

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"
_WIDTH = 118  # characters of a line that are shown
BLOCK = re.compile(r"^### (.+?)\n(.*?)^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@tool
async def price(item: str) -> float:
    """What an item costs."""
    await anyio.sleep(1)
    if item == "ghost":
        raise ToolError("there is no item 'ghost'; there are 'ink' and 'pen'")
    return {"pen": 1.5, "ink": 4.0}.get(item, 2.0)


@tool
async def double(number: float) -> float:
    """Double a number."""
    return 2 * number


@tool(timeout=3)
async def crawl(url: str) -> str:
    """Fetch a page that never comes."""
    await anyio.sleep(100)
    return url


@tool(retries=2)
async def flaky(item: str) -> str:
    """Fail once, then work."""
    tries = _tries.setdefault(item, [])
    tries.append(item)
    if len(tries) == 1:
        raise ConnectionError("the line is busy")
    return item


@tool(fallback="old_price")
async def new_price(item: str) -> float:
    """What an item costs, from a service that is down."""
    raise ConnectionError("no route to the shop")


@tool
async def old_price(item: str) -> float:
    """What an item cost yesterday."""
    return 1.4


@tool
async def lookup(key: str) -> Any:
    """Look something up of which nobody knows the type."""
    return {"three": 3, "word": "many"}[key]


@tool
async def listing(count: int) -> list[str]:
    """List many names."""
    return [f"name {number}" for number in range(count)]


@tool
async def wishes() -> list[str]:
    """What somebody wants to have."""
    return ["pen", "ghost", "ink"]


@tool(effects="write", approve="always")
async def order(item: str, pieces: int) -> str:
    """Order pieces of an item."""
    return f"{pieces} x {item} ordered"


TOOLS = [price, double, crawl, flaky, new_price, old_price, lookup, listing, wishes, order]
_tries: dict[str, list[str]] = {}


@dataclass(frozen=True)
class Case:
    """A run in which something goes wrong: what the model says, and how the agent is set."""

    replies: tuple[str | Reply, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


_DOWN = EndpointError(
    "http://localhost:8080/v1", "connection", "refuses connections: start it, or name another"
)
_PEN = '1. price(item="pen")\n2. join()'

CASES: dict[str, Case] = {
    "A step fails": Case(
        (
            '1. price(item="ghost")\n2. double(number=$1)\n3. price(item="pen")\n4. join()',
            "1. join()",
            "Answer: Only the pen has a price: 1.5.",
        )
    ),
    "A step fails and is mended": Case(
        (
            '1. price(item="ghost")\n2. double(number=$1)\n3. join()',
            '1. price(item="ink")\n2. join()',
            "Answer: 8",
        )
    ),
    "A failed call is written again as it was": Case(
        (
            '1. price(item="ghost")\n2. join()',
            '1. price(item="ghost")\n2. join()',
            "Answer: There is no such item.",
        )
    ),
    "A call takes too long": Case(
        ('1. crawl(url="slow.example")\n2. join()', "1. join()", "Answer: It did not come.")
    ),
    "A call is tried again": Case(('1. flaky(item="pen")\n2. join()', "Answer: pen")),
    "Another tool takes over": Case(('1. new_price(item="pen")\n2. join()', "Answer: 1.4")),
    "One call of a fan-out fails": Case(
        (
            "1. wishes()\n2. price(item=each $1)\n3. join()",
            "1. join()",
            "Answer: 1.5 and 4, and there is no ghost.",
        )
    ),
    "A step waits for approval": Case(
        ('1. order(item="ink", pieces=2)\n2. price(item="pen")\n3. join()',)
    ),
    "A step is denied": Case(
        ('1. order(item="ink", pieces=2)\n2. join()', "Answer: Nothing was ordered."),
        {"approver": lambda request: request.deny("too much ink")},
    ),
    "A result cannot fit where it goes": Case(
        (
            "1. listing(count=2)\n2. double(number=$1)\n3. join()",
            '2. price(item="${1[0]}")',
            "Answer: 2",
        )
    ),
    "A result turns out not to fit": Case(
        (
            '1. lookup(key="word")\n2. double(number=$1)\n3. join()',
            "2. join()",
            "Answer: I cannot double that.",
        )
    ),
    "There is no such tool": Case(
        ('1. prize(item="pen")\n2. join()', '1. price(item="pen")', "Answer: 1.5")
    ),
    "A line cannot be read": Case(
        ("1. price(item=)\n2. join()", '1. price(item="pen")', "Answer: 1.5")
    ),
    "A line is never repaired": Case(
        (
            '1. prize(item="pen")\n2. double(number=$1)\n3. join()',
            "1. prise(item=1)",
            "1. prixe(item=1)",
            "Answer: I could not look that up.",
        )
    ),
    "The same call is planned twice": Case(
        ('1. price(item="pen")\n2. price(item="pen")\n3. join()', "Answer: 1.5 each")
    ),
    "Nobody reads a step": Case(
        (
            '1. price(item="pen")\n2. price(item="ink")\n3. double(number=$2)\n4. join($1)',
            "Answer: 1.5",
        )
    ),
    "A result is too large": Case(
        ("1. listing(count=1000)\n2. join()", "Answer: There are a thousand."),
        {"limits": Limits(result_chars=120)},
    ),
    "The plan is cut off": Case(
        (
            Reply('1. price(item="pen")\n2. price(it', reason="length"),
            '2. price(item="ink")\n3. join()',
            "Answer: 1.5 and 4",
        )
    ),
    "The reply is neither plan nor answer": Case(("Let me think.", "Answer: 1.5")),
    "The reply is neither plan nor answer, twice": Case(("Let me think.", "I am thinking.")),
    "The model server is down": Case((Reply(error=_DOWN),)),
    "The model server goes down in the middle": Case(
        (Reply('1. crawl(url="slow.example")\n', error=_DOWN),)
    ),
    "The time is up": Case(
        (
            '1. price(item="pen")\n2. crawl(url="slow.example")\n3. join()',
            "Answer: The pen costs 1.5.",
        ),
        {"limits": Limits(seconds=2)},
    ),
    "The time is up and there is nothing to answer with": Case(
        (Reply(chunks=("1. ", "price")),), {"limits": Limits(seconds=2), "delay": 5.0}
    ),
    "Replans are used up": Case(
        (_PEN, "Answer: 1.5"),
        {"limits": Limits(replans=0)},
    ),
    "Tool calls are used up": Case(
        (
            '1. price(item="pen")\n2. price(item="ink")\n3. join()',
            "Answer: The pen costs 1.5.",
        ),
        {"limits": Limits(tool_calls=1)},
    ),
    "Model calls are used up": Case((_PEN, "Answer: 1.5"), {"limits": Limits(model_calls=2)}),
    "Tokens are used up": Case((_PEN,), {"limits": Limits(tokens=10)}),
}


def played(case: Case) -> Seen:
    """Play a case to its end."""
    _tries.clear()
    options = dict(case.options)
    delay = options.pop("delay", 0.0)
    return play(*case.replies, tools=TOOLS, request="What do they cost?", delay=delay, **options)


def shown(case: Case) -> str:
    """Play a case and write down what one sees of it."""
    seen = played(case)
    return "\n".join([*_progress(seen), *_result(seen), *_read(seen), *_exit(seen), ""])


def _progress(seen: Seen) -> list[str]:
    tools: dict[str, str] = {}
    lines: list[str] = []
    for event in seen.events:
        if isinstance(event, StepPlanned):
            tools[event.step] = event.tool
        line = None if isinstance(event, RunStarted) else line_of(event, tools)
        if line is not None:
            lines.append(_cut(str(line)))
    return lines


def _result(seen: Seen) -> list[str]:
    lines = [f"result   {seen.result.status}"]
    lines += [_cut(f"  {step.task.id}      {_outcome(step.outcome)}") for step in seen.result.steps]
    lines += [
        f"  {each.step}      pending: {each.tool} {dict(each.args)}, since {each.reason}"
        for each in seen.result.pending
    ]
    return lines


def _outcome(outcome: Outcome) -> str:
    match outcome:
        case Ok(value):
            return f"Ok({value!r})"
        case Failed(kind, message, attempts, _):
            return f"Failed({kind!r}, {message!r}, attempts={attempts})"
        case Skipped(reason, because):
            return f"Skipped({reason!r}, because={because!r})"
        case Cancelled(reason):
            return f"Cancelled({reason!r})"


def _read(seen: Seen) -> list[str]:
    texts = [
        line
        for message in seen.llm.prompts[-1].messages
        if message.kind in ("observation", "notice")
        for line in message.text.splitlines()
    ]
    return ["the model reads", *(_cut(f"  {text}") for text in texts)] if texts else []


def _exit(seen: Seen) -> list[str]:
    if seen.result.status == "pending":
        return []
    error = seen.result.error
    said = "" if error is None else f"  llmcompiler: {error}"
    return [f"exit     {status_of(error)}{said}"]


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def rewritten(page: str) -> str:
    """Return the page with every block as it is now."""

    def anew(found: re.Match[str]) -> str:
        title, between, _ = found.groups()
        case = CASES.get(title)
        if case is None:
            return found.group()
        return f"### {title}\n{between}```text\n{shown(case)}```"

    return BLOCK.sub(anew, page)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
