"""What a model is told before the first request."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from llmcompiler import Toolbox, tool
from llmcompiler_planners.rules import rules


class Place(BaseModel):
    lat: float
    lon: float


@tool
async def geocode(place: str, precise: bool = False) -> Place:
    """Find where a place is.

    Args:
        place: Town or address.
    """
    return Place(lat=0, lon=0)


@tool
async def forecast(at: Place, unit: Literal["C", "F"] = "C") -> list[float]:
    """Foretell."""
    return []


def test_tools_are_described_by_signature_description_and_parameters() -> None:
    said = rules(Toolbox([geocode, forecast]))
    assert "- geocode(place: text, precise: bool = false) -> {lat: number, lon: number}" in said
    assert "    Find where a place is.\n    place: Town or address." in said
    assert (
        '- forecast(at: {lat: number, lon: number}, unit: "C" | "F" = "C") -> list[number]' in said
    )


def test_the_text_does_not_depend_on_the_order_in_which_tools_are_given() -> None:
    assert rules(Toolbox([geocode, forecast])) == rules(Toolbox([forecast, geocode]))


def test_without_tools_the_model_is_told_to_answer() -> None:
    assert "There are no tools" in rules(Toolbox())


def test_the_schema_of_the_output_is_part_of_the_rules() -> None:
    assert '{"type": "integer"}' in rules(Toolbox(), {"type": "integer"})
