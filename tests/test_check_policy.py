"""What does a step's policy get from its tool, and what may it not say?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmcompiler import Tool, Toolbox, tool
from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.plan import Policy, Task, TaskId


@tool
def look(at: str) -> str:
    return at


READ_OF: Tool[..., str] = replace(look, name="read_of", resource="disk")
WRITE: Tool[..., str] = replace(look, name="write", effects="write")
WRITE_TO: Tool[..., str] = replace(look, name="write_to", effects="write", resource="disk")
AGAIN: Tool[..., str] = replace(look, name="again", effects="write", idempotent=True)
TOOLS = Toolbox([look, READ_OF, WRITE, WRITE_TO, AGAIN])


def task(name: str, policy: Policy | None = None) -> Task:
    return Task(TaskId("1"), name, {"at": "a"}, policy=policy or Policy(), line=3)


def stamped(name: str, policy: Policy | None = None) -> Policy:
    return check(task(name, policy), TOOLS, Scope()).policy


def test_a_plain_read_comes_back_unchanged() -> None:
    plain = task("look", Policy(timeout=3.0))
    assert check(plain, TOOLS, Scope()) is plain


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("read_of", Policy(effects="read", resource="disk")),
        ("write", Policy(effects="write")),
        ("write_to", Policy(effects="write", resource="disk")),
    ],
)
def test_a_step_carries_the_effects_and_the_resource_of_its_tool(name: str, policy: Policy) -> None:
    assert stamped(name) == policy


def test_what_the_steps_own_policy_says_stays() -> None:
    own = Policy(timeout=3.0, effects="read", resource="tape", approve="why")
    assert stamped("write_to", own) == own
    assert stamped("write_to", Policy(timeout=3.0)) == Policy(
        timeout=3.0, effects="write", resource="disk"
    )
    assert stamped("look", Policy(effects="write")) == Policy(effects="write")


def test_a_checked_task_comes_back_unchanged_when_it_is_checked_again() -> None:
    once = check(task("write_to"), TOOLS, Scope())
    assert check(once, TOOLS, Scope()).policy == once.policy


@pytest.mark.parametrize("policy", [Policy(retries=2), Policy(retries=1, effects="write")])
def test_a_write_that_is_not_idempotent_is_not_tried_again(policy: Policy) -> None:
    with pytest.raises(PlanError) as caught:
        check(task("write", policy), TOOLS, Scope(), '1. write(at="a")')
    assert caught.value.problem == (
        "write writes, and a write is tried again only where the tool is marked idempotent: "
        "take the retries away"
    )
    assert (caught.value.line, caught.value.column) == (3, 4)


def test_what_may_be_tried_again_may_have_retries() -> None:
    assert stamped("again", Policy(retries=2)).retries == 2
    assert stamped("write", Policy(retries=0)).retries == 0
    assert stamped("look", Policy(retries=2)).retries == 2
    assert stamped("write", Policy(retries=2, effects="read")).retries == 2
