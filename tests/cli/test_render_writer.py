"""`sagittal render --writer`: a language model words a reading, and cannot change it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sagittal.report.codec import dumps
from sagittal.report.draft import draft
from sagittal.report.finding import Finding, Presence
from sagittal.report.reading import Provenance, Reading, Status, StudySummary
from sagittal.report.vocabulary import concept


class Endpoint:
    """An OpenAI-compatible endpoint that answers with what ``reply`` makes of the user's message."""

    def __init__(self) -> None:
        self.reply: Callable[[str], str] = lambda user: "Fine."
        self.bodies: list[str] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.bodies.append(body)
                text = outer.reply(json.loads(body)["messages"][1]["content"])
                said = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def writer(endpoint: Endpoint, tmp_path: Path) -> Path:
    path = tmp_path / "writer.json"
    url = f"http://127.0.0.1:{endpoint.server.server_address[1]}/v1"
    path.write_text(json.dumps({"url": url, "model": "m", "retries": 0, "timeout_s": 5}), "utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    study = StudySummary("1.2.840.99", "PAT-778899")
    findings = (
        Finding(concept("nodule"), tracking_uid="2.25.2"),
        Finding(concept("pneumothorax"), presence=Presence.ABSENT, tracking_uid="2.25.3"),
    )
    report = draft(study, findings, indication="Cough, PAT-778899")
    stamp = datetime(2026, 1, 2, tzinfo=UTC)
    made = Reading("2.25.1", Status.DRAFT, study, (), (), findings, (), report, Provenance(stamp, 0))
    path = tmp_path / "reading.json"
    path.write_text(dumps(made), "utf-8")
    return path


def test_other_words_are_printed_and_said_to_be(
    sagittal: Any, endpoint: Endpoint, file: Path, writer: Path
) -> None:
    endpoint.reply = lambda user: "There is a nodule. There is no evidence of pneumothorax."
    ran = sagittal("render", file, "--writer", writer)
    assert ran.code == 0 and "There is no evidence of pneumothorax." in ran.out
    assert "Worded by a language model (m at 127.0.0.1)" in ran.out
    sent = "".join(endpoint.bodies)
    assert "778899" not in sent and "1.2.840.99" not in sent


def test_wrong_words_are_not_printed_and_are_listed(
    sagittal: Any, endpoint: Endpoint, file: Path, writer: Path
) -> None:
    endpoint.reply = lambda user: "No nodule. Stop all drugs."
    plain = sagittal("render", file, "--json").json
    ran = sagittal("render", file, "--writer", writer, "--json")
    written = ran.json.pop("written")
    assert {k: v for k, v in ran.json.items() if k != "written"} == plain
    assert [r["text"] for r in written[0]["removed"]] == ["No nodule.", "Stop all drugs."]
    assert [s["text"] for s in written[0]["restored"]] == ["Nodule.", "No pneumothorax."]
    assert written[0]["writer"]["digest"].startswith("configuration:")


def test_an_endpoint_that_is_down_leaves_the_report_and_one_line(
    sagittal: Any, endpoint: Endpoint, file: Path, writer: Path
) -> None:
    endpoint.server.shutdown()
    endpoint.server.server_close()
    ran = sagittal("render", file, "--writer", writer)
    plain = sagittal("render", file)
    assert (ran.code, ran.out) == (0, plain.out)
    assert ran.err.startswith("sagittal: m at 127.0.0.1: no answer") and ran.err.count("\n") == 1


def test_nothing_is_sent_without_being_asked(
    sagittal: Any, endpoint: Endpoint, file: Path, writer: Path
) -> None:
    assert sagittal("render", file).code == 0
    assert sagittal("render", file, "--audience", "patient", "--writer", writer).code == 3
    assert sagittal("render", file, "--language", "xx", "--writer", writer).code == 2
    assert endpoint.bodies == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"url": "http://elsewhere.example/v1", "model": "m"}', "unencrypted"),
        ('{"url": "https://x.example/v1"}', "model"),
        ("{", "not JSON"),
        ('{"url": "https://x.example/v1", "model": "m", "key_env": "SAGITTAL_NO_SUCH_KEY"}', "NO_SUCH_KEY"),
    ],
)
def test_settings_that_are_wrong_are_one_line(
    sagittal: Any, file: Path, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "w.json"
    path.write_text(text, "utf-8")
    ran = sagittal("render", file, "--writer", path)
    assert (ran.code, ran.out) == (2, "") and said in ran.err and ran.err.count("\n") == 1
    assert sagittal("render", file, "--writer", tmp_path / "none").code == 2
