"""How does a conversation read in a model's own chat template?

It does not know tokens: it renders the template and gives back markup and contents side by side,
so that whoever makes tokens of them can treat what was said as plain text.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmcompiler.errors import ConfigurationError
from llmcompiler.messages import Kind, Message

__all__ = ["CHATML", "ChatTemplate", "Content", "Markup", "Part"]

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
    """One message for the template; `content` is placeholders for what was said."""

    kind: Kind
    content: str


class ChatTemplate:
    """A Jinja chat template, rendered in a sandbox, that only ever appends.

    What the model saw stays what it saw: each stretch between two of its turns is rendered as it
    was when the later turn began, so a template that rewrites its history cannot. A template may
    drop earlier turns altogether; then the rendering begins after them. `marks` are further
    variables, such as ``bos_token``; `now` is what ``strftime_now`` reads, the same at every call.

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
        moment = now or datetime.datetime.now()
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = moment.strftime
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ConfigurationError(f"the chat template cannot be read: {error}") from None
        self._marks = dict(marks or {})
        self._word = _unused_word(source)
        self._system = self._takes("rules", "request")
        self._repeats = self._takes("request", "request")

    def render(self, messages: Sequence[Message]) -> tuple[Part, ...]:
        """Lay the conversation out, up to where the model's next turn begins.

        Consecutive observations and notices become one message; other neighbours of one role do
        so only if the template refuses them, and so do rules, which then open the first request.

        Raises:
            ConfigurationError: the template refuses the conversation.
        """
        said = self._arranged(messages)
        parts: list[Part] = []
        last_turn: str | None = None
        for count in range(len(said) + 1):
            at_turn = count < len(said) and said[count].kind == "turn"
            if not at_turn and count < len(said):
                continue
            text = self._text(said[:count])
            if last_turn is not None:
                _, found, tail = text.rpartition(last_turn)
                if found:
                    text = tail
                else:
                    parts.clear()
            parts += self._parts(text, messages)
            if at_turn:
                last_turn = said[count].content
                parts += self._parts(last_turn, messages)
        return tuple(parts)

    def _arranged(self, messages: Sequence[Message]) -> list[_Said]:
        """Group messages as the template can carry them, placeholders in the place of texts."""
        arranged: list[_Said] = []
        for index, message in enumerate(messages):
            said = _Said(message.kind, self._placeholder(index))
            before = arranged[-1] if arranged else None
            between = None if before is None else self._joint(before.kind, said.kind)
            if before is None or between is None:
                arranged.append(said)
            else:
                kind: Kind = "request" if message.kind == "request" else before.kind
                arranged[-1] = _Said(kind, before.content + between + said.content)
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
                self._marks, messages=messages, add_generation_prompt=True, enable_thinking=False
            )
        except Exception as error:  # noqa: BLE001 - a template is a program of somebody else's
            raise ConfigurationError(
                f"the chat template refuses the conversation: {error}"
            ) from None

    def _takes(self, *kinds: Kind) -> bool:
        """Say whether the template renders messages of these kinds, one after another."""
        try:
            self._text([_Said(kind, "x") for kind in kinds])
        except ConfigurationError:
            return False
        return True

    def _parts(self, text: str, messages: Sequence[Message]) -> list[Part]:
        parts: list[Part] = []
        pieces = re.split(f"{self._word}(\\d+){self._word}", text)
        for markup, index in zip(pieces[::2], [*pieces[1::2], None], strict=True):
            if markup:
                parts.append(Markup(markup))
            if index is not None:
                message = messages[int(index)]
                parts.append(Content(message.text, message.kind == "turn"))
        return parts

    def _placeholder(self, index: int) -> str:
        return f"{self._word}{index}{self._word}"


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
