"""How alike two texts are: Jaccard index of their sets of five tokens in a row, and its estimate.

MinHash by rensa: a Rust wheel without dependencies, 27 thousand signatures a second. datasketch
would bring numpy into the slim images and is forty times slower. A signature only finds
candidates; `similarity` decides, so that nothing is rejected by an estimate.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set

import rensa

TOKENS = 5
NUM_BANDS = 25
ROWS_PER_BAND = 5
_SEED = 1
_TOKEN = re.compile(r"\w+|[^\w\s]")


def shingles(text: str) -> Set[str]:
    """A text of fewer than five tokens is one shingle."""
    tokens = _TOKEN.findall(text)
    return {
        "\x1f".join(tokens[start : start + TOKENS])
        for start in range(max(1, len(tokens) - TOKENS + 1))
    }


def similarity(one: Set[str], other: Set[str]) -> float:
    """0 to 1."""
    common = len(one & other)
    total = len(one) + len(other) - common
    return common / total if total else 1.0


def bands(of: Set[str]) -> list[int]:
    """Numbers of 63 bits. Texts that share one are candidates; almost all above 0.7 do."""
    sketch = rensa.RMinHash(num_perm=NUM_BANDS * ROWS_PER_BAND, seed=_SEED)
    sketch.update(list(of))
    rows = sketch.digest()
    return [
        _number(band, rows[band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND])
        for band in range(NUM_BANDS)
    ]


def _number(band: int, rows: list[int]) -> int:
    """Stable over processes, unlike hash(), so that a later attempt finds what was written."""
    data = b"".join(row.to_bytes(8, "big") for row in (band, *rows))
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1
