"""Spanish reports: what the house writes is read back, and what radiologists write is understood."""

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
        written = sentence(finding, "es")
        if parse(written, "es") != [stated(finding)]:
            lost.append(written)
    assert lost == []


# Key, presence or certainty, and what is said of side, site and severity.
SENTENCES = """
No se observa derrame pleural ni neumotórax. | pleural_effusion absent, pneumothorax absent
Sin signos de tromboembolismo pulmonar. | pulmonary_embolism absent
No hay evidencia de fractura. | fracture absent
Neumotórax no visualizado. | pneumothorax absent
Se descarta tromboembolismo pulmonar. | pulmonary_embolism absent
Ausencia de derrame pleural, neumotórax o consolidaciones. | pleural_effusion absent, pneumothorax absent, consolidation absent
No se identifican nódulos, masas ni adenopatías. | nodule absent, mass absent, lymphadenopathy absent
Sin derrame derecho, pero con pequeño derrame izquierdo. | pleural_effusion absent right, pleural_effusion present left mild
Cardiomegalia moderada sin signos de edema pulmonar. | cardiomegaly present moderate, pulmonary_oedema absent
Silueta cardíaca de tamaño normal. | cardiomegaly absent
Senos costofrénicos libres. | pleural_effusion absent
Derrame pleural bilateral de predominio derecho. | pleural_effusion present bilateral
Atelectasia en el lóbulo inferior izquierdo. | atelectasis present left lower_lobe
Nódulo sólido en lóbulo superior derecho de 8,5 mm. | nodule present right upper_lobe
Consolidación basal derecha compatible con neumonía. | consolidation present right lung_base, pneumonia consistent_with
Hallazgos sugestivos de neumonía. | pneumonia probable
Posible fractura costal izquierda. | rib_fracture possible left
No se puede descartar neumonía. | pneumonia possible
La fractura es poco probable. | fracture unlikely
Fractura desplazada de radio distal derecho. | fracture present right radius
Colelitiasis sin signos de colecistitis. | gallstone present, cholecystitis absent
Hidronefrosis izquierda leve. | hydronephrosis present left mild
No se aprecian adenopatías mediastínicas. | lymphadenopathy absent mediastinum
No hay hemorragia intracraneal ni desplazamiento de la línea media. | intracranial_haemorrhage absent, midline_shift absent
Derrame pleural izquierdo minimo, sin neumotorax. | pleural_effusion present left mild, pneumothorax absent
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
    assert ", ".join(said(finding) for finding in parse(text, "es")) == wanted


def test_sizes_have_decimal_commas() -> None:
    (finding,) = parse("Nódulo sólido en lóbulo superior derecho de 8,5 mm.", "es")
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [("diameter", (8.5,), "mm")]


def test_change_has_a_date() -> None:
    (finding,) = parse("Derrame pleural izquierdo estable desde el 12/03/2023.", "es")
    assert finding.change is not None
    assert (finding.change.kind.value, str(finding.change.since)) == ("stable", "2023-03-12")


def test_history_of_the_patient_and_of_the_family() -> None:
    (own,) = parse("Antecedente de tuberculosis.", "es")
    (other,) = parse("Antecedente familiar de cáncer de pulmón.", "es")
    assert own.temporality is Temporality.HISTORICAL
    assert other.temporality is Temporality.FAMILY


def test_sections() -> None:
    text = (
        "Indicación: descartar tromboembolismo pulmonar.\n"
        "Técnica: TC de tórax, sin neumotórax.\n"
        "Hallazgos: No se observa tromboembolismo pulmonar. Pequeño derrame pleural izquierdo.\n"
        "Impresión: Sin signos de tromboembolismo pulmonar."
    )
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(text)]
    assert found[0][0::2] == ("pulmonary_embolism", Temporality.HYPOTHETICAL)
    assert found[1:] == [
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]
