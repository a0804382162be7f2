"""Nothing reaches the room but its own pages, and its pages load nothing from elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sagittal.serve.guard import HEADERS, Guard

TOKEN = "secret-token"


def ask(
    method: str = "GET",
    *,
    headers: dict[str, str] | None = None,
    body: tuple[bytes, ...] = (b"",),
    path: str = "/",
) -> tuple[int, dict[str, str], bytes]:
    """Send one request through the guard to an application that echoes what it reads."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        read, more = b"", True
        while more:
            message = await receive()
            read += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": read})

    parts = [
        {"type": "http.request", "body": chunk, "more_body": n + 1 < len(body)}
        for n, chunk in enumerate(body)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    every = {"host": "127.0.0.1:8080"} | (headers or {})
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in every.items()],
    }
    guard = Guard(echo, TOKEN, lambda where: 100 if where == "/upload" else 10)
    asyncio.run(guard(scope, receive, send))  # type: ignore[arg-type]
    answer = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], answer, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_our_own_names_pass(host: str) -> None:
    assert ask(headers={"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost.evil:8080",
        "10.0.0.5:8080",
        "[::2]",
        "[::1].evil:1",
    ],
)
def test_rebound_names_do_not(host: str) -> None:
    status, headers, _ = ask(headers={"host": host})
    assert status == 421
    assert headers["content-security-policy"] == HEADERS["content-security-policy"]


def test_a_post_needs_the_token_of_our_pages() -> None:
    assert ask("POST", headers={"x-csrf-token": TOKEN})[0] == 200
    assert ask("POST")[0] == 403
    assert ask("POST", headers={"x-csrf-token": "öther"})[0] == 403
    assert ask("DELETE")[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_post_from_another_origin_fails_even_with_the_token(headers: dict[str, str]) -> None:
    assert ask("POST", headers={"x-csrf-token": TOKEN} | headers)[0] == 403


def test_a_post_of_our_own_page_passes() -> None:
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin", "x-csrf-token": TOKEN}
    assert ask("POST", headers=own, body=(b"by=", b"Dr"))[2] == b"by=Dr"


def test_bodies_are_bounded_by_what_comes_and_not_by_what_was_said() -> None:
    own = {"x-csrf-token": TOKEN}
    assert ask("POST", headers=own | {"content-length": "11"})[0] == 413
    assert ask("POST", headers=own | {"content-length": "-1"})[0] == 413
    assert ask("POST", headers=own | {"content-length": "1"}, body=(b"123456", b"123456"))[0] == 413
    assert ask("POST", headers=own, body=(b"x" * 60,), path="/upload")[0] == 200
    assert ask("POST", headers=own, body=(b"x" * 60, b"x" * 60), path="/upload")[0] == 413


def test_pages_may_run_and_load_only_what_is_ours() -> None:
    headers = ask()[1]
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
