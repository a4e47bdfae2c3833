"""Which gold plans cannot run as they are, and why?

It does not know how that was found out. Every record that is not here is read, checked and run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from llmcompiler.errors import PlanError

__all__ = ["FLAWS", "NESTFUL", "SEAL", "Refusal", "refusal_of"]

_REASONS: Final = {
    "unknown tool": re.compile(r"there is no tool '(?P<what>[^']+)'"),
    "unknown argument": re.compile(r"\S+ has no argument '(?P<what>[^']+)'"),
    "missing argument": re.compile(r"\S+ needs the argument '(?P<what>[^']+)'"),
    "unknown field": re.compile(r"\$\d+ has no '(?P<what>[^']+)'"),
    "type of a reference": re.compile(r"\S+: (?P<what>\S+) must be .*, and \$"),
    "text with references": re.compile(r"\S+: (?P<what>\S+) must be .*, not a text with ref"),
    "type of a value": re.compile(r"\S+: (?P<what>\S+) must be "),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of a gold plan that the tool's own specification does not allow.

    `what` is the tool, the argument or the field that the reason is about.
    """

    plan: str
    line: int
    reason: str
    what: str


def refusal_of(plan: str, error: PlanError) -> Refusal:
    """Say by reason what a `PlanError` says in words."""
    for reason, pattern in _REASONS.items():
        match = pattern.match(error.problem)
        if match:
            return Refusal(plan, error.line, reason, match["what"])
    return Refusal(plan, error.line, "another reason", error.problem)


FLAWS: Final = {
    "45": "a label is used twice",
    "94": "a label is used twice",
    "103": "the result lists var3, which no call has",
    "104": "the result lists var3, which no call has",
}
"""Records of NESTFUL that cannot be written as a plan."""

NESTFUL: Final = (
    Refusal("0", 1, "type of a value", "optimize_route"),
    Refusal("4", 1, "unknown tool", "create_task"),
    Refusal("8", 4, "unknown tool", "get_news_headlines"),
    Refusal("12", 1, "type of a value", "optimize_route"),
    Refusal("13", 3, "type of a reference", "arguments"),
    Refusal("14", 1, "type of a value", "keywords"),
    Refusal("15", 2, "type of a value", "keywords"),
    Refusal("16", 3, "type of a value", "optimize_route"),
    Refusal("17", 3, "type of a value", "discounts"),
    Refusal("19", 4, "type of a value", "grades[0]"),
    Refusal("23", 1, "type of a value", "grades[0]"),
    Refusal("24", 1, "unknown tool", "get_news_headlines"),
    Refusal("26", 2, "type of a value", "dimensions"),
    Refusal("26", 3, "unknown field", "area"),
    Refusal("28", 2, "unknown tool", "create_task"),
    Refusal("31", 1, "unknown tool", "get_news_headlines"),
    Refusal("33", 2, "unknown field", "description"),
    Refusal("38", 2, "type of a reference", "num1"),
    Refusal("39", 3, "unknown tool", "calculate_rectangle_perimeter"),
    Refusal("39", 4, "unknown tool", "convert_temperature"),
    Refusal("40", 3, "type of a value", "optimize_route"),
    Refusal("42", 3, "unknown field", "BMI"),
    Refusal("44", 1, "unknown tool", "calculate_tip_amount"),
    Refusal("46", 1, "unknown tool", "create_contact"),
    Refusal("48", 3, "unknown tool", "calculate_rectangle_perimeter"),
    Refusal("56", 2, "unknown argument", "word"),
    Refusal("57", 2, "unknown argument", "word"),
    Refusal("63", 2, "type of a value", "attendees"),
    Refusal("65", 2, "unknown argument", "ringtone"),
    Refusal("66", 2, "type of a value", "phone_number"),
    Refusal("68", 1, "type of a value", "keywords"),
    Refusal("69", 2, "unknown argument", "word"),
    Refusal("74", 2, "unknown argument", "author"),
    Refusal("76", 3, "unknown field", "password"),
    Refusal("81", 1, "unknown tool", "search_book"),
    Refusal("84", 3, "unknown field", "discounted_price"),
    Refusal("85", 1, "type of a value", "attendees"),
    Refusal("88", 2, "unknown argument", "word"),
    Refusal("91", 2, "unknown argument", "director"),
    Refusal("93", 1, "missing argument", "radius"),
    Refusal("96", 2, "unknown argument", "word"),
    Refusal("131", 2, "type of a reference", "num2"),
    Refusal("136", 3, "missing argument", "artist"),
    Refusal("136", 4, "type of a value", "items"),
    Refusal("137", 3, "text with references", "amount"),
    Refusal("142", 2, "type of a value", "date_range"),
    Refusal("143", 2, "missing argument", "description"),
    Refusal("147", 1, "type of a value", "price_range"),
    Refusal("148", 1, "type of a value", "keywords"),
    Refusal("148", 2, "type of a value", "price_range"),
    Refusal("148", 3, "type of a value", "optimize_route"),
    Refusal("150", 4, "type of a value", "price_range"),
    Refusal("151", 1, "type of a value", "items[0]"),
    Refusal("155", 3, "type of a value", "optimize_route"),
    Refusal("156", 2, "unknown argument", "language"),
    Refusal("157", 2, "type of a value", "price_range"),
    Refusal("160", 2, "type of a reference", "dimensions"),
    Refusal("161", 1, "type of a value", "optimize_route"),
    Refusal("162", 1, "type of a value", "price_range"),
    Refusal("164", 1, "type of a value", "grades[0]"),
    Refusal("166", 4, "unknown argument", "word"),
    Refusal("168", 2, "type of a reference", "principal"),
)
"""What is refused in plans of NESTFUL: the first problem of each such line."""

SEAL: Final = (
    Refusal("dev-difficult-215", 2, "type of a value", "average_purchase_frequency"),
    Refusal("dev-difficult-300", 2, "type of a reference", "patient_id"),
    Refusal("dev-difficult-302", 3, "type of a reference", "patient_id"),
    Refusal("dev-difficult-325", 2, "type of a value", "position1"),
    Refusal("dev-difficult-334", 2, "type of a reference", "event_id"),
    Refusal("dev-difficult-547", 2, "type of a reference", "employee_id"),
    Refusal("dev-difficult-664", 1, "type of a value", "position1"),
    Refusal("dev-difficult-676", 3, "type of a value", "average_purchase_frequency"),
)
"""What is refused in plans of Seal-Tools."""
