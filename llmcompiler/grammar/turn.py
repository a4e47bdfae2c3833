"""What a model may write next in a turn, line by line, given the tools and the steps there are?

It does not know models, or how a reply is held to a grammar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from llmcompiler.grammar.calls import UNKNOWN, Calls, calls_of
from llmcompiler.grammar.notation import Notation
from llmcompiler.grammar.terminals import ANSWER, IDENTIFIER, JSON_STRING, NUMBERS, REASON
from llmcompiler.grammar.values import Values
from llmcompiler.plan import Each, Task, TaskId
from llmcompiler.roles import Allow
from llmcompiler.toolbox import Toolbox
from llmcompiler.types import Schema, Type

__all__ = ["MAX_LINES", "TurnGrammar", "plan_grammar", "result_schema"]

MAX_LINES: Final = 200

_LINE = re.compile(r"(0|[1-9][0-9]{0,8})\. ([^\s(]+)\(")
_NUMBER_ALONE = re.compile(r"(0|[1-9][0-9]{0,8})\.")
_IN_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"')
_FANS_OUT: Final = "=each $"


def plan_grammar(
    toolbox: Toolbox,
    allow: Allow = "any",
    *,
    next_id: int = 1,
    answer_schema: Mapping[str, Any] | None = None,
    known: Mapping[TaskId, Schema | None] | None = None,
    rejected: Collection[TaskId] | None = None,
    goes_on: bool = False,
) -> TurnGrammar:
    """Make the grammar of a turn in the forms that `allow` names, see `TurnRequest`.

    A plan begins with the number `next_id`, and each line carries the next one. `known` are the
    steps there are already, with the JSON Schema of each one's result (see `result_schema`), None
    where that is not known; without it, all numbers below `next_id` are steps of which nothing is
    known. In a repair turn a line carries a number of those `rejected`, and also the next one
    where the plan `goes_on`; any number where it is not known which were rejected. With
    `answer_schema`, what follows ``Answer:`` is JSON of that JSON Schema.
    """
    if known is None:
        known = {TaskId(str(number)): None for number in range(1, next_id)}
    if not toolbox and allow != "lines":
        allow = "answer"
    calls = calls_of(tuple(toolbox.values()))
    sources: dict[int, str] = {}
    for task, schema in known.items():
        if task.isdecimal() and len(task) <= 9:
            sources[int(task)] = calls.result(None if schema is None else Type.of(schema))
    return TurnGrammar(
        calls,
        allow,
        next_id,
        answer_schema,
        sources,
        None if rejected is None else tuple(sorted(int(n) for n in rejected if n.isdecimal())),
        goes_on,
    )


def result_schema(task: Task, toolbox: Toolbox) -> dict[str, Any] | None:
    """Return the JSON Schema of a step's result, a list where it makes a call for every element;
    None where the tool does not say, or is not there.
    """
    tool = toolbox.get(task.tool)
    if tool is None or tool.returns is None:
        return None
    if not any(isinstance(value, Each) for value in (*task.args.values(), *task.positional)):
        return dict(tool.returns)
    schema: dict[str, Any] = {"type": "array", "items": tool.returns}
    defs = tool.returns.get("$defs")
    return {**schema, "$defs": defs} if defs else schema


@dataclass(frozen=True, slots=True, eq=False)
class TurnGrammar:
    """The grammar of one turn, made by `plan_grammar`; a stretch is a line, or a whole answer.

    A line may refer only to steps that there are by then, and only where the type of what it
    refers to fits, by the same rule as `check` goes by. In a repair turn in which several numbers
    are possible, a line's number is a stretch of its own, since what the line may refer to
    depends on it.
    """

    calls: Calls
    allow: Allow
    next_id: int
    answer_schema: Mapping[str, Any] | None
    known: Mapping[int, str]
    rejected: tuple[int, ...] | None
    goes_on: bool

    def lark(self, written: str) -> str | None:
        """Return the grammar of what follows `written` in llguidance's dialect; None at the end."""
        found = self._stretch(self.calls.lark, written)
        return None if found is None else f"%llguidance {{}}\n{found}"

    def gbnf(self, written: str) -> str | None:
        """Return the same in llama.cpp's own format."""
        return self._stretch(self.calls.gbnf, written)

    def _stretch(self, notation: Notation, written: str) -> str | None:
        *lines, last = written.split("\n")
        if not written and self.allow != "lines":
            return self._beginning(notation)
        if self.allow == "lines":
            return self._repair(notation, lines, last)
        if last or lines[0].startswith("Answer:"):
            return None  # an answer, or join(), which no newline ends
        steps = self._steps(lines)
        number = max(steps, default=self.next_id - 1) + 1
        rules = self._line(notation, f"{number}. ", number, steps, joins=bool(steps))
        return notation.rule(notation.start, notation.name("LINE")) + rules

    def _beginning(self, notation: Notation) -> str:
        forms = _FORMS[self.allow]
        rules = [notation.rule(notation.start, " | ".join(map(notation.name, forms)))]
        if "LINE" in forms:
            rules.append(self._line(notation, f"{self.next_id}. ", self.next_id, {}, joins=False))
        if "REPLAN" in forms:
            rules.append(notation.rule("REPLAN", f'"Replan: " REASON {_NEWLINE}'))
            rules.append(notation.rule("REASON", notation.expression(REASON)))
        if self.answer_schema is None:
            rules.append(notation.rule("ANSWER", '"Answer: " TEXT'))
            rules.append(notation.rule("TEXT", notation.expression(ANSWER)))
        else:
            rules.append(notation.rule("ANSWER", f'"Answer: " {notation.name("TYPED")}'))
            lark = notation is self.calls.lark
            write = _json_in_lark if lark else _json_rules
            rules.append(write(notation, self.answer_schema))
        return "".join(rules)

    def _repair(self, notation: Notation, lines: list[str], last: str) -> str | None:
        steps = self._steps(lines)
        start = notation.rule(notation.start, notation.name("LINE"))
        alone = _NUMBER_ALONE.fullmatch(last)
        if alone:
            number = int(alone[1])
            more = self._numbers({*steps, number}) != []
            return start + self._line(notation, " ", number, steps, newline="?" if more else None)
        numbers = self._numbers(steps)
        if last or numbers == []:
            return None
        if numbers is None:
            written = f'{notation.expression(IDENTIFIER)} "."'
        elif len(numbers) == 1:
            more = self._numbers({*steps, *numbers}) != []
            return start + self._line(
                notation, f"{numbers[0]}. ", numbers[0], steps, newline="?" if more else None
            )
        else:
            written = " | ".join(f'"{number}."' for number in numbers)
        return start + notation.rule("LINE", written)

    def _numbers(self, done: Collection[int]) -> list[int] | None:
        """List the numbers that the next line of a repair may carry; None where it is any."""
        if self.rejected is None:
            return None
        numbers = [number for number in self.rejected if number not in done]
        if self.goes_on or not self.rejected:
            numbers.append(self.next_id + sum(number >= self.next_id for number in done))
        return numbers

    def _steps(self, lines: list[str]) -> dict[int, str]:
        """Return what the results of the steps of this turn are known as, by their numbers."""
        steps: dict[int, str] = {}
        for line in lines:
            head = _LINE.match(line)
            if head:
                each = _FANS_OUT in _IN_QUOTES.sub("", line)
                steps[int(head[1])] = self.calls.result_of(head[2], each=each)
        return steps

    def _line(
        self,
        notation: Notation,
        begins: str,
        number: int,
        steps: Mapping[int, str],
        *,
        joins: bool = True,
        newline: Literal["", "?"] | None = "",
    ) -> str:
        """Write the rule of a line and those that it needs.

        A call ends with a newline, or with one or none (`newline` is "?"), or with none (None).
        """
        awaited = dict.fromkeys(self.rejected or (), UNKNOWN)
        known = {**awaited, **self.known, **steps}
        known.pop(number, None)
        forms = []
        rules = ""
        if self.calls.names and len(steps) < MAX_LINES:
            calls = " | ".join(map(notation.name, self.calls.names))
            ends = "" if newline is None else f" {_NEWLINE}{newline}"
            forms.append(f"({calls}){ends}")
            rules = self.calls.rules(
                notation, [source for source in sorted(known.items()) if source[0] < number]
            )
        if joins or not forms:
            forms.append("JOIN")
            rules += notation.rule("JOIN", _join(known))
        line = f"{json.dumps(begins)} ({' | '.join(forms)})"
        return notation.rule("LINE", line) + rules


_NEWLINE: Final = json.dumps("\n")
_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "any": ("LINE", "ANSWER"),
    "join": ("ANSWER", "REPLAN"),
    "answer": ("ANSWER",),
}


def _join(known: Collection[int]) -> str:
    if not known:
        return '"join()"'
    steps = [json.dumps(f"${number}") for number in sorted(known)]
    one = f"({' | '.join(steps)})"
    return f'"join(" ({one} (", " {one})*)? ")"'


def _json_in_lark(notation: Notation, schema: Mapping[str, Any]) -> str:
    """Leave JSON to llguidance, with one blank after commas and colons and none elsewhere."""
    style = {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
        "lenient": True,
    }
    return notation.rule("TYPED", f"%json {json.dumps({**schema, 'x-guidance': style})}")


def _json_rules(notation: Notation, schema: Mapping[str, Any]) -> str:
    """Write the same for a format that has no rules for JSON; sizes and patterns are left out."""
    values = Values(json=True)
    whole = values.value(Type.of(schema))
    nodes = {
        "TYPED": whole,
        **values.rules,
        **{slot.name: slot.plain for slot in values.slots},
        **{f"J{name}": node for name, node in NUMBERS.items()},
        "JSTRING": JSON_STRING,
    }
    return "".join(notation.rule(name, notation.expression(node)) for name, node in nodes.items())
