"""Which reports may be looked at and tuned on, and which are only measured: one split for every benchmark.

Reports were once split twice, each half and half by a hash of its own, so that what one benchmark only
measured had been looked at for the other. The test part is what neither ever showed: a quarter.
"""

from __future__ import annotations

import hashlib

PARTS = ("development", "test", "all")


def part_of(key: str) -> str:
    """ "development" or "test", by the number of the report, whatever the order of its file."""
    digest = hashlib.sha256(key.encode()).digest()
    return "test" if digest[0] >= 128 and digest[-1] % 2 else "development"


def chosen(key: str, part: str) -> bool:
    """Whether a report belongs to a part."""
    return part in ("all", part_of(key))
