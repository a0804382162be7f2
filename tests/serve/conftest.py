"""A small room to test: a CT written as DICOM, a reader whose findings are known, a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from sagittal.report.codec import dumps
from sagittal.report.finding import Evidence, Finding, Laterality, Measurement, Presence
from sagittal.report.reading import (
    MaskSummary,
    ModelUse,
    Provenance,
    Reading,
    Refusal,
    Score,
    Status,
    StudySummary,
)
from sagittal.report.report import SECTIONS, Report, Section, Sentence
from sagittal.report.vocabulary import concept
from sagittal.serve.app import Room, create_app
from sagittal.serve.worker import Reader
from sagittal.settings import ServeSettings
from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry
from sagittal.study.study import Acquisition, Patient, Series, Study
from sagittal.study.volume import Volume

SHAPE = (10, 24, 30)
HOSTILE = "<script>alert(1)</script>^\"'&"


def ct(
    uid: str = "1.2.826.0.1.1", day: date = date(2026, 3, 4), name: str = "Doe^Jane", shift: int = 0
) -> Study:
    """A CT of noise with a bright ball at index (6, 10, 20)."""
    rng = np.random.default_rng(3 + shift)
    voxels = rng.integers(-1000, -700, SHAPE).astype(np.int16)
    voxels[ball()] = 60
    geometry = Geometry.from_spacing((5.0, 2.0, 1.5), (-20.0, -30.0, -100.0 + shift))
    geometry = Geometry(geometry.affine, frame_of_reference_uid=f"{uid}.9")
    series = Series(
        uid=f"{uid}.1",
        modality="CT",
        shape=SHAPE,
        geometry=geometry,
        unit="HU",
        decode=lambda: Volume(voxels, geometry, "HU"),
        description="Chest 5 mm",
        body_part="CHEST",
        number=1,
        acquisition=Acquisition(manufacturer="Test", kvp=120.0, slice_thickness_mm=5.0),
    )
    patient = Patient("P-77", name, "F", date(1960, 1, 1), 66.0)
    return Study(uid, patient, (series,), day, "CT chest", synthetic=True)


def ball() -> NDArray[np.bool_]:
    """Mask of the ball."""
    z, y, x = np.indices(SHAPE)
    return ((z - 6) * 5.0) ** 2 + ((y - 10) * 2.0) ** 2 + ((x - 20) * 1.5) ** 2 <= 5.5**2


def findings(series_uid: str) -> tuple[Finding, ...]:
    """A nodule with a mask, and a pneumothorax of category 1 with a box."""
    nodule = Finding(
        concept("nodule"),
        probability=0.91,
        domain="phantom chest-ct",
        laterality=Laterality.LEFT,
        measurements=(Measurement("diameter", (11.0, 10.0), "mm"),),
        tracking_uid="2.25.1",
        evidence=Evidence(series_uid, mask="nodule-1", slices_index=(6, 5, 7)),
        source="model test",
    )
    air = Finding(
        concept("pneumothorax"),
        probability=0.7,
        laterality=Laterality.RIGHT,
        actionable=1,
        tracking_uid="2.25.2",
        evidence=Evidence(series_uid, box_mm=(-20.0, -30.0, -90.0, -10.0, -20.0, -80.0)),
        source="model test",
    )
    gone = Finding(concept("emphysema"), presence=Presence.ABSENT, tracking_uid="2.25.3")
    return nodule, air, gone


def draft(reading: Reading) -> Report:
    """One plain sentence a finding; the real grammar has its own tests."""
    present = [f for f in reading.findings if f.presence is not Presence.ABSENT]

    def words(f: Finding) -> str:
        size = f" {f.measurements[0].values[0]:g} mm" if f.measurements else ""
        return f"{f.laterality.value if f.laterality else 'Some'} {f.observation.meaning}{size}.".capitalize()

    said = tuple(Sentence(words(f), (f.tracking_uid or "",)) for f in present)
    return Report(tuple(Section(name, said if name == "findings" else ()) for name in SECTIONS))


@dataclass(frozen=True)
class Done:
    reading: Reading
    masks: Mapping[str, Volume]


def read(study: Study) -> Done:
    """A reading of the CT above."""
    series = study.series[0]
    reading = Reading(
        uid="2.25.99",
        status=Status.DRAFT,
        study=StudySummary(study.uid, study.patient.id, study.date, synthetic=study.synthetic),
        models=(ModelUse("test", "1", "ab" * 32),),
        scores=(
            Score(concept("nodule"), "present", 0.91, "phantom chest-ct", series.uid),
            Score(
                concept("pneumothorax"),
                "present",
                None,
                None,
                series.uid,
                "not calibrated on this kind of image",
            ),
        ),
        findings=findings(series.uid),
        refusals=(),
        report=Report(),
        provenance=Provenance(datetime(2026, 3, 4, tzinfo=UTC), 0),
        masks=(MaskSummary("nodule-1", series.uid, concept("nodule")),),
    )
    masks = {"nodule-1": Volume(ball(), series.geometry)}
    return Done(replace(reading, report=draft(reading)), masks)


def write(study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], out: Path) -> None:
    """Just enough to see what is asked for; the real writers have their own tests."""
    (out / "reading.json").write_text(dumps(reading), "utf-8")
    (out / "report.txt").write_text(reading.report.text, "utf-8")
    if masks:
        (out / "seg.dcm").write_bytes(b"\n".join(f"{n} {int(m.sum())}".encode() for n, m in masks.items()))


READER = Reader(read, lambda study, reading: draft(reading), write)


def truthful() -> Reader:
    """A reader that knows the truth of a phantom, with the main job's own report and files."""
    from sagittal.phantom.cohort import draw, draw_followup
    from sagittal.phantom.truth import Truth
    from sagittal.report.codec import read_json
    from sagittal.serve.worker import reader
    from sagittal.study.summary import summarise

    own = reader(ServeSettings(Path("unused")))

    def look(study: Study) -> Done:
        file = Path(study.path) / "truth.json"
        summary, stamp = summarise(study), datetime(2026, 3, 4, tzinfo=UTC)
        empty = Reading("2.25.8", Status.REFUSED, summary, (), (), (), (), Report(), Provenance(stamp, 0))
        if not file.is_file():
            why = Refusal("truth", study.series[0].uid, "no phantom, so nothing is known of it")
            return Done(replace(empty, refusals=(why,), report=own.redraft(study, empty)), {})
        t = read_json(Truth, file)
        if t.timepoint:
            case = draw_followup(t.kind, seed=t.seed, index=t.index, split=t.split)[1]
        else:
            case = draw(t.kind, seed=t.seed, index=t.index, split=t.split)
        placed = {
            f.evidence.mask: f.evidence.series_uid for f in t.findings if f.evidence and f.evidence.mask
        }
        masks = {name: mask for name, mask in case.masks.items() if name in placed}
        made = replace(
            empty,
            status=Status.DRAFT,
            models=(ModelUse("truth", "1", "cd" * 32),),
            findings=tuple(replace(f, source="model truth") for f in t.findings),
            masks=tuple(MaskSummary(name, placed[name] or "") for name in masks),
        )
        return Done(replace(made, report=own.redraft(study, made)), masks)

    return Reader(look, own.redraft, own.write)


@pytest.fixture
def kit() -> SimpleNamespace:
    """What the tests need of this file; a conftest cannot be imported by name."""
    names = (
        "arrive",
        "ball",
        "ct",
        "draft",
        "findings",
        "read",
        "write",
        "HOSTILE",
        "SHAPE",
        "READER",
        "truthful",
    )
    return SimpleNamespace(**{name: globals()[name] for name in names})


@dataclass
class Client:
    """The room behind its guard; `post` sends what our own pages send."""

    web: TestClient
    room: Room

    def get(self, path: str) -> httpx.Response:
        return self.web.get(path)

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.web.post(path, data=form, headers={"x-csrf-token": self.room.token})


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Open a room over the given settings; the worker is run by hand."""
    opened: list[TestClient] = []

    def make(reader: Reader = READER, **settings: int) -> Client:
        app = create_app(ServeSettings(tmp_path / "room", **settings), reader, start_worker=False)  # type: ignore[arg-type]
        web = TestClient(app.state.guarded, base_url="http://127.0.0.1:8080")
        opened.append(web)
        return Client(web, app.state.room)

    yield make
    for web in opened:
        web.close()


def arrive(client: Client, study: Study, prior: Study | None = None) -> str:
    """Write a study as DICOM, put it on the list, and read it now."""
    name, folder = client.room.store.new_folder()
    for one, place in ((study, folder / "now"), (prior, folder / "before")):
        if one is not None:
            for series in one.series:
                write_series(one, series, place)
    client.room.store.add(name, folder / "now", folder / "before" if prior else None)
    assert client.room.store.take() == name
    client.room.worker.read(name)
    return name
