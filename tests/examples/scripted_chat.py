"""Runs the chatbot on a scripted model; with --tty, as what owns the terminal on its input."""

import fcntl
import importlib
import sys
import termios
from pathlib import Path

import anyio

from llmcompiler.messages import Prompt
from llmcompiler.testing import FunctionLLM

PLANS = {
    "compare": '1. quick(name="left")\n2. quick(name="right")\n'
    '3. quick(name="${1} and ${2}")\n4. join($3)\n',
    "wait": '1. quick(name="first")\n2. slow(name="second")\n'
    '3. slow_in_a_thread(name="third")\n4. quick(name="${2}")\n5. join()\n',
    "mail": '1. quick(name="left")\n2. send(to="ann")\n3. quick(name="${2}")\n4. join()\n',
    "mails": '1. send(to="a")\n2. send(to="b")\n3. slow(name="c")\n4. join()\n',
    "mistake": '1. quik(name="left")\n2. join()\n',
    "break": "neither plan nor answer",
}


async def say(prompt: Prompt) -> list[str]:
    """Plan what the request names, answer once there are results, and say what was asked before."""
    requests = [message.text for message in prompt.messages if message.kind == "request"]
    last = prompt.messages[-1]
    if last.kind == "observation":
        return ["Answer: ", "the results ", f"of {requests[-1]}", "\nare in."]
    if "rejected" in last.text:
        return ['1. quick(name="left")\n']
    if requests[-1] == "ponder":
        await anyio.sleep(600)
    text = PLANS.get(requests[-1], f"Answer: \x1b[31mI have heard {', '.join(requests)}.")
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--tty" in arguments:
        arguments.remove("--tty")
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here.parents[1] / "examples" / "chatbot"))
    arguments += ["--tools", str(here / "slow_tools.py")]
    sys.exit(importlib.import_module("chat").main(arguments, FunctionLLM(say)))
