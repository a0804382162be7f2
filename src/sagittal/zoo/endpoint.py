"""A language model behind any OpenAI-compatible chat endpoint: capability `Writes` over one HTTP request.

The other side is not trusted. One attempt ends after ``timeout_s`` whatever it sends or withholds, at
most `MAX_BYTES` are read, redirects and proxies are not followed, plain http goes to this machine only,
and nothing an endpoint sends is repeated in an error (it may hold what was asked).
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json as _json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sagittal.errors import BadInput
from sagittal.settings import WriterSettings
from sagittal.version import __version__
from sagittal.zoo.capability import Answer, Unanswered

MAX_BYTES = 2 * 2**20
"""Largest answer that is read."""
MAX_WAIT_S = 30.0
"""Longest pause between two attempts; an endpoint that asks for more is not waited for."""
FIRST_WAIT_S = 0.5
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that may pass; any other failure would only repeat itself."""


class _Passing(Exception):
    """A failure that another attempt may not meet; ``wait_s`` is what the endpoint asked for."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Endpoint:
    """A chat endpoint as `Writes`. Build it with `endpoint`, which checks the settings.

    Args:
        sleep: pauses between attempts; tests put their own here.
    """

    settings: WriterSettings
    place: SplitResult
    name: str
    digest: str
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    remote: bool = True

    def write(self, system: str, user: str, *, json: bool = False) -> Answer:
        """One answer to one prompt.

        Raises:
            Unanswered: every attempt failed, or the first one in a way that would repeat itself.
            BadInput: the key's environment variable is empty or holds what no header may.
        """
        body = _request(self.settings, system, user, json)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"sagittal/{__version__}",
            "Connection": "close",
            **_authorisation(self.settings),
        }
        why = ""
        for attempt in range(1, self.settings.retries + 2):
            try:
                text, model, cut = _read(_post(self.place, body, headers, self.settings.timeout_s))
                return Answer(text, model, cut, attempt)
            except _Passing as error:
                why = str(error)
                asked = error.wait_s
            if asked is not None and asked > MAX_WAIT_S:
                raise Unanswered(f"{self.name}: {why}, and asks to wait {asked:.0f} s")
            if attempt <= self.settings.retries:
                self.sleep(max(asked or 0.0, FIRST_WAIT_S * 2 ** (attempt - 1)))
        raise Unanswered(f"{self.name}: {why} ({self.settings.retries + 1} attempts)")


def endpoint(settings: WriterSettings, *, sleep: Callable[[float], None] = time.sleep) -> Endpoint:
    """The endpoint that ``settings`` name; sends nothing yet.

    Raises:
        BadInput: the address is no http(s) address, holds a password, or is plain http to elsewhere.
    """
    try:
        place = urlsplit(settings.url.rstrip("/") + "/chat/completions")
        host, _ = place.hostname or "", place.port
    except ValueError as error:
        raise BadInput(f"the endpoint's url cannot be read ({error})", "https://HOST/v1") from None
    if place.scheme not in ("http", "https") or not host or not settings.url.isprintable():
        raise BadInput("the endpoint's url is no web address", "https://HOST/v1")
    if place.username or place.password or place.query or place.fragment:
        raise BadInput("the endpoint's url holds more than an address", "https://HOST/v1", "use key_env")
    if place.scheme == "http" and not settings.allow_plain_http and not is_loopback(host):
        raise BadInput(
            f"plain http to {host} would send text unencrypted",
            "https, or http to this machine",
            "set allow_plain_http where the network is trusted",
        )
    asked = _json.dumps([settings.url, settings.model, settings.temperature, settings.max_tokens])
    digest = "configuration:" + hashlib.sha256(asked.encode()).hexdigest()
    return Endpoint(settings, place, f"{settings.model} at {host}", digest, sleep)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorisation(settings: WriterSettings) -> dict[str, str]:
    if not settings.key_env:
        return {}
    key = os.environ.get(settings.key_env, "")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput(f"the environment variable {settings.key_env} holds no usable key")
    return {"Authorization": f"Bearer {key}"}


def _request(settings: WriterSettings, system: str, user: str, json: bool) -> bytes:
    asked: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "stream": False,
    }
    if json:
        asked["response_format"] = {"type": "json_object"}
    return _json.dumps(asked).encode()


def _connection(place: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host = place.hostname or ""
    if place.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, place.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, place.port, timeout=timeout_s)


def _post(place: SplitResult, body: bytes, headers: dict[str, str], timeout_s: float) -> bytes:
    """The body of a good answer; raises `_Passing` or `Unanswered`."""
    connection, over = _connection(place, timeout_s), threading.Event()
    timer: threading.Timer | None = None
    began = time.monotonic()
    try:
        connection.connect()
        # A socket's own timeout starts anew with every byte; this one does not.
        left = max(0.0, timeout_s - (time.monotonic() - began))
        timer = threading.Timer(left, _end, (connection.sock, over))
        timer.daemon = True
        timer.start()
        connection.request("POST", place.path, body, headers)
        response = connection.getresponse()
        _check(response)
        data = response.read(MAX_BYTES + 1)
    except ssl.SSLCertVerificationError:
        raise Unanswered("the endpoint's certificate is not trusted") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = over.is_set() or isinstance(error, TimeoutError)
        raise _Passing(f"no answer in {timeout_s:g} s" if late else f"no answer ({_kind(error)})") from None
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()
    if over.is_set():
        raise _Passing(f"no answer in {timeout_s:g} s")
    if len(data) > MAX_BYTES:
        raise Unanswered(f"the endpoint's answer is larger than {MAX_BYTES // 2**20} MiB")
    return data


def _end(sock: socket.socket, over: threading.Event) -> None:
    over.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _kind(error: Exception) -> str:
    return str(error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__


def _check(response: http.client.HTTPResponse) -> None:
    """Status and content type, before a byte of the body is read."""
    status = response.status
    if status in AGAIN:
        raise _Passing(f"HTTP {status}", _retry_after(response.getheader("Retry-After")))
    if 300 <= status < 400:
        raise Unanswered(f"the endpoint redirects elsewhere (HTTP {status}); redirects are not followed")
    if status in (401, 403):
        raise Unanswered(f"the endpoint does not accept the key (HTTP {status})")
    if status != 200:
        raise Unanswered(f"the endpoint refuses the request (HTTP {status})")
    kind = response.getheader("Content-Type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise Unanswered("the endpoint answers something other than JSON")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise Unanswered("the endpoint compresses its answer, which was not asked for")


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, 10.2.3); None where it says nothing usable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _read(data: bytes) -> tuple[str, str, bool]:
    """(text, model, cut) of a chat completion."""
    try:
        value = _json.loads(data)
    except (ValueError, RecursionError):
        raise _Passing("its answer is no complete JSON") from None
    try:
        choice = value["choices"][0]
        text = choice["message"]["content"]
        if isinstance(text, list):
            text = "".join(part["text"] for part in text if part.get("type") == "text")
        cut = choice.get("finish_reason") == "length"
        model = value.get("model")
    except (LookupError, TypeError, AttributeError):
        raise _Passing("its answer is no chat completion") from None
    if text is not None and not isinstance(text, str):
        raise _Passing("its answer is no chat completion")
    if not text or not text.strip():
        raise _Passing("its answer is empty")
    named = model if isinstance(model, str) and len(model) <= 200 and model.isprintable() else ""
    return text, named, cut
