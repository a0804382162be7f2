"""French reports: what the house writes is read back, and what radiologists write is understood."""

from __future__ import annotations

import itertools

import pytest

from sagittal.report.finding import Certainty, Finding, Laterality, Presence, Temporality
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
        written = sentence(finding, "fr")
        if parse(written, "fr") != [stated(finding)]:
            lost.append(written)
    assert lost == []


# Key, presence or certainty, and what is said of side, site and severity.
SENTENCES = """
Pas d'épanchement pleural ni de pneumothorax. | pleural_effusion absent, pneumothorax absent
Absence de foyer de condensation. | consolidation absent
Aucun signe d'embolie pulmonaire. | pulmonary_embolism absent
Il n'est pas mis en évidence de nodule pulmonaire suspect. | nodule absent
Le pneumothorax n'est plus visible ce jour. | pneumothorax absent
L'embolie pulmonaire est exclue. | pulmonary_embolism absent
Absence d'épanchement pleural, de pneumothorax ou de condensation. | pleural_effusion absent, pneumothorax absent, consolidation absent
Pas d'épanchement à droite, mais épanchement de faible abondance à gauche. | pleural_effusion absent right, pleural_effusion present left mild
Cardiomégalie modérée sans signe de décompensation. | cardiomegaly present moderate
Silhouette cardiaque de taille normale. | cardiomegaly absent
Culs-de-sac pleuraux libres. | pleural_effusion absent
Épanchement pleural bilatéral de moyenne abondance. | pleural_effusion present bilateral moderate
Atélectasie du lobe inférieur gauche. | atelectasis present left lower_lobe
Nodule solide du lobe supérieur droit mesurant 8,5 mm. | nodule present right upper_lobe
Condensation basale droite évocatrice de pneumopathie. | consolidation present right lung_base, pneumonia consistent_with
Suspicion de fracture de côte à gauche. | rib_fracture probable left
Possible pneumothorax apical droit. | pneumothorax possible right lung_apex
Une pneumopathie ne peut être formellement exclue. | pneumonia possible
Une fracture est peu probable. | fracture unlikely
Fracture déplacée du radius distal droit. | fracture present right radius
Pas d'argument pour une hémorragie intracrânienne. | intracranial_haemorrhage absent
Lithiase vésiculaire sans signe de cholécystite. | gallstone present, cholecystitis absent
Dilatation modérée des cavités pyélocalicielles à gauche. | hydronephrosis present left renal_pelvis moderate
Pas d'adénopathie médiastinale. | lymphadenopathy absent mediastinum
Epanchement pleural gauche minime, cardiomegalie. | pleural_effusion present left mild, cardiomegaly present
"""  # noqa: E501


def said(finding: Finding) -> str:
    word = finding.certainty.value.replace(" ", "_") if finding.certainty else finding.presence.value
    side, severity = finding.laterality, finding.severity
    place = finding.site.key if finding.site else ""
    more = side.value if side else "", place, severity.value if severity else ""
    return " ".join(filter(None, (finding.observation.key, word, *more)))


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines(), ids=lambda line: line.split(" | ")[0])
def test_sentences_of_reports(line: str) -> None:
    text, wanted = line.split(" | ")
    assert ", ".join(said(finding) for finding in parse(text, "fr")) == wanted


def test_sizes_have_decimal_commas() -> None:
    (finding,) = parse("Nodule solide du lobe supérieur droit mesurant 8,5 mm.", "fr")
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [("diameter", (8.5,), "mm")]


def test_change_has_a_date() -> None:
    (finding,) = parse("Épanchement pleural gauche stable depuis le 12/03/2023.", "fr")
    assert finding.change is not None
    assert (finding.change.kind.value, str(finding.change.since)) == ("stable", "2023-03-12")


def test_history_of_the_patient_and_of_the_family() -> None:
    (own,) = parse("Antécédent de tuberculose.", "fr")
    (other,) = parse("Antécédent familial de cancer du poumon.", "fr")
    assert own.temporality is Temporality.HISTORICAL
    assert other.temporality is Temporality.FAMILY


def test_sections() -> None:
    text = (
        "Indication : recherche d'embolie pulmonaire.\n"
        "Technique : scanner thoracique, pas de pneumothorax.\n"
        "Résultats : Pas d'embolie pulmonaire. Petit épanchement pleural gauche.\n"
        "Conclusion : Absence d'embolie pulmonaire."
    )
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(text)]
    assert found[0][0::2] == ("pulmonary_embolism", Temporality.HYPOTHETICAL)
    assert found[1:] == [
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]
