"""How is HTML put together so that a text can never become markup?

It knows elements and attributes, not what a page shows.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Child", "Html", "raw", "tag"]

# Control characters and halves of surrogate pairs have no place in a page.
_UNSHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = frozenset({"meta", "br"})
_RAW_ENDS = re.compile(r"</|<!--")


class Html(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Write an element. A text child is escaped, `Html` is not, an iterable is joined.

    Underscores in attribute names stand for hyphens, one at the end is dropped (``class_``). An
    attribute that is None or False is left out, one that is True has no value.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{_attribute(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(map(_inside, children))}</{name}>")


def raw(name: str, text: str, **attributes: str) -> Html:
    """Write a style or a script, whose text nobody escapes; raise ValueError where it could end it."""
    if _RAW_ENDS.search(text):
        raise ValueError(f"the text of <{name}> must not hold '</' or '<!--'")
    return Html(tag(name, **attributes).replace("></", f">{text}</", 1))


def _attribute(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return html.escape(_shown(str(value)))


def _inside(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return html.escape(_shown(child))
    return "".join(map(_inside, child))


def _shown(text: str) -> str:
    return _UNSHOWN.sub("\ufffd", text)
