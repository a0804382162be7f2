"""The demo, walked through over HTTP without a browser: every step is a page or a file that must be right."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pydicom

from sagittal.report.codec import from_json
from sagittal.report.reading import Reading, Status
from sagittal.serve.pixels import cut, hang
from sagittal.serve.review import MARKED, sentence, urgent
from sagittal.serve.server import Running

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
READER = "Dr Check"
ADDED = "8 mm nodule in the right upper lobe."


@dataclass(frozen=True)
class Step:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str


class Failed(Exception):
    """What a page or file should have been and was not."""


@dataclass
class Browser:
    """As much of a browser as the check needs: pages, the token in them, posts with it."""

    url: str
    token: str = ""
    opener: urllib.request.OpenerDirector = field(
        # A proxy of the machine must not stand between us and our own port.
        default_factory=lambda: urllib.request.build_opener(urllib.request.ProxyHandler({}))
    )

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, bytes]:
        """(status, body) of a GET, or of a POST when there is a form."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if form is not None:
            names.setdefault("x-csrf-token", self.token)
        request = urllib.request.Request(self.url + path, data=data, headers=names)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str) -> bytes:
        """The body of a page that has to be there."""
        status, body = self.ask(path)
        _must(status == 200, f"GET {path} answered {status}")
        return body

    def page(self, path: str) -> str:
        """A page of ours; remembers its token."""
        text = self.get(path).decode()
        found = re.search(r'<meta name="csrf" content="([^"]+)"', text)
        _must(found is not None, f"{path} carries no token")
        self.token = found.group(1) if found else ""
        return text

    def post(self, path: str, **form: str) -> str:
        """The panel after a review step that has to work."""
        status, body = self.ask(path, {"by": READER, **form})
        text = body.decode(errors="replace")
        _must(status == 200, f"POST {path.rsplit('/', 1)[-1]} answered {status}: {text.strip()[:200]}")
        return text

    def reading(self, study: str) -> Reading:
        """The latest version."""
        return from_json(Reading, json.loads(self.get(f"/studies/{study}/reading.json")))


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise Failed(otherwise)


class Check:
    """Walks through a running room; `steps` yields what was tried, and stops at the first failure.

    Args:
        running: the room; its samples may still be arriving.
        expected: how many studies have to be on the list; seconds: how long to wait for them.
        broken: filled by whoever draws the samples when it cannot go on.
    """

    def __init__(self, running: Running, *, expected: int, seconds: float, broken: list[str]) -> None:
        self.running, self.expected, self.until = running, expected, time.monotonic() + seconds
        self.broken = broken
        self.browser = Browser(running.url)
        self.study = self.finding = ""

    def steps(self) -> Iterator[Step]:
        """Every step in its order."""
        walk: tuple[tuple[str, Callable[[], str]], ...] = (
            ("the worklist opens", self.worklist),
            ("every study is read, or says why not", self.all_read),
            ("strangers are kept out", self.strangers),
            ("a study opens with its images", self.opens),
            ("pixels are the file's own", self.pixels),
            ("outlines are the reading's own", self.outlines),
            ("the prior hangs beside", self.prior),
            ("accept", self.accept),
            ("edit, and the report follows", self.edit),
            ("a page that is out of date changes nothing", self.outdated),
            ("reject, and the report follows", self.reject),
            ("restore", self.restore),
            ("add, and the report follows", self.add),
            ("no signature before everything is decided", self.early),
            ("sign", self.sign),
            ("a signed reading is closed", self.closed),
            ("exports download and are valid", self.exports),
            ("amend", self.amend),
        )
        for name, step in walk:
            try:
                yield Step(name, True, step())
            except Exception as error:
                yield Step(name, False, str(error) or type(error).__name__)
                return

    # Looking -----------------------------------------------------------------------------------

    def worklist(self) -> str:
        text = self.browser.page("/")
        _must("not for primary diagnosis" in text, "the banner is missing")
        return f"{self.running.url}/"

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.browser.get("/worklist.json"))
        return rows

    def all_read(self) -> str:
        while True:
            _must(not self.broken, " ".join(self.broken))
            rows = self._rows()
            done = [row for row in rows if row["state"] in ("read", "failed")]
            if len(rows) >= self.expected and len(done) == len(rows):
                break
            _must(time.monotonic() < self.until, f"{len(done)} of {self.expected} studies were read in time")
            time.sleep(0.2)
        broken = [row for row in rows if row["state"] == "failed"]
        _must(not broken, f"{len(broken)} failed: {broken[0]['problem'] if broken else ''}")
        refused = sum(row["status"] == Status.REFUSED.value for row in rows)
        return f"{len(rows)} studies, {refused} refused"

    def strangers(self) -> str:
        _must(self.browser.ask("/", host="evil.example")[0] == 421, "another Host was answered")
        post = f"/studies/{self._rows()[0]['id']}/sign"
        _must(self.browser.ask(post, {"by": "x"}, x_csrf_token="")[0] == 403, "a post without token passed")
        foreign = self.browser.ask(post, {"by": "x"}, origin="http://evil.example")
        _must(foreign[0] == 403, "a post from another origin passed")
        return "host, token and origin are checked"

    def opens(self) -> str:
        best: tuple[int, str] = (0, "")
        for row in self._rows():
            reading = self.browser.reading(row["id"])
            present = [f for f in reading.findings if f.presence in MARKED and sentence(reading, _uid(f))]
            masks = any(f.evidence and f.evidence.mask for f in present)
            best = max(best, (len(present) + 2 * masks if present else 0, row["id"]))
        _must(best[0] > 0, "no sample has a finding to review")
        self.study = best[1]
        text = self.browser.page(f"/studies/{self.study}")
        _must("AI draft" in text and 'id="stage"' in text, "the room is not on the page")
        return f"study {self.study}"

    def _manifest(self, study: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.browser.get(f"/studies/{study}/manifest.json"))
        return found

    def pixels(self) -> str:
        compared = 0
        opened = self.running.room.shelf.get(self.study)
        for key, series in self._manifest(self.study)["series"].items():
            view = hang(opened.shown[key].series.volume)
            for name, plane in series["planes"].items():
                k = plane["count"] // 2
                body = self.browser.get(f"/studies/{self.study}/pixels/{key}/{name}/{k}")
                stored = np.frombuffer(body, "<i2" if series["dtype"] == "int16" else "<u2")
                values = (
                    stored.reshape(plane["rows"], plane["columns"]) * series["slope"] + series["intercept"]
                )
                error = np.abs(values - cut(view.voxels, name, k)).max()
                exact = series["slope"] == 1.0
                _must(error <= (0 if exact else series["slope"]), f"{name} of series {key} is off by {error}")
                compared += values.size
        return f"{compared} compared"

    def outlines(self) -> str:
        masks = self._manifest(self.study)["masks"]
        opened = self.running.room.shelf.get(self.study)
        for mask in masks:
            series = self._manifest(self.study)["series"][mask["series"]]
            name, plane = next(iter(series["planes"].items()))
            wanted = opened.shown[mask["series"]].view.turn(opened.masks[mask["name"]])
            k = int(wanted.any(axis=(1, 2)).argmax())
            body = self.browser.get(f"/studies/{self.study}/masks/{mask['number']}/{name}/{k}")
            bits = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
            drawn = bits[: plane["rows"] * plane["columns"]].astype(bool).reshape(plane["rows"], -1)
            _must(bool(np.array_equal(drawn, cut(wanted, name, k))), f"the outline of {mask['name']} differs")
        return f"{len(masks)} masks"

    def prior(self) -> str:
        for row in self._rows():
            manifest = self._manifest(row["id"])
            priors = [s for s in manifest["series"].values() if s["prior"]]
            if priors:
                hung = {pane["series"] for pane in manifest["layout"]["panes"]}
                _must(any(key.startswith("p") for key in hung), "the prior is not hung")
                return f"of {priors[0]['date']}"
        raise Failed("no sample has a prior")

    # Reviewing ---------------------------------------------------------------------------------

    def _post(self, what: str, **form: str) -> Reading:
        seen = str(self.browser.reading(self.study).version)
        self.browser.post(f"/studies/{self.study}/{what}", version=seen, **form)
        return self.browser.reading(self.study)

    def accept(self) -> str:
        reading = self.browser.reading(self.study)
        present = [f for f in reading.findings if f.presence in MARKED and sentence(reading, _uid(f))]
        self.finding = _uid(present[0])
        after = self._post(f"findings/{self.finding}/accept")
        _must(after.edits[-1].action == "accept" and after.status is Status.IN_REVIEW, "it was not recorded")
        return sentence(after, self.finding)

    def edit(self) -> str:
        before = sentence(self.browser.reading(self.study), self.finding)
        after = self._post(f"findings/{self.finding}/edit", size="37 x 21", severity="severe")
        now = sentence(after, self.finding)
        _must(now != before and bool(now), "the report's sentence did not change")
        return now

    def outdated(self) -> str:
        form = {"by": READER, "version": "1"}
        for what in (f"findings/{self.finding}/reject", "sign"):
            status, body = self.browser.ask(f"/studies/{self.study}/{what}", form)
            _must(status == 409 and b"has changed" in body, f"{what} of version 1 answered {status}")
        return body.decode().strip()

    def reject(self) -> str:
        before = sentence(self.browser.reading(self.study), self.finding)
        after = self._post(f"findings/{self.finding}/reject", reason="checked")
        _must(before not in after.report.text, "the report still says it")
        _must(self.finding not in json.dumps([f.tracking_uid for f in after.findings]), "it is still there")
        return f"gone: {before}"

    def restore(self) -> str:
        after = self._post(f"findings/{self.finding}/restore")
        _must(bool(sentence(after, self.finding)), "it did not come back")
        return sentence(after, self.finding)

    def add(self) -> str:
        before = {f.tracking_uid for f in self.browser.reading(self.study).findings}
        after = self._post("findings", text=ADDED)
        new = [f for f in after.findings if f.tracking_uid not in before]
        _must(len(new) == 1, f"{len(new)} findings were added")
        said = sentence(after, _uid(new[0]))
        _must("8 mm" in said, f"the report says {said!r}")
        return said

    # Signing -----------------------------------------------------------------------------------

    def early(self) -> str:
        status, body = self.browser.ask(f"/studies/{self.study}/sign", {"by": READER})
        _must(status == 409, f"it answered {status}")
        return body.decode().strip()

    def sign(self) -> str:
        reading = self.browser.reading(self.study)
        for finding in reading.findings:
            if finding.presence in MARKED:
                self._post(f"findings/{_uid(finding)}/accept")
        form: dict[str, str] = {}
        for finding in urgent(reading):
            told = {"to": "Dr Ward", "how": "telephone", "when": f"{datetime.now():%Y-%m-%dT%H:%M}"}
            form |= {f"{name}-{_uid(finding)}": text for name, text in told.items()}
            form[f"read_back-{_uid(finding)}"] = "yes"
        signed = self._post("sign", **form)
        _must(signed.status is Status.SIGNED and signed.signed_by == READER, f"it is {signed.status.value}")
        _must(len(signed.report.communications) == len(urgent(reading)), "a communication is missing")
        return f"version {signed.version}, by {signed.signed_by}"

    def closed(self) -> str:
        uid = _uid(self.browser.reading(self.study).findings[0])
        status, _ = self.browser.ask(f"/studies/{self.study}/findings/{uid}/accept", {"by": READER})
        _must(status == 409, f"a change after the signature answered {status}")
        return "a change is refused"

    def exports(self) -> str:
        base = f"/studies/{self.study}/exports"
        reading = self.browser.reading(self.study)
        same = from_json(Reading, json.loads(self.browser.get(f"{base}/reading.json")))
        _must(same == reading, "reading.json is not the signed version")
        text = self.browser.get(f"{base}/report.txt").decode()
        _must("8 mm" in text, "report.txt is not the signed report")
        page = self.browser.get(f"{base}/report.html").decode()
        _must(page.lstrip().lower().startswith("<!doctype html") and "8 mm" in page, "report.html is not it")
        _must("<script" not in page.lower(), "report.html holds a script")
        made = ["reading.json", "report.txt", "report.html"]
        sr = pydicom.dcmread(io.BytesIO(self.browser.get(f"{base}/sr.dcm")))
        _must(sr.Modality == "SR" and sr.VerificationFlag == "VERIFIED", "sr.dcm is not a verified report")
        _must(str(sr.StudyInstanceUID) == reading.study.uid, "sr.dcm belongs to another study")
        made.append("sr.dcm")
        if reading.masks:
            seg = pydicom.dcmread(io.BytesIO(self.browser.get(f"{base}/seg.dcm")))
            _must(str(seg.SOPClassUID) in SEG_CLASSES, "seg.dcm is no segmentation")
            labels = {str(item.SegmentLabel) for item in seg.SegmentSequence}
            _must(bool(labels), "seg.dcm has no segment")
            made.append("seg.dcm")
        return ", ".join(made)

    def amend(self) -> str:
        before = self.browser.reading(self.study)
        opened = self._post("amend", reason="checking the amendment")
        _must(opened.status is Status.IN_REVIEW and opened.supersedes == before.uid, "it did not open")
        signed = self._post("sign")
        _must(signed.status is Status.AMENDED, f"it is {signed.status.value}")
        return f"version {signed.version}"


def _uid(finding: Any) -> str:
    return str(finding.tracking_uid or "")
