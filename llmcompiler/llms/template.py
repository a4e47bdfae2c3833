"""How does a conversation read in a model's own chat template?

It does not know tokens: it renders the template and gives back markup and contents side by side,
so that whoever makes tokens of them can treat what was said as plain text.
"""

from __future__ import annotations

import datetime
import functools
import json
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmcompiler.errors import ConfigurationError
from llmcompiler.llms.rewriting import rewritings
from llmcompiler.messages import Kind, Message

__all__ = ["CHATML", "ChatTemplate", "Content", "Markup", "Part"]

_log = logging.getLogger("llmcompiler.llms")

CHATML: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_ROLES: Final[dict[Kind, str]] = {
    "rules": "system",
    "request": "user",
    "turn": "assistant",
    "observation": "user",
    "notice": "user",
}
_LAYOUTS: Final = 64


@dataclass(frozen=True, slots=True)
class Markup:
    """Text of the template itself, in which control tokens count."""

    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """What somebody said. The text of a turn is the model's own."""

    text: str
    turn: bool


Part: TypeAlias = "Markup | Content"


@dataclass(frozen=True, slots=True)
class _Said:
    """One message for the template, that begins with the conversation's message `first`."""

    kind: Kind
    content: str
    first: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """A prompt without its texts: markup, and the places of messages in the conversation.

    Where the rendering begins anew behind the model's last turn, `forgotten` is what led up to it.
    """

    pieces: tuple[str | int, ...] = ()
    forgotten: tuple[str | int, ...] = ()


class ChatTemplate:
    """A Jinja chat template, rendered in a sandbox, that only ever appends.

    What the model saw stays what it saw: each stretch between two of its turns is rendered as it
    was when the later turn began, so a template that rewrites its history cannot. A template may
    drop earlier turns altogether; then the rendering begins after them. `marks` are further
    variables, such as ``bos_token``; `now` is what ``strftime_now`` reads: by default the moment
    when the process first asked, so that no prompt changes with the day.

    `rewrites` is a sentence on what the template itself would do to earlier messages, or None; it
    is logged as a warning too, since the model was perhaps trained on that.

    Raises:
        ConfigurationError: the template cannot be read.
    """

    def __init__(
        self,
        source: str,
        marks: Mapping[str, str] | None = None,
        *,
        now: datetime.datetime | None = None,
    ) -> None:
        self._now = now or _process_moment()
        self._dated = False
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = self._date
        try:
            parsed = environment.parse(source)
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ConfigurationError(f"the chat template cannot be read: {error}") from None
        self._marks = dict(marks or {})
        self._word = _unused_word(source)
        self._number = re.compile(f"{self._word}(\\d+){self._word}")
        self._lock = threading.Lock()
        self._layouts: dict[tuple[Kind, ...], _Layout] = {}
        self._repeats = self._order("request", "request") is not None
        shown, moved = self._order("rules", "request"), False
        self._system = shown is not None
        if not _reads_kinds(parsed):  # a template that does decides about rules itself
            moved = shown == [0, 1] and self._moves_rules()
            self._system = shown == [0, 1] and not moved
        self.rewrites: str | None = self._rewrites(moved=moved)
        if self.rewrites:
            _log.warning("%s", self.rewrites)

    def render(self, messages: Sequence[Message]) -> tuple[Part, ...]:
        """Lay the conversation out, up to where the model's next turn begins.

        Consecutive observations and notices become one message; other neighbours of one role do
        so only if the template refuses them. Rules open the first request where the template
        refuses them, leaves them out or moves them.

        Raises:
            ConfigurationError: the template refuses the conversation.
        """
        return _filled(self._layout(_kinds(messages)).pieces, messages)

    def prefix(self, messages: Sequence[Message]) -> tuple[Part, ...]:
        """Lay out what every prompt begins with that goes on from `messages`, as far as is known.

        That is up to the end of the last text, without what closes its message: further
        observations may follow there, and behind rules or a turn a request. Where that request
        makes the template begin anew, nothing is known.

        Raises:
            ConfigurationError: the template refuses the conversation.
        """
        kinds = _kinds(messages)
        if kinds[-1:] == ("turn",) or "request" not in kinds:
            kinds = (*kinds, "request")
        pieces = self._layout(kinds).pieces
        known = [
            end
            for end, piece in enumerate(pieces, start=1)
            if isinstance(piece, int) and piece < len(messages)
        ]
        return _filled(pieces[: known[-1]] if known else (), messages)

    def forgotten(self, messages: Sequence[Message]) -> tuple[Part, ...]:
        """Lay out what the model has read that the prompt of `messages` drops.

        That is the conversation up to the model's last turn, where the rendering begins anew
        behind it; nothing where the prompt goes on from there.

        Raises:
            ConfigurationError: the template refuses the conversation.
        """
        return _filled(self._layout(_kinds(messages)).forgotten, messages)

    def _layout(self, kinds: tuple[Kind, ...]) -> _Layout:
        """Lay out a conversation of these kinds: texts are placeholders, so that is all there is."""
        with self._lock:
            known = self._layouts.pop(kinds, None)
            if known is not None:
                self._layouts[kinds] = known
                return known
            layouts = dict(self._layouts)
        said = self._arranged(kinds, [self._placeholder(index) for index in range(len(kinds))])
        layout, turn = _Layout(), None
        missing = [len(said)]
        for count in reversed([place for place, each in enumerate(said) if each.kind == "turn"]):
            earlier = layouts.get(kinds[: said[count].first])
            if earlier is not None:
                layout, turn = earlier, said[count]
                break
            missing.append(count)
        for count in reversed(missing):
            layout = self._extended(layout, turn, said[:count])
            turn = said[count] if count < len(said) else None
        with self._lock:
            self._layouts[kinds] = layout
            while len(self._layouts) > _LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)))
        return layout

    def _extended(self, layout: _Layout, turn: _Said | None, said: Sequence[_Said]) -> _Layout:
        """Add the model's last turn, and what stands between that and its next, behind `said`."""
        text = self._text(said)
        if turn is None:
            return _Layout(self._pieces(text))
        before = layout.pieces + self._pieces(turn.content)
        _, found, tail = text.rpartition(turn.content)
        if found:
            return _Layout(before + self._pieces(tail))
        return _Layout(self._pieces(text), before)

    def _arranged(self, kinds: Sequence[Kind], texts: Sequence[str]) -> list[_Said]:
        """Group messages as the template can carry them."""
        arranged: list[_Said] = []
        for index, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
            before = arranged[-1] if arranged else None
            between = None if before is None else self._joint(before.kind, kind)
            if before is None or between is None:
                arranged.append(_Said(kind, text, index))
            else:
                joined: Kind = "request" if kind == "request" else before.kind
                arranged[-1] = _Said(joined, before.content + between + text, before.first)
        return arranged

    def _joint(self, before: Kind, after: Kind) -> str | None:
        """Return what stands between two neighbours that become one message, or None."""
        notes = ("observation", "notice")
        if before in notes and after in notes:
            return "\n"
        if before == "rules" and (after == "rules" or (not self._system and after != "turn")):
            return "\n\n"
        if _ROLES[before] == _ROLES[after] and not self._repeats:
            return "\n\n"
        return None

    def _text(self, said: Sequence[_Said]) -> str:
        messages = [
            {"role": _ROLES[each.kind], "content": each.content, "kind": each.kind} for each in said
        ]
        try:
            return self._template.render(
                {"tools": None, "documents": None, **self._marks},
                messages=messages,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        except Exception as error:  # noqa: BLE001 - a template is a program of somebody else's
            raise ConfigurationError(
                f"the chat template refuses the conversation: {error}"
            ) from None

    # What the template does of itself

    def _order(self, *kinds: Kind) -> list[int] | None:
        """Return which messages show, one after another as they are, or None for a refusal."""
        said = [_Said(kind, self._placeholder(index), index) for index, kind in enumerate(kinds)]
        try:
            return [piece for piece in self._pieces(self._text(said)) if isinstance(piece, int)]
        except ConfigurationError:
            return None

    def _moves_rules(self) -> bool:
        order = self._order("rules", "request", "turn", "request")
        return order is not None and order.count(0) > 0 and (order.count(0) > 1 or order[0] != 0)

    def _rewrites(self, *, moved: bool) -> str | None:
        habits = ["move the rules"] if moved else []
        habits += rewritings(self._afresh, self._kept)
        if self._dated:
            habits.append("print the date anew")
        if not habits:
            return None
        listed = ", ".join(habits[:-1]) + " and " + habits[-1] if habits[1:] else habits[0]
        return f"the chat template would {listed}: here the model reads on from what it has read"

    def _afresh(self, messages: Sequence[Message]) -> str:
        return self._text(self._arranged(_kinds(messages), [each.text for each in messages]))

    def _kept(self, messages: Sequence[Message]) -> str:
        return "".join(part.text for part in self.render(messages))

    def _date(self, form: str) -> str:
        self._dated = True
        return self._now.strftime(form)

    # Placeholders

    def _pieces(self, text: str) -> tuple[str | int, ...]:
        split = self._number.split(text)
        return tuple(
            int(piece) if place % 2 else piece
            for place, piece in enumerate(split)
            if place % 2 or piece
        )

    def _placeholder(self, index: int) -> str:
        return f"{self._word}{index}{self._word}"


class _Generation(Extension):
    """Reads over ``{% generation %}``, with which some templates mark what the model wrote."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@functools.cache
def _process_moment() -> datetime.datetime:
    return datetime.datetime.now()


def _kinds(messages: Sequence[Message]) -> tuple[Kind, ...]:
    return tuple([message.kind for message in messages])


def _filled(pieces: Sequence[str | int], messages: Sequence[Message]) -> tuple[Part, ...]:
    """Put the texts in their places."""
    return tuple(
        [
            Markup(piece)
            if isinstance(piece, str)
            else Content(messages[piece].text, messages[piece].kind == "turn")
            for piece in pieces
        ]
    )


def _reads_kinds(template: nodes.Template) -> bool:
    """Say whether a template asks for the kind of a message: it was written for this project."""
    return any(each.attr == "kind" for each in template.find_all(nodes.Getattr)) or any(
        isinstance(each.arg, nodes.Const) and each.arg.value == "kind"
        for each in template.find_all(nodes.Getitem)
    )


def _unused_word(source: str) -> str:
    """Return letters that the template does not hold, to mark where contents go."""
    word = "CONTENT"
    while word in source:
        word += "X"
    return word


def _refuse(message: object) -> NoReturn:
    raise jinja2.TemplateError(str(message))


def _tojson(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
