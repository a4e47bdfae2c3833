"""Going on: a workflow that waits for approvals is resumed with verdicts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmcompiler.approval import ApprovalRequest, Verdict
from llmcompiler.errors import ApprovalError, ConfigurationError
from llmcompiler.testing import run_virtual
from llmcompiler.workflow import WorkflowResult
from tests.workflow.trying import loaded, told

TEXT = """\
    secrets: [KEY]
    inputs: {word: {type: string, default: hello}}
    steps:
      a: {uses: echo, with: {value: "${{ inputs.word }}"}}
      b: {uses: say, approve: always, with: {text: "${{ steps.a.output }} ${{ secrets.KEY }}"}}
      c: {uses: say, approve: always, with: {text: "again"}}
      d: {uses: say, with: {text: "${{ steps.b.output }}!"}}
    outputs: {text: "${{ steps.d.output }}"}
    """


def went(body: Callable[[WorkflowResult, list[str]], Awaitable[Any]]) -> Any:
    """Run the workflow until it waits, and then the body, with the steps that were started."""
    started: list[str] = []

    def note(event: Any) -> None:
        if event.type == "step_started":
            started.append(event.step)

    async def main() -> Any:
        flow = loaded(TEXT)
        result = await flow.run({"word": "hi"}, environment={"KEY": "s3cret"}, sinks=[note])
        assert result.status == "pending"
        return await body(result, started)

    return run_virtual(main)


def test_what_was_approved_runs_and_nothing_runs_twice() -> None:
    async def body(result: WorkflowResult, started: list[str]) -> None:
        assert started == ["a"]
        verdicts = [request.approve() for request in result.pending]

        def note(event: Any) -> None:
            if event.type == "step_started":
                started.append(event.step)

        done = await result.resume(verdicts, sinks=[note])
        assert done.status == "finished"
        assert sorted(started) == ["a", "b", "c", "d"]
        assert told(done) == {"a": "hi", "b": "hi ***", "c": "again", "d": "hi ***!"}
        assert done.outputs == {"text": "hi ***!"}

    went(body)


def test_what_nobody_decided_goes_on_waiting() -> None:
    async def body(result: WorkflowResult, started: list[str]) -> None:
        first = next(request for request in result.pending if request.step == "b")
        still = await result.resume([first.approve()])
        assert still.status == "pending"
        assert [request.step for request in still.pending] == ["c"]
        done = await still.resume([still.pending[0].deny("not today")])
        assert done.status == "failed"
        assert done.error == "step 'c' failed: it was not approved: not today"
        assert done.outputs == {"text": "hi ***!"}

    went(body)


def test_a_verdict_for_other_arguments_is_refused() -> None:
    async def body(result: WorkflowResult, started: list[str]) -> None:
        wrong = Verdict(result.pending[0].step, "0" * 16, approved=True)
        with pytest.raises(ApprovalError, match="no such call waits for approval"):
            await result.resume([wrong])
        assert (await result.resume([])).status == "pending", "a refused verdict uses nothing up"

    went(body)


def test_a_result_is_resumed_once() -> None:
    async def body(result: WorkflowResult, started: list[str]) -> None:
        verdicts = list(map(ApprovalRequest.approve, result.pending))
        await result.resume(verdicts)
        with pytest.raises(ApprovalError, match="was resumed already"):
            await result.resume(verdicts)

    went(body)


def test_a_workflow_that_waits_for_nothing_is_not_resumed() -> None:
    async def main() -> None:
        result = await loaded("steps: {a: {uses: echo, with: {value: 1}}}\n").run()
        with pytest.raises(ConfigurationError, match="its status is 'finished'"):
            await result.resume([])

    run_virtual(main)
