"""UIDs that depend on content alone, so that doing the same thing twice names it the same."""

from __future__ import annotations

import hashlib
import re

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def derived_uid(*parts: str | bytes) -> str:
    """A UID made of ``parts``: "2.25." and a 128-bit number (PS3.5 B.2)."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        # The length keeps ("ab", "c") apart from ("a", "bc").
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}"


def is_uid(text: str) -> bool:
    """Whether ``text`` may stand in a DICOM UI element (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def dicom_uid(text: str) -> str:
    """``text`` where it is a UID, otherwise one derived from it."""
    return text if is_uid(text) else derived_uid(text)
