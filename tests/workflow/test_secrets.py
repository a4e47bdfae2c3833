"""Secrets: they reach tools, and nothing that is shown, kept or put to a model."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.approval import ApprovalRequest, Verdict
from llmcompiler.errors import ConfigurationError, ModelSpecError
from llmcompiler.events import Event, event_to_json
from llmcompiler.plan import Failed, Ok
from llmcompiler.testing import ScriptedLLM
from llmcompiler.workflow.secrecy import Redactor
from tests.workflow.trying import loaded, ran, told

SECRET = "s3cr3t \"quoted\" 'n' \\ é"
KEEPING = """\
secrets: [KEY]
models: {m: embedded}
steps:
  a: {uses: leak, with: {value: "${{ secrets.KEY }}"}}
  b: {uses: leak, with: {value: "fail with ${{ secrets.KEY }}"}, on_error: continue}
  c: {uses: echo, with: {value: ["${{ steps.b.error }}", "${{ steps.a.output }}"]}}
  d: {for_each: ["x"], uses: echo, with: {value: "${{ item }}${{ secrets.KEY }}"}}
  e: {uses: llm, with: {prompt: "say ${{ steps.a.output.inside }}", rules: "${{ steps.a.output.plain }}"}}
  f: {uses: send, with: {body: "${{ secrets.KEY }}"}, approve: always}
  g: {uses: agent, with: {request: "do ${{ steps.a.output.plain }}", tools: [say]}}
  h: {uses: poll, with: {after: 1}, repeat: {until: "${{ secrets.KEY != '' }}", limit: 1}}
  i: {uses: say, with: {text: "${{ steps.d.output[0] | int }}"}, on_error: skip}
outputs: {a: "${{ steps.a.output }}", b: "${{ steps.b.error }}", c: "${{ steps.c.output | tojson }}"}
"""


def test_a_secret_reaches_the_tool_and_nothing_that_is_shown() -> None:
    events: list[Event] = []
    asked: list[ApprovalRequest] = []
    sent: list[Any] = []
    model = ScriptedLLM([("say", f"I say {SECRET}"), ("do", "Answer: done")])

    def agree(request: ApprovalRequest) -> Verdict:
        asked.append(request)
        return request.approve()

    result = ran(
        KEEPING.replace("| int", "| upper | int"),
        models={"m": model},
        environment={"KEY": SECRET},
        deps=sent,
        approver=agree,
        sinks=[events.append],
    )
    assert told(result)["a"]["plain"] == "***"
    assert SECRET in sent
    assert result.status == "finished"
    shown = [
        repr(result),
        json.dumps(result.to_json(), ensure_ascii=False, default=str),
        json.dumps(result.to_json(), default=str),
        repr(result.result.transcript),
        *(repr(event) for event in events),
        *(json.dumps(event_to_json(event)) for event in events),
        repr(asked),
        *(message.text for prompt in model.prompts for message in prompt.messages),
        result.result.plan.to_mermaid(),
        repr(result.result.plan),
    ]
    for text in shown:
        assert "s3cr3t" not in text
    assert any("***" in text for text in shown)


def test_the_plan_of_a_workflow_names_its_secrets_and_does_not_tell_them() -> None:
    workflow = loaded(KEEPING)
    assert "${{ secrets.KEY }}" in repr(workflow.plan())
    assert "s3cr3t" not in repr(workflow.plan())


def test_an_error_that_ends_a_run_tells_no_secret() -> None:
    workflow = loaded(
        """\
        secrets: [KEY]
        models: {m: "nonsense:${{ secrets.KEY }}"}
        steps: {a: {uses: llm, with: {prompt: hi}}}
        """
    )
    with pytest.raises(ModelSpecError) as raised:
        workflow.run_sync(environment={"KEY": "s3cr3t"})
    assert str(raised.value) == (
        "cannot use the model 'nonsense:***': there is no kind of model 'nonsense'; write "
        "'embedded', 'local:PATH.gguf', 'openai:NAME' or 'http://HOST:PORT/v1#NAME'"
    )
    assert isinstance(raised.value, ConfigurationError)
    assert raised.value.spec == "nonsense:***"
    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


def test_what_a_step_gave_by_a_secret_is_not_kept_for_other_runs(tmp_path: Path) -> None:
    text = """\
        secrets: [KEY]
        steps:
          a: {uses: counted, with: {value: "${{ secrets.KEY | int }}"}}
          b: {uses: counted, with: {value: 4}}
        """
    result = ran(text, deps=[], environment={"KEY": "73501"}, cache=tmp_path / "kept.db")
    assert result["a"] == Ok(147002)
    rows = sqlite3.connect(tmp_path / "kept.db").execute("select * from results").fetchall()
    assert len(rows) == 1
    assert "147002" not in repr(rows)


def test_a_secret_that_is_a_number_is_hidden_where_values_are() -> None:
    text = """\
        secrets: [PIN]
        steps:
          a: {uses: echo, with: {value: "${{ secrets.PIN | int }}"}}
          b: {uses: echo, with: {value: {pin: "${{ steps.a.output }}"}}}
        """
    result = ran(text, environment={"PIN": "4711"})
    assert told(result) == {"a": "***", "b": {"pin": "***"}}
    assert "4711" not in json.dumps(result.to_json()["steps"])


secrets = st.text(st.characters(codec="utf-8"), min_size=3).filter(lambda one: one.strip("* \n"))


@given(secrets, st.text(), st.text())
def test_a_text_has_no_secret_in_it_however_it_is_written(
    secret: str, before: str, after: str
) -> None:
    redactor = Redactor([secret])
    text = before + secret + after
    value = {"a": [text, {secret: 1}], "b": (text,), "c": Failed("E", text)}
    for written in (text, json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert secret not in redactor.text(written)
    shown = redactor.value(value)
    assert all(secret not in one for one in (shown["a"][0], *shown["a"][1], *shown["b"]))
    assert shown["c"].kind == "E"
    assert secret not in shown["c"].message
    json.dumps(shown["a"])


def test_what_has_no_secret_stays_the_object_that_it_is() -> None:
    redactor = Redactor(["s3cr3t"])
    value = {"a": [1, "b", None, 1.5, True], "c": Ok({"d": "e"})}
    assert redactor.value(value) is value
    assert Redactor().value(value) is value
    error = ConfigurationError("nothing")
    assert redactor.value(error) is error
    assert Redactor([""]).text("abc") == "abc"


def test_each_line_of_a_secret_with_several_is_one() -> None:
    redactor = Redactor(["-----BEGIN\nabcdefgh\nxy\n"])
    assert redactor.text("abcdefgh and xy") == "*** and xy"
