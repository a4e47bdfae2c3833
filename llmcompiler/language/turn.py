"""What a model's turn says, read while it is written: plan lines, an answer, a reason, or asides.

It does not know models or tools: where text comes from and whether a step is legal are others' affair.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from llmcompiler.errors import PlanError
from llmcompiler.language.answer import AnswerReader
from llmcompiler.language.lines import (
    HEAD,
    JOIN,
    Brackets,
    explain,
    parse_line,
    read_joins,
)
from llmcompiler.language.marks import (
    LONGEST_THOUGHT_END,
    MARK,
    PREFIX,
    THOUGHT_END,
    kind_of,
    replan_reason,
)
from llmcompiler.messages import FinishReason
from llmcompiler.plan import TaskId
from llmcompiler.roles import (
    Allow,
    AnswerText,
    Ignored,
    Read,
    Reason,
    Sealed,
    Text,
    TurnItem,
    Unreadable,
)

__all__ = ["TurnReader"]

_JOINED: Final = 4096  # characters of shown text that one item holds, about
# Lines that cannot belong to a call that is still open before them.
_INTERRUPTS: Final = ("fence", "thought", "replan", "end", "join")
_BEGINS_LIKE_A_STEP = re.compile(r"\s*+[0-9]")


class _Call:
    """A call that is being written: its text so far, and where it began."""

    __slots__ = ("brackets", "column", "is_join", "line", "parts")

    def __init__(self, is_join: bool, line: int, column: int) -> None:
        self.is_join = is_join
        self.line = line
        self.column = column
        self.parts: list[str] = []
        self.brackets = Brackets()


class TurnReader:
    """Reads one turn, fed in any pieces: the same items come out however it is cut.

    A step is given out when its line ends, `Sealed` as soon as ``join()`` is closed, an answer's
    text as it comes. `allow` says which forms the turn may take, as in `TurnRequest`; what is not
    allowed is `Ignored`, with the reason. Each character that is no blank and no marker is in a
    `Text`, `Ignored`, `Reason` or `AnswerText`; what cannot be read is `Unreadable` besides.
    Lines count from `first_line`. Nothing raises.
    """

    def __init__(self, first_line: int = 1, allow: Allow = "any") -> None:
        self._allow = allow
        self._mode: Literal["lines", "thought", "answer", "rest", "closed"] = "lines"
        self._out: list[TurnItem] = []
        self._line = first_line
        self._column = 1  # where on its line the part begins that is being read as a line
        self._held: list[str] = []  # that part, while it is not known what it is
        self._prefix = ""  # its beginning, without the blanks in front
        self._call: _Call | None = None
        self._streaming = False  # the call began on this very line
        self._skipping = 0  # the line whose rest is passed over because it cannot be read
        self._steps = 0
        self._fenced = False
        self._answer = AnswerReader(fenced=False)
        self._prose: list[str] = []  # what is the answer if no marked one comes
        self._aside: list[str] = []
        self._aside_reason = ""

    def feed(self, text: str) -> list[TurnItem]:
        """Take the next piece of the turn and return what it completes."""
        self._consume(text)
        return self._take()

    def _consume(self, text: str) -> None:
        position = 0
        while position < len(text):
            match self._mode:
                case "lines":
                    position = self._feed_line(text, position)
                case "thought":
                    position = self._feed_thought(text, position)
                case "answer":
                    self._give(AnswerText(self._answer.feed(text[position:])))
                    break
                case _:
                    self._aside.append(text[position:])
                    break

    def close(self, reason: FinishReason) -> list[TurnItem]:
        """End the turn and return what is left; unless it stopped by itself, its last line is cut."""
        if self._mode == "lines":
            if reason == "stop":
                self._end_line("")
                if self._call is not None:
                    self._abandon(self._call)
            else:
                self._cut_line()
        if self._mode == "answer":
            shown, fence = self._answer.close()
            self._give(AnswerText(shown))
            self._give(Ignored(fence, "code fence"))
        elif self._prose:
            self._give(AnswerText("".join(self._prose).strip()))
        self._give(Ignored("".join(self._aside).strip(), self._aside_reason))
        self._mode = "closed"
        self._aside = []
        return self._take()

    def _take(self) -> list[TurnItem]:
        out, self._out = self._out, []
        return out

    def _give(self, item: Text | Ignored | AnswerText) -> None:
        """Add an item unless it is empty; texts that follow each other are joined while short."""
        if not item.text:
            return
        last = self._out[-1] if self._out else None
        if isinstance(item, Text) and isinstance(last, Text) and len(last.text) < _JOINED:
            self._out[-1] = Text(last.text + item.text)
        else:
            self._out.append(item)

    def _set_aside(self, text: str, reason: str) -> None:
        """Pass over `text` and all that follows it."""
        self._mode = "rest"
        self._aside.append(text)
        self._aside_reason = reason

    # Lines

    def _feed_line(self, text: str, position: int) -> int:
        newline = text.find("\n", position)
        end = len(text) if newline < 0 else newline
        if self._streaming and self._call is not None:
            position += self._extend(self._call, text[position:end])
        elif end > position:
            position += self._recognise(text[position:end])
        if position == newline and self._mode == "lines":
            self._end_line("\n")
            position += 1
        return position

    def _recognise(self, piece: str) -> int:
        """Add `piece` to the line, act as soon as it shows what it is, return how much was used."""
        fresh = piece if self._prefix else piece.lstrip()
        known = len(self._prefix)
        self._held.append(piece)
        if known >= PREFIX or not fresh:
            return len(piece)
        self._prefix += fresh[: PREFIX - known]
        mark = MARK.match(self._prefix)
        kind = mark.lastgroup if mark else None
        if not mark or (self._allow == "answer" and kind in ("call", "join")):
            return len(piece)
        line = "".join(self._held)
        end = len(line) - len(line.lstrip()) + mark.end()
        self._new_line()
        if self._call is not None:
            self._abandon(self._call)
        self._skipping = 0
        if self._mode != "lines":
            self._aside.append(line)
            return len(piece)
        if kind in ("call", "join"):
            self._begin(line, end - 1, kind == "join")
            return len(piece)
        self._column += end
        self._act_on(mark[0], kind)
        return len(piece) - (len(line) - end)

    def _act_on(self, mark: str, kind: str | None) -> None:
        """Turn to what a marker announces."""
        if kind == "thought":
            self._set_aside(mark, "thought")
            self._mode = "thought"
        elif kind == "thought_end":
            self._give(Ignored(mark, "thought"))
        elif self._allow == "lines":
            self._set_aside(mark, "an answer, where only plan lines are asked for")
        elif self._steps:
            self._set_aside(mark, "an answer, written before the results are there")
        else:
            self._mode = "answer"
            self._answer = AnswerReader(self._fenced)
            self._give(Ignored("".join(self._prose).strip(), "thought"))
            self._prose = []

    def _new_line(self) -> None:
        self._held = []
        self._prefix = ""
        self._streaming = False

    def _end_line(self, newline: str) -> None:
        line = "".join(self._held)
        call = self._call
        used = 0
        if call is not None and not self._streaming:
            if kind_of(line.strip()) in _INTERRUPTS:
                self._abandon(call)
                call = None
            else:
                used = self._extend(call, line)
        self._new_line()
        thoughts = [found.end() for found in THOUGHT_END.finditer(line)] if call is None else []
        if self._mode != "lines":
            self._aside.append(line[used:] + newline)
        elif thoughts:
            self._give(Ignored(line[: thoughts[-1]].strip(), "thought"))
            self._column += thoughts[-1]
            self._consume(line[thoughts[-1] :] + newline)
            if not newline and self._mode == "lines":
                self._end_line("")
            return
        elif call is None:
            self._classify(line, newline)
        else:
            self._end_call_line(call, newline)
        if newline:
            self._line += 1
            self._column = 1

    def _classify(self, line: str, newline: str) -> None:
        """Say what a whole line is that is no call."""
        text = line.strip()
        kind = kind_of(text)
        reason = "thought"
        match kind:
            case "fence":
                self._fenced = not self._fenced
                reason = "code fence"
            case "thought":
                pass
            case "replan" | "join" | "end" if self._allow == "answer":
                reason = "a plan, where only an answer is asked for"
            case _ if self._allow == "answer":
                if HEAD.match(line) or JOIN.match(line):
                    reason = "a plan, where only an answer is asked for"
                elif text or self._prose:
                    self._prose.append(line + newline)
                    return
            case "replan" if not self._steps and self._allow != "lines":
                self._out.append(Reason(replan_reason(text)))
                return
            case "end":
                self._out.append(Sealed(None))
                self._set_aside(line + newline, "the end of the plan, read as join()")
                return
            case "join":
                self._give(Text(line + newline))
                self._seal(None)
                return
            case "comment":
                reason = "comment"
            case "step" | "prose" if self._skipping:
                reason = f"part of line {self._skipping}, which cannot be read"
            case "step":
                self._give(Text(line + newline))
                self._refuse(explain(line, self._line, self._column))
                return
            case _:
                pass
        self._give(Ignored(text, reason))

    def _cut_line(self) -> None:
        """Deal with a last line that the model could not finish."""
        line = "".join(self._held)
        call = self._call
        if call is not None and call.brackets.closed and self._streaming:
            self._end_call_line(call, "")
        elif call is not None or (_BEGINS_LIKE_A_STEP.match(line) and self._allow != "answer"):
            self._give(Text(line))
            begun = "".join(call.parts) if call is not None else ""
            self._give(Ignored((begun + line).strip(), "the line was cut off"))
        else:
            self._end_line("")

    # Thoughts

    def _feed_thought(self, text: str, position: int) -> int:
        """Pass over ``<think>…</think>``, whose end may itself be cut in two."""
        seam = "".join(self._aside[-LONGEST_THOUGHT_END:])[-LONGEST_THOUGHT_END:]
        window = seam + text[position : position + LONGEST_THOUGHT_END]
        found = THOUGHT_END.search(window)
        if found:
            end = position + found.end() - len(seam)
        else:
            found = THOUGHT_END.search(text, position)
            end = found.end() if found else len(text)
        piece = text[position:end]
        self._aside.append(piece)
        newline = piece.rfind("\n")
        self._line += piece.count("\n")
        self._column = len(piece) - newline if newline >= 0 else self._column + len(piece)
        if found:
            self._mode = "lines"
            self._give(Ignored("".join(self._aside), "thought"))
            self._aside = []
        return end

    # Calls

    def _begin(self, line: str, opening: int, is_join: bool) -> None:
        self._streaming = True
        self._call = _Call(is_join, self._line, self._column)
        self._call.parts.append(line[:opening])
        self._give(Text(line[:opening]))
        used = opening + self._extend(self._call, line[opening:])
        if used < len(line):
            self._aside.append(line[used:])

    def _extend(self, call: _Call, piece: str) -> int:
        """Hand the call the next piece of its line; a closed ``join()`` takes no more of it."""
        if not call.brackets.closed:
            end = call.brackets.feed(piece)
            if call.is_join and call.brackets.closed:
                text = "".join(call.parts) + piece[:end]
                try:
                    joins = read_joins(text, call.line, call.column)
                except PlanError:
                    pass  # it is read again, and refused, when its line is whole
                else:
                    self._give(Text(piece[:end]))
                    self._seal(joins)
                    return end
        call.parts.append(piece)
        self._give(Text(piece))
        return len(piece)

    def _end_call_line(self, call: _Call, newline: str) -> None:
        """Read the call if its text is whole, or can become so no more."""
        self._give(Text(newline))
        if not call.brackets.closed:
            call.brackets.feed(newline)
            call.parts.append(newline)
            if not call.brackets.broken:
                return
            self._skipping = call.line
        self._call = None
        self._read(call, "".join(call.parts).strip("\r\n"))

    def _abandon(self, call: _Call) -> None:
        """End a call that was never closed; where one ``)`` is all that is missing, supply it."""
        self._call = None
        text = "".join(call.parts).rstrip()
        whole = call.brackets.lacks_one_parenthesis and not text.endswith((",", "("))
        if self._read(call, text, supply="\n)" if whole else ""):
            self._out.append(Ignored("", f"a closing ')' was supplied in line {call.line}"))

    def _read(self, call: _Call, text: str, supply: str = "") -> bool:
        """Give out what a call says; True unless it cannot be read."""
        try:
            if call.is_join:
                self._seal(read_joins(text + supply, call.line, call.column))
            else:
                task = parse_line(text + supply, call.line, call.column)
                self._steps += 1
                self._out.append(Read(task, text))
        except PlanError as error:
            if supply:
                return self._read(call, text)
            self._refuse(error)
            return False
        return True

    def _refuse(self, error: PlanError) -> None:
        self._steps += 1
        self._out.append(Unreadable(error))

    def _seal(self, joins: tuple[TaskId, ...] | None) -> None:
        self._call = None
        self._mode = "rest"
        self._aside_reason = "text after join()"
        self._out.append(Sealed(joins))
