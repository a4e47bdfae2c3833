from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.soak import Soak


@pytest.mark.parametrize("reproducible", [False, True])
def test_whatever_comes_every_request_ends_once_and_the_ledger_holds(
    q8_gguf: Path, tmp_path: Path, reproducible: bool
) -> None:
    soak = Soak([q8_gguf, q8_gguf], tmp_path, seed=3, reproducible=reproducible)
    tally = soak.run(lambda rounds: rounds < 2, requests=60)
    assert tally.ends["stop"]
    assert tally.ends["length"]
    assert tally.figures["reused"]
    assert tally.injected
