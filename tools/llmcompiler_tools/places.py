"""Which time zone does a place keep? Zone names, countries of one zone, and well-known cities.

It does not know what time it is. The zones and countries come from the time zone database itself.
"""

from __future__ import annotations

import unicodedata
import zoneinfo
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from llmcompiler.errors import ToolError, did_you_mean

__all__ = ["zone_of"]

# Well-known cities that are no names of zones, by the zone they keep.
_CITIES: Final[dict[str, str]] = {
    "Africa/Abidjan": "Yamoussoukro",
    "Africa/Algiers": "Oran",
    "Africa/Cairo": "Alexandria, Giza, Luxor",
    "Africa/Casablanca": "Rabat, Marrakesh, Marrakech, Fez, Tangier",
    "Africa/Dar_es_Salaam": "Dodoma, Zanzibar",
    "Africa/Johannesburg": "Cape Town, Pretoria, Durban, Soweto, Port Elizabeth, Bloemfontein",
    "Africa/Lagos": "Abuja, Ibadan, Kano",
    "Africa/Nairobi": "Mombasa",
    "America/Bogota": "Medellin, Cali, Cartagena",
    "America/Caracas": "Maracaibo",
    "America/Chicago": "Houston, Dallas, Austin, San Antonio, Fort Worth, Memphis, Nashville, New Orleans, Minneapolis, "
    "Milwaukee, Kansas City, Oklahoma City, St. Louis, Saint Louis, Omaha",
    "America/Denver": "Salt Lake City, Albuquerque, Santa Fe, Colorado Springs, El Paso",
    "America/Edmonton": "Calgary, Banff",
    "America/Guayaquil": "Quito",
    "America/La_Paz": "Sucre, Santa Cruz de la Sierra",
    "America/Lima": "Cusco, Cuzco, Arequipa",
    "America/Los_Angeles": "San Francisco, San Diego, Seattle, Portland, Las Vegas, Sacramento, San Jose, Oakland, "
    "Hollywood, Silicon Valley",
    "America/Mexico_City": "Guadalajara, Puebla, Oaxaca, Acapulco",
    "America/New_York": "New York City, NYC, Washington, Washington DC, Boston, Philadelphia, Miami, Orlando, Tampa, "
    "Atlanta, Charlotte, Pittsburgh, Cleveland, Columbus, Cincinnati, Baltimore, Buffalo, Brooklyn, Manhattan",
    "America/Sao_Paulo": "Rio de Janeiro, Rio, Brasilia, Belo Horizonte, Curitiba, Porto Alegre",
    "America/Bahia": "Salvador",
    "America/Toronto": "Ottawa, Quebec, Quebec City, Hamilton",
    "America/Winnipeg": "Manitoba",
    "Asia/Almaty": "Astana",
    "Asia/Baghdad": "Basra, Mosul",
    "Asia/Bangkok": "Chiang Mai, Phuket, Pattaya",
    "Asia/Dhaka": "Chittagong",
    "Asia/Dubai": "Abu Dhabi, Sharjah",
    "Asia/Ho_Chi_Minh": "Hanoi, Da Nang, Hue, Ho Chi Minh City",
    "Asia/Hong_Kong": "Kowloon",
    "Asia/Jakarta": "Bandung, Surabaya, Yogyakarta",
    "Asia/Jerusalem": "Haifa",
    "Asia/Karachi": "Islamabad, Lahore, Rawalpindi, Peshawar",
    "Asia/Kolkata": "Mumbai, Bombay, Delhi, New Delhi, Bangalore, Bengaluru, Chennai, Madras, Hyderabad, Pune, "
    "Ahmedabad, Jaipur, Goa, Agra, Varanasi, Kochi, Lucknow",
    "Asia/Kuala_Lumpur": "Penang, George Town",
    "Asia/Makassar": "Bali, Denpasar, Ubud",
    "Asia/Manila": "Cebu, Quezon City, Davao",
    "Asia/Riyadh": "Jeddah, Mecca, Medina",
    "Asia/Seoul": "Busan, Incheon",
    "Asia/Shanghai": "Beijing, Peking, Shenzhen, Guangzhou, Chengdu, Wuhan, Xi'an, Hangzhou, Nanjing, Tianjin, Suzhou",
    "Asia/Tehran": "Isfahan, Shiraz, Mashhad",
    "Asia/Tokyo": "Osaka, Kyoto, Hiroshima, Sapporo, Nagoya, Fukuoka, Yokohama, Kobe, Nagasaki",
    "Asia/Yangon": "Mandalay, Naypyidaw",
    "Atlantic/Reykjavik": "Akureyri",
    "Australia/Brisbane": "Gold Coast, Cairns",
    "Australia/Sydney": "Newcastle, Wollongong",
    "Europe/Amsterdam": "Rotterdam, The Hague, Utrecht, Eindhoven",
    "Europe/Athens": "Thessaloniki",
    "Europe/Berlin": "Munich, Muenchen, Hamburg, Frankfurt, Cologne, Koeln, Stuttgart, Duesseldorf, Leipzig, Dresden, "
    "Hanover, Nuremberg, Bremen, Bonn, Heidelberg",
    "Europe/Brussels": "Antwerp, Bruges, Ghent",
    "Europe/Bucharest": "Cluj",
    "Europe/Copenhagen": "Aarhus, Odense",
    "Europe/Dublin": "Cork, Galway, Limerick",
    "Europe/Helsinki": "Tampere, Turku, Espoo",
    "Europe/Istanbul": "Ankara, Izmir, Antalya",
    "Europe/Kyiv": "Lviv, Odesa, Odessa, Kharkiv",
    "Europe/Lisbon": "Porto, Faro",
    "Europe/London": "Manchester, Birmingham, Liverpool, Edinburgh, Glasgow, Cardiff, Bristol, Leeds, Oxford, "
    "Cambridge",
    "Europe/Madrid": "Barcelona, Valencia, Seville, Malaga, Bilbao, Granada",
    "Europe/Moscow": "St. Petersburg, Saint Petersburg, Sochi",
    "Europe/Oslo": "Bergen, Trondheim, Stavanger, Tromso",
    "Europe/Paris": "Lyon, Marseille, Nice, Toulouse, Bordeaux, Strasbourg, Nantes, Lille",
    "Europe/Prague": "Brno",
    "Europe/Rome": "Milan, Naples, Venice, Florence, Turin, Bologna, Palermo, Pisa",
    "Europe/Stockholm": "Gothenburg, Goteborg, Malmo, Uppsala",
    "Europe/Vienna": "Salzburg, Graz, Innsbruck, Linz",
    "Europe/Warsaw": "Krakow, Cracow, Gdansk, Wroclaw, Poznan, Lodz",
    "Europe/Zagreb": "Dubrovnik, Split",
    "Europe/Zurich": "Geneva, Basel, Bern, Lausanne, Lucerne",
    "Pacific/Auckland": "Wellington, Christchurch, Queenstown, Dunedin",
    "Pacific/Honolulu": "Hawaii, Waikiki",
}
# Countries under a name that the database does not use, and those whose mainland keeps one zone.
_COUNTRIES: Final[dict[str, str]] = {
    "Africa/Abidjan": "Ivory Coast",
    "America/Argentina/Buenos_Aires": "Argentina",
    "America/Guayaquil": "Ecuador",
    "America/Santiago": "Chile",
    "Asia/Almaty": "Kazakhstan",
    "Asia/Dubai": "UAE, United Arab Emirates",
    "Asia/Ho_Chi_Minh": "Vietnam",
    "Asia/Kuala_Lumpur": "Malaysia",
    "Asia/Nicosia": "Cyprus",
    "Asia/Pyongyang": "North Korea",
    "Asia/Seoul": "South Korea, Korea",
    "Asia/Shanghai": "China",
    "Asia/Tashkent": "Uzbekistan",
    "Asia/Ulaanbaatar": "Mongolia",
    "Asia/Yangon": "Myanmar, Burma",
    "Europe/Berlin": "Germany",
    "Europe/Istanbul": "Turkey, Turkiye",
    "Europe/Kyiv": "Ukraine",
    "Europe/Lisbon": "Portugal",
    "Europe/London": "United Kingdom, UK, Great Britain, Britain, Northern Ireland, England, Scotland, Wales",
    "Europe/Madrid": "Spain",
    "Europe/Prague": "Czech Republic, Czechia",
    "Pacific/Auckland": "New Zealand",
}
_SEVERAL: Final = ("United States of America", "United States", "USA", "US", "America")
_CONTINENTS: Final = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)
_NO_PLACES: Final = {"north", "south", "west", "act", "nsw", "lhi"}  # Australia/West and the like


class _Name(NamedTuple):
    """What people call a place, and its zone; no zone where it has several."""

    shown: str
    zone: str


def zone_of(place: str) -> zoneinfo.ZoneInfo:
    """Return the zone of a city, a country of one zone, or a zone's own name; raise `ToolError`."""
    known = _index()
    for candidate in (place, place.partition(",")[0]):
        name = known.get(_plain(candidate))
        if name is not None and not name.zone:
            raise ToolError(f"{place!r} has several time zones; name a city in it")
        if name is not None:
            return zoneinfo.ZoneInfo(name.zone)
    close = did_you_mean(place, [name.shown for name in known.values() if name.zone])
    raise ToolError(f"there is no place {place!r} with a known time zone{close}")


def _plain(name: str) -> str:
    """Set aside case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ł", "l")).casefold()
    kept = "".join(
        one if one.isalnum() or one in "/+-" else " "
        for one in letters
        if not unicodedata.combining(one)
    )
    return " ".join(kept.removeprefix("the ").split())


@cache
def _index() -> dict[str, _Name]:
    """Map each plain name to what it names; the first that claims a name has it."""
    found: dict[str, _Name] = {}
    for name in _names():
        found.setdefault(_plain(name.shown), name)
    return found


def _names() -> Iterator[_Name]:
    zones = (files("tzdata") / "zones").read_text("utf-8").split()
    for zone in zones:
        city = zone.rpartition("/")[2].replace("_", " ")
        if zone.startswith(_CONTINENTS) and city.casefold() not in _NO_PLACES:
            yield _Name(city, zone)
    for table in (_CITIES, _COUNTRIES):
        for zone, names in table.items():
            yield from (_Name(name, zone) for name in names.split(", "))
    yield from _countries()
    yield from (_Name(zone, zone) for zone in zones)


def _countries() -> Iterator[_Name]:
    """Yield every country, with its zone if it keeps one, from the database's own tables."""
    tables = files("tzdata") / "zoneinfo"
    zones: dict[str, list[str]] = {}
    for line in (tables / "zone.tab").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            code, _, zone = line.split("\t")[:3]
            zones.setdefault(code, []).append(zone)
    for line in (tables / "iso3166.tab").read_text("utf-8").splitlines():
        code, _, country = line.partition("\t")
        if code in zones:
            yield _Name(country, zones[code][0] if len(zones[code]) == 1 else "")
    yield from (_Name(country, "") for country in _SEVERAL)
