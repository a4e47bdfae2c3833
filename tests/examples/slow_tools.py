"""Tools that wait, for a chat to be stopped in; the one that does says so in the file $BEGUN."""

import os
import time

import anyio

from llmcompiler import tool


@tool
async def quick(name: str) -> str:
    """Answer at once."""
    return f"{name} is done"


@tool(approve="always")
async def send(to: str) -> str:
    """Send something, if somebody says so."""
    return f"sent to {to}"


@tool
async def slow(name: str) -> str:
    """Wait for longer than anybody does."""
    if "BEGUN" in os.environ:
        await anyio.Path(os.environ["BEGUN"]).touch()
    await anyio.sleep(600)
    return name


@tool
def slow_in_a_thread(name: str) -> str:
    """Wait for longer than anybody does, where nothing can be stopped."""
    time.sleep(600)
    return name
