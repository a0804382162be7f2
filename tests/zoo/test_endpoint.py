"""The chat client against a small server that misbehaves on purpose."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sagittal.errors import BadInput
from sagittal.settings import WriterSettings
from sagittal.zoo.capability import Answer, Unanswered, Writes, capabilities
from sagittal.zoo.endpoint import Endpoint, endpoint
from sagittal.zoo.writer import open_writer

Handler = BaseHTTPRequestHandler
Behaviour = Callable[[Handler], None]


def said(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "stand-in", "choices": [{"message": {"content": text}, "finish_reason": "stop"}], **more}


def send(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def good(text: Any = "A nodule.", **more: Any) -> Behaviour:
    return send(json.dumps(said(text, **more)).encode())


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b'{"choices": [' * 4096)
    except OSError:
        return


def dripping(handler: Handler) -> None:
    """A byte every 50 ms: never silent long enough for a socket's own timeout."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def silent(handler: Handler) -> None:
    time.sleep(1.0)


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut(handler: Handler) -> None:
    """Half of the promised body."""
    body = json.dumps(said("A nodule.")).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


class StandIn:
    """A server that plays one behaviour a request, the last one for ever; keeps what it was sent."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.behaviours: list[Behaviour] = [good()]
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        outer = self

        class Playing(Handler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers.items()), json.loads(body)))
                behave = outer.behaviours[min(len(outer.requests), len(outer.behaviours)) - 1]
                self.close_connection = True
                behave(self)

            def log_message(self, *_: object) -> None:
                return

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that hangs up is what these tests are about."""

        self.server = Quiet(("127.0.0.1", 0), Playing)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def plays(self, *behaviours: Behaviour) -> None:
        self.behaviours, self.requests = list(behaviours), []


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    made = StandIn()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def server(running: StandIn) -> StandIn:
    running.plays(good())
    return running


@pytest.fixture
def waits() -> list[float]:
    """Pauses that were asked for; none is taken."""
    return []


@pytest.fixture
def client(server: StandIn, waits: list[float]) -> Endpoint:
    return endpoint(WriterSettings(server.url, "m", timeout_s=5), sleep=waits.append)


def test_an_answer_and_what_was_asked(server: StandIn, client: Endpoint) -> None:
    assert client.write("be brief", "say it") == Answer("A nodule.", "stand-in", False, 1)
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions" and "Authorization" not in headers
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert (body["model"], body["stream"], body["temperature"]) == ("m", False, 0.0)
    assert "response_format" not in body
    client.write("be brief", "say it", json=True)
    assert server.requests[1][2]["response_format"] == {"type": "json_object"}


def test_it_is_a_writer_that_sends_away(client: Endpoint) -> None:
    assert isinstance(client, Writes) and client.remote and "writes" in capabilities(client)
    other = endpoint(WriterSettings(client.settings.url, "other"))
    assert client.digest.startswith("configuration:") and client.digest != other.digest


def test_parts_and_a_length_limit_are_understood(server: StandIn, client: Endpoint) -> None:
    server.plays(good([{"type": "text", "text": "A "}, {"type": "image"}, {"type": "text", "text": "mass."}]))
    assert client.write("", "").text == "A mass."
    stopped = said("A nod")
    stopped["choices"][0]["finish_reason"] = "length"
    server.plays(send(json.dumps(stopped).encode()))
    assert client.write("", "").cut


BROKEN = {
    "cut JSON": cut,
    "half a document": send(b'{"choices": [{"message": {"content": "A nod'),
    "not JSON": send(b"A nodule."),
    "deep JSON": send(b"[" * 200_000),
    "wrong schema": send(b'{"choices": []}'),
    "another schema": send(b'{"choices": {"0": 3}}'),
    "a list": send(b"[1, 2]"),
    "a number for text": good(7),
    "no text": good(None),
    "empty text": good("  \n "),
    "empty body": send(b""),
    "hangs up": hang_up,
    "500": send(b"{}", 500),
    "503": send(b"<html>", 503, "text/html"),
    "429": send(b"{}", 429),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_may_pass_is_tried_again_and_then_given_up(
    server: StandIn, client: Endpoint, waits: list[float], name: str
) -> None:
    server.plays(BROKEN[name], good())
    assert client.write("", "").attempts == 2
    server.plays(BROKEN[name])
    waits.clear()
    with pytest.raises(Unanswered, match="3 attempts"):
        client.write("", "")
    assert len(server.requests) == 3 and waits == [0.5, 1.0]


LASTING = {
    "the key is wrong": (send(b"{}", 401), "key"),
    "not found": (send(b"{}", 404), "404"),
    "bad request": (send(b"{}", 400), "400"),
    "a login page": (send(b"<html>", 200, "text/html"), "other than JSON"),
    "a stream": (send(b"data: {}\n\n", 200, "text/event-stream"), "other than JSON"),
    "compressed": (send(b"x", 200, Content_Encoding="gzip"), "compresses"),
    "endless": (endless, "larger"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_would_repeat_itself_is_not_tried_again(server: StandIn, client: Endpoint, name: str) -> None:
    behaviour, words = LASTING[name]
    server.plays(behaviour)
    with pytest.raises(Unanswered, match=words):
        client.write("", "")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: StandIn, client: Endpoint, status: int) -> None:
    elsewhere = StandIn()
    server.plays(send(b"", status, Location=elsewhere.url + "/chat/completions"))
    with pytest.raises(Unanswered, match="redirects"):
        client.write("the patient", "the patient")
    elsewhere.server.shutdown()
    elsewhere.server.server_close()
    assert elsewhere.requests == [] and len(server.requests) == 1


def test_a_proxy_of_the_environment_gets_nothing(
    server: StandIn, client: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = StandIn()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    client.write("", "")
    proxy.server.shutdown()
    proxy.server.server_close()
    assert proxy.requests == []


@pytest.mark.parametrize("behaviour", [silent, dripping], ids=["silent", "dripping"])
def test_an_attempt_ends_in_time(server: StandIn, behaviour: Behaviour) -> None:
    server.plays(behaviour)
    slow = endpoint(WriterSettings(server.url, "m", timeout_s=0.3, retries=1), sleep=lambda _: None)
    began = time.monotonic()
    with pytest.raises(Unanswered, match=r"no answer in 0.3 s \(2 attempts\)"):
        slow.write("", "")
    assert time.monotonic() - began < 3


def test_retry_after_is_kept_to_within_reason(server: StandIn, client: Endpoint, waits: list[float]) -> None:
    server.plays(send(b"{}", 429, Retry_After="7"), good())
    client.write("", "")
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.plays(send(b"{}", 503, Retry_After=soon), good())
    client.write("", "")
    server.plays(send(b"{}", 429, Retry_After="soon"), good())
    client.write("", "")
    assert waits[0] == 7 and 15 < waits[1] <= 20 and waits[2] == 0.5
    server.plays(send(b"{}", 429, Retry_After="86400"), good())
    with pytest.raises(Unanswered, match="86400 s"):
        client.write("", "")
    assert len(server.requests) == 1 and len(waits) == 3


def test_an_endpoint_that_is_down(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(Unanswered, match="3 attempts"):
            endpoint(WriterSettings(url, "m"), sleep=waits.append).write("", "")
    assert waits == [0.5, 1.0]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    made = tmp_path / "both.pem"
    ask = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {made} -out {made}.crt"
    subprocess.run(["openssl", *ask.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{made}.crt", made)
    secure = StandIn(context)
    url = secure.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(Unanswered, match="certificate is not trusted"):
        endpoint(WriterSettings(url, "m", timeout_s=5)).write("", "")
    secure.server.shutdown()
    secure.server.server_close()
    assert secure.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://llm.example/v1", "unencrypted"),
        ("http://127.0.0.1.example/v1", "unencrypted"),
        ("http://10.0.0.1/v1", "unencrypted"),
        ("ftp://llm.example/v1", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("llm.example", "no web address"),
        ("https://", "no web address"),
        ("https://user:secret@llm.example/v1", "more than an address"),
        ("https://llm.example/v1?key=1", "more than an address"),
        ("https://llm.example:port/v1", "cannot be read"),
        ("https://[::1/v1", "cannot be read"),
        ("https://llm.example/v1\r\nX: y", "no web address"),
    ],
)
def test_an_address_that_is_not_used(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        endpoint(WriterSettings(url, "m"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://[::1]:1/v1", "http://127.9.9.9:1/v1/"])
def test_plain_http_to_this_machine(url: str) -> None:
    assert endpoint(WriterSettings(url, "m")).place.path == "/v1/chat/completions"


def test_plain_http_elsewhere_only_where_it_is_allowed() -> None:
    assert endpoint(WriterSettings("http://10.0.0.1/v1", "m", allow_plain_http=True)).place.hostname


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = endpoint(WriterSettings(server.url, "m", key_env="SAGITTAL_TEST_KEY", retries=0))
    monkeypatch.delenv("SAGITTAL_TEST_KEY", raising=False)
    with pytest.raises(BadInput, match="SAGITTAL_TEST_KEY"):
        keyed.write("", "")
    monkeypatch.setenv("SAGITTAL_TEST_KEY", "sk-1\r\nX-Evil: 1")
    with pytest.raises(BadInput) as caught:
        keyed.write("", "")
    assert "sk-1" not in str(caught.value) and server.requests == []
    monkeypatch.setenv("SAGITTAL_TEST_KEY", "sk-abc")
    keyed.write("", "")
    assert server.requests[0][1]["Authorization"] == "Bearer sk-abc"
    server.plays(send(b'{"error": "sk-abc is not valid"}', 401))
    with pytest.raises(Unanswered) as refused:
        keyed.write("", "")
    assert "sk-abc" not in str(refused.value) + repr(keyed)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"timeout_s": 0},
        {"timeout_s": 1e9},
        {"retries": 99},
        {"max_tokens": 0},
        {"temperature": 3},
    ],
)
def test_settings_have_limits(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        WriterSettings(**{"url": "https://x/v1", "model": "m", **changes})


def test_a_settings_file(tmp_path: Path, server: StandIn) -> None:
    path = tmp_path / "writer.json"
    path.write_text(json.dumps({"url": server.url, "model": "m"}), "utf-8")
    assert open_writer(path).write("", "").text == "A nodule."
    for text, words in (
        ('{"url": "https://x/v1", "model": "m", "key": "sk"}', "unknown key 'key'"),
        ('{"url": "https://x/v1"}', "lacks the key 'model'"),
        ('{"url": "https://x/v1", "model": "m", "retries": -1}', "retries"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(BadInput, match=words):
            open_writer(path)


def test_what_is_no_language_model(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"no")
    for path in (tmp_path, tmp_path / "x.gguf", tmp_path / "none.json", tmp_path / "none"):
        with pytest.raises(BadInput):
            open_writer(path)
