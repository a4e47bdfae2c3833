"""How do requests become streams of text: admit, batch, compute, choose, deliver?

What the engine's thread does. It does not know event loops or conversations; what may be chosen,
what is remembered and what goes into a pass are decided elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from time import perf_counter

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.cache import common_prefix
from llmcompiler.engine.context import Broken, Context, NoRoom
from llmcompiler.engine.figures import Step
from llmcompiler.engine.inbox import CLOSED, Inbox
from llmcompiler.engine.live import Live
from llmcompiler.engine.next_pass import next_pass
from llmcompiler.engine.request import BACKGROUND, Ended, Failed, Job, Progress
from llmcompiler.engine.sampler import highest
from llmcompiler.engine.seats import Seats
from llmcompiler.engine.threads import ThreadShare
from llmcompiler.errors import ContextLengthError, ModelError
from llmcompiler.messages import FinishReason

__all__ = ["Desk", "Worker"]

_log = logging.getLogger("llmcompiler.engine")
_WORTH = 16  # tokens; for fewer nobody waits
_urgency = attrgetter("urgency")
_greedy = attrgetter("greedy")


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker works with; `open_context` makes the context anew when it broke.

    `chore` is what else there is to do while nobody asks, see `Inbox`; `fill` says up to how many
    tokens a pass of so many is best filled.
    """

    context: Context
    seats: Seats
    threads: ThreadShare
    open_live: Callable[[Job, int], Live]
    open_context: Callable[[], Context]
    chore: Callable[[Callable[[], bool]], bool]
    fill: Callable[[int], int]
    rows: int
    alone: bool


class Worker:
    """Serves requests, many in one pass; only `queue` and `stop` are for other threads."""

    def __init__(self, desk: Desk) -> None:
        self.context = desk.context
        self._desk = desk
        self._seats = desk.seats
        self.inbox = self._inbox = Inbox(desk.chore)
        self._asked: list[Live] = []
        self._live: list[Live] = []
        self._count = 0
        self._crowded = False

    def queue(self, job: Job) -> None:
        """Take a request in.

        Raises:
            ModelError: the engine was closed.
        """
        self._inbox.put(job)

    def stop(self) -> None:
        """End what is under way after the step in progress, and take nothing in any more."""
        self._inbox.close()

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            while self._receive():
                self._admit()
                if self._live:
                    self._step()
        except Exception:  # noqa: BLE001 - whoever asks from now on is told that it is closed
            _log.exception("the engine stopped")
        finally:
            self._dismiss()

    # who comes, and who goes -------------------------------------------------------------------

    def _receive(self) -> bool:
        """Take in what was asked, waiting if there is nothing else to do; False to stop."""
        while not self._inbox.closed:
            busy = bool(self._asked or self._live)
            if not busy:
                self._desk.threads.end(more=False)
            job = self._inbox.take(wait=not busy)
            if job is None:
                return not self._inbox.closed
            if not job.cancelled:
                self._sweep()  # what they wrote may be a part of what is asked now
                self._open(job)
        return False

    def _sweep(self) -> None:
        """End what was cancelled."""
        for live in [each for each in self._live if each.job.cancelled]:
            self._finish(live, "cut")
        if self._asked:
            for live in [each for each in self._asked if each.job.cancelled]:
                self._asked.remove(live)
                self._turn_away(live)

    def _open(self, job: Job) -> None:
        self._count += 1
        try:
            live = self._desk.open_live(job, self._count)
            prompt, limit = live.sequence.prompt_length, self.context.n_ctx
            if not prompt:
                raise ModelError("the prompt is empty: there is nothing to go on from")
            if prompt + (0 if job.request.silent else 1) > limit:
                raise ContextLengthError(prompt + 1, limit)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            job.deliver(Failed.by(error))
            return
        self._asked.append(live)

    def _admit(self) -> None:
        """Seat as many of those who asked as there is room for, the most urgent first."""
        self._sweep()
        if not self._asked:
            return
        for live in sorted(self._asked, key=_urgency):
            full = len(self._live) >= self._desk.rows
            if (self._crowded and self._live) or (full and not self._yielded(live)):
                break
            try:
                if self._awaits(live):
                    continue
                seated = self._seat(live)
            except Exception as error:  # noqa: BLE001 - the thread must outlive any request
                self._asked.remove(live)
                live.close()
                live.job.deliver(Failed.by(error))
                continue
            if not seated:
                break  # else those who need little would pass it for ever
            self._asked.remove(live)
            self._live.append(live)
            self._begin(live)

    def _begin(self, live: Live) -> None:
        live.job.deliver(Progress())
        try:
            reason = live.begin()
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            self._fail(live, error)
            return
        live.say()
        if reason is not None:
            self._finish(live, reason)

    def _awaits(self, live: Live) -> bool:
        """Say whether what a request needs is being computed right now."""
        tokens = live.sequence.tokens
        if not live.job.request.silent:
            self._hush(live)
        known = self._seats.known(tokens)
        for other in self._live:
            shared = min(common_prefix(live.prompt, other.prompt), len(tokens) - 1)
            if shared >= _WORTH and shared > max(known, other.sequence.evaluated):
                other.hurry(live.priority)
                if not self.context.partial:
                    other.halt(shared)  # beyond, nobody can go on from there
                return True
        return False

    def _seat(self, live: Live) -> bool:
        """Find a request a slot; False if it must wait for others."""
        while True:
            found = self._seats.take(
                live.sequence.tokens, sum(other.pending for other in self._live)
            )
            if found is not None:
                live.sit(*found)
                return True
            if self._live:
                if not self._yielded(live):
                    return False
            elif not self._seats.release():
                raise ModelError("there is no room for the request in the context: raise n_ctx")

    def _yielded(self, live: Live) -> bool:
        """Send one that is computed ahead back to wait for the sake of a more urgent request."""
        least = max(BACKGROUND, live.priority + 1)
        ahead = [other for other in self._live if other.priority >= least]
        if ahead:
            self._preempt(max(ahead, key=_urgency))
        return bool(ahead)

    def _hush(self, live: Live) -> None:
        """End what is computed ahead of a request like this one, which goes on from there."""
        for other in self._live:
            request = other.job.request
            if request.silent and not request.keep:
                shared = common_prefix(live.prompt, other.prompt)
                if shared >= other.sequence.evaluated and shared:
                    self._finish(other, "cut")
                    return

    def _finish(self, live: Live, reason: FinishReason) -> None:
        """Take a request to its end; its slot remembers what it holds."""
        self._leave(live)
        self._end(live, reason)

    def _end(self, live: Live, reason: FinishReason) -> None:
        try:
            live.end()
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            live.job.deliver(Failed.by(error))
            return
        live.say()
        live.job.deliver(Ended(reason, live.usage(), live.meter.figures()))

    def _turn_away(self, live: Live) -> None:
        """Turn away a request that waits; one that had begun before ends as cut."""
        if not live.resumed:
            if not live.job.cancelled:
                live.job.deliver(Failed(ModelError(CLOSED)))
            return
        live.close()
        self._end(live, "cut")

    def _fail(self, live: Live, error: Exception) -> None:
        self._seats.forget(live.slot)
        self._leave(live)
        live.job.deliver(Failed.by(error))

    def _leave(self, live: Live) -> None:
        if live.job.request.keep and live.sequence.evaluated == len(live.sequence.tokens):
            self._seats.keep(live.slot)
        self._live.remove(live)
        self._seats.leave(live.slot)
        live.close()

    def _preempt(self, live: Live) -> None:
        """Send a request back to wait; it goes on later with what it has."""
        _log.debug("a request of %d tokens waits for room", len(live.sequence.tokens))
        self._live.remove(live)
        self._seats.leave(live.slot)
        live.stand()
        self._asked.append(live)

    def _make_way(self) -> None:
        """Send the least urgent back to wait; nobody is seated before a pass was computed."""
        self._preempt(max(self._live, key=_urgency))
        self._crowded = True

    def _dismiss(self) -> None:
        """End or fail everything, save what is known, and free the context."""
        self.stop()
        self._desk.threads.end(more=False)
        for live in [*self._live]:
            self._finish(live, "cut")
        for live in self._asked:
            self._turn_away(live)
        while (job := self._inbox.take(wait=False)) is not None:
            job.deliver(Failed(ModelError(CLOSED)))
        try:
            self._seats.save_all()
        except Exception:  # noqa: BLE001 - closing goes on
            _log.exception("what the cache held could not be saved")
        self.context.close()

    # one step ----------------------------------------------------------------------------------

    def _step(self) -> None:
        """Compute one batch and take everybody in it further."""
        batch = self._batch()
        if batch is None:
            return
        if self._seats.room(batch.size) or self._seats.room((batch := batch.bare()).size):
            self._compute(batch)
        elif len(self._live) > 1:
            self._make_way()
        elif not self._seats.release():
            self._finish(self._live[0], "length")

    def _batch(self) -> Batch | None:
        """Choose what is computed next; None if nobody is left for whom it could be."""
        budget = self.context.batch
        broke = next((each for each in self._live if each.broke), None)
        if broke or self._desk.alone:  # in turn, what is computed ahead if there is nobody else
            first = broke or min(self._live, key=lambda each: each.priority >= BACKGROUND)
            self._live.remove(first)
            self._live.append(first)
            return next_pass([first], budget, self._fail, alone=True)
        batch = next_pass(sorted(self._live, key=_urgency), budget, self._fail)
        if batch is None:
            return None
        size = batch.size
        fill = self._desk.fill(size)
        return batch.filled(fill, self.context.n_ctx) if size < fill <= budget else batch

    def _compute(self, batch: Batch) -> None:
        begun = perf_counter()
        seated = {live.slot: live for live in self._live}
        computed = [seated[row.slot] for row in batch.rows]
        held = [live for live in computed if live.constrained]
        thinking = sum([live.thinking for live in held])
        self.context.set_threads(self._desk.threads.begin())
        try:
            self.context.evaluate(batch)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            self._desk.threads.end(more=True)
            self._recover(batch, error)
            return
        self._desk.threads.end(more=True)
        self._crowded = False
        decode = perf_counter() - begun
        ended = self._advance(batch, computed)
        came = perf_counter()
        thinking = sum([live.thinking for live in held]) - thinking
        step = Step(decode, thinking, came - begun - decode - thinking, came)
        for row, live in zip(batch.rows, computed, strict=True):
            live.meter.step(step, live.sequence.generated_length)
            live.broke = live.broke and not live.decoding
            if not row.outputs:
                live.meter.prefills += 1
        for live, reason in ended:
            self._finish(live, reason)
        if self._asked or len(computed) < len(seated):
            self._reassure(computed)

    def _reassure(self, computed: Sequence[Live]) -> None:
        """Tell those who had begun and were in no pass that they are being worked on."""
        resumed = (each for each in self._asked if each.resumed)
        for live in [*self._live, *resumed]:
            if live not in computed:
                live.job.deliver(Progress())

    def _advance(self, batch: Batch, lives: Sequence[Live]) -> list[tuple[Live, FinishReason]]:
        """Let everybody in the batch choose what follows and show it; return who is done."""
        ended: list[tuple[Live, FinishReason]] = []
        choosing = [live for row, live in zip(batch.rows, lives, strict=True) if row.outputs]
        scores = self.context.logits() if choosing else None
        best: list[int] | None = None
        if scores is not None and len(scores) == len(choosing):
            best = highest(scores) if all(map(_greedy, choosing)) else None
        behind = 0
        for row, live in zip(batch.rows, lives, strict=True):
            at, behind = behind, behind + row.outputs
            try:
                known = best[at] if best is not None and row.outputs else None
                kept, reason = live.advance(row, scores, at, known)
                self._seats.extend(live.slot, row.tokens[:kept], len(row.tokens))
                live.computed(row.position + kept)
            except Exception as error:  # noqa: BLE001 - the thread must outlive any request
                self._fail(live, error)
                continue
            live.say(progress=not row.outputs)
            if reason is not None:
                ended.append((live, reason))
        return ended

    def _recover(self, batch: Batch, error: Exception) -> None:
        """Go on after a pass that failed, at the cost of as few requests as can be."""
        if isinstance(error, NoRoom) and self._seats.evict():
            return
        if isinstance(error, NoRoom) and len(self._live) > 1:
            self._make_way()
            return
        seated = {live.slot: live for live in self._live}
        trimmed = [self.context.trim(row.slot, row.position) for row in batch.rows]
        # A state is not taken back, and when one is left half way others' are in its place.
        lost = not all(trimmed) or (isinstance(error, Broken) and not self.context.partial)
        first, *others = batch.rows
        if others:
            _log.warning("a pass of %d requests failed: each is tried alone", len(batch.rows))
            for row in batch.rows:
                seated[row.slot].broke = lost
                if not lost and seated[row.slot] in self._live:
                    self._compute(Batch((row,)))
        else:
            self._fail(seated[first.slot], error)
        if lost or (isinstance(error, Broken) and not others):
            self._rebuild()

    def _rebuild(self) -> None:
        """Replace a context that fails; whoever is being served goes on from the beginning."""
        for live in [*self._live]:
            self._preempt(live)
        self._seats.clear()
        self.context.close()
        self.context = self._desk.open_context()
        self._seats.reopen(self.context)
