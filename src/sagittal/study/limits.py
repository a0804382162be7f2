"""Bounds on what is read: input comes from outside and may be hostile."""

from __future__ import annotations

MAX_FILES = 50_000
"""Files in a folder or zip."""
MAX_DEPTH = 16
"""Folders below the one that is opened."""
MAX_FILE_BYTES = 4 * 2**30
"""One file, or one member of a zip once unpacked."""
MAX_ZIP_BYTES = 16 * 2**30
"""All members of a zip once unpacked."""
MAX_ZIP_RATIO = 1100
"""Unpacked over packed; deflate itself cannot exceed 1032."""
MAX_VOXELS = 2**30
"""Voxels of one series."""
MAX_PICTURE_PIXELS = 2**28
"""Pixels of one picture."""
MAX_FRAMES = 2**16
"""Frames of one DICOM object."""
MAX_INFLATED_BYTES = 2**30
"""A deflated DICOM dataset once unpacked."""
MAX_LINES = 40
"""Problem lines kept for one study or series; the rest is counted."""


def capped(lines: list[str]) -> tuple[str, ...]:
    """At most `MAX_LINES` different lines, in order, the last one counting what was left out."""
    unique = list(dict.fromkeys(lines))
    if len(unique) <= MAX_LINES:
        return tuple(unique)
    return (*unique[: MAX_LINES - 1], f"and {len(unique) - MAX_LINES + 1} more problems")
