"""Checking: every mistake of a file at once, in its own words, with its line and column."""

from __future__ import annotations

import pytest

from tests.workflow.trying import loaded, ran, said


def test_fields_arguments_and_names_that_are_not_there_are_told_all_at_once() -> None:
    assert said(
        """\
        steps:
          geo: {uses: geocode, with: {place: Oslo}}
          a: {uses: forecast, with: {lat: "${{ steps.geo.output.lat }}", lon: "${{ steps.geo.output.lng }}"}}
          b: {uses: forecast, with: {lat: "a ${{ steps.geo.output.lng }}", lon: "${{ steps.geo.output }}", lan: 1}}
          c: {uses: say, with: {text: "${{ steps.a.output }}"}}
          d: {uses: say}
          e: {uses: say, with: {text: "${{ secrets.K }} ${{ env.H }} ${{ inputs.n }} ${{ steps.dd.output }}"}}
          f: {uses: sai, with: {text: "${{ steps.f.output }}"}}
          g: {uses: say, with: {text: "${{ steps.f.output.anything }}"}}
        outputs: {x: "${{ steps.a.output.z }}", y: "${{ steps.q.output }}"}
        """
    ) == [
        "4:76: steps.geo.output has no 'lng'; did you mean 'lon'?",
        "5:35: forecast: lat must be a number, not a text with expressions in it",
        "5:42: steps.geo.output has no 'lng'; did you mean 'lon'?",
        "5:73: forecast: lon must be a number, and steps.geo.output is an object",
        "5:100: forecast has no argument 'lan'; did you mean 'lon'?",
        "6:31: say: text must be a text, and steps.a.output is a number; write ${{ steps.a.output | string }}",
        "7:3: say needs the argument 'text'",
        "8:44: 'secrets' does not declare 'K'",
        "8:57: 'env' does not declare 'H'",
        "8:73: there is no input 'n'",
        "8:88: there is no step 'dd'; did you mean 'd'?",
        "9:13: there is no tool 'sai'; did you mean 'say'?",
        "9:36: a step cannot refer to itself",
        "11:19: steps.a.output is a number and has no 'z'",
        "11:55: there is no step 'q'",
    ]


def test_types_of_inputs_elements_and_the_environment_are_known() -> None:
    assert said(
        """\
        inputs: {name: {type: string}, n: {type: integer}, o: {type: object, properties: {a: {type: number}}}}
        env: [HOME]
        steps:
          a: {uses: forecast, with: {lat: "${{ inputs.name }}", lon: "${{ inputs.n }}"}}
          b: {uses: forecast, with: {lat: "${{ env.HOME }}", lon: "${{ inputs.o.b }}"}}
          c: {for_each: "${{ inputs.name }}", uses: say, with: {text: "${{ item }}"}}
          d: {for_each: [1, 2], uses: say, with: {text: "${{ item }}"}}
          e: {for_each: "${{ steps.f.output }}", uses: say, with: {text: "${{ item.lng }}"}}
          f: {for_each: [a, b], uses: geocode, with: {place: "${{ item }}"}}
          g: {uses: forecast, with: {lat: "${{ steps.f.output.lat }}", lon: "${{ steps.f.output[0].lat }}"}}
          h: {for_each: {in: {x: 1}}, uses: say, with: {text: "${{ item.kay }}"}}
          j: {uses: say, with: {text: "${{ item }}"}}
          k: {for_each: "${{ steps.a.output }}", uses: say}
          l: {uses: forecast, with: {lat: "${{ 'a' }}", lon: 1}}
          m: {uses: say, with: {text: "${{ steps.a.status }} ${{ steps.a.status.x }}"}}
        """
    ) == [
        "5:35: forecast: lat must be a number, and inputs.name is a text",
        "6:35: forecast: lat must be a number, and env.HOME is a text",
        "6:64: inputs.o has no 'b'",
        "7:17: 'for_each' goes over a list or an object, not a text",
        "8:49: say: text must be a text, and item is 1 or 2; write ${{ item | string }}",
        "9:71: item has no 'lng'; did you mean 'lon'?",
        "11:40: steps.f.output is a list and has no 'lat'",
        "12:60: item has no 'kay'; did you mean 'key'?",
        "13:36: 'item' is known only in the 'with' of a step that has 'for_each'",
        "14:3: say needs the argument 'text'",
        "14:6: a step with 'for_each' needs an argument in 'with'",
        "14:17: 'for_each' goes over a list or an object, not a number",
        '15:35: forecast: lat must be a number, not "a"',
        "16:73: steps.a.status is a text, with nothing inside",
    ]


def test_steps_that_can_never_run_are_told() -> None:
    assert said(
        """\
        steps:
          c: {uses: say, with: {text: a}, if: false}
          d: {uses: say, with: {text: a}, needs: c}
          e: {uses: say, with: {text: a}, if: failure()}
          f: {uses: say, with: {text: a}, if: "${{ 1 > 2 }}"}
          g: {uses: say, with: {text: a}, if: always(), needs: c}
          h: {uses: say, with: {text: "${{ steps.d.output }}"}}
          i: {for_each: [], uses: say, with: {text: "${{ item }}"}}
          j: {uses: say, with: {text: a}, if: false, on_error: continue}
          k: {uses: echo, with: {value: "${{ steps.j.output }}"}}
          l: {uses: say, with: {text: a}, if: always() or failure()}
        """
    ) == [
        "3:39: the step can never run: its 'if' is always false",
        "4:3: the step can never run: it needs 'c', which never does",
        "5:39: the step can never run: failure() speaks of the steps before it, and there are none",
        "6:39: the step can never run: its 'if' is always false",
        "8:3: the step can never run: it needs 'd', which never does",
        "9:17: the step can never run: 'for_each' goes over nothing",
        "10:39: the step can never run: its 'if' is always false",
    ]


def test_a_step_cannot_wait_for_itself() -> None:
    assert said(
        """\
        steps:
          a: {uses: say, with: {text: a}, needs: [a, b]}
          b: {uses: say, with: {text: "${{ steps.b.output }}"}, if: "${{ steps.b.output }}"}
        """
    ) == [
        "3:43: a step cannot need itself",
        "4:36: a step cannot refer to itself",
        "4:66: a step cannot refer to itself",
    ]


def test_each_circle_is_shown_once_as_a_path() -> None:
    assert said(
        """\
        steps:
          a: {uses: echo, with: {value: "${{ steps.c.output }}"}}
          b: {uses: echo, with: {value: "${{ steps.a.output }}"}}
          c: {uses: echo, with: {value: "${{ steps.b.output }}"}}
          d: {uses: echo, with: {value: "${{ steps.c.output }}"}}
          e: {uses: echo, with: {value: 1}, needs: f}
          f: {uses: echo, with: {value: 1}, if: "${{ steps.e.status == 'ok' }}"}
          g: {uses: echo, with: {value: 1}, fallback: {uses: echo, with: {value: "${{ steps.h.output }}"}}}
          h: {uses: echo, with: {value: "${{ steps.g.output }}"}}
        """
    ) == [
        "3:3: the steps wait for each other in a circle: a -> c -> b -> a",
        "7:3: the steps wait for each other in a circle: e -> f -> e",
        "9:3: the steps wait for each other in a circle: g -> h -> g",
    ]


def test_conditions_of_repeated_steps_are_checked() -> None:
    assert said(
        """\
        steps:
          k: {uses: poll, with: {after: 1}, repeat: {until: "${{ output.finished }}", limit: 2}}
          l: {uses: poll, with: {after: 1}, repeat: {until: "false", limit: 2}}
          m: {uses: poll, with: {after: 1}, repeat: {until: "steps.k.output", limit: 2}}
          n: {uses: poll, with: {after: 1}, repeat: {until: "output.done and", limit: 2}}
        """
    ) == [
        "3:58: output has no 'finished'",
        "4:53: the step can only fail: 'until' is always false",
        "5:60: 'until' can speak of output, inputs and env, not of other steps",
        "6:66: cannot be read: it ends too early",
    ]


def test_what_writes_is_neither_tried_again_nor_kept() -> None:
    assert said(
        """\
        defaults: {retry: 2}
        steps:
          a: {uses: send, with: {body: a}, retry: 2, cache: true}
          b: {uses: say, with: {text: a}, fallback: {uses: send, with: {body: a}, retry: 1}}
          c: {uses: put, with: {body: a}, retry: 2}
          d: {uses: send, with: {body: a}, retry: 0}
          e: {uses: send, with: {body: a}}
        """
    ) == [
        "4:43: send writes, and a write is tried again only where its tool is idempotent: take 'retry' away",
        "4:53: send writes: its result is not kept",
        "5:82: send writes, and a write is tried again only where its tool is idempotent: take 'retry' away",
    ]


def test_fallbacks_are_checked_with_the_arguments_that_they_get() -> None:
    assert said(
        """\
        steps:
          b: {uses: say, with: {text: a}, fallback: {uses: send}}
          g: {uses: say, with: {text: a}, fallback: geocod}
          h: {uses: say, with: {text: a}, fallback: {uses: geocode, with: {plaec: 1}}}
          i: {uses: forecast, with: {lat: 1, lon: 2}, fallback: {uses: geocode, with: {place: "${{ steps.h.output.lat }}"}}}
          j: {uses: echo, with: {value: [1]}, fallback: {uses: impure}}
        """
    ) == [
        "3:52: send has no argument 'text'; it takes body",
        "3:52: send needs the argument 'body'",
        "4:45: there is no tool 'geocod'; did you mean 'geocode'?",
        "5:61: geocode needs the argument 'place'",
        "5:68: geocode has no argument 'plaec'; did you mean 'place'?",
        "6:87: geocode: place must be a text, and steps.h.output.lat is a number; write ${{ steps.h.output.lat | string }}",
        "7:56: impure: value must be a whole number, not [1]",
    ]


def test_steps_that_ask_a_model_need_one() -> None:
    assert said(
        """\
        steps:
          c: {uses: say, with: {text: a}, on_error: replan}
          d: {uses: llm, with: {promt: a}}
          e: {uses: agent, with: {request: a, model: x}}
        """
    ) == [
        "3:45: 'replan' needs a model: add one under 'models'",
        "4:13: 'llm' needs a model: add one under 'models'",
        "4:18: llm needs the argument 'prompt'",
        "4:25: llm has no argument 'promt'; did you mean 'prompt'?",
        "5:13: 'agent' needs a model: add one under 'models'",
    ]


def test_what_is_put_to_a_model_is_checked() -> None:
    assert said(
        """\
        secrets: [K]
        models: {m: embedded, k: {use: "local:${{ env.G }}", options: {a: "${{ steps.a.output }}"}}}
        steps:
          a: {uses: llm, with: {prompt: "a ${{ secrets.K }}"}}
          b: {uses: agent, with: {request: a, model: n, tools: [goecode], output: {type: object, properties: {a: {type: strng}}}}}
          c: {uses: llm, with: {prompt: 7, output: {type: object, properties: {text: {type: string}}}}}
          d: {uses: say, with: {text: "${{ steps.c.output.txt }}"}}
          e: {uses: impure, with: {value: 1}, cache: true, if: "${{ secrets.K }}"}
          f: {uses: say, on_error: replan, with: {text: "${{ secrets.K }}"}}
          g: {uses: say, with: {text: "${{ steps.a.output.x }}"}}
        outputs: {k: "${{ secrets.K }}"}
        """
    ) == [
        "3:47: 'env' does not declare 'G'",
        "3:78: a model cannot be chosen by what a step gives",
        "5:40: the secret 'K' would be shown to a model",
        '6:46: agent: model must be one of "m", "k", not "n"',
        '6:57: agent: tools[0] must be one of "counted", "echo", "forecast", "geocode", "guarded", "impure", "leak", "poll", "put", "say" and so on, not "goecode"; did you mean \'geocode\'?',
        "6:113: JSON Schema has no type 'strng'; did you mean 'string'?",
        "7:33: llm: prompt must be a text, not 7",
        "8:36: steps.c.output has no 'txt'; did you mean 'text'?",
        "9:46: the result of a step that reads secrets is not kept",
        "10:54: the secret 'K' would be shown to a model",
        "11:36: steps.a.output is a text and has no 'x'",
        "12:19: the secret 'K' would be shown in the outputs",
    ]


def test_places_are_found_inside_quotes_blocks_and_folded_texts() -> None:
    assert said(
        """\
        steps:
          a:
            uses: say
            with:
              text: |
                one ${{ steps.x.output }}
                  two
                three ${{ steps.y.output }}
          b:
            uses: say
            with:
              text: >-
                one
                two ${{ steps.x.output }}

                three ${{ steps.y.output }}
          c: {uses: say, with: {text: 'it''s ${{ steps.x.output }}'}}
          d: {uses: say, with: {text: "\\ta\\u00e9\\"${{ steps.x.output }}"}}
          e:
            uses: say
            with:
              text: plain and
                on the next line ${{ steps.x.output }}
          f:
            uses: say
            with:
              text: "quoted and \\
                joined ${{ steps.x.output }}"
          g: {uses: say, with: {text: ["a", {b: "${{ steps.x.output }}"}]}}
        """
    ) == [
        "7:23: there is no step 'x'",
        "9:25: there is no step 'y'",
        "15:23: there is no step 'x'",
        "17:25: there is no step 'y'",
        "18:48: there is no step 'x'",
        "19:53: there is no step 'x'",
        "24:36: there is no step 'x'",
        "29:26: there is no step 'x'",
        "30:52: there is no step 'x'",
    ]


def test_values_deep_in_an_argument_are_told_where_they_stand() -> None:
    assert said(
        """\
        models: {m: embedded}
        steps:
          a:
            uses: llm
            with:
              prompt: a
              output:
                type: array
                items: {type: [string, nul]}
          b:
            uses: agent
            with:
              request: a
              tools:
                - geocode
                - 7
        """
    ) == [
        "10:32: JSON Schema has no type 'nul'; did you mean 'null'?",
        '17:11: agent: tools[1] must be one of "counted", "echo", "forecast", "geocode", "guarded", "impure", "leak", "poll", "put", "say" and so on, not 7',
    ]


def test_mistakes_of_all_kinds_come_in_the_order_of_the_file() -> None:
    assert said(
        """\
        inputs: {n: {type: integer, default: x}}
        steps:
          a: {uses: say, with: {text: a}, needs: b}
          b: {uses: sai, with: {text: a}}
        outputs: {x: "${{ steps.a.output"}
        """
    ) == [
        "2:38: the default of 'n' must be a whole number, not \"x\"",
        "5:13: there is no tool 'sai'; did you mean 'say'?",
        "6:14: the '${{' has no '}}' after it",
    ]


def test_what_is_right_is_not_refused() -> None:
    workflow = loaded(
        """\
        inputs: {n: {type: integer, default: 3}, names: {type: array, items: {type: string}}}
        models: {m: embedded}
        steps:
          a: {for_each: "${{ inputs.names }}", uses: geocode, with: {place: "${{ item }}"}}
          b: {uses: forecast, with: {lat: "${{ steps.a.output[0].lat }}", lon: "${{ inputs.n }}"}}
          c: {for_each: "${{ steps.a.output }}", uses: echo, with: {value: "${{ item.lat * 2 }}"}}
          d: {for_each: {in: {x: 1, y: 2}, limit: 1}, uses: say, with: {text: "${{ item.key }}"}}
          e: {uses: llm, with: {prompt: "n is ${{ inputs.n }}", output: "${{ steps.f.output }}"}}
          f: {uses: echo, with: {value: {type: object}}, on_error: continue}
          g: {uses: say, with: {text: "${{ steps.e.output.anything }}"}, needs: [a, f]}
          h: {uses: say, with: {text: done}, if: always() and not failure(), needs: g}
          i: {uses: say, with: {text: "${{ steps.b.output | round | string }}"}, fallback: echo}
        outputs: {all: "${{ steps.i.output }}"}
        """.replace("fallback: echo", "fallback: {uses: echo, with: {value: 1}}")
    )
    assert list(workflow.file.steps) == list("abcdefghi")


@pytest.mark.parametrize("value", ["a", 3, None])
def test_a_step_without_arguments_may_be_anything(value: object) -> None:
    result = ran(
        "inputs: {v: {}}\nsteps: {a: {uses: echo, with: {value: '${{ inputs.v }}'}}}\n",
        {"v": value},
    )
    assert (result.status, dict(result.steps)["a"].status) == ("finished", "ok")
