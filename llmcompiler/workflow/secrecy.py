"""How are secret values kept out of what is shown?

It does not know where they come from, nor who looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, cast

from llmcompiler.approval import ApprovalRequest, Approver, Verdict
from llmcompiler.errors import LLMCompilerError
from llmcompiler.events import Event, Sink
from llmcompiler.plan import Expression

__all__ = ["Redactor"]

_SHOWN: Final = "***"
_LINE: Final = 6  # characters from which on a line of a secret with several is one itself
# What the library writes itself, and readers go by.
_OWN: Final = frozenset(
    {"because", "digest", "id", "joins", "kind", "name", "needs", "purpose", "run_id", "status"}
    | {"step", "task", "tool", "tools", "type"}
)
_VALUES: Final = ("output", "value")  # fields in which a number is a result, and no time or count


class Redactor:
    """Replaces secret values by ``***`` in texts, however deep they stand in a value.

    So are their lines, and what they look like inside JSON and Python's quotes.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values = frozenset(secret for secret in secrets if secret)
        forms = {form for secret in self._values for form in _forms(secret) if form}
        # The longest first: one may begin with another.
        self._forms = sorted(forms, key=len, reverse=True)

    def plus(self, secrets: Iterable[str]) -> Redactor:
        """Return one that knows further secrets."""
        return Redactor((*self._values, *secrets))

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for form in self._forms:
            text = text.replace(form, _SHOWN)
        return text

    def value(self, value: Any) -> Any:
        """Return JSON, a dataclass or a tuple of such without secrets; the same object if it has none."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                return _SHOWN if str(value) in self._values else value
            case Mapping():
                return self._mapping(value)
            case list() | tuple():
                made = [self.value(inner) for inner in cast("list[Any]", value)]
                if all(one is two for one, two in zip(made, value, strict=True)):
                    return value
                return made if isinstance(value, list) else tuple(made)
            case Exception():
                return self.error(value)
            case Expression():  # what stands in the file, and names of secrets, not their values
                return value
            case _ if is_dataclass(value) and not isinstance(value, type):
                return self._dataclass(value)
            case _:
                return value

    def error(self, error: Exception) -> Exception:
        """Return an exception without secrets, the same one if it has none."""
        told = [*error.args, *vars(error).values()]
        shown = [self.value(one) if one is not error else one for one in told]
        if all(one is two or one == two for one, two in zip(told, shown, strict=True)):
            return error
        if not isinstance(error, LLMCompilerError):
            return LLMCompilerError(f"{type(error).__name__}: {self.text(str(error))}")
        made = type(error).__new__(type(error))
        made.args = tuple(shown[: len(error.args)])
        vars(made).update(zip(vars(error), shown[len(error.args) :], strict=True))
        return made

    def sink(self, inner: Sink) -> Sink:
        """Return a reader of events that tells `inner` of them without secrets."""
        if not self._forms:
            return inner

        def tell(event: Event) -> None:
            inner(self.value(event))

        return tell

    def approver(self, inner: Approver | None) -> Approver | None:
        """Return an approver that puts requests to `inner` without secrets."""
        if inner is None or not self._forms:
            return inner
        ask = inner

        def asked(request: ApprovalRequest) -> Any:
            return ask(self.value(request))

        async def asked_later(request: ApprovalRequest) -> bool | Verdict:
            said: bool | Verdict = await cast("Any", ask(self.value(request)))
            return said

        return asked_later if _is_async(inner) else asked

    def _mapping(self, value: Mapping[Any, Any]) -> Mapping[Any, Any]:
        made = {
            self.text(name) if isinstance(name, str) else name: self.value(inner)
            for name, inner in value.items()
        }
        same = made.keys() == value.keys() and all(made[name] is value[name] for name in made)
        return value if same else made

    def _dataclass(self, value: Any) -> Any:
        changed: dict[str, Any] = {}
        for field in fields(value):
            if not field.init or field.name in _OWN:
                continue
            before = getattr(value, field.name)
            if isinstance(before, int | float) and field.name not in _VALUES:
                continue
            after = self.value(before)
            if after is not before and after != before:
                changed[field.name] = after
        return replace(value, **changed) if changed else value


def _forms(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    several = [line for line in lines if len(line) >= _LINE] if len(lines) > 1 else []
    for text in (secret, secret.strip(), *several):
        once = _escaped(text)
        yield text
        yield from once
        for one in once:  # as JSON in a text in JSON
            yield from _escaped(one)


def _escaped(text: str) -> set[str]:
    written = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    return written - {text}


def _is_async(function: Any) -> bool:
    import inspect

    call = getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
