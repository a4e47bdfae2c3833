"""What does a benchmark of plans say: a claim, a figure, what it should be, and is it?

It does not know how anything is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Row", "Say", "as_json", "as_table"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `value` is held against `bound`; without a bound it only informs.

    `unit` stands behind both. `note` says in words what the figure was made of; without a value it
    says why there is none. `details` are for ``--json``.
    """

    claim: str
    value: float | None
    unit: str = ""
    relation: Literal["<=", ">=", "="] = "="
    bound: float | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None where there is none, or nothing was measured."""
        if self.value is None or self.bound is None:
            return None
        match self.relation:
            case "<=":
                return self.value <= self.bound
            case ">=":
                return self.value >= self.bound
            case "=":
                return self.value == self.bound

    @property
    def reach(self) -> str:
        """The bound as it is printed."""
        if self.bound is None:
            return ""
        sign = {">=": "≥ ", "<=": "≤ ", "=": ""}[self.relation]
        return sign + _shown(self.bound, self.unit)

    @property
    def shown(self) -> str:
        """The value as it is printed."""
        return "–" if self.value is None else _shown(self.value, self.unit)


def _shown(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
    return f"{number} {unit}".rstrip()


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with all they hold."""
    return [{**asdict(row), "reach": row.reach or None, "met": row.met} for row in rows]


def as_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    mark = {True: "met", False: "**missed**", None: ""}
    lines = ["| Claim | Measured | Reach | | How |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.claim} | {row.shown} | {row.reach} | {mark[row.met]} | {row.note} |"
        for row in rows
    ]
    return "\n".join(lines)
