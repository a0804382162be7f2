"""What stands before every request: the host, the origin, the size, and the headers of every answer.

The reading room listens on the loopback address only. A page elsewhere could still try to reach it
through the reader's browser, so: a Host that is not ours is refused (DNS rebinding), a POST needs
our own origin and the token that only our pages carry (forgery), and a page of ours may load
nothing from elsewhere (content security policy).
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
log = logging.getLogger("sagittal.serve")
DEBUG = "SAGITTAL_DEBUG"
NAMES = ("127.0.0.1", "localhost", "[::1]")


class TooLarge(Exception):
    """The body of a request is longer than allowed."""


class Guard:
    """ASGI middleware; see the module's docstring.

    Args:
        app: what is guarded.
        token: the secret that our own pages send back with every POST.
        limit: largest body in bytes, given a path.
    """

    def __init__(self, app: App, token: str, limit: Callable[[str], int]) -> None:
        self._app, self._token, self._limit = app, token, limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}
        host = headers.get("host", "")
        if _name(host) not in NAMES:
            await _answer(send, 421, "this address is not the reading room's")
            return
        limit = self._limit(scope["path"])
        if scope["method"] not in ("GET", "HEAD"):
            problem = self._forged(headers, host)
            if problem:
                await _answer(send, 403, problem)
                return
            if int(_digits(headers.get("content-length", "0"))) > limit:
                await _answer(send, 413, f"larger than {limit} bytes")
                return
        started = False

        async def bounded() -> Message:
            nonlocal limit
            message = await receive()
            limit -= len(message.get("body", b""))
            if limit < 0:
                raise TooLarge
            return message

        async def headed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own),
                ]
            await send(message)

        try:
            await self._app(scope, bounded, headed)
        except TooLarge:
            if not started:
                await _answer(send, 413, "larger than allowed")
        except Exception as error:
            # A message or traceback may quote a patient's data: the log gets the kind alone.
            log.error("a request failed: %s", type(error).__name__, exc_info=bool(os.environ.get(DEBUG)))
            if not started:
                await _answer(send, 500, "a defect in sagittal")

    def _forged(self, headers: dict[str, str], host: str) -> str:
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return "the request comes from another site"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "the request comes from another site"
        if not secrets.compare_digest(headers.get("x-csrf-token", "").encode(), self._token.encode()):
            return "the page is out of date; load it again"
        return ""


def _name(host: str) -> str:
    if host.startswith("["):
        name, _, port = host.partition("]")
        return f"{name}]" if port == "" or port.startswith(":") else host
    return host.rsplit(":", 1)[0].lower()


def _digits(text: str) -> str:
    # A length that is no number is treated as too long.
    return text if text.isascii() and text.isdigit() else str(2**62)


async def _answer(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
