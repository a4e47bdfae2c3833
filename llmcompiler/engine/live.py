"""What becomes of one request, step by step: what it wants computed, and what it makes of scores?

It does not know other requests, slots' contents or the model; scores in, tokens and text out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Sequence

from llmcompiler.engine.batcher import Row, Waiting
from llmcompiler.engine.constraint import Constraint
from llmcompiler.engine.cost import DraftPolicy
from llmcompiler.engine.drafts import Drafts
from llmcompiler.engine.figures import Meter
from llmcompiler.engine.request import Job, Piece, Progress
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.engine.sequence import TextStream, TokenSequence
from llmcompiler.messages import FinishReason, Logprob, Usage

__all__ = ["Live"]

_CAUGHT_UP = 64  # tokens that may wait while somebody reads along; more is a prompt again


class Live:
    """A request in the engine's hands; `slot` is where it sits, or -1, and `prompt` its prompt.

    `decoding` says that somebody reads along, `single` that it then waits for one token alone:
    `computed` keeps them. `greedy` says that whatever has the highest score is chosen. `broke` says
    that it begins anew because a pass failed, and is computed alone until it has caught up.

    `n_ctx` is the most tokens that it may have. Without `drafts` nothing is guessed ahead.
    """

    def __init__(
        self,
        job: Job,
        order: int,
        sequence: TokenSequence,
        *,
        n_ctx: int,
        piece: Callable[[int], bytes],
        end_tokens: Collection[int],
        sampler: Sampler,
        constraint: Constraint | None,
        text: TextStream,
        meter: Meter,
        drafts: Callable[[], Drafts] | None = None,
        policy: DraftPolicy | None = None,
    ) -> None:
        self.job = job
        self.priority = job.request.priority
        self.urgency = (self.priority, order)
        self.sequence = sequence
        self.prompt = array("i", sequence.tokens)
        self.meter = meter
        self.slot = -1
        self.resumed = False
        self.decoding = False
        self.single = False
        self.broke = False
        self._reached = 0  # how much of the prompt had been computed when it stood up, at most
        self._halt = 0  # how much of the prompt is computed before anything else
        room = n_ctx - sequence.prompt_length
        self._limit = min(room, job.request.sampling.max_tokens or room)
        self._piece = piece
        self._end_tokens = end_tokens
        self._sampler = sampler
        self._constraint = constraint
        self._text = text
        self._open_drafts = drafts
        self._drafts: Drafts | None = None
        self._told = sequence.prompt_length  # tokens that the drafts know of
        self._policy = policy
        self._spoken = ""
        self._company = 0  # how many requests decoded when that was last looked up
        self._vain = True  # whether guesses are hopeless then
        self._top = job.request.sampling.logprobs
        self.constrained = constraint is not None
        self.greedy = constraint is None and sampler.greedy

    @property
    def pending(self) -> int:
        """How many tokens are not computed yet."""
        return len(self.sequence.tokens) - self.sequence.evaluated

    @property
    def thinking(self) -> float:
        """The time spent under the constraint so far, in seconds."""
        return self._constraint.seconds if self._constraint else 0.0

    def hurry(self, priority: int) -> None:
        """Be as urgent as `priority` from now on, unless it is more urgent already."""
        self.priority = min(self.priority, priority)
        self.urgency = (self.priority, self.urgency[1])

    def halt(self, count: int) -> None:
        """Let a pass end behind the first `count` tokens, where another is to go on from them."""
        if not self.sequence.evaluated < self._halt <= count:
            self._halt = count

    def sit(self, slot: int, held: int) -> None:
        """Take a slot that holds the first `held` tokens."""
        self.slot = slot
        # One that comes back may find more of its prompt than it had computed itself.
        known = min(held, self.sequence.prompt_length) - self._reached
        self.sequence.reused += max(0, known)
        self.meter.reused = self.sequence.reused
        self.computed(held)

    def computed(self, count: int) -> None:
        """Note that the first `count` tokens are computed."""
        sequence = self.sequence
        sequence.evaluated = count
        waiting = len(sequence.tokens) - count
        written = len(sequence.tokens) - sequence.prompt_length
        self.decoding = written > 0 and waiting <= _CAUGHT_UP
        self.single = waiting == 1 and written > 0

    def begin(self) -> FinishReason | None:
        """Write what the constraint leaves no choice about before anything was computed."""
        if self.resumed or self._constraint is None or self.job.request.silent:
            return None
        reason = self._force([])
        self.computed(self.sequence.evaluated)
        self.meter.ahead(self.sequence.generated_length)
        return reason

    def stand(self) -> None:
        """Give the slot up, to go on later."""
        self.slot = -1
        computed = min(self.sequence.evaluated, self.sequence.prompt_length)
        self._reached = max(self._reached, computed)
        self.resumed = True

    def row(self, width: int, requests: int) -> Row:
        """Return its row in a pass of `width` tokens that `requests` decode in; for a `single` one."""
        sequence = self.sequence
        at = sequence.evaluated
        if requests != self._company:
            self._company, self._vain = requests, self._hopeless(requests, requests)
        if self._vain:
            return Row(self.slot, at, (sequence.tokens[at],), 1)
        drafts = self._draft(width, requests)
        return Row(self.slot, at, (sequence.tokens[at], *drafts), 1 + len(drafts))

    def waiting(self, budget: int, width: int, requests: int) -> Waiting:
        """Say what is to be computed next, in a pass of `width` tokens that `requests` decode in."""
        sequence = self.sequence
        at = sequence.evaluated
        tokens = sequence.tokens[at : at + budget + 1]
        drafts = self._draft(width, requests) if self.decoding and len(tokens) < budget else ()
        choice = not self.job.request.silent
        if at < self._halt < len(sequence.tokens):
            return Waiting(self.slot, at, tokens[: self._halt - at], choice=False)
        if self.decoding and requests == 1 < len(tokens) and not drafts and self._policy:
            width = self._policy.width(len(tokens))
            if width < len(tokens):
                return Waiting(self.slot, at, tokens[:width], (), True, False)
        return Waiting(self.slot, at, tokens, drafts, self.decoding, choice)

    def advance(
        self, row: Row, scores: Logits | None, at: int = 0, best: int | None = None
    ) -> tuple[int, FinishReason | None]:
        """Go on from a computed row; say how many of its tokens stand, and whether this was all.

        `scores` are those of a whole pass, of which it has one for each output, from `at` on.
        `best` is the place of the highest in its only one, if that is known: only where `greedy`.
        Drafts stand as far as they are what would have been chosen.
        """
        sequence, count = self.sequence, len(row.tokens)
        if row.position < sequence.prompt_length:
            self.meter.evaluated += min(sequence.prompt_length - row.position, count)
        if not row.outputs or scores is None:
            return count, "stop" if row.position + count == len(sequence.tokens) else None
        if row.outputs == 1 and self._constraint is None:  # the way of most tokens
            token = self._sampler.pick(scores[at]) if best is None else best
            if token in self._end_tokens:
                return count, "stop"
            return count, self._take(token, None if self._top is None else scores[at])
        drafts = row.tokens[count - row.outputs + 1 :]
        accepted, reason = self._walk(drafts, scores[at : at + row.outputs])
        drafted = len(drafts) - row.filling
        if drafted and self._policy is not None:
            self._policy.observe(drafted, min(accepted, drafted))
            self.meter.drafted += drafted
            self.meter.accepted += min(accepted, drafted)
        return count - len(drafts) + accepted, reason

    def say(self, *, progress: bool = False) -> None:
        """Hand out what may be shown since the last call; without any, tell of `progress`."""
        text, self._spoken = self._spoken, ""
        logprobs = () if self._top is None else self._text.take_logprobs()
        if text or logprobs:
            self.job.deliver(Piece(text, logprobs))
        elif progress:
            self.job.deliver(Progress())

    def usage(self) -> Usage:
        """Count the tokens."""
        sequence = self.sequence
        return Usage(sequence.prompt_length, sequence.reused, sequence.generated_length, 1)

    def end(self) -> None:
        """Give out what was held back, and tell who keeps the tokens."""
        self.job.request.wrote(self.sequence.generated)
        self._spoken += self._text.finish()

    def close(self) -> None:
        """Let go of what guesses ahead."""
        if self._drafts is not None:
            self._drafts.close()

    def _walk(self, drafts: tuple[int, ...], scores: Logits) -> tuple[int, FinishReason | None]:
        """Choose token after token as far as the drafts were right; count those that were."""
        at = 0
        while True:
            token, reason = self._choose(scores[at])
            if reason is not None:
                return at, reason
            chosen = [token]
            reason = self._whole(self._take(token, scores[at])) or self._force(chosen)
            right = _right(drafts[at:], chosen)
            at += right
            if reason is not None or right < len(chosen):
                return at, reason

    def _choose(self, scores: Logits) -> tuple[int, FinishReason | None]:
        if self._constraint is None:
            token = self._sampler.pick(scores)
        else:
            token = self._constraint.choose(scores, self._sampler)
        if token in self._end_tokens:
            return token, "stop"
        if self._constraint is not None:
            self._constraint.advance(token)
        return token, None

    def _force(self, chosen: list[int]) -> FinishReason | None:
        """Take what the constraint leaves no choice about, and note it in `chosen`."""
        if self._constraint is None:
            return None
        forced = self._constraint.forced()
        for count, token in enumerate(forced, 1):
            chosen.append(token)
            self.meter.forced += 1
            reason = self._take(token)
            if reason is not None:
                return self._whole(reason) if count == len(forced) else reason
        return "stop" if self._constraint.complete else None

    def _whole(self, reason: FinishReason | None) -> FinishReason | None:
        """Say that a reply with which the constraint is complete was not cut by its limit."""
        whole = self._constraint is not None and self._constraint.complete
        return "stop" if reason == "length" and whole else reason

    def _take(self, token: int, scores: Logits | None = None) -> FinishReason | None:
        """Add a token to the reply; say whether that ends it."""
        self.sequence.tokens.append(token)
        self._sampler.accept(token)
        logprob = None if self._top is None else self._logprob(token, scores, self._top)
        self._spoken += self._text.push(self._piece(token), logprob)
        if self._text.stopped:
            return "stop"
        written = len(self.sequence.tokens) - self.sequence.prompt_length
        return "length" if written >= self._limit else None

    def _logprob(self, token: int, scores: Logits | None, top: int) -> Logprob:
        """Say how likely a token was; one that was forced was certain."""
        if scores is None:
            return Logprob(self._shown(token), 0.0)
        chance, others = self._sampler.logprob(scores, token, top)
        return Logprob(
            self._shown(token), chance, tuple((self._shown(other), c) for other, c in others)
        )

    def _shown(self, token: int) -> str:
        return self._piece(token).decode("utf-8", "replace")

    def _hopeless(self, width: int, requests: int) -> bool:
        """Say whether no guess is worth its time, however good; for a company it stays so."""
        if self._policy is None or self._open_drafts is None:
            return True
        return self._policy.hopeless(width, requests)

    def _draft(self, width: int, requests: int) -> tuple[int, ...]:
        tokens = self.sequence.tokens
        most = self._limit - len(tokens) + self.sequence.prompt_length - 1
        if most <= 0 or self._policy is None or self._open_drafts is None:
            return ()
        if self._policy.hopeless(width, requests):
            return ()
        if self._drafts is None:
            self._drafts = self._open_drafts()
        self._drafts.extend(tokens[self._told :])
        self._told = len(tokens)
        admit = None if self._constraint is None else self._constraint.admit
        return self._policy.guess(self._drafts, width, requests=requests, most=most, admit=admit)


def _right(drafts: Sequence[int], chosen: Sequence[int]) -> int:
    """Count the drafts that were chosen."""
    for count, (draft, token) in enumerate(zip(drafts, chosen, strict=False)):
        if draft != token:
            return count
    return min(len(drafts), len(chosen))
