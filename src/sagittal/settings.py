"""Settings: one frozen dataclass a concern, built by whoever starts the concern."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServeSettings:
    """Where the reading room listens and what it keeps.

    Args:
        data: folder of the store (SQLite file, studies, masks, exports); created when absent.
        host: address to bind; anything but a loopback address is refused.
        port: TCP port, 0 for any free one.
        model: name or folder of the model the worker reads with.
        device, seed: given to the reader.
        max_upload_mb: largest file that may be uploaded.
        max_form_kb: largest form that may be posted.
        studies_in_memory: how many decoded studies are kept.
        teaching: the worklist is a teaching list (planted cases never stand on a clinical one).
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    model: str = "sagittal-small"
    device: str = "cpu"
    seed: int = 0
    max_upload_mb: int = 2048
    max_form_kb: int = 64
    studies_in_memory: int = 4
    teaching: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, got {self.port}")
        if self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"host must be a loopback address, got {self.host}")
        if min(self.max_upload_mb, self.max_form_kb, self.studies_in_memory) < 1:
            raise ValueError("limits must be at least 1")
