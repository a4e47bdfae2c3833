"""Asking: steps that call a model once, steps that are agents, and steps that a model writes anew."""

from __future__ import annotations

from typing import Any

import pytest

from llmcompiler import Price
from llmcompiler.errors import ConfigurationError
from llmcompiler.testing import Reply, ScriptedLLM
from tests.workflow.trying import ran, told

OUTPUT = "output: {type: object, properties: {n: {type: integer}}, required: [n]}"


def test_an_llm_step_gives_text_or_json_of_its_schema() -> None:
    model = ScriptedLLM([("hello", "hi"), ("numbers", ' {"n": 3}\n'), ("n is 3", "three")])
    result = ran(
        f"""\
        models: {{m: embedded}}
        steps:
          a: {{uses: llm, with: {{prompt: hello, rules: be short, temperature: 0.5, max_tokens: 9}}}}
          b: {{uses: llm, with: {{prompt: numbers, {OUTPUT}}}}}
          c: {{uses: llm, with: {{prompt: "n is ${{{{ steps.b.output.n }}}}"}}}}
        """,
        models={"m": model},
    )
    assert told(result) == {"a": "hi", "b": {"n": 3}, "c": "three"}
    first = next(call for call in model.calls if call.prompt.messages[-1].text == "hello")
    assert [(one.kind, one.text) for one in first.prompt.messages] == [
        ("rules", "be short"),
        ("request", "hello"),
    ]
    assert (first.sampling.temperature, first.sampling.max_tokens) == (0.5, 9)
    second = next(call for call in model.calls if call.prompt.schema is not None)
    assert second.prompt.schema == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    assert result.result.usage.model_calls == 3


def test_a_reply_that_does_not_fit_gets_one_complaint() -> None:
    model = ScriptedLLM(["no json", '{"n": 1}', '{"n": "x"}', "still none"])
    text = f"""\
        models: {{m: embedded}}
        steps:
          a: {{uses: llm, with: {{prompt: one, {OUTPUT}}}}}
          b: {{uses: llm, with: {{prompt: two, {OUTPUT}}}, needs: a}}
        """
    result = ran(text, models={"m": model})
    assert told(result) == {
        "a": {"n": 1},
        "b": "ToolError: the answer is not JSON: Expecting value: line 1 column 1 (char 0)",
    }
    assert [one.kind for one in model.prompts[1].messages] == ["rules", "request", "turn", "notice"]
    assert result.result.usage.model_calls == 4


def test_the_first_model_is_asked_where_none_is_named() -> None:
    one, two = ScriptedLLM(["first"]), ScriptedLLM(["second"])
    result = ran(
        """\
        models: {one: embedded, two: embedded}
        steps:
          a: {uses: llm, with: {prompt: a}}
          b: {uses: llm, with: {prompt: b, model: two}}
        """,
        models={"two": two, "one": one},
    )
    assert told(result) == {"a": "first", "b": "second"}


def test_what_is_asked_must_be_a_text_also_where_that_is_seen_late() -> None:
    result = ran(
        """\
        inputs: {v: {}}
        models: {m: embedded}
        steps:
          a: {uses: llm, with: {prompt: "${{ inputs.v }}"}}
          b: {uses: echo, with: {value: 7}}
          c: {uses: llm, with: {prompt: "${{ steps.b.output }}"}}
          d: {for_each: [1], uses: llm, with: {prompt: "${{ inputs.v }}", model: "${{ 'm' }}"}}
        """,
        {"v": 7},
        models={"m": ScriptedLLM([])},
    )
    assert told(result) == {
        "a": "BindingError: ${{ inputs.v }}: llm: prompt must be a text, not 7",
        "b": 7,
        "c": "ToolArgumentError: llm: prompt must be a text, and steps.b.output is a whole number; "
        "write ${{ steps.b.output | string }}",
        "d": "ToolArgumentError: 1 of 1 calls failed: [0] llm: prompt must be a text, and an "
        "element of ${{ inputs.v }} is a whole number",
    }


def test_an_agent_step_plans_with_the_tools_it_is_given() -> None:
    model = ScriptedLLM(
        [("where", '1. geocode(place="Oslo")\n2. join()'), ("4.0", 'Answer: {"n": 4}')]
    )
    result = ran(
        f"""\
        models: {{m: embedded}}
        steps:
          a: {{uses: agent, with: {{request: where, tools: [geocode], {OUTPUT}}}}}
          b: {{uses: echo, with: {{value: "${{{{ steps.a.output.n + 1 }}}}"}}}}
        """,
        models={"m": model},
    )
    assert told(result) == {"a": {"n": 4}, "b": 5}
    assert result.result.usage.model_calls == 2
    rules = model.prompts[0].messages[0].text
    assert "geocode" in rules
    assert "forecast" not in rules


def test_an_agent_s_failure_and_its_approvals_are_those_of_its_step() -> None:
    script: list[Any] = [("do it", '1. guarded(body="x")\n2. join()'), ("did x", "Answer: done")]
    text = """\
        models: {m: embedded}
        steps: {a: {uses: agent, with: {request: do it, tools: [guarded]}}}
        """
    alone = ran(text, models={"m": ScriptedLLM(script)})
    assert told(alone)["a"] == (
        "ToolError: the agent's step 1 (guarded) needs approval, and nobody was there to ask"
    )
    asked = ran(text, models={"m": ScriptedLLM(script)}, approver=lambda request: True)
    assert told(asked) == {"a": "done"}
    broken = ran(text, models={"m": ScriptedLLM([Reply("", error=OSError("gone"))])})
    assert told(broken)["a"] == "OSError: OSError: gone"


def test_calls_of_models_count_in_the_limits_of_the_workflow() -> None:
    result = ran(
        """\
        models: {m: embedded}
        limits: {model_calls: 2}
        steps:
          a: {uses: llm, with: {prompt: a}}
          b: {uses: llm, with: {prompt: b}, needs: a}
          c: {uses: llm, with: {prompt: c}, needs: b}
        """,
        models={"m": ScriptedLLM(["one", "two", "three"])},
    )
    assert {name: one.status for name, one in result.steps.items()} == {
        "a": "ok",
        "b": "ok",
        "c": "failed",
    }


def test_a_step_that_fails_is_put_to_a_model_where_its_file_says_so() -> None:
    model = ScriptedLLM(
        [
            ("The step 'a'", '1. geocode(place="Rome")\n2. join()'),
            ("4.0", 'Answer: {"lat": 4, "lon": 1}'),
        ]
    )
    text = """\
        models: {m: embedded}
        inputs: {place: {type: string}}
        steps:
          a: {uses: geocode, with: {place: "${{ inputs.place }}"}, on_error: replan}
          b: {uses: echo, with: {value: "${{ steps.a.output.lat }}"}}
        """
    result = ran(text, {"place": "Nowhere"}, models={"m": model})
    assert (result.status, told(result)) == ("finished", {"a": {"lat": 4, "lon": 1}, "b": 4})
    asked = model.prompts[0].messages[-1].text
    assert (
        'It was the call geocode(place="Nowhere"), and what came of it is: no such place.' in asked
    )
    fine = ran(text, {"place": "Oslo"}, models={"m": ScriptedLLM([])})
    assert told(fine) == {"a": {"lat": 4.0, "lon": 1.0}, "b": 4.0}
    lost = ran(text, {"place": "Nowhere"}, models={"m": ScriptedLLM([])})
    assert lost.status == "failed"
    assert told(lost)["a"].startswith(
        "ToolError: no such place; and the model's way around it: the agent gave no answer: "
    )


COSTLY = """\
    models: {m: embedded}
    limits: {cost: 0.5}
    steps:
      a: {uses: llm, with: {prompt: hello}}
      b: {uses: agent, with: {request: "again, ${{ steps.a.output }}"}}
    """


def test_a_limit_of_cost_goes_by_the_price_that_the_run_is_given() -> None:
    model = ScriptedLLM(["hi", "Answer: there"])
    result = ran(COSTLY, models={"m": model}, price=Price(1.0, 1.0))
    assert told(result) == {"a": "hi", "b": "there"}
    assert result.result.cost is not None
    assert 0 < result.result.cost < 0.5
    dear = ran(COSTLY, models={"m": ScriptedLLM(["hi"])}, price=Price(1e6, 1e6))
    assert dear.status == "failed"
    assert "limit of 0.5 of cost was used up" in str(dear.error)


def test_a_limit_of_cost_without_a_price_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.cost needs the price of tokens"):
        ran(COSTLY, models={"m": ScriptedLLM([])})
