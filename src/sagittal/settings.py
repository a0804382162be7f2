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


@dataclass(frozen=True)
class WriterSettings:
    """An OpenAI-compatible chat endpoint. Nothing is sent anywhere until someone writes these down.

    Args:
        url: base of the interface, e.g. "https://llm.hospital.example/v1"; "/chat/completions" is added.
        model: the name the endpoint knows it by.
        key_env: environment variable that holds the key; the key itself is never in a file. "": none.
        timeout_s: for one attempt, from connecting to the last byte.
        retries: further attempts after the first.
        max_tokens: longest answer that is asked for.
        temperature: 0 for the likeliest words.
        allow_plain_http: http to another machine, where a network is trusted; loopback needs no leave.
    """

    url: str
    model: str
    key_env: str = ""
    timeout_s: float = 60.0
    retries: int = 2
    max_tokens: int = 1024
    temperature: float = 0.0
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model must be named")
        if not 0 < self.timeout_s <= 600:
            raise ValueError(f"timeout_s must be over 0 and at most 600, got {self.timeout_s}")
        if not 0 <= self.retries <= 5:
            raise ValueError(f"retries must be from 0 to 5, got {self.retries}")
        if not 1 <= self.max_tokens <= 32768:
            raise ValueError(f"max_tokens must be from 1 to 32768, got {self.max_tokens}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be from 0 to 2, got {self.temperature}")
