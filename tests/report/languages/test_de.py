"""German reports: what the house writes is read back, and what radiologists write is understood."""

from __future__ import annotations

import itertools

import pytest

from sagittal.report.finding import Certainty, Finding, Laterality, Presence, Severity, Temporality
from sagittal.report.parse import parse
from sagittal.report.render import sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, observations, sites


def test_every_observation_is_read_back() -> None:
    """Each once; presence, certainty, side and site take turns, so that all of them come up."""
    turns = zip(
        observations(),
        itertools.cycle(Presence),
        itertools.cycle((None, *Certainty)),
        itertools.cycle(place.concept for place in sites()),
        itertools.cycle((None, Laterality.RIGHT, Laterality.LEFT, Laterality.BILATERAL, None)),
        strict=False,
    )
    lost = []
    for what, presence, certainty, place, side in turns:
        finding = Finding(
            concept(what.key), presence=presence, certainty=certainty, site=place, laterality=side
        )
        written = sentence(finding, "de")
        if parse(written, "de") != [stated(finding)]:
            lost.append(written)
    assert lost == []


# Key, presence or certainty, and what is said of side, site and severity.
SENTENCES = """
Kein Nachweis eines Pleuraergusses. | pleural_effusion absent
Ein Pneumothorax ist nicht nachweisbar. | pneumothorax absent
Kein Pneumothorax, Erguss oder Infiltrat. | pneumothorax absent, pleural_effusion absent, opacity absent
Weder Erguss noch Pneumothorax. | pleural_effusion absent, pneumothorax absent
Eine Lungenembolie konnte ausgeschlossen werden. | pulmonary_embolism absent
Kein Pneumothorax nach Anlage der Thoraxdrainage. | pneumothorax absent, chest_tube present
Kein Erguss, jedoch Atelektase links basal. | pleural_effusion absent, atelectasis present left lung_base
Kein Erguss rechts, links kleiner Erguss. | pleural_effusion absent right, pleural_effusion present left mild
Keine narbigen Veränderungen. | fibrotic_sequela absent
Das Herz ist deutlich vergrößert. | cardiomegaly present heart severe
Herz nicht vergrössert. | cardiomegaly absent heart
Herzgröße im Normbereich. | cardiomegaly absent
Randwinkel beidseits frei. | pleural_effusion absent
Kleiner Erguss rechts, basale Atelektase. | pleural_effusion present right mild, atelectasis present lung_base
Beidseits geringe Pleuraergüsse. | pleural_effusion present bilateral mild
Atelektase beider Unterlappen. | atelectasis present bilateral lower_lobe
Bibasale Dystelektasen. | atelectasis present bilateral lung_base
Infiltrat rechter Unterlappen. | opacity present right lower_lobe
Im linken Unterlappen zeigt sich eine Konsolidierung. | consolidation present left lower_lobe
Rechts Pleuraerguss, links Atelektase. | pleural_effusion present right, atelectasis present left
V.a. Pneumonie rechts basal. | pneumonia probable right lung_base
Am ehesten Pneumonie. | pneumonia consistent_with
Fragliche Raumforderung im Pankreaskopf. | mass possible pancreatic_head
Eine Pneumonie ist unwahrscheinlich. | pneumonia unlikely
Ein kleiner Pneumothorax rechts ist nicht sicher auszuschließen. | pneumothorax possible right mild
Nicht sicher auszuschließen ist ein kleiner Pneumothorax rechts. | pneumothorax possible right mild
Unklar, ob ein Pleuraerguss links vorliegt. | pleural_effusion uncertain left
Raumforderung, hochgradig verdächtig auf ein Bronchialkarzinom. | mass present, lung_cancer consistent_with
Fraktur der 5. Rippe links. | rib_fracture present left rib
Dislozierte Fraktur des distalen Radius rechts. | fracture present right radius
Kein Anhalt für Fraktur oder Luxation. | fracture absent, dislocation absent
Leichte bis mäßige Spinalkanalstenose LWK 4/5. | spinal_stenosis present lumbar_spine moderate
Alter lakunärer Infarkt in den Stammganglien rechts. | chronic_infarct present right basal_ganglia
Keine frische Ischämie, keine Blutung. | acute_infarct absent, intracranial_haemorrhage absent
Cholezystolithiasis ohne Zeichen einer Cholezystitis. | gallstone present, cholecystitis absent
Keine freie Flüssigkeit, keine freie Luft. | ascites absent, pneumoperitoneum absent
Milz nicht vergrößert. | splenomegaly absent spleen
Harnstauung II° rechts. | hydronephrosis present right
Verkalkungen der Koronararterien. | coronary_calcification present
Gruppierter Mikrokalk in der rechten Brust. | breast_calcification present right breast
Mediastinale Lymphknoten nicht vergrößert. | lymphadenopathy absent mediastinal_node
"""


def said(finding: Finding) -> str:
    word = finding.certainty.value.replace(" ", "_") if finding.certainty else finding.presence.value
    side, severity = finding.laterality, finding.severity
    place = finding.site.key if finding.site else ""
    more = side.value if side else "", place, severity.value if severity else ""
    return " ".join(filter(None, (finding.observation.key, word, *more)))


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines(), ids=lambda line: line.split(" | ")[0])
def test_sentences_of_reports(line: str) -> None:
    text, wanted = line.split(" | ")
    assert ", ".join(said(finding) for finding in parse(text, "de")) == wanted


def test_sizes_have_decimal_commas() -> None:
    (finding,) = parse("Rundherd im Mittellappen mit einem Durchmesser von 1,2 cm.", "de")
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [("diameter", (1.2,), "cm")]
    (finding,) = parse("Mittellinienverlagerung nach links um 6 mm.", "de")
    assert [(m.quantity, m.values) for m in finding.measurements] == [("shift", (6.0,))]
    hydronephrosis, stone = parse("Hydronephrose links bei 5 mm großem Ureterstein.", "de")
    assert not hydronephrosis.measurements
    assert stone.measurements[0].values == (5.0,)


@pytest.mark.parametrize(
    ("text", "kind", "since", "now", "prior"),
    [
        ("Solider Rundherd, 8 mm, unverändert seit 12.03.2023.", "stable", "2023-03-12", (8.0,), None),
        (
            "Raumforderung größenprogredient, aktuell 34 x 28 mm, zuvor 25 x 20 mm.",
            "larger",
            None,
            (34.0, 28.0),
            (25.0, 20.0),
        ),
        ("Der Rundherd ist deutlich kleiner als in der Voruntersuchung.", "smaller", None, None, None),
        ("Der Pleuraerguss links ist rückläufig.", "smaller", None, None, None),
        ("Pleuraerguss nicht mehr nachweisbar.", "resolved", None, None, None),
        ("Neu aufgetretene Konsolidierung im rechten Unterlappen.", "new", None, None, None),
        ("Keine Größenänderung des Rundherds im linken Oberlappen.", "stable", None, None, None),
    ],
)
def test_change(
    text: str, kind: str, since: str | None, now: tuple[float, ...] | None, prior: tuple[float, ...] | None
) -> None:
    (finding,) = parse(text, "de")
    assert finding.change is not None
    assert finding.severity is None
    assert finding.change.kind.value == kind
    assert str(finding.change.since) == str(since)
    assert (finding.measurements[0].values if finding.measurements else None) == now
    assert (finding.change.prior.values if finding.change.prior else None) == prior


def test_small_is_not_smaller() -> None:
    (finding,) = parse("Kleiner Pleuraerguss rechts.", "de")
    assert finding.change is None
    assert finding.severity is Severity.MILD


def test_time_and_number() -> None:
    (finding,) = parse("Z.n. Tuberkulose.", "de")
    assert finding.temporality is Temporality.HISTORICAL
    (finding,) = parse("Familienanamnese: Bronchialkarzinom.", "de")
    assert finding.temporality is Temporality.FAMILY
    (finding,) = parse("Drei Rundherde im linken Unterlappen.", "de")
    assert finding.count == 3


def test_sections() -> None:
    text = (
        "Klinische Angaben: V.a. Lungenembolie.\nTechnik: CT des Thorax, kein Pneumothorax.\n"
        "Befund: Keine Lungenembolie. Kleiner Pleuraerguss links.\n"
        "Beurteilung: Kein Nachweis einer Lungenembolie."
    )
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(text)]
    assert found == [
        ("pulmonary_embolism", Presence.UNCERTAIN, Temporality.HYPOTHETICAL),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]
