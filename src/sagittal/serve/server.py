"""Starts the reading room on the loopback address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from sagittal.errors import BadInput, SagittalError
from sagittal.serve.app import Room, create_app
from sagittal.serve.worker import Reader
from sagittal.settings import ServeSettings


@dataclass(frozen=True)
class Running:
    """A room that answers at ``url``."""

    url: str
    room: Room


@contextmanager
def serving(settings: ServeSettings, reader: Reader) -> Iterator[Running]:
    """Serve in a thread of this process until the block ends.

    Raises:
        BadInput: the port is taken.
    """
    listening = _listen(settings)
    app = create_app(settings, reader)
    config = uvicorn.Config(
        app.state.guarded,
        # Paths name studies and findings: they stay out of any log.
        access_log=False,
        # What goes wrong in a request the guard logs, without what it was about.
        log_level="critical",
        # uvicorn's own configuration would close every log handler of this process.
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="sagittal-server", daemon=True
    )
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise SagittalError("the reading room did not start")
            time.sleep(0.02)
        host = "127.0.0.1" if settings.host == "localhost" else settings.host
        name = f"[{host}]" if ":" in host else host
        yield Running(f"http://{name}:{listening.getsockname()[1]}", app.state.room)
    finally:
        server.should_exit = True
        thread.join(15)
        app.state.room.worker.stop()
        app.state.room.store.close()


def _listen(settings: ServeSettings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise BadInput(
            f"port {settings.port} cannot be used ({error.strerror})", fix="choose another with --port"
        ) from None
