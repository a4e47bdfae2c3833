"""Which tools, which request and which plan are the constrained benchmarks about?

Texts only, a prompt being `RULES` and `REQUEST`. The plan is what a good planner would write: half of
it is copied from the request. `LARK` and `GBNF` are one language in two notations, for calls of the
same tools.
"""

from __future__ import annotations

from llmcompiler import Toolbox, tool

__all__ = [
    "GBNF",
    "LARK",
    "PLAN",
    "REQUEST",
    "RULES",
    "calculate",
    "find_flights",
    "find_hotels",
    "send_mail",
    "toolbox",
]

RULES = """You plan calls of tools, one on a line, and end with join().
find_flights(origin: str, destination: str, date: str) - flights on a day
find_hotels(city: str, stars: int) - hotels of so many stars
calculate(expression: str) - the value of an arithmetic expression
send_mail(to: str, subject: str, body: str) - send an e-mail
Request:
"""

REQUEST = """Look for flights from Reykjavik Keflavik Airport to Lisbon Humberto Delgado Airport on \
2026-05-14 and back on 2026-05-23, and for hotels in Lisbon with 4 stars. Work out (412.80 + 389.45) \
* 3 * 1.21 and 2150.75 / 9, then write to travel.desk@harbour-lights.example with the subject "Family \
trip to Lisbon: flights, hotels and what is left of the budget", and put all results in it."""

PLAN = """1. find_flights(origin="Reykjavik Keflavik Airport", destination="Lisbon Humberto Delgado \
Airport", date="2026-05-14")
2. find_flights(origin="Lisbon Humberto Delgado Airport", destination="Reykjavik Keflavik Airport", \
date="2026-05-23")
3. find_hotels(city="Lisbon", stars=4)
4. calculate(expression="(412.80 + 389.45) * 3 * 1.21")
5. calculate(expression="2150.75 / 9")
6. send_mail(to="travel.desk@harbour-lights.example", subject="Family trip to Lisbon: flights, hotels \
and what is left of the budget", body="${1} ${2} ${3} ${4} ${5}")
7. join()"""

LARK = r"""%llguidance {}
start: (NUMBER ". " call "\n")+ NUMBER ". join()"
call: flights | hotels | sum | mail
flights: "find_flights(origin=" TEXT ", destination=" TEXT ", date=" TEXT ")"
hotels: "find_hotels(city=" TEXT ", stars=" NUMBER ")"
sum: "calculate(expression=" TEXT ")"
mail: "send_mail(to=" TEXT ", subject=" TEXT ", body=" TEXT ")"
NUMBER: /[1-9][0-9]*/
TEXT: /"[^"\\\x00-\x1f]*"/
"""

GBNF = r"""root ::= (number ". " call "\n")+ number ". join()"
call ::= flights | hotels | sum | mail
flights ::= "find_flights(origin=" text ", destination=" text ", date=" text ")"
hotels ::= "find_hotels(city=" text ", stars=" number ")"
sum ::= "calculate(expression=" text ")"
mail ::= "send_mail(to=" text ", subject=" text ", body=" text ")"
number ::= [1-9] [0-9]*
text ::= "\"" [^"\\\x00-\x1f]* "\""
"""


@tool
async def find_flights(origin: str, destination: str, date: str) -> list[str]:
    """Flights on a day."""
    return [origin, destination, date]


@tool
async def find_hotels(city: str, stars: int) -> list[str]:
    """Hotels of so many stars."""
    return [city] * stars


@tool
async def calculate(expression: str) -> float:
    """The value of an arithmetic expression."""
    return float(len(expression))


@tool
async def send_mail(to: str, subject: str, body: str) -> bool:
    """Send an e-mail."""
    return bool(to and subject and body)


def toolbox() -> Toolbox:
    """Return the tools of the plan."""
    return Toolbox([find_flights, find_hotels, calculate, send_mail])
