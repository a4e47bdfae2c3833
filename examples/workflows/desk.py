"""Tools of a small workshop that exists only here: orders, prices, jobs and a letter box.

They touch nothing outside of this process, so that the workflows beside them can be tried by anyone.
"""

from itertools import count
from typing import Any

from typing_extensions import TypedDict

from llmcompiler import ToolError, tool

PRICES = {"ladder": 80.0, "paint": 12.5, "roof tile": 3.2}
SHELVES: set[str] = set()
_numbers = count(1)
_asked: dict[int, int] = {}


class Price(TypedDict):
    """What a thing costs, and which shop says so."""

    item: str
    euros: float
    shop: str


class Job(TypedDict):
    """How far a job is: `done` is a share between 0 and 1."""

    number: int
    state: str
    done: float


@tool
async def price(item: str, shop: str = "corner") -> Price:
    """Ask a shop what an item costs. The one called "corner" never answers.

    Args:
        item: a thing, as "paint"
        shop: "corner" or "market"
    """
    if shop == "corner":
        raise ToolError("the corner shop does not answer")
    if item not in PRICES:
        raise ToolError(f"no shop has {item!r}")
    return {"item": item, "euros": PRICES[item], "shop": shop}


@tool(effects="write", resource="letter box")
async def send_letter(to: str, text: str) -> str:
    """Send a letter.

    Args:
        to: whom it is for
        text: what it says
    """
    return f"sent to {to}: {text}"


@tool(effects="write")
async def start_job(what: str) -> Job:
    """Give a job to the workshop.

    Args:
        what: what is to be done
    """
    number = next(_numbers)
    _asked[number] = 0
    return {"number": number, "state": f"{what}: waiting", "done": 0.0}


@tool
async def job(number: int) -> Job:
    """Ask how far a job is. It is a third further each time.

    Args:
        number: the number that it was given
    """
    if number not in _asked:
        raise ToolError(f"there is no job {number}")
    _asked[number] = min(_asked[number] + 1, 3)
    done = _asked[number]
    return {"number": number, "state": "done" if done == 3 else "working", "done": done / 3}


@tool(effects="write", resource="shelves")
async def reserve(shelf: str) -> str:
    """Keep a shelf free, so that nobody else takes it.

    Args:
        shelf: the name of a shelf
    """
    if shelf in SHELVES:
        raise ToolError(f"the shelf {shelf!r} is taken")
    SHELVES.add(shelf)
    return shelf


@tool(effects="write", resource="shelves")
async def put(shelf: str, items: list[str]) -> int:
    """Put things on a shelf; at most three fit. Returns how many there are.

    Args:
        shelf: the name of a shelf that was reserved
        items: the things
    """
    if len(items) > 3:
        raise ToolError(f"{len(items)} things do not fit on the shelf {shelf!r}")
    return len(items)


@tool(effects="write", resource="shelves")
async def release(shelf: str) -> str:
    """Let others have a shelf again.

    Args:
        shelf: the name of a shelf that was reserved
    """
    SHELVES.discard(shelf)
    return shelf


@tool
async def orders() -> list[dict[str, Any]]:
    """List what people have ordered: who, what, and how many."""
    return [
        {"who": "Anna", "item": "roof tile", "count": 40},
        {"who": "Ben", "item": "ladder", "count": 1},
        {"who": "Carla", "item": "paint", "count": 6},
    ]
