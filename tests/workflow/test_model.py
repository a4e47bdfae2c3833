"""The model: what a file says is in it, and every mistake is one sentence with its position."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.limits import Limits
from llmcompiler.retry import Retry
from llmcompiler.workflow.durations import read_duration, write_duration
from llmcompiler.workflow.model import StepSpec, WorkflowFile, load_model
from llmcompiler.workflow.reading import read

WHOLE = """\
version: 1
name: city-briefing
description: Weather and news for a few cities
x-shared: &patient {timeout: 1m30s, retry: 3}
inputs:
  cities: {type: array, items: {type: string}, default: [Oslo, Lima]}
  loud: {type: boolean, required: false}
  where: {type: object, properties: {lat: {type: number}}, required: [lat]}
env: [GGUF]
secrets: [MAIL_KEY]
models:
  planner: {use: "local:${{ env.GGUF }}", gpu_layers: -1, context: 8192, options: {rows: 4}}
  small: embedded
tools: [./my_tools.py, web]
defaults: {timeout: 10s, retry: {limit: 2, delay: 200ms, backoff: linear, jitter: 0.1}}
steps:
  geo:
    <<: *patient
    for_each: ${{ inputs.cities }}
    uses: geocode
    with: {place: "${{ item }}"}
  news:
    for_each: {in: {a: 1}, limit: 4}
    uses: search
    with: {query: "${{ inputs.cities | join(', ') }}"}
    on_error: continue
    fallback: {uses: archive, with: {q: x}, timeout: 5, retry: {limit: 1, on: TimeoutError}}
  mail:
    if: true
    needs: news
    uses: send_mail
    approve: always
    cache: false
    repeat: {until: "${{ output.done }}", limit: 5, delay: 1s}
    fallback: post
outputs: {briefing: "${{ steps.compare.output.text }}"}
limits: {seconds: 1m, tool_calls: 50, concurrency: 8}
"""


def loaded(text: str) -> WorkflowFile:
    file, problems = load_model(read(text, "w.yaml"))
    assert problems == []
    assert file is not None
    return file


def said(text: str) -> list[str]:
    file, problems = load_model(read(text, "w.yaml"))
    assert problems
    assert file is None or all("default" in one.message for one in problems)
    return [str(one).removeprefix("w.yaml:") for one in problems]


def test_a_whole_file_is_read_with_its_short_forms() -> None:
    file = loaded(WHOLE)
    geo, news, mail = file.steps["geo"], file.steps["news"], file.steps["mail"]
    assert (geo.timeout, geo.retry and geo.retry.limit) == (90.0, 3)
    assert geo.for_each is not None
    assert (geo.for_each.in_, geo.for_each.limit) == ("${{ inputs.cities }}", None)
    assert news.for_each is not None
    assert (news.for_each.in_, news.for_each.limit) == ({"a": 1}, 4)
    assert news.with_ == {"query": "${{ inputs.cities | join(', ') }}"}
    assert (news.on_error, geo.on_error, file.defaults.on_error) == ("continue", None, "fail")
    assert news.fallback is not None
    assert (news.fallback.with_, news.fallback.timeout) == ({"q": "x"}, 5.0)
    assert news.fallback.retry is not None
    assert news.fallback.retry.on == ("TimeoutError",)
    assert (mail.if_, mail.needs, mail.approve, mail.cache) == ("true", ("news",), True, False)
    assert mail.fallback is not None
    assert (mail.fallback.uses, mail.fallback.with_) == ("post", None)
    assert mail.repeat is not None
    assert (mail.repeat.limit, mail.repeat.delay) == (5, 1.0)
    assert file.env == {"GGUF": None}
    assert file.secrets == ("MAIL_KEY",)
    assert file.models["small"].use == "embedded"


def test_what_the_executor_needs_is_made_of_what_is_written() -> None:
    file = loaded(WHOLE)
    assert file.defaults.retry is not None
    assert file.defaults.retry.as_retry() == Retry(
        attempts=2, delay=0.2, factor=1.0, ceiling=60.0, jitter=0.1, linear=True
    )
    assert file.limits.as_limits() == Limits(seconds=60.0, tool_calls=50, concurrency=8)
    assert file.limits.as_limits(Limits(tokens=9)).tokens == 9
    assert file.models["planner"].engine_options() == {
        "n_gpu_layers": -1,
        "n_ctx": 8192,
        "rows": 4,
    }
    cities, loud, where = (file.inputs[name] for name in ("cities", "loud", "where"))
    assert cities.as_schema() == {
        "type": "array",
        "items": {"type": "string"},
        "default": ["Oslo", "Lima"],
    }
    assert where.as_schema()["required"] == ["lat"]
    assert loud.as_schema() == {"type": "boolean"}
    assert [one.must_be_given for one in (cities, loud, where)] == [False, False, True]


def test_a_wait_that_nobody_bounds_is_no_shorter_than_the_delay() -> None:
    file = loaded("defaults: {retry: {limit: 1, delay: 2m}}\nsteps: {a: {uses: x}}")
    assert file.defaults.retry is not None
    assert file.defaults.retry.as_retry().ceiling == 120.0


def test_variables_may_have_defaults() -> None:
    assert loaded("env: {A: x, B: }\nsteps: {a: {uses: x}}").env == {"A": "x", "B": None}


def test_models_are_made_in_python_by_their_own_names() -> None:
    step = StepSpec(uses="x", with_={"a": 1}, if_="${{ inputs.a }}")
    assert (step.with_, step.if_) == ({"a": 1}, "${{ inputs.a }}")


_STEP = "steps: {a: {uses: x}}\n"
_DURATION = "must be a duration as 10s, 200ms, 1m30s or 2h, or a number of seconds"
_IN_STEP = (
    "uses, with, needs, if, for_each, repeat, on_error, timeout, retry, approve, fallback, cache, "
    "name, description"
)


def _step(rest: str) -> str:
    return f"steps:\n  a: {{uses: x, {rest}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Keys
        (f"{_STEP}nam: x", "2:1: there is no key 'nam' in a workflow; did you mean 'name'?"),
        (f"{_STEP}jobs: {{}}", "2:1: there is no key 'jobs' in a workflow; did you mean 'steps'?"),
        ("name: x", "1:1: a workflow needs 'steps'"),
        ("steps:\n  a: {with: {}}", "2:3: a step needs 'uses'"),
        ("steps: {a: {use: x}}", "1:13: there is no key 'use' in a step; did you mean 'uses'?"),
        (_step("with_: {}"), "2:16: there is no key 'with_' in a step; did you mean 'with'?"),
        (
            _step("depends_on: b"),
            "2:16: there is no key 'depends_on' in a step; did you mean 'needs'?",
        ),
        (_step("wool: b"), f"2:16: there is no key 'wool' in a step; it may have {_IN_STEP}"),
        (
            f"{_STEP}inputs: {{a: {{type: string, wool: 1}}}}",
            "2:28: there is no key 'wool' in an input",
        ),
        (
            f"{_STEP}inputs: {{a: {{items: {{typ: string}}}}}}",
            "2:22: there is no key 'typ' in a JSON Schema; did you mean 'type'?",
        ),
        (
            f"{_STEP}limits: {{calls: 5}}",
            "2:10: there is no key 'calls' in the limits; did you mean 'tool_calls'?",
        ),
        (_step("repeat: {until: x}"), "2:16: repeat needs 'limit'"),
        (_step("fallback: {}"), "2:16: a fallback needs 'uses'"),
        (_step("for_each: {limit: 2}"), "2:16: for_each needs 'in'"),
        (_step("retry: {delay: 1}"), "2:16: a retry needs 'limit'"),
        # No value
        ("steps:\n", "1:1: 'steps' has no value: give it one or leave it out"),
        ("steps:\n  a:\n", "2:3: 'a' has no value: give it one or leave it out"),
        (_step("with: "), "2:16: 'with' has no value: give it one or leave it out"),
        (_step("timeout: "), "2:16: 'timeout' has no value: give it one or leave it out"),
        ("steps: {}", "1:8: 'steps' must have at least 1 entry"),
        ("steps: {a: {uses: ''}}", "1:19: 'uses' must not be empty"),
        # Kinds of values
        ("steps: [a]", "1:8: 'steps' must be an object, not a list"),
        ("steps: {a: b}", "1:12: 'a' must be an object, not the text 'b'"),
        ("steps: {a: {uses: 5}}", "1:19: 'uses' must be a text, not the number 5: put it in quotes"),
        (_step("with: []"), "2:22: 'with' must be an object, not a list"),
        (_step("needs: {}"), "2:23: 'needs' must be a text or a list, not an object"),
        (
            _step("needs: [b, 5]"),
            "2:27: 'needs[1]' must be a text, not the number 5: put it in quotes",
        ),
        (_step("cache: 5"), "2:23: 'cache' must be true or false, not the number 5"),
        (
            _step("cache: yes"),
            "2:23: 'cache' must be true or false, not the text 'yes'; did you mean true?",
        ),
        (_step("if: 5"), "2:20: 'if' must be an expression, or true or false"),
        (_step("retry: 1.5"), "2:23: 'retry' must be a whole number or an object, not the number 1.5"),
        (_step("retry: -1"), "2:23: 'retry' must be at least 0, not -1"),
        (_step("retry: {limit: '3'}"), "2:31: 'limit' must be a whole number, not the text '3'"),
        (
            _step("for_each: 5"),
            "2:26: 'for_each' must be a text, a list or an object, not the number 5",
        ),
        (_step("for_each: {in: 5}"), "2:31: 'in' must be an expression, a list or an object"),
        (_step("for_each: {in: [], limit: 0}"), "2:42: 'limit' must be at least 1, not 0"),
        (_step("approve: sometimes"), "2:25: 'approve' must be 'always', true or false"),
        (
            f"{_STEP}models: {{p: 5}}",
            "2:13: 'p' must be a text or an object, not the number 5",
        ),
        (f"{_STEP}models: {{p: ''}}", "2:13: 'p' must not be empty"),
        (f"{_STEP}outputs: []", "2:10: 'outputs' must be an object, not a list"),
        (f"{_STEP}version: 2", "2:10: 'version' must be 1, not the number 2"),
        (f"{_STEP}version: '1'", "2:10: 'version' must be 1, not the text '1'"),
        (
            f"{_STEP}env: {{PORT: 8080}}",
            "2:13: 'PORT' must be a text, not the number 8080: put it in quotes",
        ),
        (f"{_STEP}env: A", "2:6: 'env' must be a list or an object, not the text 'A'"),
        (
            f"{_STEP}env: [1]",
            "2:6: 'env' must be a list of names, or an object of names and defaults",
        ),
        (f"{_STEP}limits: {{cost: 0}}", "2:16: 'cost' must be above 0, not 0"),
        # Choices
        (
            _step("on_error: contine"),
            "2:26: 'on_error' must be one of 'fail', 'continue', 'skip', 'replan', "
            "not the text 'contine'; did you mean 'continue'?",
        ),
        (
            _step("retry: {limit: 1, backoff: {}}"),
            "2:43: 'backoff' must be one of 'constant', 'linear', 'exponential', not an object",
        ),
        (
            f"{_STEP}inputs: {{a: {{type: int}}}}",
            "2:20: 'type' must be one of string, number, integer, boolean, array, object, null, "
            "not 'int'; did you mean 'integer'?",
        ),
        (
            f"{_STEP}inputs: {{a: {{type: [string, nul]}}}}",
            "2:20: 'type' must be one of string, number, integer, boolean, array, object, null, "
            "not 'nul'; did you mean 'null'?",
        ),
        (
            f"{_STEP}inputs: {{a: {{items: 5}}}}",
            "2:21: 'items' must be true or false or an object, not the number 5",
        ),
        (
            f"{_STEP}inputs: {{a: {{required: x}}}}",
            "2:24: 'required' must be true or false, "
            "or a list of the properties that an object must have",
        ),
        # Durations
        (_step("timeout: 10 seconds"), f"2:25: 'timeout' {_DURATION}, not '10 seconds'; did you mean '10s'?"),
        (_step("timeout: '10'"), f"2:25: 'timeout' {_DURATION}, not '10'; did you mean '10s'?"),
        (_step("timeout: 1s1m"), f"2:25: 'timeout' {_DURATION}, not '1s1m'"),
        (_step("timeout: []"), f"2:25: 'timeout' {_DURATION}"),
        (_step("timeout: 0"), "2:25: 'timeout' must be above 0, not 0"),
        (_step("timeout: 0s"), "2:25: 'timeout' must be above 0, not '0s'"),
        (_step("retry: {limit: 1, delay: -1}"), "2:41: 'delay' must be 0 or more seconds, not -1"),
        # Names
        (
            "steps: {my step: {uses: x}}",
            "1:9: 'my step' cannot be a name: use letters, digits, '_' and '-', "
            "beginning with a letter or '_'; did you mean 'my_step'?",
        ),
        ("steps: {1: {uses: x}}", "1:9: a key must be a text: write 1 in quotes"),
        (
            f"{_STEP}env: [A, B-C]",
            "2:10: 'B-C' cannot be a name: use letters, digits and '_', "
            "beginning with a letter or '_'; did you mean 'B_C'?",
        ),
        (
            f"{_STEP}secrets: [a b]",
            "2:11: 'a b' cannot be a name: use letters, digits and '_', "
            "beginning with a letter or '_'; did you mean 'a_b'?",
        ),
        # Defaults of inputs
        (
            f"{_STEP}inputs: {{n: {{type: integer, default: x}}}}",
            "2:38: the default of 'n' must be a whole number, not \"x\"",
        ),
        (
            f"{_STEP}inputs: {{n: {{type: array, items: {{type: string}}, default: [a, 1]}}}}",
            "2:59: the default of 'n'[1] must be a text, not 1",
        ),
    ],
)  # fmt: skip
def test_one_mistake_is_one_sentence_with_its_position(text: str, message: str) -> None:
    assert said(text) == [message]


def test_all_mistakes_are_said_at_once_in_order() -> None:
    assert said("steps:\n  a: {uses: x, uses: y, retry: no}\n  b: {}\nnam: x\nversion: one\n") == [
        "2:16: the key 'uses' is there twice, first at line 2, column 7",
        "2:32: 'retry' must be a whole number or an object, not the text 'no'",
        "3:3: a step needs 'uses'",
        "4:1: there is no key 'nam' in a workflow; did you mean 'name'?",
        "5:10: 'version' must be 1, not the text 'one'",
    ]


_ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*WorkflowFile.model_fields, *_IN_STEP.split(", "), "in", "limit", "items", "[key]"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*WorkflowFile.model_fields]), _ANY, max_size=6))
def test_whatever_stands_in_a_file_is_read_or_refused_in_our_own_words(data: Any) -> None:
    source = read("{}", "w.yaml")
    source.data.update(data)
    _, problems = load_model(source)
    jargon = ("Input should", "Value error", "valid ", "pydantic", "Extra inputs", "something else")
    assert not [one for one in problems if any(word in one.message for word in jargon)]


# Durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10s", 10), ("200ms", 0.2), ("1m30s", 90), ("2h", 7200), ("1.5m", 90), ("1h1ms", 3600.001), (3, 3)],
)  # fmt: skip
def test_durations_are_seconds(written: object, seconds: float) -> None:
    assert read_duration(written) == pytest.approx(seconds)


@given(st.integers(0, 10**9))
def test_a_duration_is_read_as_it_was_written(milliseconds: int) -> None:
    assert read_duration(write_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("wrong", ["", "s", "10 m s", "1s1h", "-1s", "1e3s", "ten", True, None, []])
def test_what_is_no_duration_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="must be a duration as 10s"):
        read_duration(wrong)


# Reach


def test_a_file_of_a_thousand_steps_is_read_in_well_under_a_second() -> None:
    lines = ["version: 1", "steps:"]
    for number in range(1000):
        lines += [
            f"  step_{number}:",
            "    uses: search",
            "    with:",
            f'      query: "about ${{{{ steps.step_{max(0, number - 1)}.output }}}}"',
            "    timeout: 10s",
            "    on_error: continue",
        ]
    began = time.process_time()
    file = loaded("\n".join(lines))
    assert time.process_time() - began < 2, "0.3 s where it was written"
    assert len(file.steps) == 1000
