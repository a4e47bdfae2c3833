"""What do the public data sets hold, record by record?

It does not know plans. The data lie beside the project, in ../shared/data, each set with a notice of
where it comes from; they are read and never written.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["DATA", "MissingData", "is_here", "records"]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""The folder of the data sets."""


class MissingData(Exception):
    """Raised where a data set is not there; `str` says where it is looked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path.name} is not there: it belongs into {path.parent}")


def is_here() -> bool:
    """Whether the data sets are there."""
    return DATA.is_dir()


@cache
def records(path: str) -> tuple[dict[str, Any], ...]:
    """Read a file of one JSON object to a line, by its path in `DATA`; raise `MissingData`."""
    file = DATA / path
    if not file.is_file():
        raise MissingData(file)
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    return tuple(json.loads(line) for line in text.splitlines())
