"""The room over HTTP: pages, pixels, reviews, exports, and hostile input."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sagittal.report.reading import Status
from sagittal.serve.pixels import cut, hang
from sagittal.serve.store import FAILED

Room = Callable[..., Any]
NODULE, AIR = "2.25.1", "2.25.2"


@pytest.fixture
def client(room: Room) -> Any:
    return room()


@pytest.fixture
def study(client: Any, kit: SimpleNamespace) -> str:
    name: str = kit.arrive(client, kit.ct())
    return name


def test_the_worklist_shows_what_the_files_say(client: Any, study: str) -> None:
    page = client.get("/")
    assert page.status_code == 200
    for words in ("Doe Jane", "P-77", "F, 66 y", "CT chest", "2026-03-04", "phantom", "AI draft"):
        assert words in page.text
    assert "not for primary diagnosis" in page.text
    assert client.get("/worklist.json").json()[0]["status"] == "draft"


def test_hostile_names_are_shown_and_not_run(client: Any, kit: SimpleNamespace) -> None:
    study = kit.arrive(client, kit.ct(name=kit.HOSTILE))
    for path in ("/", "/rows", f"/studies/{study}", f"/studies/{study}/panel"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img>" not in text
    assert "&lt;script&gt;alert(1)" in client.get("/").text
    headers = client.get("/").headers
    assert "script-src 'self'" in headers["content-security-policy"]


def test_no_page_runs_inline_script_or_asks_another_site(client: Any, study: str) -> None:
    import re

    for path in ("/", f"/studies/{study}"):
        text = client.get(path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:", text)
        assert not re.search(r"(?:src|href|action)=\"(?!/)", text)
        for local in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
            assert client.get(local).status_code == 200


def test_pixels_are_the_files_own_in_every_plane(client: Any, study: str, kit: SimpleNamespace) -> None:
    manifest = client.get(f"/studies/{study}/manifest.json").json()
    series = manifest["series"]["0"]
    assert (series["dtype"], series["slope"], series["intercept"]) == ("int16", 1.0, 0.0)
    voxels = hang(kit.ct().series[0].volume).voxels
    for name, plane in series["planes"].items():
        for k in (0, plane["count"] - 1):
            answer = client.get(f"/studies/{study}/pixels/0/{name}/{k}")
            assert answer.headers["content-type"] == "application/octet-stream"
            stored = np.frombuffer(answer.content, "<i2").reshape(plane["rows"], plane["columns"])
            assert np.array_equal(stored, cut(voxels, name, k))
            assert int(answer.headers["x-rows"]) == plane["rows"]


def test_the_mask_and_the_target_meet_the_ball(client: Any, study: str, kit: SimpleNamespace) -> None:
    manifest = client.get(f"/studies/{study}/manifest.json").json()
    (mask,) = manifest["masks"]
    assert (mask["findings"], mask["series"], mask["anatomy"]) == ([NODULE], "0", False)
    bits = client.get(f"/studies/{study}/masks/0/axial/6").content
    plane = manifest["series"]["0"]["planes"]["axial"]
    drawn = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[
        : plane["rows"] * plane["columns"]
    ]
    assert np.array_equal(drawn.reshape(plane["rows"], -1).astype(bool), kit.ball()[6])
    nodule, air = manifest["findings"]
    geometry = kit.ct().series[0].geometry
    assert np.allclose(geometry.to_index(nodule["point"]), (6, 10, 20), atol=0.01)
    corners = geometry.to_index(np.array(nodule["box"]))
    found = np.argwhere(kit.ball())
    assert np.allclose(corners.min(axis=0), found.min(axis=0) - 0.5)
    assert np.allclose(corners.max(axis=0), found.max(axis=0) + 0.5)
    assert air["mask"] is None
    assert np.allclose(air["point"], (-15, -25, -85), atol=0.01)


def test_a_prior_hangs_beside(client: Any, kit: SimpleNamespace) -> None:
    from datetime import date

    study = kit.arrive(client, kit.ct(), kit.ct("1.2.826.0.1.7", date(2025, 1, 2), shift=4))
    manifest = client.get(f"/studies/{study}/manifest.json").json()
    assert manifest["series"]["p0"]["prior"]
    assert manifest["series"]["p0"]["date"] == "2025-01-02"
    assert [pane["series"] for pane in manifest["layout"]["panes"]] == ["0", "p0", "0", "p0"]
    assert client.get(f"/studies/{study}/pixels/p0/axial/0").status_code == 200


def test_accept_edit_reject_and_the_report_follows(client: Any, study: str) -> None:
    base = f"/studies/{study}/findings"
    assert "Left nodule 11 mm." in client.get(f"/studies/{study}/panel").text
    assert "present <b>91 %</b>" in client.get(f"/studies/{study}/panel").text
    panel = client.post(f"{base}/{NODULE}/accept", by="Dr A")
    assert panel.status_code == 200
    assert "accepted" in panel.text
    panel = client.post(f"{base}/{NODULE}/edit", by="Dr A", laterality="right", size="14 x 9")
    assert "Right nodule 14 mm." in panel.text
    assert "<b>91 %</b>" not in panel.text
    panel = client.post(f"{base}/{NODULE}/reject", by="Dr A", reason="a vessel")
    assert 'data-finding="2.25.1" tabindex="0">Right nodule' not in panel.text
    assert "rejected by Dr A: a vessel" in panel.text
    assert client.get(f"/studies/{study}/manifest.json").json()["masks"] == []
    panel = client.post(f"{base}/{NODULE}/restore", by="Dr A")
    assert "Right nodule 14 mm." in panel.text
    panel = client.post(base, by="Dr A", text="12 mm nodule in the left lower lobe.", key="0", k="3")
    assert "Left nodule 12 mm." in panel.text
    reading = client.room.store.reading(study)
    assert reading.findings[-1].evidence.slices_index == (3,)
    assert [e.action for e in reading.edits] == ["accept", "edit", "reject", "restore", "add"]
    assert reading.version == 6
    assert [v for v, _, _ in client.room.store.versions(study)] == [1, 2, 3, 4, 5, 6]


def test_signing_asks_for_decisions_and_for_the_communication(client: Any, study: str) -> None:
    sign = f"/studies/{study}/sign"
    early = client.post(sign, by="Dr A")
    assert (early.status_code, "still need a decision" in early.text) == (409, True)
    for uid in (NODULE, AIR):
        client.post(f"/studies/{study}/findings/{uid}/accept", by="Dr A")
    assert "category 1" in client.post(sign, by="Dr A").text
    record = {f"to-{AIR}": "Dr Ward", f"how-{AIR}": "telephone", f"when-{AIR}": "2026-03-04T10:20"}
    assert client.post(sign, by="Dr A", **{**record, f"when-{AIR}": "now"}).status_code == 422
    assert client.post(sign, by=" ", **record).status_code == 422
    signed = client.post(sign, by="Dr A", **record, **{f"read_back-{AIR}": "yes"})
    assert "Signed by <b>Dr A</b>" in signed.text
    assert "Told Dr Ward by telephone" in signed.text
    after = client.post(f"/studies/{study}/findings/{NODULE}/reject", by="Dr B")
    assert (after.status_code, "signed and closed" in after.text) == (409, True)
    amended = client.post(f"/studies/{study}/amend", by="Dr B", reason="one more look")
    assert "in review" in amended.text
    client.post(sign, by="Dr B")
    reading = client.room.store.reading(study)
    assert (reading.status, reading.signed_by) == (Status.AMENDED, "Dr B")
    assert client.room.store.reading(study, 4).status is Status.SIGNED


def test_nobody_changes_or_signs_a_version_that_is_not_on_the_screen(client: Any, study: str) -> None:
    base = f"/studies/{study}"
    assert client.post(f"{base}/findings/{NODULE}/accept", by="Dr A", version="1").status_code == 200
    late = {
        f"{base}/findings/{AIR}/reject": {},
        f"{base}/findings/{AIR}/accept": {},
        f"{base}/findings/{AIR}/edit": {"severity": "mild"},
        f"{base}/findings": {"text": "12 mm nodule in the left lower lobe."},
        f"{base}/sign": {},
    }
    for path, form in late.items():
        answer = client.post(path, by="Dr B", version="1", **form)
        assert (answer.status_code, "has changed" in answer.text) == (409, True), path
    assert client.room.store.reading(study).version == 2


def test_nobody_was_told_in_the_future(client: Any, study: str) -> None:
    for uid in (NODULE, AIR):
        client.post(f"/studies/{study}/findings/{uid}/accept", by="Dr A")
    record = {f"to-{AIR}": "Dr Ward", f"how-{AIR}": "telephone", f"when-{AIR}": "2999-03-04T10:20"}
    answer = client.post(f"/studies/{study}/sign", by="Dr A", **record)
    assert (answer.status_code, "future" in answer.text) == (422, True)


def test_times_are_local_and_name_their_zone(client: Any, study: str) -> None:
    import re

    for uid in (NODULE, AIR):
        client.post(f"/studies/{study}/findings/{uid}/reject", by="Dr A")
    text = client.post(f"/studies/{study}/sign", by="Dr A").text
    at = client.room.store.reading(study).signed_at.astimezone()
    assert f"signed by Dr A, {at:%Y-%m-%d %H:%M} {at.tzname()}" in text
    assert not re.search(r"\d\d:\d\d:\d\d\.\d", text)


def test_the_list_at_the_side_follows(client: Any, study: str) -> None:
    def dot() -> str:
        text: str = client.get(f"/side?here={study}").text
        return text

    assert "dot draft" in dot()
    client.post(f"/studies/{study}/findings/{AIR}/accept", by="Dr A")
    assert "dot in-review" in dot()
    assert 'class="here"' in dot()


def test_exports_follow_the_version_and_say_draft_until_signed(client: Any, study: str) -> None:
    base = f"/studies/{study}/exports"
    draft = client.get(f"{base}/report.txt")
    assert "DRAFT" in draft.headers["content-disposition"]
    assert "attachment" in draft.headers["content-disposition"]
    assert client.get(f"{base}/seg.dcm").content.startswith(b"nodule-1 ")
    for uid in (NODULE, AIR):
        client.post(f"/studies/{study}/findings/{uid}/reject", by="Dr A")
    assert client.get(f"{base}/seg.dcm").status_code == 404
    client.post(f"/studies/{study}/sign", by="Dr A")
    final = client.get(f"{base}/report.txt")
    assert "signed" in final.headers["content-disposition"]
    assert "nodule" not in final.text
    assert json.loads(client.get(f"{base}/reading.json").text)["signed_by"] == "Dr A"
    assert client.get(f"{base}/..%2f..%2freading_room.sqlite").status_code == 404
    assert client.get(f"{base}/secret").status_code == 404


def test_every_toggle_is_an_event(client: Any, study: str) -> None:
    for action in ("ai hidden", "ai shown", "overlay hidden"):
        assert client.post(f"/studies/{study}/events", by="Dr A", action=action).status_code == 204
    assert client.post(f"/studies/{study}/events", action="made up").status_code == 422
    assert client.post("/studies/none/events", action="ai shown").status_code == 404
    kept = [(e.actor, e.action) for e in client.room.store.events(study)]
    assert kept == [
        ("worker", "read"),
        ("Dr A", "ai hidden"),
        ("Dr A", "ai shown"),
        ("Dr A", "overlay hidden"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/studies/none",
        "/studies/{study}/pixels/9/axial/0",
        "/studies/{study}/pixels/0/oblique/0",
        "/studies/{study}/pixels/0/axial/999",
        "/studies/{study}/pixels/0/axial/-1",
        "/studies/{study}/masks/7/axial/0",
        "/studies/{study}/masks/-1/axial/0",
        "/docs",
        "/openapi.json",
        "/static/../../store.py",
        "/static/%2e%2e/%2e%2e/store.py",
    ],
)
def test_what_is_not_there_is_a_404_without_a_trace(client: Any, study: str, path: str) -> None:
    answer = client.get(path.format(study=study))
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"laterality": "upwards"}, "laterality"),
        ({"size": "big"}, "millimetres"),
        ({"size": "nan"}, "size"),
        ({"size": "-3"}, "cannot be"),
        ({"severity": "<b>"}, "severity"),
        ({}, "nothing was changed"),
    ],
)
def test_wrong_corrections_are_told_in_one_line(
    client: Any, study: str, form: dict[str, str], words: str
) -> None:
    answer = client.post(f"/studies/{study}/findings/{NODULE}/edit", by="Dr A", **form)
    assert answer.status_code == 422
    assert words in answer.text
    assert "\n" not in answer.text.strip()
    assert client.room.store.reading(study).version == 1


def test_an_upload_is_opened_before_it_is_listed(client: Any, kit: SimpleNamespace, tmp_path: Any) -> None:
    from sagittal.study.dicom.image import write_series

    files = write_series(kit.ct(), kit.ct().series[0], tmp_path / "out")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in files:
            archive.write(path, path.name)
    token = {"x-csrf-token": client.room.token}
    good = client.web.post("/upload?name=study.zip", content=packed.getvalue(), headers=token)
    assert good.status_code == 200
    assert client.room.store.row(good.json()["id"]).state == "waiting"
    for content in (b"", b"hello, this is text", packed.getvalue()[: len(packed.getvalue()) // 3]):
        bad = client.web.post("/upload?name=../../x.zip", content=content, headers=token)
        assert bad.status_code == 422, content[:20]
        assert str(client.room.store.folder) not in bad.text
    assert len(client.room.store.rows()) == 1
    assert len(list((client.room.store.folder / "studies").iterdir())) == 1


def test_uploads_and_forms_are_bounded(room: Room, kit: SimpleNamespace) -> None:
    client = room(max_upload_mb=1, max_form_kb=1)
    token = {"x-csrf-token": client.room.token}

    def endless() -> Any:
        for _ in range(3):
            yield b"x" * 2**19

    assert client.web.post("/upload", content=b"x" * (2**20 + 1), headers=token).status_code == 413
    assert client.web.post("/upload", content=endless(), headers=token).status_code == 413
    assert list((client.room.store.folder / "studies").glob("*")) == []
    assert client.post("/studies/x/sign", by="x" * 2000).status_code == 413


def test_a_study_that_cannot_be_read_is_said_so_and_the_worker_goes_on(
    room: Room, kit: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    import time
    from dataclasses import replace

    from sagittal.study.dicom.image import write_series

    def broken(study: Any) -> Any:
        if study.patient.name == "Secret^Person":
            raise RuntimeError("Secret^Person has no voxels")
        return kit.read(study)

    client = room(replace(kit.READER, read=broken))
    names = []
    for person in ("Secret^Person", "Doe^Jane"):
        name, folder = client.room.store.new_folder()
        one = kit.ct(name=person)
        write_series(one, one.series[0], folder / "now")
        client.room.store.add(name, folder / "now")
        names.append(name)
    client.room.worker.start()
    until = time.monotonic() + 20
    while client.room.store.row(names[1]).state != "read" and time.monotonic() < until:
        time.sleep(0.02)
    client.room.worker.stop()
    assert client.room.store.row(names[1]).state == "read"
    failed = client.room.store.row(names[0])
    assert (failed.state, failed.problem) == (FAILED, "a defect in sagittal")
    assert "Secret" not in caplog.text
    assert "RuntimeError" in caplog.text
    page = client.get(f"/studies/{names[0]}")
    assert "could not be read" in page.text


def test_a_defect_of_ours_tells_nobody_whose_images_they_are(
    room: Room, kit: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    def broken(study: Any, reading: Any) -> Any:
        raise RuntimeError(f"no sentence for {study.patient.name}")

    client = room(replace(kit.READER, redraft=broken))
    study = kit.arrive(client, kit.ct())
    answer = client.post(f"/studies/{study}/findings/{NODULE}/accept", by="Dr A")
    # Starlette writes its own 500 before it passes the error on.
    assert answer.status_code == 500
    assert "Doe" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
    assert client.room.store.reading(study).version == 1


def test_a_reading_that_was_kept_before_a_stop_is_not_made_twice(
    client: Any, study: str, kit: SimpleNamespace
) -> None:
    client.room.store.describe(study, state="being read")
    client.room.store.requeue()
    assert client.room.store.take() == study
    client.room.worker.read(study)
    assert (client.room.store.row(study).state, client.room.store.row(study).version) == ("read", 1)


def test_a_refused_reading_says_why_and_shows_the_images(room: Room, kit: SimpleNamespace) -> None:
    from dataclasses import replace

    from sagittal.report.reading import Refusal

    def refuse(study: Any) -> Any:
        done = kit.read(study)
        why = Refusal("test 1", study.series[0].uid, "far from anything seen <img>", 9.0, 4.0)
        reading = replace(
            done.reading, status=Status.REFUSED, findings=(), scores=(), masks=(), refusals=(why,)
        )
        return replace(done, reading=reading, masks={})

    client = room(replace(kit.READER, read=refuse))
    study = kit.arrive(client, kit.ct())
    page = client.get(f"/studies/{study}").text
    assert "far from anything seen &lt;img&gt;" in page
    assert "distance 9.0, threshold 4.0" in page
    # Which of six series was refused is half of the message.
    assert "<b>CT · Chest 5 mm</b>" in page
    assert 'id="stage"' in page
    assert 'class="sign"' not in page
    assert client.get(f"/studies/{study}/pixels/0/axial/0").status_code == 200
    assert client.post(f"/studies/{study}/sign", by="Dr A").status_code == 409
