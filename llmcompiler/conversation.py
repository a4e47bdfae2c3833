"""What has the model been told in a run, and what is it still to be told?

It does not know how any of it is worded, nor when the model is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmcompiler.events import Emitter, ResultShortened
from llmcompiler.language import TurnReader
from llmcompiler.news import News
from llmcompiler.plan import Observation, TaskId
from llmcompiler.preview import Preview, preview_of
from llmcompiler.roles import Read
from llmcompiler.transcript import Entry, Mend, Observed, Request, Transcript, Turn

__all__ = ["Conversation", "tools_named"]


class Conversation:
    """A transcript that grows, and the outcomes that were told in it.

    A result that is longer than `result_chars` as JSON is told as a preview; None: all are whole.
    """

    def __init__(
        self, transcript: Transcript, emitter: Emitter, result_chars: int | None, news: News
    ) -> None:
        self.transcript = transcript
        self.news = news
        self._emitter = emitter
        self._most = result_chars
        self._mended: frozenset[TaskId] = frozenset()
        self._previews: dict[int, Preview | None] = {}

    @property
    def asked(self) -> bool:
        """Whether there is a request that a model is to answer."""
        return any(isinstance(entry, Request) for entry in self.transcript.entries)

    @property
    def read(self) -> frozenset[TaskId]:
        """The steps of whose outcomes, or failures, the model has read."""
        return self.news.told | self._mended

    def say(self, *entries: Entry) -> None:
        """Add to the transcript."""
        self.transcript = self.transcript.plus(*entries)
        for entry in entries:
            if isinstance(entry, Mend):
                self._mended |= {observation.task.id for observation in entry.failed}

    def observe(self, observations: Sequence[Observation], joins: Sequence[TaskId] | None) -> None:
        """Tell the model what it has not been told yet."""
        for observation in self.news.tell(observations, joins):
            observed = self._observed(observation)
            if observed.preview is not None:
                step, shown = observed.observation.task.id, observed.preview
                self._emitter.emit(ResultShortened, step, shown.chars, shown.shown)
            self.say(observed)

    def coming(
        self, observations: Sequence[Observation], joins: Sequence[TaskId] | None
    ) -> Transcript:
        """Return the transcript as it will be once that is told."""
        return self.transcript.plus(*map(self._observed, self.news.fresh(observations, joins)))

    def _observed(self, observation: Observation) -> Observed:
        if self._most is None:
            return Observed(observation)
        key = id(observation)  # of an observation that the run keeps: no other has it meanwhile
        if key not in self._previews:
            self._previews[key] = preview_of(observation.outcome, self._most)
        return Observed(observation, self._previews[key])


def tools_named(transcript: Transcript) -> tuple[str, ...]:
    """Return the tools that the plans in a transcript call, whatever of their results was told."""
    found: dict[str, None] = {}
    for entry in transcript.entries:
        if isinstance(entry, Observed):
            found[entry.observation.task.tool] = None
        elif isinstance(entry, Turn):
            reader = TurnReader()
            for item in (*reader.feed(entry.text), *reader.close("stop")):
                if isinstance(item, Read):
                    found[item.task.tool] = None
    return tuple(found)
