"""The vocabulary is CLINICAL's list, and every code means what it is used for."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest
from pydicom.sr import _concepts_dict

from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.finding import Kind
from sagittal.report.vocabulary import concept, observation, observations, site, sites, within

GIVEN = {
    "nodule": "SCT 27925004",
    "mass": "SCT 4147007",
    "opacity": "DCM 112001",
    "interstitial_pattern": "DCM 112004",
    "pulmonary_oedema": "SCT 19242006",
    "miliary_pattern": "DCM 112129",
    "pleural_effusion": "SCT 60046008",
    "pneumothorax": "SCT 36118008",
    "pneumomediastinum": "SCT 16838000",
    "endotracheal_tube": "SCT 26412008",
    "central_line": "DCM 112174",
    "feeding_tube": "SCT 25062003",
    "chest_tube": "DCM 112173",
    "pacemaker": "SCT 14106009",
    "ground_glass_opacity": "DCM 112120",
    "septal_thickening": "DCM 112114",
    "reticulation": "DCM 112113",
    "honeycombing": "DCM 112106",
    "mosaic_attenuation": "DCM 112130",
    "tree_in_bud": "DCM 112127",
    "lymphadenopathy": "SCT 30746006",
    "pericardial_effusion": "SCT 373945007",
    "pulmonary_embolism": "SCT 59282003",
    "aortic_aneurysm": "SCT 67362008",
}
"""The codes the clinical rules give for the 64; all others are private."""

DICTIONARY: dict[tuple[str, str], set[str]] = defaultdict(set)
for _scheme in ("DCM", "SCT"):
    for _entries in _concepts_dict.concepts[_scheme].values():
        for _code, (_meaning, _) in _entries.items():
            DICTIONARY[_scheme, _code].add(_meaning)

CONCEPTS = [o.concept for o in observations()] + [s.concept for s in sites()]


def one_meaning(meanings: set[str]) -> bool:
    """One plain name; a fully specified name "… (disorder)" beside it must speak of the same thing."""
    plain = {m for m in meanings if not re.search(r"\([a-z ]+\)$", m)}
    full = meanings - plain
    if len(plain) > 1 or (not plain and len(full) > 1):
        return False
    name = next(iter(plain or full)).lower()
    return all(
        any(word[:4] in name for word in re.findall(r"[a-z]{3,}", text.lower()) if word != "structure")
        for text in full
    )


def test_there_are_64_observations_and_6_inferences() -> None:
    kinds = Counter(o.kind for o in observations())
    assert kinds == {Kind.OBSERVATION: 64, Kind.INFERENCE: 6}
    assert len(sites()) >= 40


@pytest.mark.parametrize("found", CONCEPTS, ids=lambda c: c.key)
def test_every_code_is_looked_up(found: Concept) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", found.key)
    if found.scheme == PRIVATE_SCHEME:
        assert found.code == found.key
        return
    meanings = DICTIONARY[found.scheme, found.code]
    assert found.meaning in meanings, f"{found} is not in pydicom's dictionary"
    assert one_meaning(meanings), f"{found} has several meanings: {meanings}"


def test_the_lookup_rejects_codes_with_two_meanings() -> None:
    assert not one_meaning(DICTIONARY["SCT", "287272002"])
    assert not one_meaning(DICTIONARY["SCT", "1386000"])


def test_codes_are_those_the_clinical_rules_give() -> None:
    for entry in observations():
        if entry.kind is Kind.OBSERVATION:
            given = GIVEN.get(entry.key, f"{PRIVATE_SCHEME} {entry.key}")
            assert f"{entry.concept.scheme} {entry.concept.code}" == given


def test_codes_and_keys_are_unique() -> None:
    pairs = Counter((c.scheme, c.code) for c in CONCEPTS)
    assert max(pairs.values()) == 1
    assert len({o.key for o in observations()}) == len(observations())
    assert len({s.key for s in sites()}) == len(sites())


def test_a_word_means_one_observation() -> None:
    owner: dict[str, str] = {}
    for entry in observations():
        words = {entry.term, entry.plural, *entry.synonyms, *entry.abbreviations} - {None}
        for word in words:
            known = owner.setdefault(str(word), entry.key)
            shared = {known, entry.key} <= {"pneumothorax", "pleural_effusion"}
            assert known == entry.key or shared, f"{word!r} means {known} and {entry.key}"


def test_references_inside_the_vocabulary_resolve() -> None:
    for entry in observations():
        assert entry.sites and all(site(key) for key in entry.sites)
        assert all(observation(key).kind is Kind.OBSERVATION for key in entry.support)
        assert bool(entry.support) == (entry.kind is Kind.INFERENCE)
        assert entry.actionable in (None, 1, 2, 3)
        for pattern in entry.patterns:
            re.compile(pattern)
    for place in sites():
        assert place.part_of is None or site(place.part_of)


def test_part_of() -> None:
    assert within("lingula", "lung") and within("rib", "chest") and not within("rib", "lung")


def test_label_sets_are_covered() -> None:
    assert len({o.ct_rate for o in observations()} - {None}) == 18
    # CheXpert's 14 less "No Finding", which is the absence of the others.
    assert len({o.chexpert for o in observations()} - {None}) == 13


def test_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        concept("unicorn")
