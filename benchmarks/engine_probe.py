"""What did the engine really compute: how many passes, which tokens twice, how much Python between?

It watches the engine's contexts from outside and believes none of its figures. It can also replay a
text: in the scores of a pass it raises the token that comes next, so that a model of random weights
"chooses" a real plan while everything else costs what it costs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.binding import binding
from llmcompiler.engine.context import Context

__all__ = ["Pass", "Probe", "Replay", "Shadow"]


class Pass:
    """One forward pass: its tokens, its choices, and the CPU seconds of its thread inside llama.cpp,
    and between the pass before and this one.
    """

    __slots__ = ("between", "choices", "inside", "streams", "tokens")

    def __init__(self, batch: Batch) -> None:
        self.tokens = batch.size
        self.streams = sum(1 for row in batch.rows if row.outputs)
        self.choices = sum(row.outputs for row in batch.rows)
        self.between: float | None = None
        self.inside = 0.0


class Shadow:
    """A second ledger of what each slot holds, as paths in a tree of all tokens ever computed.

    `twice` counts tokens that were computed behind exactly what they had been computed behind
    before.
    """

    def __init__(self) -> None:
        self.twice = 0
        self.computed = 0
        self._children: list[dict[int, int]] = [{}]
        self._paths: dict[int, list[int]] = {}
        self._saved: dict[int, list[int]] = {}

    def evaluate(self, slot: int, position: int, tokens: Sequence[int]) -> None:
        """Note that `tokens` were computed in `slot` from `position` on."""
        path = self._paths.setdefault(slot, [])
        del path[position:]
        node = path[-1] if path else 0
        for token in tokens:
            known = self._children[node].get(token)
            self.computed += 1
            self.twice += known is not None
            if known is None:
                known = self._children[node][token] = len(self._children)
                self._children.append({})
            node = known
            path.append(node)

    def fork(self, source: int, target: int, length: int) -> None:
        """Note that `target` shares the first `length` tokens of `source`."""
        self._paths[target] = self._paths.get(source, [])[:length]

    def save(self, slot: int, data: bytes) -> None:
        """Note that `data` is what `slot` holds."""
        if data:
            self._saved[hash(data)] = [*self._paths.get(slot, [])]

    def restore(self, slot: int, data: bytes) -> None:
        """Note that `slot` holds what was saved as `data`."""
        self._paths[slot] = [*self._saved.get(hash(data), [])]

    def trim(self, slot: int, length: int) -> None:
        """Note that all but the first `length` tokens of `slot` are gone."""
        del self._paths.get(slot, [])[length:]


class Replay:
    """An ASCII text that is to follow a prompt of `prompt` tokens in one sequence, whatever its tokens.

    `piece` and `tokenize` are the model's. `decoy` is a text that stands before every other choice,
    for a constraint to refuse.
    """

    def __init__(
        self,
        prompt: int,
        text: str,
        piece: Callable[[int], bytes],
        tokenize: Callable[[str], Sequence[int]],
        decoy: str | None = None,
    ) -> None:
        self._prompt = prompt
        self._text = text.encode()
        self._piece = piece
        self._tokenize = tokenize
        self._decoys = [] if decoy is None else [tokenize(decoy)[0]]
        self._written: list[int] = []
        self._known: dict[int, list[int]] = {}

    def wrote(self, position: int, tokens: Sequence[int]) -> None:
        """Note that `tokens` stand from `position` on."""
        first = max(0, self._prompt - position)
        del self._written[max(0, position - self._prompt) :]
        self._written += tokens[first:]

    def after(self, position: int) -> list[int]:
        """Return the tokens that may come behind the one at `position`, the best first.

        The best is the first of how the model cuts the rest of the text; the others are shorter, for
        where something else forbids it.
        """
        done = b"".join(map(self._piece, self._written[: position + 1 - self._prompt]))
        if not self._text.startswith(done):
            return []
        if len(done) not in self._known:
            self._known[len(done)] = self._candidates(self._text[len(done) :].decode())
        return self._known[len(done)]

    def _candidates(self, rest: str) -> list[int]:
        if not rest:
            return []
        first = self._tokenize(rest)[0]
        length = len(self._piece(first))
        shorter = [self._tokenize(rest[:count]) for count in range(length - 1, 0, -1)]
        rightful = [first, *(tokens[0] for tokens in shorter if len(tokens) == 1)]
        return [*self._decoys, *rightful]


class Probe:
    """Watches every context while it is entered: ``with Probe() as probe: ...``.

    `passes` holds the forward passes in their order, `shadow` the ledger. With `replay`, which is
    for one sequence alone, choices are replaced; `replaying` is how many CPU seconds that took.
    """

    def __init__(self, replay: Replay | None = None) -> None:
        self.passes: list[Pass] = []
        self.shadow = Shadow()
        self.replaying = 0.0
        self._replay = replay
        self._last: Batch | None = None
        self._left: float | None = None
        self._own = 0.0  # seconds since then that are not the engine's Python
        self._put_back: list[Callable[[], None]] = []

    def __enter__(self) -> Probe:
        for name in ("evaluate", "logits", "fork", "trim", "clear", "save", "restore"):
            self._watch(Context, name, getattr(self, f"_{name}"))
        self._watch(binding(), "llama_decode", self._decode)
        self._watch(binding(), "llama_get_logits", self._get_logits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for put_back in self._put_back:
            put_back()
        self._put_back.clear()

    @property
    def steps(self) -> int:
        """Passes after which a token was chosen."""
        return sum(1 for each in self.passes if each.choices)

    def python_per_step(self, streams: int) -> float:
        """Return the median of the CPU seconds outside llama.cpp between two passes in which so
        many streams, and nothing else, chose tokens, guessed ones included.

        Raises:
            ValueError: there were no two such passes one after the other.
        """
        plain = [each.streams == streams and each.tokens == each.choices for each in self.passes]
        found = [
            each.between
            for index, each in enumerate(self.passes)
            if index and plain[index] and plain[index - 1] and each.between is not None
        ]
        if not found:
            raise ValueError(f"no two passes of {streams} streams followed one another")
        return statistics.median(found)

    def _watch(self, owner: Any, name: str, wrap: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            return wrap(original, *arguments)

        setattr(owner, name, watched)
        self._put_back.append(lambda: setattr(owner, name, original))

    def _decode(self, original: Callable[..., int], *arguments: Any) -> int:
        entered = time.thread_time()
        seen = self.passes[-1] if self.passes else None
        if seen is not None and self._left is not None:
            seen.between = entered - self._left - self._own
        code = original(*arguments)
        self._left = time.thread_time()
        self._own = 0.0
        if seen is not None:
            seen.inside = self._left - entered
        return code

    def _get_logits(self, original: Callable[..., Any], *arguments: Any) -> Any:
        """With a GPU, this is where the computation is waited for."""
        entered = time.thread_time()
        scores = original(*arguments)
        spent = time.thread_time() - entered
        self._own += spent
        if self.passes:
            self.passes[-1].inside += spent
        return scores

    def _evaluate(self, original: Callable[..., None], context: Context, batch: Batch) -> None:
        begun = time.thread_time()
        self.passes.append(Pass(batch))
        self._own += time.thread_time() - begun
        original(context, batch)
        begun = time.thread_time()
        self._last = batch
        for row in batch.rows:
            self.shadow.evaluate(row.slot, row.position, row.tokens)
            if self._replay is not None:
                self._replay.wrote(row.position, row.tokens)
        self._own += time.thread_time() - begun

    def _logits(self, original: Callable[..., Any], context: Context) -> Any:
        scores = original(context)
        if self._replay is None or self._last is None:
            return scores
        begun = time.thread_time()
        at = 0
        for row in self._last.rows:
            end = row.position + len(row.tokens)
            for position in range(end - row.outputs, end):
                for place, token in enumerate(self._replay.after(position)):
                    scores[at, token] = 1e30 / (place + 1)
                at += 1
        self.replaying += time.thread_time() - begun
        return scores

    def _fork(
        self, original: Callable[..., None], context: Context, source: int, target: int, length: int
    ) -> None:
        original(context, source, target, length)
        self.shadow.fork(source, target, length)

    def _trim(
        self, original: Callable[..., bool], context: Context, slot: int, length: int
    ) -> bool:
        done = original(context, slot, length)
        if done:
            self.shadow.trim(slot, length)
        return done

    def _clear(self, original: Callable[..., None], context: Context, slot: int) -> None:
        original(context, slot)
        self.shadow.trim(slot, 0)

    def _save(self, original: Callable[..., bytes], context: Context, slot: int) -> bytes:
        data = original(context, slot)
        self.shadow.save(slot, data)
        return data

    def _restore(
        self, original: Callable[..., bool], context: Context, slot: int, data: bytes, length: int
    ) -> bool:
        done = original(context, slot, data, length)
        if done:
            self.shadow.restore(slot, data)
        return done
