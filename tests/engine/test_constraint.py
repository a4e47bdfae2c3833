from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine import constraint as module
from llmcompiler.engine.constraint import Constraint, GrammarCompiler
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.guidance import GuidanceCompiler
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError
from llmcompiler.messages import Grammar, Sampling

_PLAN = r"""
start: line+ "join()"
line: /[1-9]/ ". " ("add(a=" number ", b=" number ")" | "find(place=" text ")") "\n"
number: /-?[0-9]{1,3}/
text: /"[a-z A-Z]{1,8}"/
"""
_PLAN_GBNF = r"""
root ::= line+ "join()"
line ::= [1-9] ". " ("add(a=" number ", b=" number ")" | "find(place=" text ")") "\n"
number ::= "-"? [0-9]{1,3}
text ::= "\"" [a-z A-Z]{1,8} "\""
"""
_PLAN_SHAPE = re.compile(
    r'([1-9]\. (add\(a=-?\d{1,3}, b=-?\d{1,3}\)|find\(place="[a-z A-Z]{1,8}"\))\n)+join\(\)'
)
_LINE_SHAPE = re.compile(r'(\d+)\. (?:find\(place="([a-z]*)", after=\$(\d+)\)|join\(\))\n?')

Stretch = str | tuple[str, str] | None


@dataclass
class _Stretches(Grammar):
    """Stretches one after the other, each as Lark, or as Lark and GBNF; `asked` notes the texts."""

    stretches: list[Stretch]
    asked: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def lark(self, written: str) -> str | None:
        return self._next(written, 0)

    def gbnf(self, written: str) -> str | None:
        return self._next(written, 1)

    def _next(self, written: str, form: int) -> str | None:
        self.asked.append(written)
        if written not in self.ends:
            self.ends.append(written)
        place = self.ends.index(written)
        found = self.stretches[place] if place < len(self.stretches) else None
        return found if found is None or isinstance(found, str) else found[form]


class _Lines(Grammar):
    """Plan lines whose numbers count up and whose references name earlier lines; four at most."""

    def lark(self, written: str) -> str | None:
        if written.endswith("join()"):
            return None
        number, known = self._line(written)
        find = f'"find(place=" /"[a-z]{{0,9}}"/ ", after=$" ({known}) ")\\n"'
        return f'start: "{number}. " ({find if number < 4 else ""} {"|" if number < 4 else ""} "join()")'

    def gbnf(self, written: str) -> str | None:
        if written.endswith("join()"):
            return None
        number, known = self._line(written)
        find = f'"find(place=\\"" [a-z]{{0,9}} "\\", after=$" ({known}) ")\\n" |'
        return f'root ::= "{number}. " ({find if number < 4 else ""} "join()")'

    @staticmethod
    def _line(written: str) -> tuple[int, str]:
        number = written.count("\n") + 1
        return number, " | ".join(f'"{earlier}"' for earlier in range(number))


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    """Return the tiny model, for as many examples as there are."""
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, threads=1))
    yield model
    model.close()


@pytest.fixture(params=["llguidance", "llama.cpp"])
def compiler(
    request: pytest.FixtureRequest, model: Model, monkeypatch: pytest.MonkeyPatch
) -> GrammarCompiler:
    """Return a compiler with llguidance, and one for where it is not installed."""
    if request.param == "llama.cpp":
        monkeypatch.setitem(sys.modules, "llguidance", None)
    return GrammarCompiler(model)


@pytest.fixture(scope="module")
def guided(model: Model) -> GrammarCompiler:
    """Return a compiler with llguidance, for as many examples as there are."""
    return GrammarCompiler(model)


def _open(
    compiler: GrammarCompiler, grammar: str | Grammar | None, quotes: Quotes | None = None
) -> Constraint:
    constraint = compiler.open(grammar, None, quotes)
    assert constraint is not None
    return constraint


def _reply(
    model: Model,
    constraint: Constraint,
    scores: Callable[[bytes], Logits],
    *,
    jump: bool = False,
    sampler: Sampler | None = None,
    limit: int = 400,
) -> str | None:
    """Write by `scores` of the text so far; return the text, or None if it did not end in time."""
    sampler = sampler or Sampler(Sampling())
    written = b""
    for _ in range(limit):
        if jump:
            written += b"".join(model.piece(token) for token in constraint.forced())
        if constraint.complete:
            return written.decode()
        token = constraint.choose(scores(written), sampler)
        if token in model.end_tokens:
            return written.decode()
        constraint.advance(token)
        written += model.piece(token)
    return None


def _random(model: Model, seed: int) -> Callable[[bytes], Logits]:
    random = np.random.default_rng(seed)
    return lambda written: random.standard_normal(model.n_vocab).astype(np.float32)


def _by_text(model: Model, seed: int) -> Callable[[bytes], Logits]:
    """Return scores that depend on the text so far alone, in which tokens of one byte stand first."""
    short = np.array([len(model.piece(token)) == 1 for token in range(model.n_vocab)])

    def scores(written: bytes) -> Logits:
        digest = hashlib.sha256(seed.to_bytes(8, "big") + written).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        drawn: Logits = random.standard_normal(model.n_vocab).astype(np.float32)
        drawn[short] += 100
        return drawn

    return scores


def _eager(model: Model, *tokens: int) -> Logits:
    logits = np.zeros(model.n_vocab, np.float32)
    logits[list(tokens)] = 9.0
    return logits


def _one(model: Model, letter: str) -> int:
    (token,) = model.tokenize(letter, special=False)
    return token


def _write(model: Model, constraint: Constraint, text: str) -> None:
    for letter in text:
        constraint.advance(_one(model, letter))


def test_whatever_the_scores_the_reply_matches_the_grammar(
    model: Model, compiler: GrammarCompiler
) -> None:
    ended = 0
    for seed in range(20):
        grammar = _Stretches([(_PLAN, _PLAN_GBNF)])
        reply = _reply(model, _open(compiler, grammar), _random(model, seed), jump=seed % 2 == 0)
        if reply is not None:
            ended += 1
            assert _PLAN_SHAPE.fullmatch(reply), reply
    assert ended > 12


def test_whatever_the_scores_each_line_is_held_to_the_lines_before_it(
    model: Model, compiler: GrammarCompiler
) -> None:
    lengths = set()
    for seed in range(30):
        reply = _reply(model, _open(compiler, _Lines()), _random(model, seed), jump=seed % 2 == 0)
        assert reply is not None
        assert reply.endswith("join()")
        lines = reply.splitlines()
        lengths.add(len(lines))
        for number, line in enumerate(lines, 1):
            found = _LINE_SHAPE.fullmatch(line)
            assert found, line
            assert int(found[1]) == number
            assert found[3] is None or int(found[3]) < number
    assert lengths == {1, 2, 3, 4}


def test_whatever_the_scores_the_reply_is_json_of_the_schema(
    model: Model, compiler: GrammarCompiler
) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "on": {"enum": ["a", "b"]}},
        "required": ["n", "on"],
        "additionalProperties": False,
    }
    for seed in range(10):
        constraint = compiler.open(None, schema)
        assert constraint is not None
        reply = _reply(model, constraint, _random(model, seed))
        assert reply is not None
        value = json.loads(reply)
        assert set(value) == {"n", "on"}
        assert reply == json.dumps(value)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), lines=st.booleans())
def test_forced_text_is_what_would_have_been_chosen(
    model: Model, guided: GrammarCompiler, seed: int, lines: bool
) -> None:
    grammar = _Lines() if lines else _PLAN
    scores = _by_text(model, seed)
    alone = _reply(model, _open(guided, grammar), scores, limit=2000)
    jumping = _reply(model, _open(guided, grammar), scores, jump=True, limit=2000)
    assert alone is not None
    assert jumping == alone


def test_forced_tokens_count_as_written_and_cross_from_one_stretch_to_the_next(
    model: Model, guided: GrammarCompiler
) -> None:
    grammar = _Stretches(['start: /[ab]/ ")\\n"', 'start: "2. join" /[ab]/'])
    constraint = _open(guided, grammar)
    assert constraint.forced() == ()
    constraint.advance(_one(model, "a"))
    forced = constraint.forced()
    assert b"".join(map(model.piece, forced)) == b")\n2. join"
    assert forced[-1] == _one(model, "join")
    assert constraint.forced() == ()
    assert grammar.asked == ["", "a)\n"]
    assert constraint.admit([_one(model, "b")]) == 1


def test_a_reply_that_is_forced_to_its_end_is_complete(
    model: Model, guided: GrammarCompiler
) -> None:
    constraint = _open(guided, _Stretches(['start: "a"', 'start: "b"']))
    assert b"".join(map(model.piece, constraint.forced())) == b"ab"
    assert constraint.complete
    assert constraint.forced() == ()
    assert constraint.admit([_one(model, "a")]) == 0
    assert constraint.choose(_eager(model, 5), Sampler(Sampling())) in model.end_tokens


def test_the_end_of_a_turn_is_never_forced(model: Model, guided: GrammarCompiler) -> None:
    constraint = _open(guided, 'start: "a" ("b" "c")?')
    assert constraint.forced() == (_one(model, "a"),)
    assert constraint.forced() == ()
    assert constraint.choose(_eager(model, 1), Sampler(Sampling())) == 1


def test_text_that_the_quotes_refuse_is_not_forced(model: Model, guided: GrammarCompiler) -> None:
    quotes = Quotes(("find.place",), ("abc",))
    constraint = _open(guided, 'start: "1. find(place=\\"abd\\")" /[xy]/', quotes)
    assert b"".join(map(model.piece, constraint.forced())) == b'1. find(place="ab'
    # No quote can follow, so the grammar alone decides, and forces what comes after.
    token = constraint.choose(_eager(model, _one(model, "c")), Sampler(Sampling()))
    assert model.piece(token) == b"d"
    constraint.advance(token)
    assert b"".join(map(model.piece, constraint.forced())) == b'")'


def test_no_token_reaches_from_one_stretch_into_the_next(
    model: Model, compiler: GrammarCompiler
) -> None:
    wide = _one(model, "join")
    whole = _Stretches([('start: "join"', 'root ::= "join"')])
    assert _open(compiler, whole).admit([wide]) == 1
    parts = _Stretches([('start: "jo"', 'root ::= "jo"'), ('start: "in"', 'root ::= "in"')])
    constraint = _open(compiler, parts)
    assert constraint.admit([wide]) == 0
    token = constraint.choose(_eager(model, wide), Sampler(Sampling()))
    assert b"jo".startswith(model.piece(token))


def test_a_turn_ends_only_when_the_grammar_is_complete(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = _Stretches([('start: "ab" "c"?', 'root ::= "ab" "c"?')])
    constraint = _open(compiler, grammar)
    sampler = Sampler(Sampling())
    written = b""
    while (token := constraint.choose(_eager(model, 1), sampler)) != 1:
        constraint.advance(token)
        written += model.piece(token)
    assert written == b"ab"
    assert not constraint.complete


def test_a_turn_does_not_end_where_another_stretch_would_follow(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = _Stretches(
        [('start: "ab" "c"?', 'root ::= "ab" "c"?'), ('start: "d"', 'root ::= "d"')]
    )
    constraint = _open(compiler, grammar)
    _write(model, constraint, "ab")
    for logits in (_eager(model, 1), -np.arange(model.n_vocab, dtype=np.float32)):
        assert constraint.choose(logits, Sampler(Sampling())) == _one(model, "c")


def test_a_stretch_that_may_go_on_is_not_over(model: Model, compiler: GrammarCompiler) -> None:
    grammar = _Stretches([('start: "a" "b"?', 'root ::= "a" "b"?'), ('start: "c"', 'root ::= "c"')])
    constraint = _open(compiler, grammar)
    _write(model, constraint, "a")
    assert grammar.asked == [""]
    assert constraint.admit([_one(model, "c")]) == 0
    _write(model, constraint, "b")
    assert constraint.admit([_one(model, "c")]) == 1


def test_a_reply_that_can_only_end_is_complete(model: Model, compiler: GrammarCompiler) -> None:
    constraint = _open(compiler, _Stretches([('start: "ab"', 'root ::= "ab"')]))
    for letter in "ab":
        assert not constraint.complete
        constraint.advance(_one(model, letter))
    assert constraint.complete
    assert _open(compiler, _Stretches([])).complete


def test_a_grammar_of_an_empty_text_is_complete_at_once(guided: GrammarCompiler) -> None:
    assert _open(guided, 'start: ""').complete


def test_a_stretch_that_allows_an_empty_text_alone_is_refused(compiler: GrammarCompiler) -> None:
    class Stuck(Grammar):
        def lark(self, written: str) -> str | None:
            return 'start: ""'

        def gbnf(self, written: str) -> str | None:
            return 'root ::= ""'

    with pytest.raises(ConfigurationError, match="give None where the reply is over"):
        _open(compiler, Stuck())


def test_a_grammar_that_is_none_says_why(model: Model, compiler: GrammarCompiler) -> None:
    bad = ("start: nothing_of_the_kind", "root ::= nothing-of-the-kind")
    with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
        _open(compiler, _Stretches([bad]))
    constraint = _open(compiler, _Stretches([('start: "a"', 'root ::= "a"'), bad]))
    with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
        _write(model, constraint, "a")


def test_a_token_that_does_not_fit_is_an_error_and_no_crash(
    model: Model, compiler: GrammarCompiler
) -> None:
    for token in (_one(model, "z"), 2):
        constraint = _open(compiler, _Stretches([('start: "ab"', 'root ::= "ab"')]))
        with pytest.raises(ModelError, match="cannot be followed further"):
            constraint.advance(token)


def test_control_tokens_never_pass_a_grammar(model: Model, compiler: GrammarCompiler) -> None:
    anything = _Stretches([("start: /(?s:.)*/", "root ::= .*")])
    constraint = _open(compiler, anything)
    for seed in range(5):
        logits = _random(model, seed)(b"")
        logits[[0, 2, 3, 4]] = 9.0
        assert constraint.choose(logits, Sampler(Sampling())) not in (0, 2, 3, 4)
    assert constraint.admit([2]) == 0


@settings(max_examples=150, deadline=None)
@given(data=st.data(), quoted=st.booleans())
def test_drafts_are_admitted_exactly_as_far_as_they_could_be_chosen(
    model: Model, guided: GrammarCompiler, data: st.DataObject, quoted: bool
) -> None:
    def fresh(written: list[int]) -> Constraint:
        quotes = Quotes(("find.place",), ("a place", "ab Oslo")) if quoted else None
        constraint = _open(guided, _Stretches([_PLAN]), quotes)
        for token in written:
            constraint.advance(token)
        return constraint

    text = '1. find(place="a place")\n2. add(a=1, b=-20)\njoin()'
    cut = data.draw(st.integers(0, len(text) - 1))
    written = [_one(model, letter) for letter in text[:cut]]
    likely = [*model.tokenize(text[cut:], special=False)[:4], 1, 2, 69, 70, 71]
    draft = data.draw(st.lists(st.sampled_from(likely) | st.integers(0, model.n_vocab - 1)))
    if data.draw(st.booleans()):
        draft = model.tokenize(text[cut:], special=False) + draft
    constraint = fresh(written)
    count = constraint.admit(draft)
    assert constraint.admit(draft) == count

    sampler = Sampler(Sampling())
    for number, token in enumerate(draft):
        before = fresh([*written, *draft[:number]])
        fits = (
            not before.complete
            and token not in model.end_tokens
            and before.choose(_eager(model, token), sampler) == token
        )
        assert fits == (number < count)
        if not fits:
            break


def test_drafts_reach_to_the_end_of_a_stretch_and_write_nothing(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = _Stretches([('start: "ab"', 'root ::= "ab"'), ('start: "cd"', 'root ::= "cd"')])
    constraint = _open(compiler, grammar)
    draft = [_one(model, letter) for letter in "abcd"]
    assert constraint.admit(draft) == 2
    assert constraint.admit(draft) == 2
    assert constraint.admit(draft[1:]) == 0
    assert constraint.admit([]) == 0
    _write(model, constraint, "ab")
    assert constraint.admit([*draft[2:], 1]) == 2


def test_a_grammar_is_read_once_and_not_kept_for_ever(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = GuidanceCompiler.matcher

    def noting(self: GuidanceCompiler, grammar: str) -> module.Matcher:
        read.append(grammar)
        return original(self, grammar)

    monkeypatch.setattr(GuidanceCompiler, "matcher", noting)
    monkeypatch.setattr(module, "_KEPT", 2)
    compiler = GrammarCompiler(model)
    a, b, c = ('start: "a"', 'start: "b"', 'start: "c"')
    for grammar in (a, b, a, b, a, c, a, b):
        constraint = _open(compiler, grammar)
        assert len(constraint.forced()) == 1
    assert read == [a, b, c, b]


def test_time_spent_is_counted(model: Model, guided: GrammarCompiler) -> None:
    constraint = _open(guided, _PLAN)
    last = constraint.seconds
    assert last > 0
    steps: list[Callable[[], object]] = [
        lambda: constraint.choose(_eager(model, 5), Sampler(Sampling())),
        lambda: constraint.admit([5]),
        lambda: constraint.advance(_one(model, "1")),
        constraint.forced,
    ]
    for step in steps:
        step()
        assert constraint.seconds > last
        last = constraint.seconds


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_best_of_what_is_allowed_is_found_however_far_down_it_stands(
    model: Model, compiler: GrammarCompiler, temperature: float
) -> None:
    grammar = _Stretches([("start: /[ab]/", "root ::= [ab]")])
    a, b = _one(model, "a"), _one(model, "b")
    for above in (0, 1, 3, 5, 200):
        logits = np.full(model.n_vocab, -99, np.float32)
        others = [token for token in range(model.n_vocab) if token not in (a, b)][:above]
        logits[others] = 50 + np.arange(above)
        logits[b] = 10
        chosen = _open(compiler, grammar).choose(logits, Sampler(Sampling(temperature, seed=1)))
        assert chosen == b
    logits = np.full(model.n_vocab, -np.inf, np.float32)
    chosen = _open(compiler, grammar).choose(logits, Sampler(Sampling(temperature, seed=1)))
    assert chosen in (a, b)


def test_drawing_under_a_grammar_follows_the_scores_of_what_is_allowed(
    model: Model, compiler: GrammarCompiler
) -> None:
    constraint = _open(compiler, _Stretches([("start: /[ab]/", "root ::= [ab]")]))
    a, b = _one(model, "a"), _one(model, "b")
    logits = np.zeros(model.n_vocab, np.float32)
    logits[a] = np.log(3.0)
    sampler = Sampler(Sampling(temperature=1.0, seed=2))
    drawn = [constraint.choose(logits, sampler) for _ in range(2000)]
    assert set(drawn) == {a, b}
    assert drawn.count(a) / 2000 == pytest.approx(0.75, abs=0.04)


def test_what_is_held_to_nothing_has_no_constraint(guided: GrammarCompiler) -> None:
    assert guided.open() is None
    assert guided.open(None, None, Quotes((), ())) is not None


def test_with_quotes_a_value_is_a_span_of_the_sources(
    model: Model, guided: GrammarCompiler
) -> None:
    sources = ("from Oslo to the place Lima",)
    values = set()
    for seed in range(40):
        quotes = Quotes(("find.place",), sources)
        constraint = _open(guided, 'start: "1. find(place=" /"[^"$]*"/ ")"', quotes)
        reply = _reply(model, constraint, _random(model, seed), jump=seed % 2 == 0)
        assert reply is not None
        value = reply.removeprefix('1. find(place="').removesuffix('")')
        assert value in sources[0]
        assert set(value.split()) <= set(sources[0].split())
        values.add(value)
    assert len(values) > 5


def test_quotes_hold_without_a_grammar_too(model: Model, guided: GrammarCompiler) -> None:
    quotes = Quotes(("find.place",), ("Oslo",))
    constraint = _open(guided, None, quotes)
    assert constraint.forced() == ()
    _write(model, constraint, '1. find(place="')
    token = constraint.choose(np.zeros(model.n_vocab, np.float32), Sampler(Sampling()))
    assert b"Oslo".startswith(model.piece(token))
    assert constraint.admit(model.tokenize("Oslo)", special=False)) == 1
    assert not constraint.complete


def test_where_nothing_can_be_quoted_the_grammar_alone_decides(
    model: Model, guided: GrammarCompiler
) -> None:
    quotes = Quotes(("find.place",), ())
    constraint = _open(guided, 'start: "1. find(place=" /"[abc]{3}"/ ")"', quotes)
    reply = _reply(model, constraint, _random(model, 1))
    assert reply is not None
    assert re.fullmatch(r'1\. find\(place="[abc]{3}"\)', reply)


def test_where_nothing_can_be_quoted_the_best_of_the_grammar_is_taken(
    model: Model, guided: GrammarCompiler
) -> None:
    quotes = Quotes(("find.place",), ())
    constraint = _open(guided, 'start: "1. find(place=\\"" /[abc]/', quotes)
    _write(model, constraint, '1. find(place="')
    logits = np.zeros(model.n_vocab, np.float32)
    for rank, letter in enumerate("acb"):
        logits[_one(model, letter)] = rank + 1
    assert constraint.choose(logits, Sampler(Sampling())) == _one(model, "b")


def test_without_llguidance_a_grammar_as_text_says_what_to_install(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    compiler = GrammarCompiler(model)
    compiler.prepare()
    with pytest.raises(MissingExtraError, match=r"llmcompiler-runtime\[local\]"):
        compiler.open(_PLAN)
