"""The room listens to this machine only, and gives its port back."""

from __future__ import annotations

import io
import logging
import socket
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagittal.errors import BadInput
from sagittal.serve.server import serving
from sagittal.settings import ServeSettings


def test_it_answers_here_and_closes(tmp_path: Path, kit: SimpleNamespace) -> None:
    with serving(ServeSettings(tmp_path, port=0), kit.READER) as running:
        assert running.url.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(running.url, timeout=10) as answer:
            assert answer.status == 200
            assert answer.headers["server"] is None
        port = int(running.url.rsplit(":", 1)[1])
    with pytest.raises(urllib.error.URLError):
        opener.open(running.url, timeout=2)
    with serving(ServeSettings(tmp_path, port=port), kit.READER) as again:
        assert again.url == running.url


def test_a_taken_port_is_one_clear_line(tmp_path: Path, kit: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(BadInput, match=f"port {port} .*--port"),
            serving(ServeSettings(tmp_path, port=port), kit.READER),
        ):
            pass


def test_log_handlers_of_the_process_stay_open(tmp_path: Path, kit: SimpleNamespace) -> None:
    """A handler that closes its stream, as absl's does, must not be shut down by the server's start."""
    closed: list[bool] = []

    class Handler(logging.StreamHandler[io.StringIO]):
        def close(self) -> None:
            closed.append(True)
            super().close()

    handler = Handler(io.StringIO())
    with serving(ServeSettings(tmp_path, port=0), kit.READER):
        pass
    assert closed == []
    handler.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.7", "example.org"])
def test_no_other_address_is_bound(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        ServeSettings(Path("x"), host=host)


@pytest.mark.parametrize(
    "wrong", [{"port": 70000}, {"port": -1}, {"max_upload_mb": 0}, {"studies_in_memory": 0}]
)
def test_settings_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ServeSettings(Path("x"), **wrong)  # type: ignore[arg-type]
