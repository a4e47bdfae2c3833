from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, NoRoom
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.live import Live
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import BACKGROUND, Failed, Output, Progress, Request
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ModelError
from llmcompiler.messages import Sampling, Usage
from tests.engine.asked import Asked, short, tokens
from tests.engine.conftest import close_and_check
from tests.engine.tiny_model import write_tiny_model

_OPTIONS = EngineOptions(n_ctx=512, n_cells=1024, n_seq=8, chunk=64, threads=1, drafts=False)


@pytest.fixture(scope="module")
def q8_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model in Q8_0, whose kernels add up alike in batches of any size."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "q8.gguf", quantised=True)


@contextmanager
def _engine(path: Path, options: EngineOptions = _OPTIONS) -> Iterator[Engine]:
    engine = Engine.open(read_header(path), options)
    try:
        yield engine
    finally:
        close_and_check(engine)


@contextmanager
def _held_up(engine: Engine) -> Iterator[None]:
    """Keep the engine's thread busy meanwhile, so that requests meet in its queue."""
    begun, gate = threading.Event(), threading.Event()

    def wait() -> list[int]:
        begun.set()
        gate.wait(60)
        return [1]

    engine.submit(Request(wait, silent=True), lambda output: None)
    begun.wait(60)
    try:
        yield
    finally:
        gate.set()


@pytest.mark.parametrize("drafts", [False, True])
def test_in_reproducible_mode_company_changes_no_text(q8_gguf: Path, drafts: bool) -> None:
    options = replace(_OPTIONS, reproducible=True, n_ctx=256, n_cells=None, drafts=drafts)
    prompts = [tokens(20 + 9 * seed, seed) for seed in range(6)]
    prompts.append([*prompts[0], *prompts[1][1:10]])
    alone = []
    for prompt in prompts:
        with _engine(q8_gguf, replace(options, drafts=False)) as engine:
            asked = Asked(engine, prompt, short(40))
            asked.rest()
            alone.append(asked.wrote)
    with _engine(q8_gguf, options) as engine:
        with _held_up(engine):
            together = [Asked(engine, prompt, short(40)) for prompt in prompts]
        for asked in together:
            asked.rest()
        assert [asked.wrote for asked in together] == alone


def test_requests_decode_together(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _engine(tiny_gguf) as engine:
        rows: list[int] = []
        evaluate = engine.context.evaluate

        def watch(batch: Batch) -> None:
            rows.append(len(batch.rows))
            evaluate(batch)

        monkeypatch.setattr(engine.context, "evaluate", watch)
        with _held_up(engine):
            asked = [Asked(engine, tokens(10, seed), short(20)) for seed in range(5)]
        assert [each.usage().completion_tokens for each in asked] == [20] * 5
        assert rows.count(5) >= 18


def test_a_long_prompt_does_not_hold_up_an_answer(tiny_gguf: Path) -> None:
    with _engine(tiny_gguf) as engine:
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
    with _engine(tiny_gguf) as engine:
        with _held_up(engine):
            asked = [Asked(engine, [*shared, 5 + n, *tokens(8, n)[1:]], short(3)) for n in range(1, 9)]
        usages = [each.usage() for each in asked]
    assert sum(usage.prompt_tokens - usage.reused_tokens for usage in usages) == 200 + 8 * 8
    assert sorted(usage.reused_tokens for usage in usages) == [0, *[200] * 7]


def test_a_conversation_computes_no_token_twice(tiny_gguf: Path) -> None:
    """Planner, joiner, replan, the next turn of the chat, and eight calls side by side."""
    with _engine(tiny_gguf) as engine:
        conversation, evaluated = tokens(100), 0
        for turn in range(4):
            asked = Asked(engine, conversation, short(6))
            evaluated += asked.end().figures.evaluated
            conversation = [*conversation, *asked.wrote, *tokens(20, turn + 1)[1:]]
        with _held_up(engine):
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

    with _engine(tiny_gguf, replace(_OPTIONS, rows=1)) as engine:
        with _held_up(engine):
            for name, priority in [("background", 5), ("first", 0), ("second", 0), ("soon", -1)]:
                request = Request(lambda: tokens(10), sampling=short(3), priority=priority)
                engine.submit(request, deliver(name))  # type: ignore[arg-type]  # takes outputs
        Asked(engine, tokens(10), short(1), priority=9).rest()
    assert order == ["soon", "first", "second", "background"]


class _Counting(Sampler):
    """Chooses by the place in the reply alone, so that nothing but the order can change a text."""

    def __init__(self, seed: int) -> None:
        super().__init__(Sampling())
        self._seed = seed
        self._count = 0

    def pick(self, logits: Logits, among: object = None) -> int:
        return 5 + (self._seed * 31 + self._count * 7) % 250

    def accept(self, token: int) -> None:
        self._count += 1


@pytest.mark.parametrize("cache_ram", [0, 64])
def test_when_the_cells_run_out_the_youngest_waits_and_goes_on_where_it_was(
    q8_gguf: Path, cache_ram: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(_OPTIONS, n_ctx=256, n_cells=256, cache_ram=cache_ram)
    with _engine(q8_gguf, options) as engine:
        stood: list[Live] = []
        stand = Live.stand
        monkeypatch.setattr(Live, "stand", lambda live: (stood.append(live), stand(live)))
        with _held_up(engine):
            asked = [
                Asked(engine, tokens(60, seed), short(100), sampler=_Counting(seed))
                for seed in range(3)
            ]
        assert [each.end().reason for each in asked] == ["length"] * 3
    assert stood
    for seed, each in enumerate(asked):
        assert each.wrote == [5 + (seed * 31 + n * 7) % 250 for n in range(100)]


def test_everybody_ends_where_the_cells_are_far_too_few(tiny_gguf: Path) -> None:
    options = replace(_OPTIONS, n_ctx=256, n_cells=256)
    with _engine(tiny_gguf, options) as engine:
        with _held_up(engine):
            asked = [Asked(engine, tokens(100 + n, n), short(60)) for n in range(12)]
        ends = [each.end() for each in asked]
        assert {end.reason for end in ends} <= {"length", "stop"}
        assert [end.usage.completion_tokens for end in ends if end.reason == "length"].count(
            60
        ) >= 8


def test_what_was_evicted_is_restored_from_memory(tiny_gguf: Path) -> None:
    options = replace(_OPTIONS, n_ctx=256, n_cells=256, n_seq=2)
    with _engine(tiny_gguf, options) as engine:
        first = Asked(engine, tokens(150), short(8))
        first.rest()
        Asked(engine, tokens(200, 1), short(8)).rest()
        again = Asked(engine, tokens(150), short(8))
        assert again.usage().reused_tokens == 149
        assert again.wrote == first.wrote
    with _engine(tiny_gguf, replace(options, cache_ram=0)) as engine:
        for seed in (0, 1):
            Asked(engine, tokens(150 + 50 * seed, seed), short(8)).rest()
        assert Asked(engine, tokens(150), short(8)).usage().reused_tokens <= 1


def test_after_a_restart_a_prefix_comes_from_disk(tiny_gguf: Path, tmp_path: Path) -> None:
    options = replace(_OPTIONS, cache_dir=str(tmp_path / "cache"))
    with _engine(tiny_gguf, options) as engine:
        first = Asked(engine, tokens(150), short(8))
        first.rest()
    with _engine(tiny_gguf, options) as engine:
        again = Asked(engine, tokens(150), short(8))
        assert again.usage().reused_tokens == 149
        assert again.wrote == first.wrote
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
    with _engine(tiny_gguf, options) as engine:
        broken = Asked(engine, tokens(150), short(8))
        assert broken.usage().reused_tokens == 0
        assert broken.wrote == first.wrote


def test_a_kept_prefix_survives_any_crowd(tiny_gguf: Path) -> None:
    options = replace(_OPTIONS, n_ctx=256, n_cells=512, n_seq=4, cache_ram=0)
    with _engine(tiny_gguf, options) as engine:
        kept = Asked(engine, tokens(100), silent=True, keep=True).end()
        assert kept.figures.evaluated == 100
        for seed in range(1, 8):
            Asked(engine, tokens(200, seed), short(3)).rest()
        assert Asked(engine, [*tokens(100), 7], short(3)).usage().reused_tokens == 100


def test_what_is_computed_ahead_is_there_when_it_is_asked_for(tiny_gguf: Path) -> None:
    with _engine(tiny_gguf) as engine:
        hint = Asked(engine, tokens(150), silent=True, priority=BACKGROUND)
        assert hint.text() == ""
        end = Asked(engine, [*tokens(150), 7], short(3)).end()
        assert end.figures.reused == 150
        assert end.figures.evaluated == 1


def test_what_is_computed_ahead_gives_way_to_the_request_itself(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _engine(tiny_gguf) as engine:
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
    with _engine(tiny_gguf) as engine:
        with _held_up(engine):
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
    with _engine(tiny_gguf) as engine:
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
        with _held_up(engine):
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
    with _engine(tiny_gguf) as engine:
        Asked(engine, tokens(50, 9), short(2)).rest()
        evaluate, refused = engine.context.evaluate, []

        def refuse(batch: Batch) -> None:
            if len(refused) < 3:
                refused.append(batch)
                raise NoRoom("no room")
            evaluate(batch)

        monkeypatch.setattr(engine.context, "evaluate", refuse)
        with _held_up(engine):
            asked = [Asked(engine, tokens(20, seed), short(10)) for seed in range(3)]
        assert [each.usage().completion_tokens for each in asked] == [10, 10, 10]
        assert len(refused) == 3


def test_a_request_that_raises_on_the_engines_thread_fails_alone(tiny_gguf: Path) -> None:
    with _engine(tiny_gguf) as engine:

        def broken() -> list[int]:
            raise KeyError("no such template")

        outputs: list[Output] = []
        engine.submit(Request(broken), outputs.append)
        assert Asked(engine, tokens(10), short(2)).usage().completion_tokens == 2
        assert len(outputs) == 1
        assert isinstance(outputs[0], Failed)


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_soak_leaves_the_ledger_whole(q8_gguf: Path, tmp_path: Path, reproducible: bool) -> None:
    options = replace(
        _OPTIONS,
        n_ctx=256,
        n_cells=None if reproducible else 700,
        n_seq=5,
        rows=4,
        drafts=True,
        reproducible=reproducible,
        cache_ram=1,
        cache_dir=str(tmp_path),
        cache_disk=4,
    )
    chance = random.Random(7)
    texts = [tokens(chance.randrange(2, 230), seed) for seed in range(12)]
    with _engine(q8_gguf, options) as engine:
        waiting: list[Asked] = []
        for _ in range(60 if reproducible else 400):
            text = chance.choice(texts)
            prompt = text[: chance.randrange(1, len(text) + 1)] + [5] * chance.randrange(3)
            silent = chance.random() < 0.15
            asked = Asked(
                engine,
                prompt,
                short(chance.randrange(1, 25), temperature=chance.choice([0.0, 1.0])),
                grammar=chance.choice([None, None, "start: /[a-z]+/ /[.]/"]),
                priority=chance.choice([0, 0, 3]),
                silent=silent,
                keep=silent and chance.random() < 0.1,
            )
            if chance.random() < 0.25:
                asked.job.cancel()
            else:
                waiting.append(asked)
            if chance.random() < 0.1:
                waiting.pop(0).rest()
        for asked in waiting:
            asked.rest()
