from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, NoRoom
from llmcompiler.engine.cost import CostCurve, DraftPolicy
from llmcompiler.engine.request import BACKGROUND, Failed, Output, Progress, Request
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ModelError
from llmcompiler.messages import Sampling
from tests.engine.asked import OPTIONS, Asked, held_up, running, short, tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("drafts", [False, True])
def test_in_reproducible_mode_company_changes_no_text(
    q8_gguf: Path, drafts: bool, temperature: float
) -> None:
    options = replace(OPTIONS, reproducible=True, n_ctx=256, n_cells=None, drafts=drafts)
    prompts = [tokens(20 + 9 * seed, seed) for seed in range(6)]
    prompts.append([*prompts[0], *prompts[1][1:10]])
    sampling = short(40, temperature=temperature, seed=3)
    alone = []
    for prompt in prompts:
        with running(q8_gguf, replace(options, drafts=False)) as engine:
            asked = Asked(engine, prompt, sampling)
            asked.rest()
            alone.append(asked.wrote)
    with running(q8_gguf, options) as engine:
        with held_up(engine):
            together = [Asked(engine, prompt, sampling) for prompt in prompts]
        for asked in together:
            asked.rest()
        assert [asked.wrote for asked in together] == alone


def test_forced_text_and_drafts_change_no_text_under_a_grammar(
    q8_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With guesses that are right, wrong and half right, and with none at all."""
    grammar = 'start: line+ "join()"\nline: /[1-3]/ ". find(place=" /"[a-d]{1,6}"/ ")" "\\n"'
    options = replace(OPTIONS, reproducible=True, n_ctx=256, n_cells=None, n_seq=2)
    written: dict[bool, list[list[int]]] = {}
    drafted = 0
    for guessing in (False, True):
        monkeypatch.setattr(DraftPolicy, "width", lambda policy, count: count)
        monkeypatch.setattr(CostCurve, "hopeless", lambda curve, width, requests: False)
        monkeypatch.setattr(DraftPolicy, "length", lambda policy, *given, **more: 4)
        with running(q8_gguf, replace(options, drafts=guessing)) as engine:
            asked = [
                Asked(
                    engine,
                    tokens(30, seed),
                    short(120, temperature=0.7, seed=seed),
                    grammar=grammar,
                )
                for seed in range(6)
            ]
            drafted += sum(each.end().figures.drafted for each in asked)
            written[guessing] = [each.wrote for each in asked]
    assert drafted > 50
    assert written[True] == written[False]


def test_requests_decode_together(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tiny_gguf) as engine:
        rows: list[int] = []
        evaluate = engine.context.evaluate

        def watch(batch: Batch) -> None:
            rows.append(len(batch.rows))
            evaluate(batch)

        monkeypatch.setattr(engine.context, "evaluate", watch)
        with held_up(engine):
            asked = [Asked(engine, tokens(10, seed), short(20)) for seed in range(5)]
        assert [each.usage().completion_tokens for each in asked] == [20] * 5
        assert rows.count(5) >= 18


def test_a_long_prompt_does_not_hold_up_an_answer(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:
        reader = Asked(engine, tokens(10), Sampling(max_tokens=None)).until_it_speaks()
        longer = Asked(engine, tokens(400, 1), short(1))
        end = longer.end()
        reader.job.cancel()
        written = reader.end().usage.completion_tokens
        assert end.figures.steps >= 400 // 64
        assert written >= end.figures.steps  # it spoke in every one of these passes


def test_a_prefix_that_is_being_computed_is_waited_for_and_not_computed_again(
    tiny_gguf: Path,
) -> None:
    shared = tokens(200)
    with running(tiny_gguf) as engine:
        with held_up(engine):
            asked = [
                Asked(engine, [*shared, 5 + n, *tokens(8, n)[1:]], short(3)) for n in range(1, 9)
            ]
        usages = [each.usage() for each in asked]
    assert sum(usage.prompt_tokens - usage.reused_tokens for usage in usages) == 200 + 8 * 8
    assert sorted(usage.reused_tokens for usage in usages) == [0, *[200] * 7]


def test_a_conversation_computes_no_token_twice(tiny_gguf: Path) -> None:
    """Planner, joiner, replan, the next turn of the chat, and eight calls side by side."""
    with running(tiny_gguf) as engine:
        conversation, evaluated = tokens(100), 0
        for turn in range(4):
            asked = Asked(engine, conversation, short(6))
            evaluated += asked.end().figures.evaluated
            conversation = [*conversation, *asked.wrote, *tokens(20, turn + 1)[1:]]
        with held_up(engine):
            calls = [Asked(engine, [*conversation, 5 + n, 7], short(2)) for n in range(8)]
        evaluated += sum(each.end().figures.evaluated for each in calls)
    # Of each reply the last token was shown and never computed: that is owed to the next prompt.
    new = 100 + 3 * 19 + (19 + 1) + 8 * 2
    assert evaluated == new + 3


def test_of_those_who_wait_the_most_urgent_is_served_first(tiny_gguf: Path) -> None:
    order: list[str] = []

    def deliver(name: str) -> object:
        def take(output: Output) -> None:
            if isinstance(output, Progress) and name not in order:
                order.append(name)

        return take

    with running(tiny_gguf, replace(OPTIONS, rows=1)) as engine:
        with held_up(engine):
            for name, priority in [("background", 5), ("first", 0), ("second", 0), ("soon", -1)]:
                request = Request(lambda: tokens(10), sampling=short(3), priority=priority)
                engine.submit(request, deliver(name))  # type: ignore[arg-type]  # takes outputs
        Asked(engine, tokens(10), short(1), priority=9).rest()
    assert order == ["soon", "first", "second", "background"]


def test_what_is_computed_ahead_is_there_when_it_is_asked_for(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:
        hint = Asked(engine, tokens(150), silent=True, priority=BACKGROUND)
        assert hint.text() == ""
        end = Asked(engine, [*tokens(150), 7], short(3)).end()
        assert end.figures.reused == 150
        assert end.figures.evaluated == 1


def test_what_is_computed_ahead_gives_way_to_the_request_itself(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tiny_gguf) as engine:
        ready = threading.Event()
        evaluate = engine.context.evaluate

        def slow(batch: Batch) -> None:
            evaluate(batch)
            ready.wait(60)

        monkeypatch.setattr(engine.context, "evaluate", slow)
        hint = Asked(engine, tokens(400), silent=True, priority=BACKGROUND)
        assert hint.next() == Progress()
        asked = Asked(engine, [*tokens(200), 5, 6], short(2))
        ready.set()
        assert hint.end().reason == "cut"
        end = asked.end()
        assert end.figures.reused >= 64
        assert end.figures.evaluated + end.figures.reused == 202


def test_samples_of_one_prompt_share_its_computation(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:
        with held_up(engine):
            asked = [
                Asked(engine, tokens(100), short(12, temperature=1.5, seed=seed))
                for seed in (1, 2, 3, 1)
            ]
        evaluated = [each.end().figures.evaluated for each in asked]
        assert sorted(evaluated) == [1, 1, 1, 100]
        assert asked[0].wrote == asked[3].wrote
        assert len({tuple(each.wrote) for each in asked}) == 3


@pytest.mark.parametrize(
    ("error", "late"),
    [
        (ModelError("refused"), False),
        (Broken("half way"), True),
        (ZeroDivisionError("by chance"), True),
    ],
)
def test_a_pass_that_fails_for_one_fails_for_that_one_only(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, late: bool
) -> None:
    with running(tiny_gguf) as engine:
        evaluate = engine.context.evaluate
        guilty = 77

        def fail(batch: Batch) -> None:
            bad = any(guilty in row.tokens for row in batch.rows)
            if not bad or late:
                evaluate(batch)
            if bad:
                raise error

        monkeypatch.setattr(engine.context, "evaluate", fail)
        innocent_prompts = [[t for t in tokens(20, seed) if t != guilty] for seed in range(3)]
        with held_up(engine):
            innocent = [
                Asked(engine, p, short(10), grammar='start: /[a-f]+/ "."') for p in innocent_prompts
            ]
            culprit = Asked(engine, [0, guilty, 9], short(10))
        failed = culprit.rest()[-1]
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ModelError)
        for each in innocent:
            assert each.end().reason in ("length", "stop")
        monkeypatch.undo()
        assert Asked(engine, tokens(20), short(5)).usage().completion_tokens == 5


def test_cells_that_llama_cpp_says_are_short_are_made_free(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tiny_gguf) as engine:
        Asked(engine, tokens(50, 9), short(2)).rest()
        evaluate, refused = engine.context.evaluate, []

        def refuse(batch: Batch) -> None:
            if len(refused) < 3:
                refused.append(batch)
                raise NoRoom("no room")
            evaluate(batch)

        monkeypatch.setattr(engine.context, "evaluate", refuse)
        with held_up(engine):
            asked = [Asked(engine, tokens(20, seed), short(10)) for seed in range(3)]
        assert [each.usage().completion_tokens for each in asked] == [10, 10, 10]
        assert len(refused) == 3


def test_a_request_that_raises_on_the_engines_thread_fails_alone(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:

        def broken() -> list[int]:
            raise KeyError("no such template")

        outputs: list[Output] = []
        engine.submit(Request(broken), outputs.append)
        assert Asked(engine, tokens(10), short(2)).usage().completion_tokens == 2
        assert len(outputs) == 1
        assert isinstance(outputs[0], Failed)


class _Always(Sampler):
    """Chooses one token, whatever the scores."""

    @property
    def greedy(self) -> bool:
        return False

    def pick(self, logits: Logits, among: object = None) -> int:
        return 7


def test_a_sampler_of_its_own_chooses_in_the_company_of_greedy_ones(q8_gguf: Path) -> None:
    with running(q8_gguf) as engine:
        with held_up(engine):
            own = Asked(engine, tokens(20, 1), short(12), sampler=_Always(Sampling()))
            greedy = [Asked(engine, tokens(20, seed), short(12)) for seed in (2, 3)]
        assert own.end().usage.completion_tokens == 12
        assert own.wrote == [7] * 12
        for each in greedy:
            assert each.end().usage.completion_tokens == len(each.wrote)
            assert set(each.wrote) != {7}
