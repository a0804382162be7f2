"""Coded concepts (DICOM Code Sequence: value, scheme, meaning) with the vocabulary's own key."""

from __future__ import annotations

from dataclasses import dataclass

PRIVATE_SCHEME = "99SAGITTAL"
"""Coding scheme for concepts that no list shipped with a package gives one meaning."""


@dataclass(frozen=True)
class Concept:
    """A vocabulary entry. ``key`` is how Sagittal's files and labels name it."""

    key: str
    scheme: str
    code: str
    meaning: str
