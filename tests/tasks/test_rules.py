"""The main job's rules with a stand-in for the model, so that every answer is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pytest

from sagittal.errors import MissingExtra
from sagittal.measure.statistics import Interval
from sagittal.report.finding import ChangeKind, Presence
from sagittal.report.reading import Status
from sagittal.study.geometry import Plane
from sagittal.study.spec import InputSpec
from sagittal.study.study import Patient, Series, Study
from sagittal.study.volume import Volume
from sagittal.tasks import read as task
from sagittal.tasks.findings import NOT_IN_VIEW
from sagittal.zoo.capability import Inference, Masks, Scores
from sagittal.zoo.card import BranchCard, Card, LabelCard, Threshold
from sagittal.zoo.gate import Distance

SHAPE = (64, 64)
DOMAIN = "phantom chest-xray"
KEYS = ("nodule", "pneumothorax", "cardiomegaly")
SURE = {"nodule": 0.9, "pneumothorax": 0.02, "cardiomegaly": 0.8}
FAR = Distance(2.0, 1.0)


def box(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


CHEST = {
    "lung_right": box(10, 50, 6, 26),
    "lung_left": box(10, 50, 38, 58),
    "heart": box(30, 52, 24, 46),
    "nodule": box(20, 26, 44, 50),
}


@dataclass
class StandIn:
    """A model that says of each series what the test wants."""

    drawn: dict[str, np.ndarray] = field(default_factory=lambda: dict(CHEST))
    far: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def card(self) -> Card:
        proven = (Threshold(DOMAIN, 0.6, 0.05, Interval(0.99, 0.97, 1.0)),)
        labels = tuple(LabelCard(key, calibrated_on=DOMAIN, thresholds=proven) for key in KEYS)
        branch = BranchCard(InputSpec(("DX",)), labels, ("lung_right", "lung_left", "heart", "nodule"))
        return Card("stand-in", "1", "sagittal", "", "none", "ab" * 32, {"chest-xray": branch})

    def infer(self, study: Study, series: tuple[Series, ...], *, branch: str) -> Inference:
        distance = FAR if series[0].uid in self.far else Distance(0.5, 1.0)
        scores = Scores(branch, SURE, SURE, distance)
        masks = {name: series[0].volume.like(mask) for name, mask in self.drawn.items()}
        return Inference(scores, Masks(branch, masks, distance), np.zeros(4, np.float32))

    def classify(self, study: Study, series: tuple[Series, ...], *, branch: str) -> Scores:
        return self.infer(study, series, branch=branch).scores

    def segment(self, study: Study, series: tuple[Series, ...], *, branch: str) -> Masks:
        return self.infer(study, series, branch=branch).masks

    def embed(self, study: Study, series: tuple[Series, ...], *, branch: str) -> np.ndarray:
        return np.zeros(4, np.float32)


def film(uid: str, modality: str = "DX", orientation: tuple[str, str] | None = ("L", "F")) -> Series:
    volume = Volume(np.zeros(SHAPE, np.float32), Plane((1.0, 1.0), "x", orientation))
    return Series(
        uid=uid,
        modality=modality,
        description=f"film {uid}",
        body_part="CHEST",
        shape=SHAPE,
        geometry=volume.geometry,
        unit="arbitrary",
        decode=lambda: volume,
    )


def study(*series: Series, uid: str = "2.25.7", day: date = date(2025, 3, 4)) -> Study:
    return Study(uid, Patient("P1"), series, date=day, synthetic=True)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> object:
    """``use(model)``: the only model there is."""

    def put(model: StandIn) -> None:
        def cached(name: str, device: str = "cpu") -> StandIn:
            if name in task.HELPERS:
                raise MissingExtra("deepbet", "deepbet", "zoo")
            return model

        monkeypatch.setattr(task, "cached", cached)

    return put


def test_two_films_of_a_study_keep_their_findings_and_masks_apart(use) -> None:  # type: ignore[no-untyped-def]
    use(StandIn())
    reading = task.read(study(film("2.25.1"), film("2.25.2"))).reading
    uids = [finding.tracking_uid for finding in reading.findings]
    assert len(set(uids)) == len(uids) == 6
    held = {mask.name: mask.series_uid for mask in reading.masks}
    for finding in reading.findings:
        assert finding.evidence is not None
        if finding.evidence.mask is not None:
            assert held[finding.evidence.mask] == finding.evidence.series_uid
    assert sum(f.evidence.mask is not None for f in reading.findings if f.evidence) == 4


def test_absence_needs_the_region_in_view(use) -> None:  # type: ignore[no-untyped-def]
    def presence(model: StandIn) -> tuple[str, list[Presence]]:
        use(model)
        reading = task.read(study(film("2.25.1"))).reading
        (score,) = [s for s in reading.scores if s.observation.key == "pneumothorax"]
        said = [f.presence for f in reading.findings if f.observation.key == "pneumothorax"]
        if score.note == NOT_IN_VIEW:
            assert "Not assessed by the model: pneumothorax." in reading.report.text
        return score.level, said

    assert presence(StandIn()) == ("absent", [Presence.ABSENT])
    one_lung = CHEST | {"lung_left": np.zeros(SHAPE, bool)}
    assert presence(StandIn(one_lung)) == ("not assessed", [])


def test_evidence_names_no_mask_that_was_not_kept(use) -> None:  # type: ignore[no-untyped-def]
    use(StandIn(CHEST | {"lung_left": np.zeros(SHAPE, bool)}))
    reading = task.read(study(film("2.25.1"))).reading
    names = {mask.name for mask in reading.masks}
    assert "heart" not in names
    assert {f.evidence.mask for f in reading.findings if f.evidence and f.evidence.mask} <= names


def test_what_the_gate_refused_is_named_as_not_assessed(use) -> None:  # type: ignore[no-untyped-def]
    use(StandIn(far=("2.25.1",)))
    reading = task.read(study(film("2.25.1"))).reading
    assert reading.status is Status.DRAFT and not reading.findings
    assert {(s.observation.key, s.level, s.probability) for s in reading.scores} == {
        (key, "not assessed", None) for key in KEYS
    }
    assert "Not assessed by the model: nodule, pneumothorax, cardiomegaly." in reading.report.text
    assert "assessed no finding" in reading.report.section("impression").sentences[0].text
    use(StandIn({"nodule": CHEST["nodule"]}, far=("2.25.1",)))
    assert task.read(study(film("2.25.1"))).reading.status is Status.REFUSED


def test_a_prior_is_compared_or_said_not_to_be(use) -> None:  # type: ignore[no-untyped-def]
    prior = study(film("2.25.9"), uid="2.25.6", day=date(2024, 1, 2))
    now = replace(study(film("2.25.1")), priors=(prior,))

    def comparison() -> tuple[str, list[ChangeKind]]:
        reading = task.read(now).reading
        (said,) = reading.report.section("comparison").sentences
        return said.text, [f.change.kind for f in reading.findings if f.change]

    use(StandIn())
    text, kinds = comparison()
    assert text == "Compared with 2024-01-02." and kinds
    use(StandIn(far=("2.25.9",)))
    text, kinds = comparison()
    assert text.startswith("Prior of 2024-01-02 not compared: ") and "unlike" in text and not kinds
    use(StandIn(far=("2.25.1",)))
    assert comparison() == ("Prior of 2024-01-02 not compared: no finding is stated on this study.", [])


def test_a_file_that_states_no_modality_is_told_how_to(use) -> None:  # type: ignore[no-untyped-def]
    use(StandIn())
    reading = task.read(study(film("2.25.1", modality="OT"))).reading
    assert reading.status is Status.REFUSED
    assert "--assume modality=" in reading.refusals[0].reason


def test_lungs_on_a_film_without_orientation_say_how_they_are_named(use) -> None:  # type: ignore[no-untyped-def]
    use(StandIn())
    text = task.read(study(film("2.25.1", orientation=None))).reading.report.text
    assert "named as on a film hung with the right on the image left" in text
    assert "Orientation not stated" in text
    assert "named as" not in task.read(study(film("2.25.1"))).reading.report.text
